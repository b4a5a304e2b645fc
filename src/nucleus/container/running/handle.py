"""A container by its reference: what is recorded of it, its state, and descriptors of its processes.

`resolve` checks that the caller is root or the creator; whatever acts on a container starts here.  ✗ acts.
"""

from __future__ import annotations

import os

from ...base.errors import Conflict, NotFound, PermissionRefused
from ...cgroup.control import is_frozen
from ...launch.report import read_exit, read_init, read_started
from ...state import gate
from ...state.record import from_json
from ...state.store import is_locked, read_file
from . import lifecycle, processes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from ...launch.report import ExitRecord, InitRecord, StartedRecord
    from ...state.record import ContainerRecord
    from ...state.store import Store


class Handle:
    """One container, as it was at the last `refresh`.  Holds a descriptor of its directory until `close`.

    record    what state.json says, or None when it is not complete or not of this version
    init      pids and start times of the monitor and of init, once they are there
    started   when the command was executed; only of containers that were created to wait for `start`
    ended     the exit record
    """

    __slots__ = ("_here", "ended", "fd", "id", "init", "record", "started", "store")

    def __init__(self, store: Store, container_id: str) -> None:
        self.store = store
        self.id = container_id
        self.record: ContainerRecord | None = None
        self.init: InitRecord | None = None
        self.started: StartedRecord | None = None
        self.ended: ExitRecord | None = None
        self._here: bool | None = None
        self.fd = store.open(container_id)
        try:
            self.refresh()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the directory; the store stays open."""
        if self.fd >= 0:
            os.close(self.fd)
        self.fd = -1

    def refresh(self) -> Self:
        """Read everything anew.  Raises NotFound when it was removed."""
        self.record, self._here = from_json(read_file(self.fd, "state.json") or b""), None
        self.init = read_init(read_file(self.fd, "init") or b"")
        self.started = read_started(read_file(self.fd, "started") or b"")
        self.ended = read_exit(read_file(self.fd, "exit") or b"")
        if not os.fstat(self.fd).st_nlink:
            raise removed(self)
        return self

    @property
    def name(self) -> str:
        """How people call it: its name, or the beginning of its id."""
        return (self.record.name if self.record else "") or self.id[:12]

    @property
    def status(self) -> str:
        """One of `lifecycle.STATES`, from what was read last, and from lock, monitor and freezer as they are now."""
        record = self.record
        if self.ended is not None:
            return lifecycle.RESTARTING if self._restarts() else lifecycle.STOPPED
        here = record is None or self.here
        state = lifecycle.status(
            lifecycle.Look(
                recorded=record is not None,
                owned=is_locked(self.fd) and (not here or self._monitor_lives()),
                here=here,
                init=self.init is not None and not self.init.building,
                gated=record is not None and record.gated,
                started=self.started is not None,
            )
        )
        if state == lifecycle.DEAD:
            self.ended = read_exit(read_file(self.fd, "exit") or b"")
            if self.ended is not None:
                return lifecycle.STOPPED  # it ended between the two looks
        if state == lifecycle.RUNNING and record is not None and is_frozen(record.cgroups):
            return lifecycle.PAUSED
        return state

    @property
    def here(self) -> bool:
        """Do its pids mean anything to this process?"""
        if self._here is None:
            self._here = self.record is not None and processes.is_here(self.record)
        return self._here

    def _restarts(self) -> bool:
        """It has ended, and its supervisor is still there to start it again."""
        if self.record is None or not self.record.restarts or not is_locked(self.fd):
            return False
        from ..supervision import record as supervision

        if read_file(self.fd, gate.STOPPING) is not None:
            return False  # that was its last life, whatever its supervisor still has to do
        known = supervision.read(self.fd)
        return known is not None and known.phase != supervision.ENDED

    def _monitor_lives(self) -> bool:
        """A sweep that buries a container holds its lock too: only the monitor tells the two apart."""
        return self.init is None or processes.is_alive(self.init.monitor_pid, self.init.monitor_ticks)

    def require(self, verb: str) -> None:
        """Raises Conflict where the verb is not for a container in this state."""
        lifecycle.require(verb, self.status, self.name)

    def check_owner(self) -> None:
        """Raises PermissionRefused unless the caller is root or created it."""
        creator = self.record.creator_uid if self.record else os.fstat(self.fd).st_uid
        if os.geteuid() not in (0, creator):
            raise PermissionRefused(
                f"container {self.name} belongs to uid {creator}",
                where=self.store.path,
                remedy="act as its creator, or as root",
            )

    def open_monitor(self) -> int:
        """A pidfd of the process that waits for the container's end.  Raises Conflict when there is none."""
        return self._open(self.init.monitor_pid, self.init.monitor_ticks) if self.init else self._gone()

    def open_init(self) -> int:
        """A pidfd of the container's pid 1: its namespaces are the container's.  Raises Conflict."""
        return self._open(self.init.init_pid, self.init.init_ticks) if self.init else self._gone()

    def open_workload(self) -> int:
        """A pidfd of the command that was started, which is pid 2 inside.  Raises Conflict when it has ended."""
        init = self.init
        if init is None or not self.here:
            return self._gone()
        pidfd = processes.open_first_child(init.init_pid, init.init_ticks)
        return pidfd if pidfd >= 0 else self._gone()

    def _open(self, pid: int, ticks: int) -> int:
        if not self.here:
            return self._gone()
        pidfd = processes.open_process(pid, ticks)
        return pidfd if pidfd >= 0 else self._gone()

    def _gone(self) -> int:
        raise Conflict(
            f"container {self.name} has no process here",
            where="container",
            remedy="nucleus ps -a shows its state",
        )


def removed(handle: Handle) -> NotFound:
    """Somebody else was faster."""
    return NotFound(
        f"container {handle.id[:12]} was removed", where=handle.store.path, remedy="see `nucleus ps -a`"
    )


def resolve(store: Store, reference: str) -> Handle:
    """The container with that id, name, or beginning of an id; the caller closes it.

    Raises NotFound, Conflict when several begin so, PermissionRefused when it is another user's.
    """
    handle = Handle(store, store.resolve(reference))
    try:
        handle.check_owner()
    except BaseException:
        handle.close()
        raise
    return handle
