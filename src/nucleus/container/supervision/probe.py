"""One run of a check inside a container: a command line, or a connection to a port.  ✗ when: `checks.py`."""

from __future__ import annotations

import os
import signal
import socket
import sys

from ...base.errors import NucleusError
from ...launch import launcher, report, supervise
from ..attached import OWNER_KILLS
from . import health

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..running.handle import Handle

SHELL = "/bin/sh"
_TCP_PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "tcp_probe.py")
_MOST_TEXT = 400
_NOT_EXECUTED = (126, 127)


class Probe:
    """A check that runs.  `outcome` is "" until it is known; `error` says why it did not pass.

    `fds` become readable when there is something to `receive`.
    """

    __slots__ = ("_control", "_output", "_pidfd", "_process", "_text", "error", "outcome")

    def __init__(self) -> None:
        self.outcome = self.error = ""
        self._control: socket.socket | None = None
        self._process: launcher.Process | None = None
        self._pidfd = self._output = -1
        self._text = b""

    @property
    def fds(self) -> tuple[int, ...]:
        control = self._control.fileno() if self._control is not None else self._pidfd
        return tuple([fd for fd in (control, self._output) if fd >= 0])

    def receive(self, fd: int) -> None:
        """Take what came on one of `fds`."""
        if fd == self._output:
            data = os.read(fd, 1 << 16)
            self._text = (self._text + data)[-_MOST_TEXT:]
            if not data:
                os.close(self._output)
                self._output = -1
        elif self._control is not None:
            self._hear(self._control)
        else:
            self._reap()

    def expire(self, why: str) -> None:
        """It took too long: it fails, and is killed."""
        self.outcome, self.error = health.FAILED, why
        self.close()

    def close(self) -> None:
        """Kill it if it still runs; the end of the control socket does, wherever it is."""
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._pidfd >= 0:
            try:
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
            except ProcessLookupError:
                pass  # it has ended
            os.close(self._pidfd)
            self._pidfd = -1
        if self._output >= 0:
            os.close(self._output)
            self._output = -1

    def reap(self) -> bool:
        """Whether its process has gone by now: a frozen one may take its time, and nobody waits for that."""
        if self._process is not None:
            try:
                if os.waitpid(self._process.pid, os.WNOHANG)[0] == 0:
                    return False
            except ChildProcessError:
                pass  # somebody else has seen its end
            self._process = None
        return True

    def _hear(self, control: socket.socket) -> None:
        data = control.recv(report.MESSAGE.size)
        if not data:
            self._settle(health.FAILED, "it was killed from outside")
            return
        kind, _, record = report.MESSAGE.unpack(data)
        ended = report.read_exit(record) if kind == report.EXITED else None
        if ended is None:
            return
        if ended.flags & report.FAILED or ended.exit_code in _NOT_EXECUTED:
            failure = ended.failure
            word = f"cannot be executed: {failure.step_name}" if failure else f"exit code {ended.exit_code}"
            self._settle(health.BROKEN, word)
        elif ended.exit_code:
            self._settle(health.FAILED, f"exit code {ended.exit_code}")
        else:
            self._settle(health.PASSED, "")

    def _reap(self) -> None:
        assert self._process is not None
        _, status = os.waitpid(self._process.pid, 0)
        self._process = None
        code = os.waitstatus_to_exitcode(status)
        outcome = health.PASSED if code == 0 else health.FAILED if code == 1 else health.BROKEN
        self._settle(outcome, "" if code in (0, 1) else "cannot be executed")

    def _settle(self, outcome: str, error: str) -> None:
        """What it printed explains a failure better than its exit code."""
        if self._output >= 0:
            os.set_blocking(self._output, False)
            try:
                while data := os.read(self._output, 1 << 16):
                    self._text = (self._text + data)[-_MOST_TEXT:]
            except BlockingIOError:
                pass  # somebody whom it left behind holds the other end
        text = " ".join(self._text.decode("utf-8", "replace").split())
        self.outcome = outcome
        self.error = "" if outcome == health.PASSED else ": ".join([t for t in (error, text) if t])
        self.close()

    def break_off(self, error: Exception) -> None:
        """It could not begin."""
        self.close()
        self.outcome, self.error = health.BROKEN, f"cannot be executed: {error}".splitlines()[0]

    def begin_command(self, handle: Handle, command: str) -> None:
        """Raises NucleusError, OSError."""
        from ..running.enter import Wish, prepare_entry, running

        entry = prepare_entry(running(handle), Wish(command=(SHELL, "-c", command)), owner=OWNER_KILLS)
        self._control, theirs = supervise.control_pair()
        self._output, write = os.pipe2(os.O_CLOEXEC)
        source = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._process = launcher.spawn(
                entry.encoded, entry.id, entry.slots, entry.held, theirs.fileno(), (source, write, write)
            )
        finally:
            theirs.close()
            os.close(write)
            os.close(source)
            entry.close()

    def begin_connection(self, handle: Handle, port: int, timeout_ms: int) -> None:
        """Raises NucleusError, OSError."""
        init = handle.open_init()
        self._output, write = os.pipe2(os.O_CLOEXEC)
        try:
            words = [sys.executable, "-I", "-S", _TCP_PROGRAM, str(init), str(port), str(timeout_ms)]
            actions = [
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, write, 1),
                (os.POSIX_SPAWN_DUP2, write, 2),
                (os.POSIX_SPAWN_DUP2, init, init),
            ]
            pid = os.posix_spawn(sys.executable, words, {}, file_actions=actions)
            self._process = launcher.Process(pid)
            self._pidfd = os.pidfd_open(pid)
        finally:
            os.close(write)
            os.close(init)


def command_probe(handle: Handle, command: str) -> Probe:
    """Begin to run a command line inside, as the workload; one that cannot even begin has an outcome, too."""
    probe = Probe()
    try:
        probe.begin_command(handle, command)
    except (NucleusError, OSError) as error:
        probe.break_off(error)
    return probe


def connection_probe(handle: Handle, port: int, timeout_ms: int) -> Probe:
    """Begin to connect to a port of the container's 127.0.0.1."""
    probe = Probe()
    try:
        probe.begin_connection(handle, port, timeout_ms)
    except (NucleusError, OSError) as error:
        probe.break_off(error)
    return probe
