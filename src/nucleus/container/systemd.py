"""Detached containers as transient services: what is asked of the manager, and what runs inside the unit.

No descriptor crosses over: the caller writes spec.json and takes the name, the unit compiles the plan, becomes the
launcher, and waits at the gate as any other.  ✗ `start`: it is the same for all (`detach.py`).
"""

from __future__ import annotations

import fcntl
import os
import sys
import time

from ..base import errors
from ..base.errors import HostUnsupported, NucleusError, Problem, SpecError
from ..base.jsontext import dumps
from ..cgroup.tree import systemd_run
from ..launch import launcher
from ..spec.options import OPTIONS
from ..state import gate
from ..state.store import StateDirectory, read_file, write_file
from . import one_life
from .prepare import prepare
from .prepared import Gate, open_store
from .running import lifecycle, stored
from .running.audited import note_start
from .running.handle import Handle
from .running.sweep import remove_directory
from .silence import silent

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

    from ..host.facts import HostFacts
    from ..spec.container import ContainerSpec
    from ..state.store import Store

VERB = "in-unit"  # of the command: not for people
_ERROR = "unit-error"  # what the unit could not do, for the caller to tell
_LOOK_S = 0.003
# Signals that the monitor hands on; any other stop signal is sent by `nucleus stop` alone.
_HANDED_ON = (1, 2, 3, 10, 12, 15)
_ENDING = (1, 2, 3, 15)
_TERM = 15


def manager(spec: ContainerSpec, facts: HostFacts) -> str:
    """ "system" or "user" where a manager will run the container, "" where it goes into a session of its own.

    Raises HostUnsupported or SpecError where a manager was demanded and cannot do it.
    """
    if spec.detach_with == "none" or spec.wrote("log_max_size") or spec.wrote("log_max_files"):
        return ""  # the journal has limits of its own
    demanded = spec.detach_with == "systemd"
    found = ""
    if facts.identity.in_user_namespace:
        found = ""  # its managers know this user by another id, or not at all
    elif facts.systemd.system and not facts.identity.uid:
        found = "system"
    elif facts.systemd.user and facts.identity.uid:
        found = "user"
    if demanded and not (found and systemd_run()):
        raise HostUnsupported(
            "no service manager runs for this user, or systemd-run is missing",
            where="--detach-with",
            remedy="loginctl enable-linger, or use --detach-with none",
        )
    if found == "user" and not demanded and not _can_read_log(facts.identity.uid):
        return ""  # nobody but root could tell him what his container printed
    by_descriptor = [
        o.flag for o in OPTIONS if o.kind in ("descriptor", "credential") and _is_given(spec, o.field)
    ]
    if demanded and by_descriptor:
        raise SpecError(
            "descriptors do not reach a unit", where=by_descriptor[0],
            remedy="use files instead, or --detach-with none",
        )  # fmt: skip
    return "" if by_descriptor or not systemd_run() else found


def _can_read_log(uid: int) -> bool:
    from ..observe.journal import is_readable

    return is_readable(uid)


def _is_given(spec: ContainerSpec, field: str) -> bool:
    return bool(field) and getattr(spec, field) not in (None, ())


def unit_name(container_id: str) -> str:
    """Of the service of a container."""
    return f"nucleus-{container_id[:12]}.service"


def command(who: str, container_id: str, spec: ContainerSpec, root: str) -> tuple[str, ...]:
    """systemd-run's words: they return once the unit has made everything ready."""
    from ..observe.journal import identifier

    unit = unit_name(container_id)
    # A supervisor takes the signals that ask for an end as such, and hands the others on.
    asking = _ENDING if spec.supervised else _HANDED_ON
    number = spec.stop_signal if spec.stop_signal in asking else _TERM
    # What is left after the container's own grace, and after its monitor has cleaned up, is killed; changes of a copied
    # workspace take as long as they take.
    patience = "infinity" if spec.copies_workspace else str(spec.stop_timeout_ms // 1000 + 10)
    properties = (
        "Delegate=yes", "KillMode=mixed", f"KillSignal={number}", "NotifyAccess=main",
        f"TimeoutStopSec={patience}", "TimeoutStartSec=infinity",
        f"SyslogIdentifier={identifier(unit)}",
    )  # fmt: skip
    return (
        systemd_run(), *(("--user",) if who == "user" else ()), "--quiet", "--collect", f"--unit={unit}",
        "--service-type=notify", f"--description=nucleus container {spec.name or container_id[:12]}",
        *[word for p in properties for word in ("-p", p)], f"--setenv=NUCLEUS_SCOPE={unit}",
        "--", sys.executable, "-I", "-S", launcher.MAIN, VERB, "--root", root, container_id,
    )  # fmt: skip


def create(spec: ContainerSpec, who: str) -> str:
    """Make a container that waits at its gate inside a unit; returns its id.  Nothing is left behind on failure."""
    store = open_store(spec)
    try:
        state = store.create(os.urandom(16).hex())
        with gate.Lock(
            state.fd, gate.WATCH_LOCK
        ):  # the sweep must not take it for one whose owner was killed
            try:
                try:
                    if spec.name:
                        store.take_name(spec.name, state.id)
                    stored.keep(state.fd, spec)
                finally:
                    os.close(state.fd)  # and with it the lock: it is the unit's now
                _hand_over(store, state.id, spec, who)
            except BaseException:
                remove_directory(store, state.id, None)
                if spec.name:
                    store.release_dead_name(spec.name)
                raise
        return state.id
    finally:
        store.close()


def restart(handle: Handle, spec: ContainerSpec) -> None:
    """Start the unit of an ended container once more.  Raises Conflict where it has not ended."""
    who = "system" if os.geteuid() == 0 else "user"
    fd = one_life.locked(handle)
    with gate.Lock(handle.fd, gate.WATCH_LOCK):
        try:
            for name in one_life.OF_ONE_LIFE:
                one_life.forget(fd, name)
        finally:
            os.close(fd)
        _hand_over(handle.store, handle.id, spec, who)


def _hand_over(store: Store, container_id: str, spec: ContainerSpec, who: str) -> None:
    """Start the unit, which takes the directory's lock, and wait until it is at the gate.  Raises what it could not do."""
    import subprocess

    with Handle(store, container_id) as handle:
        one_life.forget(handle.fd, _ERROR)
        words = command(who, container_id, spec, os.path.abspath(store.path))
        try:
            done = subprocess.run(
                words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                errors="replace", check=False,
            )  # fmt: skip
        except OSError as error:
            raise _no_unit(f"{error.filename}: {(error.strerror or '').lower()}") from None
        if done.returncode:
            told = read_file(handle.fd, _ERROR)
            raise _told(told) if told else _no_unit(done.stderr.strip() or f"exit status {done.returncode}")
        while handle.refresh().status == lifecycle.CREATING:
            time.sleep(_LOOK_S)
        if handle.status != lifecycle.CREATED:
            raise one_life.failure_of(handle) or silent(handle.id)


class NoUnit(HostUnsupported):
    """The manager that is there starts no unit: whoever did not demand it goes on without."""


def _no_unit(why: str) -> NoUnit:
    return NoUnit(
        f"the service manager does not start the unit: {why}", where="--detach-with",
        remedy="journalctl --unit 'nucleus-*' says more; or use --detach-with none",
    )  # fmt: skip


def run_in_unit(root: str, container_id: str) -> int:
    """What the unit executes: prepare, say that all is ready, become the launcher, or stay as the supervisor.

    Returns 125 when that fails, else the exit code of what was supervised.
    """
    from ..state.store import Store

    store = Store(root)
    directory = store.open(container_id)
    try:
        spec, again = _wanted(store, container_id)
        if not spec.supervised:
            _become_launcher(spec, again)
        return _supervise(spec, again)
    except NucleusError as error:
        write_file(directory, _ERROR, _as_json(error))
        return error.exit_code


def _wanted(store: Store, container_id: str) -> tuple[ContainerSpec, Gate]:
    """What the container was asked to be, and its directory, locked."""
    with Handle(store, container_id) as handle:
        spec = stored.load(handle.fd, container_id[:12])
        name = handle.record.name if handle.record else spec.name  # it may have been renamed since
        created_ns = handle.record.created_ns if handle.record else 0
    fd = store.open(container_id)
    fcntl.flock(fd, fcntl.LOCK_EX)  # the caller has just let go of it
    again = Gate(
        detached=unit_name(container_id), again=StateDirectory(id=container_id, fd=fd), created_ns=created_ns
    )
    return spec.replace(name=name, state_root=store.path), again


def _supervise(spec: ContainerSpec, gated: Gate) -> int:
    """Stay beside the container as the unit's main process, until no life follows.  Raises NucleusError before the first."""
    import gc

    from ..launch.signals import Signals
    from .supervision.supervisor import Supervisor

    gc.enable()  # unlike other commands this one stays
    with Signals() as signals:
        supervisor = Supervisor(spec, signals, streams=(0, 1, 2), detached=gated.detached)
        supervisor.create(gated.again, gated.created_ns)
        tell_manager("READY=1")
        try:
            ended = supervisor.run()
        except NucleusError as error:
            return error.exit_code  # `start` and `inspect` tell it, from what the supervisor has written down
    return ended.exit_code if ended is not None else 137


def _become_launcher(spec: ContainerSpec, again: Gate) -> NoReturn:
    reporter = (sys.executable, "-I", "-S", launcher.REPORTER)
    prepared = prepare(spec, gate=again, reporter=reporter)
    try:
        one_life.keep_plan(prepared)
        note_start(prepared)
        tell_manager("READY=1")
        launcher.replace(prepared.encoded, prepared.id, prepared.slots, prepared.held)
    except BaseException:
        prepared.discard()
        raise


def tell_manager(state: str) -> None:
    """sd_notify(3); nothing without a manager that listens."""
    import socket

    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
        channel.sendto(state.encode(), "\0" + address[1:] if address.startswith("@") else address)


def _as_json(error: NucleusError) -> bytes:
    problems = [p.as_dict() for p in error.problems_list()]
    return dumps({"code": error.code, "exit_code": error.exit_code, "problems": problems}).encode()


def _told(data: bytes) -> NucleusError:
    """The error that the unit met, as if it had been met here."""
    import json

    fields = json.loads(data)
    problems = tuple(Problem(**p) for p in fields["problems"])
    classes: tuple[Callable[..., NucleusError], ...] = (
        errors.HostUnsupported, errors.LaunchError, errors.NotFound, errors.Conflict, errors.PermissionRefused,
    )  # fmt: skip
    if fields["code"] == SpecError.code:
        return SpecError(problems=problems)
    kind = next((c for c in classes if getattr(c, "code", "") == fields["code"]), NucleusError)
    first = problems[0]
    told = kind(first.message, where=first.where, remedy=first.remedy)
    told.exit_code = int(fields["exit_code"])
    return told
