"""What a container's directory holds of one life and not of the next: kept at its start, read at its end, and forgotten.

✗ starts or ends any: `detach.py`, `running/ending.py`.
"""

from __future__ import annotations

import os
import time
from struct import error as StructError

from ..base.errors import Conflict, LaunchError, NucleusError
from ..launch import report
from ..plan.encode import decode
from ..state import gate
from ..state.store import owner_is_gone, read_file, write_file
from .running.handle import Handle, removed
from .running.sweep import bury_in_time, settled

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..launch.report import ExitRecord
    from .prepared import Prepared

PLAN, ORIGINS = "plan", "plan.origins"
# What one life of a container leaves for the next one to remove.
OF_ONE_LIFE = ("init", "started", "exit", PLAN, ORIGINS)
_LOOK_S = 0.002
_LOCK_WAIT_S = 30.0


def keep_plan(prepared: Prepared) -> None:
    """What the sentence about a failed step is made of; it replaces all that is left of an earlier life."""
    assert prepared.state is not None and prepared.plan is not None
    for name in (*OF_ONE_LIFE, gate.STOPPING):
        forget(prepared.state.fd, name)
    write_file(prepared.state.fd, PLAN, prepared.encoded)
    origins = "\n".join([s.origin for s in prepared.plan.steps])
    write_file(prepared.state.fd, ORIGINS, origins.encode("utf-8", "surrogateescape"))


def forget(directory: int, name: str) -> None:
    """Unlink a file of a container's directory, if it is there."""
    try:
        os.unlink(name, dir_fd=directory)
    except FileNotFoundError:
        pass  # it never was


def failure_of(handle: Handle) -> LaunchError | None:
    """The sentence of the step that failed, when the container ended so."""
    command = handle.record.command[0] if handle.record is not None else "command"
    return failure_in(handle.fd, handle.ended, command) if handle.ended is not None else None


def failure_in(directory: int, ended: ExitRecord, command: str = "command") -> LaunchError | None:
    """The same, of the container with that directory, whose end is read already."""
    failure = ended.failure
    if failure is None or not ended.flags & report.FAILED:
        return None
    step, origin = None, ""
    try:
        steps = decode(read_file(directory, PLAN) or b"").steps
        origins = (read_file(directory, ORIGINS) or b"").decode("utf-8", "surrogateescape").split("\n")
        step, origin = steps[failure.step], origins[failure.step]
    except (ValueError, IndexError, StructError, NucleusError):
        pass  # without its plan the sentence has no names in it
    return report.launch_error(failure, step, origin, ended.exit_code, command)


def locked(handle: Handle) -> int:
    """A descriptor of an ended container's directory that holds its lock; all of its last life is cleaned up."""
    fd = handle.store.open(handle.id)
    try:
        deadline = time.monotonic() + _LOCK_WAIT_S
        while not owner_is_gone(fd):  # somebody who only looks holds it for a moment, too
            if time.monotonic() > deadline:
                raise Conflict(
                    f"container {handle.name} has not ended", where="nucleus restart", remedy="try again"
                )
            time.sleep(_LOOK_S)
        if not os.fstat(fd).st_nlink:
            raise removed(handle)  # `rm` held it
        if not settled(read_file(fd, "exit") or b""):
            bury_in_time(handle.store, handle.id, fd, handle.record, deadline)
    except BaseException:
        os.close(fd)
        raise
    return fd
