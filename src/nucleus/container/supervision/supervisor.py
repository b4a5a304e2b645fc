"""The process beside a container that asks for supervision: its lives, one after another, until none follows.

It is the parent of the monitor; its death is the container's.  In the foreground `nucleus run` is it, for a detached
container one small process of its own (`cli/supervise.py`).
✗ arithmetic of health and restarts: `health.py`, `restart.py`.  ✗ one life: `life.py`.
"""

from __future__ import annotations

import os
import select
import time

from ...base.errors import LaunchError, NotFound, NucleusError
from ...cgroup.control import is_frozen
from ...state import gate
from ...state.store import StateDirectory, Store, read_file
from ..running.events import note
from ..running.handle import Handle
from ..running.processes import start_ticks
from ..running.stored import changed_since
from ..silence import silent
from . import record as supervision
from . import restart
from .adopted import Adopted
from .checks import Checks
from .health import HEALTHY, UNHEALTHY
from .life import Life, begin
from .notify import Manager, receive, relayed
from .record import Supervision
from .restart import End

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ...launch.report import ExitRecord
    from ...launch.signals import Signals
    from ...spec.container import ContainerSpec
    from ..inputs.hooks import Hook
    from .life import Streams
    from .probe import Probe

_ENDING = (1, 2, 3, 15)  # signals that ask for the end: HUP, INT, QUIT, TERM
_LOOK_MS = 100
# The steps that are hooks, and their points.
_STEPS = {"run-hook": "createContainer", "run-hook-inside": "startContainer"}
_WATCHED_S = 30.0


class Supervisor:
    """Of one container.  `create`, then `run`."""

    def __init__(
        self, spec: ContainerSpec, signals: Signals, *, streams: Streams | None = None, detached: str = ""
    ) -> None:
        self.spec, self._signals, self._streams, self._detached = spec, signals, streams, detached
        self._manager = Manager(dict(os.environ)) if spec.sd_notify else None
        self._hooks: tuple[Hook, ...] = ()
        if spec.hooks:
            from ..inputs import hooks

            self._hooks = hooks.load(spec.hooks)
        self.told = Supervision(pid=os.getpid(), ticks=start_ticks(os.getpid()))
        self.life: Life
        self.checks: Checks | None = None
        self._stopping = False
        self._in_a_row = 0
        self._said_ready = False
        self.reason = self._error = ""  # why this life was ended, where it was ended here
        self._zero_ns = self._well_ns = self._kill_ns = (
            0  # CLOCK_MONOTONIC: executed, ready and healthy, patience ends
        )

    def create(self, again: StateDirectory | None = None, created_ns: int = 0) -> str:
        """Begin the first life, up to the gate; returns the container's id.  Raises NucleusError."""
        self.life, self._streams = begin(
            self.spec, self._streams, again, created_ns, detached=self._detached, explained=bool(self._detached)
        )  # fmt: skip
        self._forget_stop()
        self._tell(phase=supervision.CREATED)
        try:
            self._build()
            if self.life.gone:
                self._note_failed_hook()
                raise self.life.failure() or silent(self.life.id)
            self._write_pid()
        except NucleusError:
            self.life.abandon()
            if again is None:
                self._remove()
            raise
        return self.life.id

    def withdraw(self) -> None:
        """Whoever asked for it has gone before he heard of it: nobody will let it start, and nothing is left of it."""
        self.life.abandon()
        self._remove()

    def adopt(self, handle: Handle) -> str:
        """Instead of `create`: a container that runs already; its handle and store are ours then.  Raises Conflict."""
        self.life = Adopted(handle)
        self._tell(phase=supervision.RUNNING, ready=True)
        return handle.id

    def _build(self) -> None:
        """Until it waits at the gate, or has ended.  Raises NucleusError where a hook of the host fails."""
        while not self.life.created_pid and not self.life.gone:
            if self.life.hooks_pid:
                self._run_hooks("createRuntime", "creating")
                self.life.hooked()
            self._wait(None)
        if self.life.created_pid:
            self._note_hooks("createContainer")

    def run(self) -> ExitRecord | None:
        """All lives; how the last one ended.  Raises LaunchError where the first did not become ready."""
        while True:
            ended = self._live()
            end = self._over(ended)
            if not self._follows(end) or not self._again(end):
                break
        self._tell(phase=supervision.ENDED)
        self._tell_manager({"STOPPING": "1"})
        if self.told.ready_error and not self.told.restarts:
            self._remove()
            raise supervision.not_ready(self.told.ready_error)
        if self.spec.copies_workspace:
            self._settle(ended)
        return ended

    def _settle(self, ended: ExitRecord | None) -> None:
        """What it changed in its copy of the workspace goes into the workspace.  Raises NucleusError."""
        from ..workspace.outcome import at_the_end, told

        store = self._store()
        try:
            with Handle(store, self.life.id) as handle:
                outcome = at_the_end(handle, ended, ran=bool(self.told.restarts))
        finally:
            store.close()
        if outcome is not None and outcome.conflicts:
            raise told(outcome)

    def unwell(self) -> LaunchError:
        """The sentence for a container whose last life was ended here, or ended without a word."""
        ended = self.life.ended
        if ended is None:
            return silent(self.life.id)
        where = "--health-cmd" if self.reason == "health" else "readiness"
        return LaunchError(
            f"the container was ended: {self._error}", where=where,
            remedy="see what it printed", exit_code=ended.exit_code,
        )  # fmt: skip

    def _live(self) -> ExitRecord | None:
        """From the gate to the end."""
        life = self.life
        self._zero_ns = self._well_ns = self._kill_ns = 0
        self._said_ready = False
        while not life.gone:
            if life.executed and not self._zero_ns:
                self._begin_checks()
            if self.checks is not None and not self._kill_ns and self.checks.step(self._now_ms()):
                self._heed(self.checks)
            if self._kill_ns and time.monotonic_ns() >= self._kill_ns:
                life.signal(9)
                self._kill_ns = time.monotonic_ns() + 1_000_000_000
            self._wait(self._patience_ms())
        if self.checks is not None:
            self.checks.close()
            self.checks = None
        return life.ended

    def _begin_checks(self) -> None:
        self._zero_ns = time.monotonic_ns()
        self._note_hooks("startContainer")
        self._run_hooks("poststart", "running")
        self.checks = Checks(self.spec, self._probe, self._is_paused)
        if self.checks.ready:
            self._well_ns = 0 if self.spec.health_cmd else self._zero_ns
        health = self.checks.health.status if self.checks.health else ""
        self._tell(
            phase=supervision.RUNNING, ready=self.checks.ready, health=health, failures=0, health_error="",
            next_start_ns=0,
        )  # fmt: skip
        self._heed_ready()

    def _heed(self, checks: Checks) -> None:
        """One more check has an outcome."""
        if checks.ready and not self.told.ready:
            self._note("ready", after_ms=self._now_ms())
            self._tell_manager({"READY": "1"})
            self._well_ns = 0 if self.spec.health_cmd else time.monotonic_ns()
        health = checks.health
        before = self.told.health
        if health is not None:
            self._tell(ready=True, health=health.status, failures=health.failures, health_error=health.error)
            if health.status == HEALTHY and self._manager is not None and self._manager.watchdog_us:
                self._tell_manager({"WATCHDOG": "1"})
            if health.status == HEALTHY != before:
                self._well_ns = time.monotonic_ns()
                self._note("healthy")
                self._tell_manager({"STATUS": "healthy"})
            elif health.status == UNHEALTHY and before != UNHEALTHY:
                self._well_ns = 0
                self._note("unhealthy", failures=health.failures, error=health.error)
                self._tell_manager({"STATUS": f"unhealthy: {health.error}"})
                if self.spec.health_on_failure != "none":
                    self._end("health", health.error)
        elif checks.given_up:
            self._tell(ready_error=checks.given_up)
            self._end("readiness", checks.given_up)
        else:
            self._tell(ready=checks.ready)

    def _end(self, reason: str, error: str) -> None:
        """Ask it to end; what does not is killed after the grace."""
        self.reason, self._error = reason, error
        grace = self.spec.stop_timeout_ms if reason == "health" else 0
        self.life.signal(self.spec.stop_signal if grace else 9)
        self._kill_ns = time.monotonic_ns() + grace * 1_000_000

    def _over(self, ended: ExitRecord | None) -> End:
        """Write down how this life ended."""
        self._clear()
        self._note_failed_hook()
        self._run_hooks("poststop", "stopped")
        reason = self.reason or (ended.reason if ended else "host-kill")
        failure = self.life.failure()
        known: dict[str, Any] = {
            "exit_code": ended.exit_code if ended else 137, "signal": ended.signal if ended else 9,
            "reason": reason, "error": self._error or (failure.message if failure else ""),
            "started_ns": ended.started_ns if ended else 0, "finished_ns": ended.finished_ns if ended else time.time_ns(),
        }  # fmt: skip
        well = (time.monotonic_ns() - self._well_ns) // 1_000_000 if self._well_ns else 0
        self._in_a_row = restart.in_a_row_after(self._in_a_row, well)
        self._tell(ends=(*self.told.ends, known)[-supervision.MOST_ENDS :])
        return End(
            exit_code=known["exit_code"],
            failed=bool(self.reason),
            forced=reason == "health" and self.spec.health_on_failure == "restart",
        )

    def _clear(self) -> None:
        """What a monitor that was killed has left would stand in the way of the next life."""
        from ..running.sweep import clear

        try:
            clear(self.life.id, self.life.directory, self.life.record)
        except OSError:
            pass  # a cgroup is still busy: the next life says so, or the next sweep does it

    def _follows(self, end: End) -> bool:
        """Whether another life follows; the first must have begun."""
        if not self.told.restarts and (not self._zero_ns or self.reason == "readiness"):
            return False
        return self._is_wanted(end)

    def _is_wanted(self, end: End) -> bool:
        """Whether it starts again, by what `nucleus update` has made of its spec; what --rm has removed does not."""
        store = self._store()
        try:
            with Handle(store, self.life.id) as handle:
                if handle.record is not None:
                    self.spec = changed_since(self.spec, handle.record.spec)
        except NotFound:
            return False
        finally:
            store.close()
        policy = restart.policy(self.spec.restart)
        return restart.again(policy, end, self._in_a_row, stopping=self._is_stopped())

    def _again(self, end: End) -> bool:
        """Pause, and start once more, until it starts; False where nobody wants that any more."""
        while True:
            pause = restart.pause_ms(self._in_a_row)
            self._tell(
                phase=supervision.PAUSING,
                ready=False,
                health="",
                next_start_ns=time.time_ns() + pause * 1_000_000,
            )
            until = time.monotonic_ns() + pause * 1_000_000
            while (left := (until - time.monotonic_ns()) // 1_000_000) > 0:
                if not self._is_wanted(end):
                    return False
                self._wait(min(left, _LOOK_MS))
            if not self._is_wanted(end):
                return False
            self._in_a_row += 1
            last = self.told.ends[-1]
            self._tell(restarts=self.told.restarts + 1)
            error = self._relive()
            if error is None:
                self._note("restarted", count=self.told.restarts, reason=last["reason"])
                return True
            self._tell(ends=(*self.told.ends, {**last, "exit_code": error.exit_code, "signal": 0, "reason": "failed",
                                               "error": error.message})[-supervision.MOST_ENDS :])  # fmt: skip
            end = End(exit_code=error.exit_code, failed=True)

    def _relive(self) -> NucleusError | None:
        """The next life, through the gate; or why there is none."""
        self.reason = self._error = ""
        last = self.life
        again = StateDirectory(id=last.id, fd=os.dup(last.directory))
        with Handle(self._store(), last.id) as handle:
            name = handle.record.name if handle.record else self.spec.name  # it may have been renamed
            handle.store.close()
        if self.spec.env_fd is not None:
            os.lseek(self.spec.env_fd, 0, os.SEEK_SET)
        try:
            self.life, self._streams = begin(
                self.spec.replace(name=name),
                self._streams,
                again,
                last.record.created_ns,
                detached=self._detached,
                explained=False,
            )
        except NucleusError as error:
            return error
        last.close()
        try:
            self._build()
        except NucleusError as error:
            self.reason, self._error = "hook", error.message
            self.life.abandon()
        if self.life.created_pid and not self.life.gone:
            if self._is_stopped():
                self.life.signal(9)
            else:
                self._proceed_again()
        return None

    def _proceed_again(self) -> None:
        try:
            self._write_pid()
        except NucleusError as error:
            self.reason, self._error = "hook", error.message
            self.life.signal(9)
            return
        self.life.proceed()

    def _run_hooks(self, point: str, status: str) -> None:
        """Raises NucleusError at the first that fails before the start; after it the others run nevertheless."""
        from ..inputs import hooks

        pid = self.life.created_pid or self.life.hooks_pid if status != "stopped" else 0
        for hook in [hook for hook in self._hooks if hook.point == point]:
            try:
                hooks.run(hook, hooks.state_of(self.life.id, status, pid, self.life.bundle))
            except NucleusError as error:
                self._note("hook-failed", hook=point, error=error.message)
                if point == "createRuntime":
                    raise
            else:
                self._note("hook", hook=point, path=hook.path)

    def _note_hooks(self, point: str) -> None:
        """The launcher has run all of a point."""
        for hook in [hook for hook in self._hooks if hook.point == point]:
            self._note("hook", hook=point, path=hook.path)

    def _note_failed_hook(self) -> None:
        """Of a hook inside, which the launcher has run."""
        failure = self.life.failure()
        if failure is not None and failure.opcode in _STEPS:
            self._note("hook-failed", hook=_STEPS[failure.opcode], error=failure.message)

    def _store(self) -> Store:
        return Store(self.life.store_path)

    def _is_paused(self) -> bool:
        return is_frozen(self.life.record.cgroups)

    def _probe(self, command: str, timeout_ms: int) -> Probe:
        from . import probe

        store = self._store()
        try:
            with Handle(store, self.life.id) as handle:
                if command:
                    return probe.command_probe(handle, command)
                return probe.connection_probe(handle, self.spec.readiness_tcp or 0, timeout_ms)
        finally:
            store.close()

    def _wait(self, left_ms: int | None) -> None:
        """For one event, at most so long."""
        poller = select.poll()
        poller.register(self._signals.fileno(), select.POLLIN)
        if not self.life.gone:
            poller.register(self.life.fileno(), select.POLLIN)
        channel = self.life.notify
        if channel is not None:
            poller.register(channel, select.POLLIN)
        probe = self.checks.probe if self.checks is not None else None
        for fd in probe.fds if probe is not None else ():
            poller.register(fd, select.POLLIN)
        for fd, _ in poller.poll(left_ms):
            if fd == self._signals.fileno():
                self._signalled(*self._signals.receive())
            elif not self.life.gone and fd == self.life.fileno():
                self.life.receive()
            elif channel is not None and fd == channel.fileno():
                self._told_by_container(receive(channel, self.life.record, self.life.created_pid))
            elif probe is not None and fd in probe.fds:
                probe.receive(fd)

    def _told_by_container(self, said: dict[str, str]) -> None:
        """A message of the workload: it may be ready, and the manager may want to know."""
        self._said_ready |= said.get("READY") == "1"
        self._heed_ready()
        words = relayed(said)
        if self.life.record.awaited:
            words.pop("READY", None)  # it is said when readiness has been noted
        self._tell_manager(words)

    def _heed_ready(self) -> None:
        """It may have said so before the monitor said that it runs."""
        checks = self.checks
        if self._said_ready and self.spec.readiness_sd_notify and checks is not None and not checks.ready:
            checks.become_ready(self._now_ms())
            self._heed(checks)

    def _tell_manager(self, said: dict[str, str]) -> None:
        if self._manager is not None:
            self._manager.tell(said)

    def _signalled(self, number: int, by_process: bool) -> None:
        """Whoever asks this process to end means the container, and no other life of it."""
        if number in _ENDING:
            self._stopping = True
            self._tell_manager({"STOPPING": "1"})
        if by_process and not self.life.gone:
            self.life.signal(number)
            if number in _ENDING and self._detached not in ("", "none") and not self._kill_ns:
                # The manager waits for this process, and knows nothing of the container's own grace.
                self._kill_ns = time.monotonic_ns() + self.spec.stop_timeout_ms * 1_000_000

    def _patience_ms(self) -> int | None:
        """How long nothing has to be done."""
        if self._kill_ns:
            return max((self._kill_ns - time.monotonic_ns()) // 1_000_000 + 1, 0)
        due = self.checks.next_ms if self.checks is not None else None
        return None if due is None else max(due - self._now_ms(), 0)

    def _now_ms(self) -> int:
        return (time.monotonic_ns() - self._zero_ns) // 1_000_000

    def _is_stopped(self) -> bool:
        return self._stopping or read_file(self.life.directory, gate.STOPPING) is not None

    def _forget_stop(self) -> None:
        try:
            os.unlink(gate.STOPPING, dir_fd=self.life.directory)
        except FileNotFoundError:
            pass  # nobody has stopped it before

    def _tell(self, **changed: Any) -> None:
        self.told = self.told.replace(**changed)
        supervision.write(self.life.directory, self.told)

    def _note(self, event: str, **details: Any) -> None:
        store = self._store()
        try:
            note(store, self.life.record, event, **details)
        finally:
            store.close()

    def _write_pid(self) -> None:
        if self.spec.pid_file:
            from ..running.idfiles import write_pid

            write_pid(self.spec.pid_file, self.life.created_pid)

    def _remove(self) -> None:
        """What did not come to be leaves nothing; whoever waits to read why reads it first."""
        from ..running.sweep import bury

        deadline = time.monotonic() + _WATCHED_S
        while gate.is_watched(self.life.directory) and time.monotonic() < deadline:
            time.sleep(0.01)
        store = self._store()
        try:
            # A monitor that was killed has left more than its directory.
            bury(store, self.life.id, self.life.directory, self.life.record.replace(remove=True))
        except OSError:
            pass  # a cgroup is still busy: the next sweep does it
        finally:
            store.close()
