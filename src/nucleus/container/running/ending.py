"""Ending containers, and waiting for their end: stop, kill, wait, remove.  ✗ starts any: `detach.py`.

A process is signalled by a checked pidfd, never by a number.  What is told to have ended has ended: its monitor has gone,
its exit record is there.
"""

from __future__ import annotations

import os
import select
import signal
import time

from ...base.errors import Conflict, NotFound, SpecError
from ...cgroup import control
from ...launch.report import INIT_KILLED, ExitRecord
from ...spec.process import signal_number
from ...state import gate
from ...state.store import is_locked, let_go, owner_is_gone, read_file
from . import lifecycle
from .events import note
from .handle import removed
from .sweep import bury_in_time, kill_left_over, remove_directory, settled, sweep_one

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .handle import Handle

_KILLS: dict[int, str] = {signal.SIGKILL: "kill", signal.SIGTERM: "kill -s TERM"}  # what each may be sent to
_KILL_WAIT_S = 30.0
_LOOK_S = 0.01


def stop(handle: Handle, *, grace_s: float | None = None, number: int | None = None) -> None:
    """Ask the workload to end, kill it after the grace, and return when it has ended.

    grace_s  None: what the container was created with; 0 kills at once; negative: wait for ever
    number   of the signal; None: what the container was created with
    It is no error that its own --rm, or somebody else, removes it meanwhile: it has ended, as was asked.
    """
    try:
        _stop(handle, grace_s, number)
    except NotFound:
        return
    settle(handle)


def _stop(handle: Handle, grace_s: float | None, number: int | None) -> None:
    spec = handle.record.spec if handle.record else {}
    grace = int(spec.get("stop_timeout_ms", 10_000)) / 1000 if grace_s is None else grace_s
    asking = int(spec.get("stop_signal", signal.SIGTERM)) if number is None else number
    with gate.Lock(handle.fd, gate.WATCH_LOCK):
        state = handle.refresh().status
        handle.require("stop")
        if state not in (lifecycle.STOPPED, lifecycle.DEAD):
            mark_stopping(handle)
        if state in lifecycle.ALIVE:
            note(handle.store, handle.record, "stopping", signal=asking if grace else signal.SIGKILL)
        if state in (lifecycle.RUNNING, lifecycle.PAUSED) and grace and _signal_workload(handle, asking):
            _thaw(handle)
            _await_end(handle, None if grace < 0 else time.monotonic() + grace)
        _kill_until_ended(handle)


def kill(handle: Handle, number: int) -> None:
    """Send a signal to the workload.  One that still waits at the gate, or for its next life, can only be killed."""
    handle.refresh().require(_KILLS.get(number, "kill -s SIGNAL"))
    note(handle.store, handle.record, "killed", signal=number)
    if handle.status == lifecycle.RESTARTING:
        return stop(handle, grace_s=0)
    if handle.status == lifecycle.CREATED:
        mark_stopping(handle)
        if _killed_at_the_gate(handle):
            return
    if number == signal.SIGKILL:
        mark_stopping(handle)
    if not _signal_workload(handle, number):
        raise Conflict(
            f"container {handle.name} has just ended", where="nucleus kill",
            remedy="nucleus ps -a shows how it ended",
        )  # fmt: skip
    if number == signal.SIGKILL:
        _thaw(handle)  # cgroup v1: what is frozen does not even die


def wait(handle: Handle, *, timeout_s: float | None = None) -> ExitRecord:
    """How the container ended, once it has.  Raises Conflict when that takes longer than the timeout."""
    with gate.Lock(handle.fd, gate.WATCH_LOCK):
        ended = _await_end(handle, None if timeout_s is None else time.monotonic() + timeout_s)
        if ended is None and timeout_s is not None and is_locked(handle.fd):
            raise Conflict(
                f"container {handle.name} has not ended yet", where="nucleus wait", remedy="wait longer"
            )
    settle(handle)
    if ended is not None:
        return ended
    try:
        return handle.refresh().ended or _lost()
    except NotFound:
        return _lost()


def _lost() -> ExitRecord:
    """Of a container whose owner was killed, and whose records went with it (--rm)."""
    return ExitRecord(
        exit_code=137, signal=9, flags=INIT_KILLED, started_ns=0, finished_ns=time.time_ns(), oom_kills=0,
        memory_peak_bytes=0, cpu_us=0, pids_denied=0, user_us=0, system_us=0, max_rss_bytes=0, failure=None,
    )  # fmt: skip


def refuse_pending(handle: Handle) -> None:
    """Removing a container must not throw away what its run made in a copy of the workspace.  Raises Conflict."""
    if handle.record is not None and handle.record.copies:
        from ..workspace.outcome import refuse_pending as refuse

        refuse(handle)


def remove(handle: Handle, *, force: bool) -> None:
    """Remove an ended container, with `force` a living one too.  Raises Conflict, NotFound.

    With `force` it is no error that somebody else, or its own --rm, was faster: it is gone, as was asked.
    """
    try:
        _remove(handle, force=force)
    except (NotFound, FileNotFoundError):
        if not force or os.fstat(handle.fd).st_nlink:
            raise


def _remove(handle: Handle, *, force: bool) -> None:
    deadline = time.monotonic() + _KILL_WAIT_S
    if force:
        _end_for_good(handle)
    # Somebody who only looks holds the lock for a moment, too: the state tells whether the container is in use.
    while not _is_free(handle, deadline):
        if force and handle.refresh().status not in lifecycle.LEGAL["rm"]:
            _end_for_good(handle)  # a `restart` of the same moment
        handle.refresh().require("rm")
        if time.monotonic() > deadline:
            raise Conflict(f"container {handle.name} is in use", where="nucleus rm", remedy="try again")
        time.sleep(_LOOK_S)
    handle.refresh()
    if not force:
        refuse_pending(handle)
    elif handle.record is not None and handle.record.copies:
        from ..workspace import outcome as workspace_outcome

        workspace_outcome.forget(handle)
    if not settled(read_file(handle.fd, "exit") or b""):
        bury_in_time(handle.store, handle.id, handle.fd, handle.record, deadline)
    remove_directory(handle.store, handle.id, handle.record)
    note(handle.store, handle.record, "removed")


def _end_for_good(handle: Handle) -> None:
    with gate.Lock(handle.fd, gate.WATCH_LOCK):
        if handle.refresh().status in lifecycle.ALIVE:
            note(handle.store, handle.record, "killed", signal=signal.SIGKILL)
        if handle.record is not None and handle.record.copies:
            _mark(handle, lifecycle.THROWN_AWAY)
        mark_stopping(handle)
        _kill_until_ended(handle)


def _is_free(handle: Handle, deadline: float) -> bool:
    """Take the container's lock where it has no owner, and nobody waits to read its end, who has his time for that."""
    if not owner_is_gone(handle.fd):
        return False
    if not gate.is_watched(handle.fd) or time.monotonic() > deadline:
        return True
    let_go(handle.fd)  # whoever waits sees by that lock that it has ended
    return False


def settle(handle: Handle) -> None:
    """Clean up behind it at once where its owner could not, or left its directory for us to read."""
    try:
        sweep_one(handle.store, handle.id)
    except (NotFound, OSError):
        return  # it is gone, or another command was faster; or its cgroup is busy, and the next sweep does it


def signal_of(text: str) -> int:
    """The number of a signal by name or number.  Raises SpecError."""
    number = signal_number(text)
    if not number:
        raise SpecError(f"{text!r} is no signal", where="--signal", remedy="such as TERM, HUP or 9")
    return number


def mark_stopping(handle: Handle) -> None:
    """Say beforehand that the end which comes now was asked for."""
    _mark(handle, gate.STOPPING)


def _mark(handle: Handle, name: str) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        os.close(os.open(name, flags, 0o600, dir_fd=handle.fd))
    except FileNotFoundError:  # its directory is still open here, and gone
        raise removed(handle) from None


def _signal_workload(handle: Handle, number: int) -> bool:
    try:
        pidfd = handle.open_workload()
    except Conflict:
        return False
    try:
        signal.pidfd_send_signal(pidfd, number)
    except ProcessLookupError:
        return False
    finally:
        os.close(pidfd)
    return True


def _thaw(handle: Handle) -> None:
    cgroups = handle.record.cgroups if handle.record else ()
    if control.is_frozen(cgroups):
        control.set_frozen(cgroups, frozen=False)


def _await_end(handle: Handle, deadline: float | None) -> ExitRecord | None:
    """The exit record, once the monitor has gone; None at the deadline, or when it went without leaving one."""
    while True:
        handle.refresh()
        if handle.ended is not None and not is_locked(handle.fd):
            return handle.ended
        if not is_locked(handle.fd):
            # The record is written before the lock goes: it is there now, or never will be.
            return handle.refresh().ended
        left = None if deadline is None else deadline - time.monotonic()
        if left is not None and left <= 0:
            return None
        _await_monitor(handle, left)


def _await_monitor(handle: Handle, left: float | None) -> None:
    """For as long as that, or until the monitor ends; where it cannot be watched, for a moment."""
    try:
        monitor = handle.open_monitor()
    except Conflict:
        time.sleep(min(_LOOK_S, left or _LOOK_S))
        return
    try:
        poller = select.poll()
        poller.register(monitor, select.POLLIN)
        poller.poll(None if left is None else left * 1000 + 1)
    finally:
        os.close(monitor)


def _kill_until_ended(handle: Handle) -> None:
    """SIGKILL to the workload, then to init and the whole cgroup, until the container's lock is free."""
    deadline = time.monotonic() + _KILL_WAIT_S
    tries = 0
    while is_locked(handle.fd):
        handle.refresh()
        state = handle.status
        if state == lifecycle.UNKNOWN:
            handle.require("stop")
        if state == lifecycle.STOPPED and handle.record is not None and handle.record.copies:
            _await_end(handle, None)  # its changes are being applied, and that may take as long as it takes
            continue
        if state not in (lifecycle.STOPPED, lifecycle.DEAD):
            mark_stopping(handle)  # again: a start of the same moment may have taken the mark for an old one
        if state == lifecycle.CREATED:
            _tell_to_die(handle)
        elif tries or not _signal_workload(handle, signal.SIGKILL):
            kill_left_over(handle.fd, handle.record)
        if tries:
            control.kill_all(handle.record.cgroups if handle.record else ())
        _thaw(handle)
        if time.monotonic() > deadline:
            raise Conflict(f"container {handle.name} does not end", where="nucleus stop", remedy="try again")
        tries += 1
        _await_end(handle, time.monotonic() + min(0.5 * tries, 2))


def _tell_to_die(handle: Handle) -> bool:
    try:
        gate.tell(handle.fd, gate.KILL)
    except Conflict:
        return False  # it left the gate meanwhile: the next look finds it elsewhere
    return True


def _killed_at_the_gate(handle: Handle) -> bool:
    """Whether the word was heard: it may have come behind the one that let it go, in the moment before the gate closed."""
    if not _tell_to_die(handle):
        return False
    deadline = time.monotonic() + _KILL_WAIT_S
    try:
        while is_locked(handle.fd):  # by whoever only looks, too, when it has ended
            if handle.refresh().ended is not None:
                return True
            if handle.status in (lifecycle.RUNNING, lifecycle.PAUSED) or time.monotonic() > deadline:
                return False
            _await_monitor(handle, _LOOK_S / 4)
    except NotFound:
        pass  # with --rm its directory went along
    return True
