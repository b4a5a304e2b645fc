"""A directory and all below it as data: path → what is there.  Every directory is opened from its parent's descriptor and
no link is followed, so that a hostile tree cannot lead anywhere.  ✗ changes nothing but the mode of what cannot be read.
"""

from __future__ import annotations

import os
from errno import ELOOP, ENOENT, ENOTDIR
from stat import S_ISDIR, S_ISLNK, S_ISREG

from ...base.errors import SpecError
from ...base.value import Value
from ..inputs.file_copy import attributes, attributes_digest, digest
from .merge import DIRECTORY, FILE, LINK, OTHER, Entry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

MAX_DEPTH = 256
# Two changes of one file within the kernel's clock tick have the same time: what is younger than this is read again.
_TICK_NS = 50_000_000
OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Stamp(Value):
    """By what one sees that a path was touched, without reading it."""

    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int
    links: int = 1


class Seen(Value):
    """A path of a scanned tree."""

    entry: Entry
    stamp: Stamp


def stamp_of(status: os.stat_result) -> Stamp:
    """The stamp in a stat(2) answer."""
    return Stamp(
        inode=status.st_ino, size=status.st_size, mtime_ns=status.st_mtime_ns, ctime_ns=status.st_ctime_ns,
        links=status.st_nlink,
    )  # fmt: skip


class Scan:
    """One pass over a tree.

    known    what an earlier pass found, and `at_ns`, its time: what bears the same stamp is not read again
    leave    names at the top that are none of the tree's
    given    files that need not be read: whoever asks has written them
    mend     give the owner the right to read, where it is missing (of a tree that is ours to change)
    """

    __slots__ = ("_at_ns", "_device", "_given", "_known", "_leave", "_mend", "found")

    def __init__(
        self, *, known: Mapping[str, Seen] | None = None, at_ns: int = 0, leave: Collection[str] = (),
        mend: bool = False, given: Mapping[str, Entry] | None = None,
    ) -> None:  # fmt: skip
        self._given: Mapping[str, Entry] = given or {}
        self._known: Mapping[str, Seen] = known or {}
        self._at_ns, self._leave, self._mend = at_ns - _TICK_NS, leave, mend
        self._device = 0
        self.found: dict[str, Seen] = {}

    def run(self, root: int) -> dict[str, Seen]:
        """Everything below the directory; other file systems mounted there are not entered."""
        self._device = os.fstat(root).st_dev
        self._walk(root, "", 0)
        return self.found

    def _walk(self, directory: int, above: str, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise SpecError(
                f"'{above[:60]}…' is more than {MAX_DEPTH} directories deep",
                where="--workspace",
                remedy="make it less deep; a run's own changes can be thrown away: nucleus workspace discard",
            )
        for name in os.listdir(directory):
            if depth == 0 and name in self._leave:
                continue
            path = f"{above}{name}"
            try:
                status = os.stat(name, dir_fd=directory, follow_symlinks=False)
                self._look(directory, name, path, status, depth)
            except FileNotFoundError:
                continue  # removed meanwhile

    def _look(self, directory: int, name: str, path: str, status: os.stat_result, depth: int) -> None:
        stamp, mode = stamp_of(status), status.st_mode & 0o1777
        if S_ISLNK(status.st_mode):
            entry = Entry(kind=LINK, digest=os.readlink(name, dir_fd=directory))
        elif S_ISDIR(status.st_mode) and status.st_dev == self._device:
            entry = Entry(kind=DIRECTORY, mode=mode)
            below = self.open(directory, name, OPEN_DIRECTORY, status)
            try:
                self._walk(below, f"{path}/", depth + 1)
                if self._mend and (os.fstat(below).st_mode ^ status.st_mode) & 0o7777:
                    os.fchmod(below, status.st_mode & 0o7777)
            finally:
                os.close(below)
        elif S_ISREG(status.st_mode):
            known = self._known.get(path)
            if path in self._given:
                entry = self._given[path]
            elif known is not None and known.stamp == stamp and stamp.ctime_ns < self._at_ns:
                entry = known.entry
            else:
                entry = self._read(directory, name, mode, status)
        else:
            entry = Entry(kind=OTHER)
        self.found[path] = Seen(entry=entry, stamp=stamp)

    def _read(self, directory: int, name: str, mode: int, status: os.stat_result) -> Entry:
        fd = self.open(directory, name, OPEN_FILE, status)
        try:
            if not S_ISREG(os.fstat(fd).st_mode):
                return Entry(kind=OTHER)
            return Entry(
                kind=FILE, mode=mode, digest=digest(fd), attributes=attributes_digest(attributes(fd))
            )
        finally:
            os.close(fd)

    def open(self, directory: int, name: str, flags: int, status: os.stat_result) -> int:
        """Open it, if need be after giving the owner the right to."""
        try:
            return os.open(name, flags, dir_fd=directory)
        except PermissionError:
            if not self._mend or status.st_uid != os.geteuid():
                raise
            return self._mended(directory, name, flags, status)

    def _mended(self, directory: int, name: str, flags: int, status: os.stat_result) -> int:
        way = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
        place = f"/proc/self/fd/{way}"
        try:
            if stamp_of(os.fstat(way)).inode != status.st_ino:
                raise FileNotFoundError(ENOENT, os.strerror(ENOENT), name)
            os.chmod(place, status.st_mode & 0o7777 | 0o700)
            try:
                return os.open(name, flags, dir_fd=directory)
            finally:
                if S_ISREG(status.st_mode):
                    os.chmod(place, status.st_mode & 0o7777)
        finally:
            os.close(way)


class Reached:
    """A directory below a root, for `with`: every one on the way that its owner may not enter or change can be, meanwhile.

    Raises NotADirectoryError, FileNotFoundError where the path is no directory past no link and no mount (any more).
    """

    __slots__ = ("_fds", "_path", "_root", "_was")

    def __init__(self, root: int, path: str) -> None:
        self._root, self._path = root, path
        self._fds: list[int] = []
        self._was: list[tuple[int, int]] = []  # descriptor, mode to give back

    def __enter__(self) -> int:
        device = os.fstat(self._root).st_dev
        try:
            self._add(os.dup(self._root))
            for name in self._path.split("/") if self._path else ():
                self._add(self._open(name))
                if os.fstat(self._fds[-1]).st_dev != device:
                    raise NotADirectoryError(ENOTDIR, os.strerror(ENOTDIR), self._path)
        except OSError as error:
            self.__exit__()
            if error.errno == ELOOP:
                raise NotADirectoryError(ENOTDIR, os.strerror(ENOTDIR), self._path) from None
            raise
        return self._fds[-1]

    def _open(self, name: str) -> int:
        try:
            return os.open(name, OPEN_DIRECTORY, dir_fd=self._fds[-1])
        except PermissionError:
            status = os.stat(name, dir_fd=self._fds[-1], follow_symlinks=False)
            if not S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
                raise
        # By a descriptor of the directory itself: a link that took its place would not be followed.
        way = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self._fds[-1])
        try:
            os.chmod(f"/proc/self/fd/{way}", status.st_mode & 0o7777 | 0o700)
            fd = os.open(name, OPEN_DIRECTORY, dir_fd=self._fds[-1])
        finally:
            os.close(way)
        self._was.append((fd, status.st_mode & 0o7777))
        return fd

    def _add(self, fd: int) -> None:
        self._fds.append(fd)
        status = os.fstat(fd)
        if os.geteuid() and status.st_uid == os.geteuid() and status.st_mode & 0o300 != 0o300:
            self._was.append((fd, status.st_mode & 0o7777))
            os.fchmod(fd, status.st_mode & 0o7777 | 0o300)

    def __exit__(self, *_: object) -> None:
        for fd, mode in reversed(self._was):
            os.fchmod(fd, mode)
        for fd in self._fds:
            os.close(fd)
        self._fds, self._was = [], []


def open_below(root: int, path: str) -> int:
    """The directory at a path below the root, step by step and past no link and no mount; "" is the root itself."""
    at = os.dup(root)
    device = os.fstat(root).st_dev
    for name in path.split("/") if path else ():
        try:
            below = os.open(name, OPEN_DIRECTORY, dir_fd=at)
        finally:
            os.close(at)
        at = below
        if os.fstat(at).st_dev != device:
            os.close(at)
            raise NotADirectoryError(ENOTDIR, os.strerror(ENOTDIR), path)
    return at
