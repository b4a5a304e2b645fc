"""Prepared roots: mount namespaces that this process holds, in which containers of one kind start.

A root is made by the launcher, from a plan of its own, and consists of nothing but a descriptor: the kernel drops it
with the last one.  It is used for as long as a look says that it shows what a new one would show.
✗ decides which plans have one: plan/prepared.py.  ✗ the command line does not come here.
"""

from __future__ import annotations

import os
import signal
import socket
import time
from _thread import allocate_lock
from struct import Struct

from ...base.errors import NucleusError
from ...host.current import MountView, stamp
from ...launch import launcher, report, supervise
from ...plan.mounts import parents_of
from ..kept import Kept

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...host.current import View

_KEPT = 16  # kinds of sandboxes times blocks of host ids that one program uses in turn
_PATIENCE_S = 30.0
# A directory that was changed just now may change again without its times telling (the kernel's clock ticks).
_SETTLED_NS = 100_000_000

_INT = Struct("=i")
Look = tuple[object, ...]


class Roots:
    """Safe to use from any thread, and after a fork."""

    __slots__ = ("_known", "_lock", "_pid", "_view")

    def __init__(self) -> None:
        self._lock, self._pid = allocate_lock(), os.getpid()
        self._view = MountView()
        self._known: dict[bytes, _Root] = {}

    def get(self, plan: bytes, sources: Sources, view: View | None = None) -> tuple[int, ...]:
        """Descriptors of what `plan` makes, which the caller closes: the root, and the program of its devices if it
        loads one.  None where a start makes its own.

        view: of the mount table, where the caller has looked just now.  The first time nothing is made: most programs
        start no second sandbox of a kind.
        """
        if self._pid != os.getpid():  # a thread that is not there any more may hold the lock
            self._lock, self._pid = allocate_lock(), os.getpid()
        with self._lock:
            known, look = self._known.pop(plan, None), sources.look(view or self._view.now())
            fds = known.again() if known and look and known.look == look else ()
            if known is None:
                known = _Root()
            elif look and not fds and (known.look != look or known.files):
                known.close()
                known = _Root(look, _made(plan))
                fds = known.again()
            self._known[plan] = known
            while len(self._known) > _KEPT:
                self._known.pop(next(iter(self._known))).close()
            return fds

    def forget(self) -> None:
        """A launch was refused: the machine may have changed in a way that no look shows."""
        known, self._known = self._known, {}
        for root in known.values():
            root.close()


class Sources:
    """The paths of the host that a root shows: where to look for what makes it stale."""

    __slots__ = ("_above", "_holding")

    def __init__(self, paths: tuple[str, ...]) -> None:
        holding = {os.path.dirname(path) for path in paths}
        above = {parent for path in holding for parent in ["/", *parents_of(path)]} - holding
        self._holding, self._above = sorted(holding), sorted(above)

    def look(self, view: View) -> Look:
        """The mount table, the directories on the way to the sources; () while they change."""
        stamps = [stamp(path) for path in self._holding]
        latest = max([max(s[2:]) for s in stamps if s], default=0)
        if not all(stamps) or time.time_ns() - latest < _SETTLED_NS:
            return ()
        return view, stamps, [stamp(path)[:2] for path in self._above]


class _Program(Kept):
    """A loaded program.  All of them have one inode, with much else: the kernel's number of it tells which one it is."""

    __slots__ = ("_number",)

    def __init__(self, fd: int) -> None:
        super().__init__(fd)
        self._number = _program_number(fd)

    def lost(self) -> bool:
        return super().lost() or (self._fd >= 0 and _program_number(self._fd) != self._number)


def _program_number(fd: int) -> bytes:
    try:
        info = os.open(f"/proc/self/fdinfo/{fd}", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.read(info, 4096).partition(b"prog_id:")[2].partition(b"\n")[0]
    finally:
        os.close(info)


class _Root:
    """What was made, and the look under which it was; nothing where it could not be made under that look."""

    __slots__ = ("files", "look")

    def __init__(self, look: Look = (), fds: tuple[int, ...] = ()) -> None:
        self.look = look
        self.files: tuple[Kept, ...] = (*[Kept(fd) for fd in fds[:1]], *[_Program(fd) for fd in fds[1:]])

    def again(self) -> tuple[int, ...]:
        """Other descriptors of the same; none where the program has closed one of ours."""
        fds = [file.again() for file in self.files]
        if -1 not in fds:
            return tuple(fds)
        for fd in fds:
            if fd >= 0:
                os.close(fd)
        return ()

    def close(self) -> None:
        for file in self.files:
            file.close()


def _made(plan: bytes) -> tuple[int, ...]:
    """Run the plan and take what it hands over; none where this machine refuses: then every start makes its own root."""
    ours, theirs = supervise.control_pair()
    with ours:
        try:
            with theirs:
                null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
                try:
                    process = launcher.spawn(plan, "root", [], [], theirs.fileno(), (null, null, null))
                finally:
                    os.close(null)
        except (OSError, NucleusError):
            return ()
        ours.settimeout(_PATIENCE_S)
        try:
            # socket.recv_fds forgets its flags (Python 3.11), and every child of the program would have the descriptor.
            data, beside, _, _ = ours.recvmsg(
                report.MESSAGE.size, socket.CMSG_LEN(2 * _INT.size), socket.MSG_CMSG_CLOEXEC
            )
        except TimeoutError:
            os.kill(process.pid, signal.SIGKILL)
            data, beside = b"", []
        except OSError:
            data, beside = b"", []
    process.wait()
    rights = b"".join([part for _, kind, part in beside if kind == socket.SCM_RIGHTS])
    fds = tuple([int(fd) for (fd,) in _INT.iter_unpack(rights)])
    if len(data) == report.MESSAGE.size and report.MESSAGE.unpack(data)[0] == report.ROOT:
        return fds
    for fd in fds:
        os.close(fd)
    return ()
