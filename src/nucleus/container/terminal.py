"""Processes with a terminal of their own, of which the caller's terminal is the window: for `run -t` and `exec -t`.

✗ how a window works: `launch/console.py`.
"""

from __future__ import annotations

import os
from contextlib import ExitStack

from ..base.errors import LaunchError, SpecError
from ..base.value import Value
from ..launch import console, launcher, supervise
from .attached import OWNER_KILLS
from .enter import prepare_entry
from .prepare import prepare

TYPE_CHECKING = False
if TYPE_CHECKING:
    from socket import socket

    from ..launch.report import ExitRecord
    from ..plan.steps import LaunchPlan
    from ..spec.container import ContainerSpec
    from .enter import Entry, Wish
    from .handle import Handle
    from .prepare import Prepared


class Ended(Value):
    """How a process with a terminal ended, and the plan that it was started by."""

    exit: ExitRecord
    plan: LaunchPlan


def require_terminal(*, keyboard: bool) -> tuple[int, int]:
    """The size of the caller's terminal.  Raises SpecError where there is none: a window needs one."""
    for fd in (0, 1) if keyboard else (1,):
        if not os.isatty(fd):
            name = "the standard input" if fd == 0 else "the standard output"
            raise SpecError(
                f"{name} is not a terminal", where="--tty", remedy="leave --tty out: streams are passed on as they are"
            )  # fmt: skip
    return console.size_of(1)


def run_with_terminal(spec: ContainerSpec) -> Ended:
    """A new container whose command has a terminal.  Raises NucleusError."""
    size = require_terminal(keyboard=spec.interactive)
    ours, theirs = console.channel()
    with ours, theirs:
        prepared = prepare(spec, owner=OWNER_KILLS, console=(theirs.fileno(), size))
        assert prepared.plan is not None and prepared.state is not None
        with ExitStack() as kept:
            directory = os.dup(prepared.state.fd)
            kept.callback(os.close, directory)
            return _window(
                prepared, prepared.plan, (ours, theirs), keyboard=spec.interactive, directory=directory
            )


def enter_with_terminal(handle: Handle, wish: Wish, *, keyboard: bool) -> Ended:
    """A process with a terminal in a running container.  Raises NucleusError."""
    size = require_terminal(keyboard=keyboard)
    ours, theirs = console.channel()
    with ours, theirs:
        entry = prepare_entry(handle, wish.replace(console=size), owner=OWNER_KILLS, console=theirs.fileno())
        return _window(entry, entry.plan, (ours, theirs), keyboard=keyboard, directory=-1)


def _window(
    ready: Prepared | Entry,
    plan: LaunchPlan,
    channel: tuple[socket, socket],
    *,
    keyboard: bool,
    directory: int,
) -> Ended:
    """Start the launcher, receive the terminal, be its window until the end."""
    control, theirs = supervise.control_pair()
    with ExitStack() as kept:
        kept.callback(control.close)
        try:
            with theirs:
                process = launcher.spawn(
                    ready.encoded, ready.id, ready.slots, ready.held, theirs.fileno(), (0, 1, 2)
                )
        except BaseException:
            ready.discard()
            raise
        ready.close()
        channel[1].close()
        # Whatever happens here, the end of the control socket ends the container, and then its monitor.
        kept.callback(process.wait)
        kept.callback(control.close)
        master, ended = console.await_master(channel[0], control)
        outcome = console.Outcome(ended=ended)
        if master >= 0:
            kept.callback(os.close, master)
            outcome = console.Relay(master, keyboard=keyboard, control=control).run()
    if outcome.ended is None:
        raise LaunchError(
            "the monitor ended without a word", where=ready.id[:12],
            remedy="it was killed from outside; run it again",
        )  # fmt: skip
    return Ended(exit=outcome.ended, plan=plan)
