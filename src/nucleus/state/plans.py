"""ROOT/plans/: what earlier command lines were compiled to, one file each, under the digest of all that was asked.

Everything here can be thrown away at any time: a file that is absent, damaged, cut short, somebody else's or open to others
is passed over, and nobody is told.  ✗ what a file says, and whether it still holds: container/reuse/again.py.
"""

from __future__ import annotations

import os
from stat import S_ISREG

from ..base.errors import PermissionRefused
from ..base.jsontext import digest
from .store import open_private, write_file

_FOLDER = "plans"
_MAGIC = b"NUCPLANS 1 "
_HEAD = len(_MAGIC) + 64 + 1  # and the digest of the rest, in hexadecimal, and a newline
_LARGEST = 1 << 20
_MOST, _MOST_BYTES = 64, 4 << 20


class Plans:
    """The directory of one state root, held open.  Raises OSError or NucleusError where none can be trusted."""

    __slots__ = ("_fd",)

    def __init__(self, root: str, *, make: bool = False) -> None:
        above = open_private(root)
        try:
            if make:
                try:
                    os.mkdir(_FOLDER, 0o700, dir_fd=above)
                except FileExistsError:
                    pass  # as nearly always
            self._fd = open_private(_FOLDER, above)
        finally:
            os.close(above)
        if os.fstat(self._fd).st_mode & 0o077:
            os.close(self._fd)
            raise PermissionRefused("others can read or enter it", where=f"{root}/{_FOLDER}")

    def close(self) -> None:
        """Let go of it."""
        os.close(self._fd)

    def load(self, name: str) -> bytes | None:
        """What was kept under that name; None where nothing is that can be believed."""
        try:
            fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=self._fd)
        except OSError:
            return None
        try:
            status = os.fstat(fd)
            if (
                not S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o077
                or status.st_nlink != 1 or not _HEAD < status.st_size <= _LARGEST
            ):  # fmt: skip
                return None
            data = os.read(fd, _LARGEST)
        except OSError:
            return None
        finally:
            os.close(fd)
        body = data[_HEAD:]
        return body if data[:_HEAD] == _head(body) else None

    def used(self, name: str) -> None:
        """It is the youngest now: the last to be thrown away."""
        os.utime(name, dir_fd=self._fd)

    def is_new(self, name: str) -> bool:
        """Is it asked for the first time?  An empty file says so to the next who asks: many command lines come once."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            os.close(os.open(name, flags, 0o600, dir_fd=self._fd))
        except FileExistsError:
            return False
        self._trim()
        return True

    def keep(self, name: str, body: bytes) -> None:
        """Write it, whole or not at all.  Raises HostUnsupported on a full disk."""
        if _HEAD + len(body) <= _LARGEST:
            write_file(self._fd, name, _head(body) + body)
            self._trim()

    def _trim(self) -> None:
        """Throw away the oldest, until there are few and small ones."""
        found = []
        with os.scandir(self._fd) as entries:
            for entry in entries:
                try:
                    status = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue  # another command was faster
                found.append((status.st_mtime_ns, status.st_size, entry.name))
        found.sort(reverse=True)
        room = _MOST_BYTES
        for number, (_, size, name) in enumerate(found):
            room -= size
            if number >= _MOST or room < 0:
                try:
                    os.unlink(name, dir_fd=self._fd)
                except FileNotFoundError:
                    continue


def _head(body: bytes) -> bytes:
    return _MAGIC + digest(body).encode() + b"\n"
