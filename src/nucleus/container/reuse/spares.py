"""Network namespaces that wait for a start: made beside earlier ones, entered by nobody, each handed out once.

They lie in the queue of a socket, into which launchers put them and from which the kernel gives each to one receiver,
whichever thread of the program that is, and on whichever side of a fork.  Only a program whose starts repeat has any: one
for each of those that ran at the same time, as far as the queue reaches.  ✗ which starts take one: plan/spares.py.
"""

from __future__ import annotations

import fcntl
import os
import socket
from struct import Struct

from ..kept import Kept

_SHORT = 1  # bytes: the kernel makes the least of it that it knows, a handful of messages
_NS_GET_NSTYPE, _CLONE_NEWNET = 0xB703, 0x40000000
_FD, _SENDER = Struct("=i"), Struct("=iII")  # struct ucred: pid, uid, gid
_CONTROL = socket.CMSG_SPACE(_FD.size) + socket.CMSG_SPACE(_SENDER.size)


class Spares:
    """Safe to use from any thread, and after a fork."""

    __slots__ = ("_ends",)

    def __init__(self) -> None:
        self._ends: tuple[Kept, Kept] | None = None  # where they are taken from, and where they are put

    def take(self) -> int:
        """A namespace that nobody else has, for the caller to close; -1 where none is ready."""
        ends = self._ends
        if ends is None or (fd := ends[0].again()) < 0:
            return -1
        # Not to block is said twice: the kernel, and Python, which waits by itself where the program has a default timeout.
        kind_of_socket = socket.SOCK_DGRAM | socket.SOCK_NONBLOCK
        with socket.socket(socket.AF_UNIX, kind_of_socket, 0, fileno=fd) as queue:
            try:
                # socket.recv_fds forgets its flags (Python 3.11).
                flags = socket.MSG_DONTWAIT | socket.MSG_CMSG_CLOEXEC
                _, beside, _, _ = queue.recvmsg(1, _CONTROL, flags)
            except OSError:
                return -1
        found = {kind: data for _, kind, data in beside}
        rights, sender = found.get(socket.SCM_RIGHTS, b""), found.get(socket.SCM_CREDENTIALS, b"")
        if len(rights) != _FD.size:
            return -1
        fd = int(_FD.unpack(rights)[0])
        # A fork of the program that became another user can still write there, and could send the host's own.
        if len(sender) == _SENDER.size and _SENDER.unpack(sender)[1] == os.getuid() and _is_network(fd):
            return fd
        os.close(fd)
        return -1

    def receiver(self) -> int:
        """Where a launcher may put one, for the caller to close."""
        ends = self._ends
        fd = ends[1].again() if ends is not None and not ends[0].lost() else -1
        if fd < 0:
            outlet, inlet = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
            with outlet, inlet:
                inlet.setblocking(False)  # where the queue is full, one more is not waited for
                inlet.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SHORT)
                outlet.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)  # who put it there
                self._ends = ends = Kept(outlet.detach()), Kept(inlet.detach())
            fd = ends[1].again()
        return fd

    def forget(self) -> None:
        """Let go of all."""
        self._ends = None


def _is_network(fd: int) -> bool:
    """Is it a network namespace?  A start that was given another thing would fail at it."""
    try:
        return fcntl.ioctl(fd, _NS_GET_NSTYPE) == _CLONE_NEWNET
    except OSError:
        return False


SPARES = Spares()  # of this process
