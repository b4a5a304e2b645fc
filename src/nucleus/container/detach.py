"""Containers that outlive their caller: create, start, start once more.  ✗ ends any: `ending.py`.

`create` leaves the launcher waiting at the gate, in a session of its own, with its streams at `nucleus-log`.  `start` opens
the gate and returns when the command has been executed, or with the sentence of what failed.
"""

from __future__ import annotations

import os
import select
import time
from contextlib import ExitStack

from ..base.errors import Conflict, LaunchError, NotFound, SpecError
from ..launch import launcher, log_writer, report, supervise
from ..state import gate
from ..state.store import StateDirectory, is_locked, read_file
from . import one_life
from .attached import OWNER_IGNORED
from .prepare import facts_for, prepare
from .prepared import Gate
from .running import lifecycle, stored
from .running.audited import note_start
from .running.events import note
from .running.handle import Handle
from .running.sweep import bury, sweep_in_passing, sweep_one
from .silence import silent

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from ..spec.container import ContainerSpec
    from ..state.record import ContainerRecord
    from .prepared import Prepared
    from .reuse.warm import Warm

_LOOK_MS = 2


def create(spec: ContainerSpec, *, warm: Warm | None = None) -> str:
    """Make a container that waits for `start`; returns its id.  Raises NucleusError; nothing is left behind then."""
    if spec.tty:
        raise SpecError(
            "a container that waits for `start` has no terminal",
            where="--tty",
            remedy="use `nucleus run -d -t`, which keeps one until `nucleus attach`",
        )
    if spec.mode != "agent":
        from .inputs.mode import refuse

        refuse(spec)  # here, where all of it can be told, before a unit or a supervisor is made
    spec = spec.replace(detach=True)
    if not spec.cidfile and not spec.pid_file:
        return _create(spec, warm)
    from .running import idfiles

    idfiles.refuse_taken(spec.cidfile)
    container_id = _create(spec, warm)
    idfiles.tell(spec, container_id)
    return container_id


def _create(spec: ContainerSpec, warm: Warm | None) -> str:
    if spec.supervised and spec.detach_with != "systemd":
        from .supervision import supervised

        return supervised.create(spec)
    from . import systemd

    who = systemd.manager(spec, warm.facts.get() if warm else facts_for(spec))
    try:
        if who:
            return systemd.create(spec, who)
    except systemd.NoUnit:
        if spec.detach_with == "systemd":
            raise
    prepared = prepare(spec, owner=OWNER_IGNORED, gate=Gate(), warm=warm)
    container_id = prepared.id
    with ExitStack() as kept:
        ours = _launch(prepared, spec, kept)
        try:
            _await_gate(ours, prepared)
        except LaunchError:
            _undo(prepared)
            raise
        sweep_in_passing(prepared.store)
        prepared.close()
    return container_id


def _launch(prepared: Prepared, spec: ContainerSpec, kept: ExitStack) -> socket.socket:
    """Start the launcher, its streams at the log writer; our end of its control socket, which `kept` closes."""
    state = prepared.state
    assert state is not None
    ours, theirs = supervise.control_pair()
    kept.callback(ours.close)
    with ExitStack() as handed:
        handed.callback(theirs.close)
        try:
            stored.keep(state.fd, spec)
            one_life.keep_plan(prepared)
            source = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
            handed.callback(os.close, source)
            note_start(prepared)
            streams = log_writer.start(state.fd, max_bytes=spec.log_max_bytes, files=spec.log_max_files)
            for stream in streams:
                handed.callback(os.close, stream)
            launcher.spawn(
                prepared.encoded, prepared.id, prepared.slots, prepared.held, theirs.fileno(),
                (source, *streams), detached=True,
            ).wait()  # fmt: skip
        except BaseException:
            prepared.discard()
            raise
    return ours


def _undo(prepared: Prepared) -> None:
    """Remove what a launcher that failed, or was killed, has left: as if it had never been asked for."""
    state, record = prepared.state, prepared.record
    assert state is not None and record is not None
    try:
        bury(prepared.store, prepared.id, state.fd, record.replace(remove=True))
    except OSError:
        pass  # a cgroup is still busy: the next sweep does it
    finally:
        prepared.close()


def _await_gate(ours: socket.socket, prepared: Prepared) -> None:
    """Until the launcher waits at the gate.  Raises LaunchError when it has failed before; it has ended then."""
    while data := ours.recv(report.MESSAGE.size):
        kind, _, record = report.MESSAGE.unpack(data)
        if kind == report.CREATED:
            return
        ended = report.read_exit(record) if kind == report.EXITED else None
        if ended is None or prepared.state is None:
            continue
        while ours.recv(1):
            pass  # until it is gone, and with it its lock
        raise one_life.failure_in(prepared.state.fd, ended) or silent(prepared.id)
    raise silent(prepared.id)


def start(handle: Handle) -> None:
    """Let a created container run; returns when its command has been executed.

    Raises Conflict where it is not waiting, LaunchError with the sentence of what failed.
    """
    _see_it_start(handle, _open_gate)


def _see_it_start(handle: Handle, go: Callable[[Handle], None]) -> None:
    """`go` lets it run and waits for that; whatever comes of it is told, and its directory stays until then."""
    try:
        with gate.Lock(handle.fd, gate.VERB_LOCK), gate.Lock(handle.fd, gate.WATCH_LOCK):
            try:
                go(handle)
            except Conflict:
                failed = one_life.failure_of(handle.refresh())
                if failed is None:
                    raise
                raise failed from None  # while it waited: that is why nobody is there
            if handle.record is not None and handle.record.awaited:
                from .supervision.supervised import await_ready

                await_ready(handle)
            for name in (one_life.PLAN, one_life.ORIGINS):
                one_life.forget(handle.fd, name)
    finally:
        _settle(handle)


def _open_gate(handle: Handle) -> None:
    handle.refresh().require("start")
    monitor = handle.open_monitor()
    try:
        try:
            gate.tell(handle.fd, gate.GO)
        except Conflict:
            # It has failed while it waited, or was killed: its last word is about to come.
            _await_start(handle, monitor)
            raise
        _await_start(handle, monitor)
    finally:
        os.close(monitor)


def _gate_was_open(handle: Handle) -> None:
    """As `_open_gate` where the word was given before anybody waited for it, and its monitor may not be on record yet."""
    while handle.refresh().started is None:
        if handle.ended is not None or not is_locked(handle.fd):
            if handle.refresh().started is None:
                raise _ended_before(handle)
            return
        time.sleep(_LOOK_MS / 1000)


def _settle(handle: Handle) -> None:
    """Where it has ended already, its directory stayed for us to read that: what is left to do behind it is done."""
    try:
        sweep_one(handle.store, handle.id)
    except (NotFound, OSError):
        return  # it is gone, or the next sweep does it


def _await_start(handle: Handle, monitor: int) -> None:
    """Until the start is recorded, or the monitor has ended."""
    poller = select.poll()
    poller.register(monitor, select.POLLIN)
    while True:
        over = bool(poller.poll(_LOOK_MS))
        if read_file(handle.fd, "started") is not None:
            handle.refresh()
            return
        if over:
            break
    ended = handle.refresh().ended
    if ended is None:
        raise silent(handle.id)
    error = one_life.failure_in(handle.fd, ended)
    if handle.record is not None and handle.record.supervised:
        from .supervision.supervised import await_last_word

        said = await_last_word(handle, ended.finished_ns)
        if error is not None and said.startswith(error.message):
            error.message = said
    raise error or _ended_before(handle)


def _ended_before(handle: Handle) -> Conflict:
    return Conflict(
        f"container {handle.name} was killed before its command was executed",
        where="nucleus start", remedy="nucleus restart starts it once more",
    )  # fmt: skip


def start_or_restart(handle: Handle, *, warm: Warm | None = None) -> None:
    """Let it run: what is created, and what has run and ended.  Raises what `start` and `restart` raise."""
    ended = handle.refresh().status in (lifecycle.STOPPED, lifecycle.DEAD)
    gated = handle.record is not None and handle.record.gated
    # What ended at its gate has never run: `start` says why, and undoes no kill that came in the same moment.
    if ended and (handle.started is not None or not gated):
        restart(handle, warm=warm)
    else:
        start(handle)


def restart(handle: Handle, *, warm: Warm | None = None) -> None:
    """Start an ended container once more, with its id, its name and what it was asked to be.

    Raises Conflict where that is not kept, or where it has not ended.
    """
    spec, record = require_restartable(handle)
    if record.copies:
        from .workspace.outcome import refuse_pending

        refuse_pending(handle, "restart")
    # What ran in the foreground is not in anybody's foreground now.
    wanted = spec.replace(name=record.name, state_root=handle.store.path, detach=True)
    if record.detached not in ("", "none"):
        from . import systemd

        systemd.restart(handle, wanted)
    elif wanted.supervised:
        from .supervision import supervised

        supervised.create(wanted, handle)
    elif wanted.tty:
        from .terminal import run_kept

        run_kept(wanted, _once_more(handle, record))
    else:
        _create_again(handle, wanted, record, warm)
    if spec.pid_file and not wanted.supervised:
        from .running import idfiles

        idfiles.tell(wanted.replace(cidfile=""), handle.id)
    reason = handle.ended.reason if handle.ended else "host-kill"
    if wanted.tty:
        _see_it_start(handle, _gate_was_open)
    else:
        start(handle.refresh())
    note(handle.store, handle.record, "restarted", reason=reason)


def _once_more(handle: Handle, record: ContainerRecord) -> Gate:
    return Gate(again=StateDirectory(id=handle.id, fd=one_life.locked(handle)), created_ns=record.created_ns)


def _create_again(handle: Handle, wanted: ContainerSpec, record: ContainerRecord, warm: Warm | None) -> None:
    prepared = prepare(wanted, owner=OWNER_IGNORED, gate=_once_more(handle, record), warm=warm)
    with ExitStack() as kept:
        ours = _launch(prepared, wanted, kept)
        try:
            _await_gate(ours, prepared)
        finally:
            prepared.close()


def require_restartable(handle: Handle) -> tuple[ContainerSpec, ContainerRecord]:
    """What it was asked to be, and its record.  Raises Conflict where it cannot be started once more."""
    spec, record = stored.load(handle.fd, handle.name), handle.record
    if record is None or record.remove:
        raise Conflict(
            f"container {handle.name} is removed at its end",
            where="nucleus restart", remedy="create it without --rm",
        )  # fmt: skip
    if spec.console_socket:
        raise Conflict(
            f"the terminal of container {handle.name} went to the program at {spec.console_socket}",
            where="--console-socket", remedy="use nucleus run with its options again",
        )  # fmt: skip
    return spec, record
