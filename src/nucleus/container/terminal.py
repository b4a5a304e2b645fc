"""Processes with a terminal of their own, of which the caller's terminal is the window: for `run -t` and `exec -t`.

✗ how a window works: `launch/console.py`.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from socket import SHUT_WR

from ..base.errors import LaunchError, SpecError
from ..base.value import Value
from ..launch import console, launcher, report, supervise
from .attached import OWNER_KILLS
from .prepare import prepare
from .running.enter import prepare_entry, running
from .silence import silent

TYPE_CHECKING = False
if TYPE_CHECKING:
    from socket import socket
    from types import TracebackType
    from typing import Self

    from ..launch.report import ExitRecord
    from ..plan.steps import LaunchPlan
    from ..spec.container import ContainerSpec
    from .prepared import Gate, Prepared
    from .running.enter import Entry, Wish
    from .running.handle import Handle


class Ended(Value):
    """How a process with a terminal ended, and the plan that it was started by."""

    exit: ExitRecord
    plan: LaunchPlan


def require_terminal(*, keyboard: bool, where: str = "--tty") -> tuple[int, int]:
    """The size of the caller's terminal.  Raises SpecError where there is none: a window needs one."""
    remedy = (
        "leave --tty out: streams are passed on as they are" if where == "--tty" else "run it from a terminal"
    )
    for fd in (0, 1) if keyboard else (1,):
        if not os.isatty(fd):
            name = "the standard input" if fd == 0 else "the standard output"
            raise SpecError(f"{name} is not a terminal", where=where, remedy=remedy)
    return console.size_of(1)


def run_with_terminal(spec: ContainerSpec) -> Ended | None:
    """A new container whose command has a terminal; None when its window was left.  Raises NucleusError."""
    size = require_terminal(keyboard=spec.interactive)
    with _Start(spec, size, (0, 1, 2)) as start:
        ended = _window(start, keyboard=spec.interactive)
        if ended is not None and spec.copies_workspace:
            start.settle()
        return ended


def run_kept(spec: ContainerSpec, again: Gate | None = None) -> str:
    """A new container, or `again` one that has ended, whose terminal has no window yet; returns its id.

    Raises NucleusError.
    """
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    try:
        with _Start(spec, (24, 80), (null, null, null), again) as start:
            if start.master >= 0:
                start.leave()
                return start.id
            plan = start.plan
            ended = start.ended_before()
    finally:
        os.close(null)
    raise failure_of(ended, plan) or LaunchError(
        "it has ended already", where=start.id[:12], remedy="see what it does without --detach"
    )


def enter_with_terminal(handle: Handle, wish: Wish, *, keyboard: bool) -> Ended | None:
    """A process with a terminal in a running container; None when its window was left.  Raises NucleusError."""
    size = require_terminal(keyboard=keyboard)
    with _Start((handle, wish), size, (0, 1, 2)) as start:
        return _window(start, keyboard=keyboard)


def _window(start: _Start, *, keyboard: bool) -> Ended | None:
    """Be the window until the end, or until the keys were typed that leave it."""
    outcome = console.Outcome(ended=start.ended)
    if start.master >= 0:
        outcome = console.Relay(start.master, keyboard=keyboard, control=start.control).run()
    if outcome.detached:
        start.leave()
        return None
    return Ended(exit=outcome.ended or start.ended_before(), plan=start.plan)


class _Start:
    """A launcher beside this process, with the terminal that it has opened.  At the end both are let go of.

    master   of the terminal; -1 where the launch ended before there was one, and `ended` says how
    """

    def __init__(
        self,
        what: ContainerSpec | tuple[Handle, Wish],
        size: tuple[int, int],
        streams: tuple[int, int, int],
        again: Gate | None = None,
    ) -> None:
        self._kept = ExitStack()
        self._again = again
        self._directory = -1
        self._store_path = ""  # of a container with a copy of its workspace
        with ExitStack() as undo:
            undo.enter_context(self._kept)
            ours, theirs = console.channel()
            with ours, theirs:
                ready = self._prepare(what, size, theirs.fileno())
                self.id, self.control = ready.id, self._spawn(ready, streams)
                theirs.close()
                self.master, self.ended = console.await_master(ours, self.control)
            if self.master >= 0:
                self._kept.callback(os.close, self.master)
            undo.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._kept.close()

    def _prepare(
        self, what: ContainerSpec | tuple[Handle, Wish], size: tuple[int, int], channel: int
    ) -> Prepared | Entry:
        if isinstance(what, tuple):
            handle, wish = what
            wanted = wish.replace(console=size)
            entry = prepare_entry(running(handle), wanted, noted=handle, owner=OWNER_KILLS, console=channel)
            self.plan = entry.plan
            return entry
        prepared = prepare(what, owner=OWNER_KILLS, console=(channel, size), gate=self._again)
        assert prepared.plan is not None and prepared.state is not None
        if self._again is not None:
            from ..state import gate
            from .one_life import keep_plan

            keep_plan(prepared)
            gate.tell(prepared.state.fd, gate.GO)  # before anybody waits for that word
        elif not what.rm:
            from .running import stored

            stored.keep(prepared.state.fd, what, variables=False)
        self.plan = prepared.plan
        if what.copies_workspace:
            # It holds the container's lock: whoever waits for the end waits until the changes were applied.
            self._directory, self._store_path = os.dup(prepared.state.fd), prepared.store.path
        else:
            # Opened anew: a copy of the descriptor would hold the lock.
            flags = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
            self._directory = os.open(".", flags, dir_fd=prepared.state.fd)
        self._kept.callback(os.close, self._directory)
        return prepared

    def _spawn(self, ready: Prepared | Entry, streams: tuple[int, int, int]) -> socket:
        control, theirs = supervise.control_pair()
        self._kept.callback(control.close)
        try:
            with theirs:
                # In a session of its own: the caller's terminal would hang up on it when its window is left.
                launcher.spawn(
                    ready.encoded, ready.id, ready.slots, ready.held, theirs.fileno(), streams, detached=True
                ).wait()
        except BaseException:
            ready.discard()
            raise
        ready.close()
        self._kept.callback(_end, control)
        return control

    def ended_before(self) -> ExitRecord:
        """How it ended without a terminal.  Raises LaunchError when nobody said."""
        if self.ended is None:
            raise silent(self.id)
        return self.ended

    def settle(self) -> None:
        """The changes of the copied workspace are applied, once the monitor has gone.  Raises NucleusError."""
        from ..state.store import Store
        from .running.handle import Handle
        from .workspace.outcome import at_the_end, told

        _end(self.control)
        store = Store(self._store_path)
        try:
            with Handle(store, self.id) as handle:
                outcome = at_the_end(handle, handle.ended, ran=False)
        finally:
            store.close()
        if outcome is not None and outcome.conflicts:
            raise told(outcome)

    def leave(self) -> None:
        """What was started goes on, its terminal kept by a process of its own."""
        from ..launch.console_keeper import keep

        reading, writing = os.pipe2(os.O_CLOEXEC)
        if os.fork():
            self._kept.pop_all()  # the keeper has them now
            os.close(writing)
            # Until it has a session of its own, the end of the caller's terminal would be its end, too; and until it
            # listens, whoever attaches as soon as this command has ended would be told that nobody keeps a terminal.
            os.read(reading, 1)
            os.close(reading)
            return
        try:
            os.setsid()
            null = os.open(os.devnull, os.O_RDWR)
            for stream in range(3):
                os.dup2(null, stream)
            keep(self.master, self.control, self._directory, writing)
            if self._store_path:
                self.settle()
        finally:
            os._exit(0)


def _end(control: socket) -> None:
    """Whatever has happened: who hears the end of the control socket ends what was started, and then itself."""
    try:
        control.shutdown(SHUT_WR)
        while control.recv(report.MESSAGE.size):
            pass
    except OSError:
        pass  # it has ended already


def failure_of(ended: ExitRecord, plan: LaunchPlan) -> LaunchError | None:
    """What failed, where a step did."""
    if ended.failure is None:
        return None
    known = ended.failure.step < len(plan.steps)
    step = plan.steps[ended.failure.step] if known else None
    return report.launch_error(ended.failure, step, step.origin if step else "", ended.exit_code)
