"""The caller's terminal as the window of a terminal inside: raw mode, size, keys that detach.

Whatever happens in between, the terminal is left as it was found.  ✗ opens the terminal inside: the launcher does.
"""

from __future__ import annotations

import array
import fcntl
import os
import select
import signal
import socket
import struct
import termios
import tty
from errno import EINTR

from ..base.value import Value
from . import report

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType, TracebackType
    from typing import Any, Self

    from .report import ExitRecord

DETACH_KEYS = b"\x10\x11"  # ctrl-p, ctrl-q
_CHUNK = 1 << 16
_HANDED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
_SIZE = struct.Struct("HHHH")


def size_of(fd: int) -> tuple[int, int]:
    """Rows and columns of a terminal; (0, 0) where it has none."""
    rows, columns, _, _ = _SIZE.unpack(fcntl.ioctl(fd, termios.TIOCGWINSZ, bytes(_SIZE.size)))
    return rows, columns


def set_size(fd: int, size: tuple[int, int]) -> None:
    """The processes of the terminal's foreground are told by SIGWINCH."""
    fcntl.ioctl(fd, termios.TIOCSWINSZ, _SIZE.pack(*size, 0, 0))


def channel() -> tuple[socket.socket, socket.socket]:
    """(ours, the launcher's): the terminal's master comes by it."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def await_master(ours: socket.socket, control: socket.socket) -> tuple[int, ExitRecord | None]:
    """The master, or -1 and the end, where there was one before the terminal was opened."""
    poller = select.poll()
    poller.register(ours, select.POLLIN)
    poller.register(control, select.POLLIN)
    while True:
        events = dict(poller.poll())
        if ours.fileno() in events:
            master, _ = receive_master(ours)
            if master >= 0:
                return master, None
            poller.unregister(ours)
        elif data := control.recv(report.MESSAGE.size):
            if ended := report.exit_of(data):
                return -1, ended
        else:
            return -1, None


def receive_master(channel: socket.socket) -> tuple[int, bytes]:
    """The descriptor and the bytes that come beside it; -1 at the end of file.  The caller closes it."""
    fds = array.array("i")
    data, ancillary, _, _ = channel.recvmsg(_CHUNK, socket.CMSG_SPACE(fds.itemsize), socket.MSG_CMSG_CLOEXEC)
    for level, kind, payload in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            fds.frombytes(payload[: fds.itemsize])
    return (fds[0] if fds else -1), data


def set_raw(fd: int) -> None:
    """Each key goes through as it is typed.  In the background the kernel stops who asks for it; then he asks again."""
    while True:
        try:
            tty.setraw(fd, termios.TCSANOW)
        except termios.error as error:
            if error.args[0] != EINTR:
                raise
        else:
            return


class Raw:
    """While it is entered, each key goes through as it is typed; afterwards the terminal is as it was."""

    __slots__ = ("_fd", "_saved")

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._saved: list[Any] = termios.tcgetattr(fd)

    def __enter__(self) -> Self:
        set_raw(self._fd)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.restore()

    def restore(self) -> None:
        """Also from the background, where the kernel would stop this process for it; a terminal that is gone needs none."""
        before = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        try:
            termios.tcsetattr(self._fd, termios.TCSANOW, self._saved)
        except termios.error:
            pass  # hung up: there is nothing left to restore
        finally:
            signal.signal(signal.SIGTTOU, before)


class Keys:
    """What was typed, without the keys that detach: half of them waits until the next key tells."""

    __slots__ = ("_held", "detached")

    def __init__(self) -> None:
        self._held = b""
        self.detached = False

    def typed(self, data: bytes) -> bytes:
        """What goes to the terminal inside."""
        data = self._held + data
        self._held = b""
        before, keys, _ = data.partition(DETACH_KEYS)
        if keys:
            self.detached = True
            return before
        if data.endswith(DETACH_KEYS[:1]):
            self._held = DETACH_KEYS[:1]
            return data[:-1]
        return data


class Outcome(Value):
    """How a relay came to its end.  `ended`: the exit record, where it came by the control socket."""

    detached: bool = False
    ended: ExitRecord | None = None


class Relay:
    """Between the caller's terminal (0 and 1) and the master of the one inside.

    keyboard   whether what is typed goes in; else the terminal stays as it is, and only its size and the output pass
    control    the launcher's socket: signals go that way, and the end comes; None where somebody else holds it
    """

    __slots__ = (
        "_control",
        "_ended",
        "_gone",
        "_keyboard",
        "_keys",
        "_let_go",
        "_master",
        "_pending",
        "_raw",
        "_woken",
    )

    def __init__(self, master: int, *, keyboard: bool, control: socket.socket | None = None) -> None:
        self._master, self._keyboard, self._control = master, keyboard, control
        self._keys, self._pending = Keys(), b""
        self._gone = False  # the caller's terminal
        self._let_go = False  # nobody inside holds theirs any more
        self._ended: ExitRecord | None = None
        self._raw: Raw | None = None
        self._woken: list[int] = []

    def run(self) -> Outcome:
        """Until the processes inside have let go of their terminal, the end was told, or the keys were typed."""
        # Python's own handlers run between two calls; the pipe makes sure that there is a next one.
        read, write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        os.set_blocking(self._master, False)
        numbers = (*_HANDED_ON, signal.SIGWINCH, signal.SIGCONT, signal.SIGTSTP)
        before = {number: signal.getsignal(number) for number in numbers}
        woken_before = signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        try:
            for number in numbers:
                signal.signal(number, self._note)
            if not self._keyboard:
                self._loop(read)
            else:
                with Raw(0) as self._raw:
                    self._loop(read)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(woken_before)
            os.close(read)
            os.close(write)
        return Outcome(detached=self._keys.detached, ended=self._ended)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self._woken.append(number)

    def _loop(self, woken: int) -> None:
        set_size(self._master, size_of(0))
        while not self._keys.detached:
            # Once the end was told nothing more comes but what the terminal still holds.
            events = dict(self._poller(woken).poll(None if self._ended is None else 0))
            if woken in events:
                os.read(woken, _CHUNK)
            while self._woken:
                self._signal(self._woken.pop(0))
            if self._control is not None and self._control.fileno() in events:
                self._listen(self._control)
            if 0 in events:
                self._type(events[0])
            if self._master in events:
                self._output(events[self._master])
            # The workload may have closed its terminal and live on: signals and its end still pass.
            if (self._let_go and self._control is None) or (self._ended is not None and not events):
                return

    def _poller(self, woken: int) -> select.poll:
        poller = select.poll()
        poller.register(woken, select.POLLIN)
        if not self._let_go:
            poller.register(self._master, select.POLLIN | (select.POLLOUT if self._pending else 0))
        if self._control is not None and self._ended is None:
            poller.register(self._control, select.POLLIN)
        if not self._gone:  # without a request the end of the terminal is told all the same
            wanted = self._keyboard and not self._pending and not self._let_go
            poller.register(0, select.POLLIN if wanted else 0)
        return poller

    def _signal(self, number: int) -> None:
        if number == signal.SIGWINCH:
            self._resize()
        elif number == signal.SIGTSTP:
            self._stop()
        elif number != signal.SIGCONT:
            self._hand_on(number)

    def _resize(self) -> None:
        try:
            size = size_of(0)
        except OSError:
            self._hang_up()
        else:
            set_size(self._master, size)

    def _stop(self) -> None:
        """Stopped by somebody: the terminal is the shell's meanwhile."""
        if self._raw is not None:
            self._raw.restore()
        os.kill(os.getpid(), signal.SIGSTOP)
        try:
            if self._raw is not None:
                set_raw(0)
        except termios.error:
            self._hang_up()
        self._resize()

    def _hang_up(self) -> None:
        """The caller's terminal is gone: the workload is told once, and goes on unseen if it likes."""
        if not self._gone:
            self._gone = True
            self._hand_on(signal.SIGHUP)

    def _hand_on(self, number: int) -> None:
        if self._control is None:
            self._keys.detached = True  # the window closes; what is inside goes on
            return
        try:
            self._control.send(bytes((ord("s"), number)))
        except OSError:
            pass  # the monitor has ended: its last word lies in the socket

    def _listen(self, control: socket.socket) -> None:
        data = control.recv(report.MESSAGE.size)
        if not data:
            raise report.silent("terminal")
        self._ended = report.exit_of(data) or self._ended

    def _type(self, events: int) -> None:
        try:
            data = os.read(0, _CHUNK) if events & select.POLLIN else b""
        except OSError:  # EIO: hung up between the two calls
            data = b""
        if data:
            self._pending = self._keys.typed(data)
        else:
            self._hang_up()

    def _output(self, events: int) -> None:
        try:
            if events & select.POLLOUT and self._pending:
                self._pending = self._pending[os.write(self._master, self._pending) :]
            if not events & (select.POLLIN | select.POLLHUP | select.POLLERR):
                return
            data = os.read(self._master, _CHUNK)
        except BlockingIOError:
            return
        except OSError:  # EIO: the last process has closed it
            self._let_go, self._pending = True, b""
            return
        if not self._gone:
            try:
                write_all(1, data)
            except OSError:
                self._hang_up()  # what is printed from now on is read all the same, that nobody waits for room


def write_all(fd: int, data: bytes) -> None:
    """All of it, to a stream that may be non-blocking because another program has made it so."""
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(fd, view) :]
        except BlockingIOError:
            select.select([], [fd], [])
