"""Which host ids a container of root gets: one disjoint block of 65,536, for as long as it lives.

The blocks come from the range that systemd reserves for containers (524288 to 1879048191) and overlap no line of
/etc/subuid, /etc/subgid, passwd or group: the usual 100000 is the first user's own block, and that user could then kill a
container's processes.  A block is taken by a lock (flock(2)) on a file of its own; the kernel gives it back when the owner
ends, however it ends.
✗ maps them: plan/.
"""

from __future__ import annotations

import fcntl
import os

from ..base.errors import HostUnsupported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..host.facts import IdRange

BLOCK = 65536
FIRST, _LAST = 524288, 1879048191
_DIRECTORY = "/run/nucleus/ranges"


def _bases(taken: tuple[IdRange, ...], wish: int) -> Iterator[int]:
    if wish:
        yield wish
    for base in range(FIRST, _LAST - BLOCK, BLOCK):
        if not _overlaps(base, taken):
            yield base


def _folder(directory: str) -> int:
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(directory, flags)
    except FileNotFoundError:
        # makedirs(3) would make what lies above by the umask alone: whoever may write there holds every lock.
        for path in (os.path.dirname(directory), directory):
            try:
                os.mkdir(path, 0o700)
            except FileExistsError:
                continue
        return os.open(directory, flags)


def _overlaps(base: int, taken: tuple[IdRange, ...]) -> bool:
    for known in taken:  # a loop: a start has no time for a generator per line of /etc/passwd
        if base < known.start + known.count and known.start < base + BLOCK:
            return True
    return False


def concerns(known: IdRange) -> bool:
    """Is it in the way of any block?"""
    return known.start < _LAST and known.start + known.count > FIRST


def take(taken: tuple[IdRange, ...], directory: str = _DIRECTORY, *, wish: int = 0) -> tuple[int, int]:
    """(first host id, descriptor that holds the block).  Raises HostUnsupported when every block is in use.

    wish: the block to take if nobody has it; one that was taken for the same facts, so that it overlaps no line.
    """
    try:
        folder = _folder(directory)
    except OSError as error:
        raise HostUnsupported(
            f"no place for the locks of id ranges: {(error.strerror or '').lower()}",
            where=directory,
            remedy="make /run writable for root",
        ) from None
    try:
        for base in _bases(taken, wish):
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            fd = os.open(str(base), flags, 0o600, dir_fd=folder)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(fd)
                continue
            except BaseException:
                os.close(fd)
                raise
            return base, fd
    finally:
        os.close(folder)
    raise HostUnsupported("every block of host ids is in use", where=directory, remedy="stop some containers")
