"""The facts for a process that starts many sandboxes: probed once, and anew when they may have changed.

A short look says whether they hold: who calls, from which cgroup and with which limits, the mount table, and
the files and directories whose content is part of the facts.  What it does not see (a sysctl, capabilities that the
program gave up) is believed for half a minute: at worst a step of the launch fails, and the next launch asks anew.
✗ reads no fact: that is probe.py.
"""

from __future__ import annotations

import os
import resource
import select
import time
from _thread import allocate_lock

from .probe import probe, with_subordinate_ids

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .facts import HostFacts

    View = tuple[bytes, str, int]  # the mount table, the mount namespace, the user

_BELIEVED_S = 30.0
_ROOM = 4096
_LOOKED_AT = ("/", "/etc", "/etc/passwd", "/etc/group", "/etc/subuid", "/etc/subgid")
_VARIABLES = ("XDG_RUNTIME_DIR", "NUCLEUS_SCOPE")
_LIMITS = (resource.RLIMIT_NOFILE, resource.RLIMIT_NPROC, resource.RLIMIT_MEMLOCK)


class CurrentFacts:
    """`get()` answers with the same object for as long as nothing was seen to change.  Safe from any thread."""

    __slots__ = ("_cgroup", "_facts", "_lock", "_pid", "_seen", "_until", "_view")

    def __init__(self) -> None:
        self._lock = allocate_lock()
        self._facts: HostFacts | None = None
        self._seen: tuple[object, ...] = ()
        self._until = 0.0
        self._view = MountView()
        self._cgroup = ProcFile("/proc/self/cgroup")
        self._pid = -1

    def get(self) -> HostFacts:
        """The facts, with subordinate ids."""
        return self.look()[0]

    def look(self) -> tuple[HostFacts, View]:
        """The facts, and what of the mount table was seen meanwhile, so that nobody has to look twice."""
        pid = os.getpid()
        if self._pid not in (-1, pid):
            # After a fork, a thread that is not there any more may hold the old one.
            self._lock = allocate_lock()
        with self._lock:
            self._pid = pid
            view, now = self._view.now(), time.monotonic()
            seen = self._look(view)
            facts = self._facts
            if facts is None or seen != self._seen or now > self._until:
                facts = probe()
                if facts.subordinate is None:
                    facts = with_subordinate_ids(facts)
                self._facts, self._seen, self._until = facts, seen, now + _BELIEVED_S
            return facts, view

    def forget(self) -> None:
        """Probe again next time: a launch was refused."""
        self._facts = None

    def _look(self, view: View) -> tuple[object, ...]:
        environment = os.environ
        return (
            view,
            self._pid,
            # Most have neither, and what is not there is found out by an exception.
            [environment[name] if name in environment else None for name in _VARIABLES],
            (os.getegid(), os.getgroups()),
            [resource.getrlimit(number) for number in _LIMITS],
            self._cgroup.text(),
            [stamp(path) for path in _LOOKED_AT],
        )


class MountView:
    """What this process sees of the mount table: text, namespace, and who looks.  ✗ safe from several threads."""

    __slots__ = ("_mounts",)

    def __init__(self) -> None:
        self._mounts = MountTable()

    def now(self) -> View:
        """Equal to an earlier one for as long as nothing has changed."""
        return self._mounts.text(), target("/proc/self/ns/mnt"), os.geteuid()


class ProcFile:
    """A small file of /proc/self, held open and read anew from its start.  ✗ safe from several threads.

    An open one goes on to tell of the process that opened it; and who closes all descriptors closes this one too.
    """

    __slots__ = ("_fd", "_file", "_path", "_pid")

    def __init__(self, path: str) -> None:
        self._path = path
        self._fd = self._pid = -1
        self._file = (0, 0)

    def text(self) -> bytes:
        """All of it; nothing where it cannot be read."""
        try:
            self.opened()
            text = os.pread(self._fd, _ROOM, 0)
        except OSError:
            return b""
        return text if len(text) < _ROOM else _text(self._path)

    def opened(self) -> tuple[int, bool]:
        """Its descriptor, and whether that is a new one."""
        pid = os.getpid()
        if self._pid == pid and identity(self._fd) == self._file:
            return self._fd, False
        self._fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        self._file, self._pid = identity(self._fd), pid
        return self._fd, True


class MountTable:
    """/proc/self/mountinfo, which is read again when the kernel says that it has changed.  ✗ safe from several threads."""

    __slots__ = ("_file", "_poller", "_text")

    def __init__(self) -> None:
        self._text = b""
        self._file = ProcFile("/proc/self/mountinfo")
        self._poller = select.poll()

    def text(self) -> bytes:
        """The table.  A change may be undone already: some runtimes mount in the host's table for a moment."""
        if self._changed():
            self._text = _text("/proc/self/mountinfo")
        return self._text

    def _changed(self) -> bool:
        """The kernel marks an open mountinfo when the table changes (proc_pid_mountinfo(5)): read once."""
        fd, new = self._file.opened()
        if new:
            self._poller = select.poll()
            self._poller.register(fd, select.POLLPRI)
        return new or bool(self._poller.poll(0))


def identity(fd: int) -> tuple[int, int]:
    """Device and inode of the open file; zeros where there is none."""
    try:
        status = os.fstat(fd)
    except OSError:
        return 0, 0
    return status.st_dev, status.st_ino


def stamp(path: str) -> tuple[int, ...]:
    """What changes when the file, or what the directory holds, becomes another: device, inode, times."""
    try:
        status = os.stat(path)
    except OSError:
        return ()
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_ctime_ns


def target(link: str) -> str:
    """Where a symbolic link points to; "" where there is none."""
    try:
        return os.readlink(link)
    except OSError:
        return ""


def _text(path: str) -> bytes:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        parts = []
        while part := os.read(fd, 1 << 16):
            parts.append(part)
        return b"".join(parts)
    finally:
        os.close(fd)
