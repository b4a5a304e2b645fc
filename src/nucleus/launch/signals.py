"""Signals of a process that stays beside a container: each as an event, with who sent it.  ✗ what follows from one."""

from __future__ import annotations

import _thread
import os
import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

TAKEN = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)


class Signals:
    """Inside the `with` the TAKEN signals interrupt nothing; they can be read from `fileno()`.

    A thread waits for them, since Python's own handlers cannot tell what the terminal sent to all from what a process sent.
    """

    __slots__ = ("_read", "_write", "mask")

    def __enter__(self) -> Self:
        self._read, self._write = os.pipe2(os.O_CLOEXEC)
        taken = [n for n in TAKEN if signal.getsignal(n) != signal.SIG_IGN]  # nohup
        self.mask = signal.pthread_sigmask(signal.SIG_BLOCK, taken)
        _thread.start_new_thread(_hand_on, (frozenset(taken), self._write))
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._read)  # the thread ends with its next signal, or with the process

    def fileno(self) -> int:
        return self._read

    def receive(self) -> tuple[int, bool]:
        """(the signal, whether a process sent it)."""
        number, by_process = os.read(self._read, 2)
        return number, bool(by_process)


def _hand_on(taken: frozenset[int], write: int) -> None:
    while True:
        info = signal.sigwaitinfo(taken)
        try:
            os.write(write, bytes((info.si_signo, info.si_code <= 0)))
        except OSError:
            return
