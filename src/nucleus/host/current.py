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

_BELIEVED_S = 30.0
_LOOKED_AT = ("/", "/etc", "/etc/passwd", "/etc/group", "/etc/subuid", "/etc/subgid")
_VARIABLES = ("XDG_RUNTIME_DIR", "NUCLEUS_SCOPE")
_LIMITS = (resource.RLIMIT_NOFILE, resource.RLIMIT_NPROC, resource.RLIMIT_MEMLOCK)


class CurrentFacts:
    """`get()` answers with the same object for as long as nothing was seen to change.  Safe from any thread."""

    __slots__ = ("_facts", "_lock", "_mounts", "_pid", "_seen", "_until")

    def __init__(self) -> None:
        self._lock = allocate_lock()
        self._facts: HostFacts | None = None
        self._seen: tuple[object, ...] = ()
        self._until = 0.0
        self._mounts = MountTable()
        self._pid = -1

    def get(self) -> HostFacts:
        """The facts, with subordinate ids."""
        if self._pid not in (-1, os.getpid()):
            self._lock = (
                allocate_lock()
            )  # after a fork, a thread that is not there any more may hold the old one
        with self._lock:
            self._pid = os.getpid()
            seen, now = self._look(), time.monotonic()
            facts = self._facts
            if facts is None or seen != self._seen or now > self._until:
                facts = probe()
                if facts.subordinate is None:
                    facts = with_subordinate_ids(facts)
                self._facts, self._seen, self._until = facts, seen, now + _BELIEVED_S
            return facts

    def forget(self) -> None:
        """Probe again next time: a launch was refused."""
        self._facts = None

    def _look(self) -> tuple[object, ...]:
        return (
            self._mounts.text(),
            self._pid,
            [os.environ.get(name) for name in _VARIABLES],
            (os.geteuid(), os.getegid(), os.getgroups()),
            [resource.getrlimit(number) for number in _LIMITS],
            _text("/proc/self/cgroup"),
            target("/proc/self/ns/mnt"),
            [stamp(path) for path in _LOOKED_AT],
        )


class MountTable:
    """/proc/self/mountinfo, which is read again when the kernel says that it has changed.  ✗ safe from several threads."""

    __slots__ = ("_fd", "_file", "_pid", "_text")

    def __init__(self) -> None:
        self._text = b""
        self._fd = self._pid = -1
        self._file = (0, 0)

    def text(self) -> bytes:
        """The table.  A change may be undone already: some runtimes mount in the host's table for a moment."""
        if self._changed():
            self._text = _text("/proc/self/mountinfo")
        return self._text

    def _changed(self) -> bool:
        """The kernel marks an open mountinfo when the table changes (proc_pid_mountinfo(5)): read once.

        After a fork it would be shared with the parent; and who closes all descriptors closes this one too.
        """
        if self._pid != os.getpid() or identity(self._fd) != self._file:
            self._fd = os.open("/proc/self/mountinfo", os.O_RDONLY | os.O_CLOEXEC)
            self._file, self._pid = identity(self._fd), os.getpid()
            return True
        poller = select.poll()
        poller.register(self._fd, select.POLLPRI)
        return bool(poller.poll(0))


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
