"""A life that began without a supervisor, for the one that came later (`update --restart`).

That is not the parent of the monitor: it watches this life by a pidfd, and begins the next one itself.
✗ what a supervisor does: `supervisor.py`.
"""

from __future__ import annotations

import os
import signal
import time

from ...base.errors import Conflict
from ...launch.report import read_exit
from ...state.store import owner_is_gone, read_file
from ..running.handle import Handle, removed
from .life import Life

TYPE_CHECKING = False
if TYPE_CHECKING:
    pass

_LOCK_WAIT_S = 30.0
_LOOK_S = 0.005


class Adopted(Life):
    """A life that somebody else has begun.  It does not end with this process, and its gate is behind it."""

    __slots__ = ("_handle", "_monitor")

    def __init__(self, handle: Handle) -> None:
        assert handle.record is not None and handle.init is not None
        self.id, self.record, self.store_path = handle.id, handle.record, handle.store.path
        self.hooks_pid, self.created_pid, self.executed, self.gone = 0, handle.init.init_pid, True, False
        self.ended = self.notify = self.inside = None
        self._handle, self._monitor = handle, handle.open_monitor()
        # A description of its own, which takes the container's lock when the monitor has let go of it.
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
        self.directory = os.open(".", flags, dir_fd=handle.fd)

    def fileno(self) -> int:
        """Readable when the monitor has ended."""
        return self._monitor

    def receive(self) -> None:
        """The monitor has ended; the container is ours now.  Raises NotFound where it was removed meanwhile."""
        os.close(self._monitor)
        self._monitor, self.gone = -1, True
        deadline = time.monotonic() + _LOCK_WAIT_S
        while not owner_is_gone(self.directory):  # somebody who only looks holds it for a moment, too
            if time.monotonic() > deadline:
                raise Conflict(
                    f"container {self._handle.name} was started by somebody else",
                    where="supervisor",
                    remedy="nucleus ps -a shows its state",
                )
            time.sleep(_LOOK_S)
        if not os.fstat(self.directory).st_nlink:
            raise removed(self._handle)
        self.ended = read_exit(read_file(self.directory, "exit") or b"")

    def signal(self, number: int) -> None:
        """Send a signal to the command."""
        try:
            pidfd = self._handle.open_workload()
        except Conflict:
            return  # it has ended
        try:
            signal.pidfd_send_signal(pidfd, number)
        except ProcessLookupError:
            pass  # just now
        finally:
            os.close(pidfd)

    def failure(self) -> None:
        """It was started: no step failed."""

    def close(self) -> None:
        """Let go of the directory, and with it of the lock."""
        os.close(self.directory)
        self._handle.close()
        self._handle.store.close()
