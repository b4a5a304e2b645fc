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
    held: tuple[int, ...] = (),
) -> Watched:
    """Read until the launcher has said how it ended and both streams are at their end; reap it.

    held: our copies of the streams' writing ends, which the caller closes.  As long as they are open nobody is woken up
    by the end of the workload alone.
    An exception (KeyboardInterrupt, one of `on_data`) closes the control socket, which makes the monitor kill the container.
    """
    kept = {fd: _Stream(call) for fd, call in zip(streams, on_data, strict=True) if fd >= 0}
    try:
        ended = _read_all(control, kept, held)
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


def _read_all(control: socket.socket, kept: dict[int, _Stream], held: tuple[int, ...]) -> ExitRecord | None:
    """What the streams bring, until the monitor has gone; its exit record, or None when it left none."""
    ended: ExitRecord | None = None
    poller, number = select.poll(), control.fileno()
    for fd in kept:
        poller.register(fd, select.POLLIN)
    # The record is the last thing it says: who waits for its end reads it then, and is woken up once.
    poller.register(number, 0)
    open_fds = {*kept, number}
    while open_fds:
        # Once the end is told the sandbox is empty: what the pipes hold is all there is, whoever else holds them.
        events = poller.poll(0 if ended else None)
        if not events:
            break
        for fd, _ in events:
            if fd == number:
                ended = _last_record(control)
                if ended is None:
                    _drop(held)
                data = b""
            else:
                data = os.read(fd, _CHUNK)
                if data:
                    kept[fd].add(data)
            if not data:
                poller.unregister(fd)
                open_fds.discard(fd)
    return ended


def _last_record(control: socket.socket) -> ExitRecord | None:
    """The exit record among what the monitor has said; it has gone."""
    ended = None
    while data := control.recv(report.MESSAGE.size):
        ended = report.exit_of(data) or ended
    return ended


def _drop(held: tuple[int, ...]) -> None:
    """The monitor was killed: only the end of file tells when the workload has gone, too."""
    null = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
    for fd in held:
        os.dup2(null, fd, inheritable=False)
    os.close(null)
