"""Beside the launcher: its messages, the workload's streams, a deadline.  ✗ plans, ✗ sentences about failures."""

from __future__ import annotations

import os
import select
import socket

from ..base.value import Value
from . import report

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .launcher import Process
    from .report import ExitRecord

CAPTURE_BYTES = 1 << 20
_CHUNK = 1 << 16


class Captured(Value):
    """A stream's bytes, at most CAPTURE_BYTES: the head and the tail; `dropped` were between."""

    data: bytes = b""
    dropped: int = 0


class _Stream:
    """Keeps the first half megabyte and the last one, whatever the size of what comes."""

    __slots__ = ("_dropped", "_head", "_tail", "on_data")

    def __init__(self, on_data: Callable[[bytes], None] | None) -> None:
        self._head, self._tail, self._dropped, self.on_data = bytearray(), bytearray(), 0, on_data

    def add(self, data: bytes) -> None:
        if self.on_data is not None:
            self.on_data(data)
        half = CAPTURE_BYTES // 2
        room = half - len(self._head)
        self._head += data[:room]
        self._tail += data[max(room, 0) :]
        if len(self._tail) > half:
            self._dropped += len(self._tail) - half
            del self._tail[: len(self._tail) - half]

    def captured(self) -> Captured:
        return Captured(data=bytes(self._head + self._tail), dropped=self._dropped)


class Watched(Value):
    """What came of a launch: its exit record and both streams."""

    exit: ExitRecord | None
    stdout: Captured
    stderr: Captured


def control_pair() -> tuple[socket.socket, socket.socket]:
    """(ours, the launcher's): records of fixed size, both ways."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def watch(
    process: Process,
    control: socket.socket,
    streams: tuple[int, int],
    on_data: tuple[Callable[[bytes], None] | None, Callable[[bytes], None] | None] = (None, None),
) -> Watched:
    """Read until the launcher has said how it ended and both streams are at their end; reap it.

    An exception (KeyboardInterrupt, one of `on_data`) closes the control socket, which makes the monitor kill the container.
    """
    kept = {fd: _Stream(call) for fd, call in zip(streams, on_data, strict=True) if fd >= 0}
    ended: ExitRecord | None = None
    poller = select.poll()
    for fd in (*kept, control.fileno()):
        poller.register(fd, select.POLLIN)
    open_fds = {*kept, control.fileno()}
    try:
        while open_fds:
            # Once the end is told the sandbox is empty: what the pipes hold is all there is, whoever else holds them.
            events = poller.poll(0 if ended else None)
            if not events:
                break
            for fd, _ in events:
                if fd == control.fileno():
                    data = control.recv(report.MESSAGE.size)
                    ended = report.exit_of(data) or ended
                else:
                    data = os.read(fd, _CHUNK)
                    if data:
                        kept[fd].add(data)
                if not data:
                    poller.unregister(fd)
                    open_fds.discard(fd)
    finally:
        # The end of file must reach the monitor past any copy that a fork of this process has.
        try:
            control.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # the monitor has closed its end already
        control.close()
        process.wait()
    out, err = (kept[fd].captured() if fd >= 0 else Captured() for fd in streams)
    return Watched(exit=ended, stdout=out, stderr=err)
