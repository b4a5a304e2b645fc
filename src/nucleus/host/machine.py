"""Machine: reads below a root directory, so that tests can probe a made-up one.  ✗ what any file means."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_CHUNK = 1 << 16
_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK


class Machine:
    """The machine below `root`, seen by the process that calls.  Absent and unreadable files read as ""."""

    __slots__ = ("egid", "environ", "euid", "groups", "root", "uname")

    def __init__(self, root: str = "/", environ: Mapping[str, str] | None = None) -> None:
        self.root = root.rstrip("/")
        self.euid, self.egid = os.geteuid(), os.getegid()
        self.groups: tuple[int, ...] = tuple(os.getgroups())
        system = os.uname()
        self.uname: tuple[str, str] = (system.release, system.machine)
        self.environ: Mapping[str, str] = os.environ if environ is None else environ

    @property
    def is_this_one(self) -> bool:
        """Whether this is the real machine and not a tree of a test."""
        return not self.root

    def read(self, path: str) -> str:
        """The whole text of a file."""
        try:
            fd = os.open(self.root + path, _READ)
        except OSError:
            return ""
        try:
            parts = []
            while part := os.read(fd, _CHUNK):
                parts.append(part)
        except OSError:  # e.g. /proc files of a process that just ended, or a directory
            return ""
        finally:
            os.close(fd)
        return b"".join(parts).decode("utf-8", "surrogateescape")

    def word(self, path: str) -> str:
        """The content of a one-line file."""
        return self.read(path).strip()

    def number(self, path: str) -> int:
        """The number in a one-line file, -1 if there is none."""
        text = self.word(path)
        return int(text) if text.isdecimal() else -1

    def status(self, path: str) -> os.stat_result | None:
        """lstat(2), None if there is no such path."""
        try:
            return os.lstat(self.root + path)
        except OSError:
            return None

    def exists(self, path: str) -> bool:
        """Whether something is there; a symbolic link counts by itself."""
        return self.status(path) is not None

    def target(self, path: str) -> str:
        """What a symbolic link says, "" if it is none."""
        try:
            return os.readlink(self.root + path)
        except OSError:
            return ""

    def names(self, path: str) -> list[str]:
        """The entries of a directory, sorted."""
        try:
            return sorted(os.listdir(self.root + path))
        except OSError:
            return []

    def writable(self, path: str) -> bool:
        """Whether the effective user may write there, read-only mounts considered."""
        return os.access(self.root + path, os.W_OK, effective_ids=True)

    def executable(self, path: str) -> bool:
        """Whether it is a file that the effective user may execute."""
        full = self.root + path
        return os.path.isfile(full) and os.access(full, os.X_OK, effective_ids=True)

    def attribute(self, path: str, name: str) -> bytes:
        """An extended attribute, b"" if it is not there or not for us to read."""
        try:
            return os.getxattr(self.root + path, name, follow_symlinks=False)
        except OSError:
            return b""
