"""Machine: reads below a root directory, so that tests can probe a made-up one.  ✗ what any file means."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_CHUNK = 1 << 16
_ANSWER_BYTES, _ANSWER_MS = 4096, 10_000
_SIGKILL = 9  # the module `signal` imports enum
_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK


def output_of(argv: list[str], environ: dict[str, str]) -> str:
    """What a trusted program prints; "" if it cannot be run.  Cut after 4 KiB, ended after ten seconds of silence."""
    import select

    reader, writer = os.pipe2(os.O_CLOEXEC)
    try:
        null = (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDWR, 0)
        actions = [null, (os.POSIX_SPAWN_DUP2, writer, 1), (os.POSIX_SPAWN_DUP2, 0, 2)]
        try:
            pid = os.posix_spawn(argv[0], argv, environ, file_actions=actions)
        except OSError:
            return ""
        finally:
            os.close(writer)
        waiting = select.poll()
        waiting.register(reader, select.POLLIN)
        text, ended = b"", False
        while not ended and len(text) <= _ANSWER_BYTES and waiting.poll(_ANSWER_MS):
            part = os.read(reader, _ANSWER_BYTES)
            text, ended = text + part, not part
    finally:
        os.close(reader)
    _reap(pid, kill=not ended)
    return text.decode("ascii", "replace")


def _reap(pid: int, *, kill: bool) -> None:
    """Waits for the program, after ending one that goes on for too long."""
    try:
        if kill:
            os.kill(pid, _SIGKILL)
        os.waitpid(pid, 0)
    except (ProcessLookupError, ChildProcessError):  # the host program reaps all its children by itself
        return


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

    def values(self, path: str, names: tuple[str, ...]) -> dict[str, str]:
        """Of a file of lines such as `CapEff:\t0`, the values behind these names."""
        found: dict[str, str] = {}
        for line in self.read(path).split("\n"):
            name, _, value = line.partition(":\t")
            if name in names:
                found[name] = value.strip()
        return found

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

    def account(self, uid: int) -> tuple[str, str]:
        """(name, home) of a user that a directory service knows; ("", "") if nobody does."""
        if not self.is_this_one:
            return "", ""
        import pwd

        try:
            entry = pwd.getpwuid(uid)
        except KeyError:
            return "", ""
        return entry.pw_name, entry.pw_dir

    def output(self, argv: list[str]) -> str:
        """What a program of this machine prints, asked with the caller's runtime directory only."""
        kept = {
            n: self.environ[n] for n in ("XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS") if n in self.environ
        }
        return output_of(argv, kept) if self.is_this_one else ""

    def mark(self, path: str, name: str, value: bytes) -> None:
        """Sets an extended attribute where the file system lets us; it only saves asking again."""
        try:
            os.setxattr(self.root + path, name, value)
        except OSError:
            return

    def attribute(self, path: str, name: str) -> bytes:
        """An extended attribute, b"" if it is not there or not for us to read."""
        try:
            return os.getxattr(self.root + path, name, follow_symlinks=False)
        except OSError:
            return b""
