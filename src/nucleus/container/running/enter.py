"""A process in a running container: from a handle to everything that joining takes.

What the workload was started with is asked from the one who holds it: the container's monitor keeps the launch plan and the
environment sealed in memory for as long as it lives, so that nothing of them lies in a file.  ✗ how a container is found.
"""

from __future__ import annotations

import fcntl
import os
import time
from struct import error as StructError

from ...base.errors import Conflict, HostUnsupported, PermissionRefused, SpecError
from ...base.value import Value
from ...cgroup.control import is_frozen
from ...launch import launcher
from ...plan import invariants, join, schema
from ...plan.encode import decode, encode, encode_step
from ...plan.encode import join as joined
from ...plan.limits import INFINITY
from ...plan.workload import PATH, candidates
from ..kept import Remade
from . import processes, procfile
from .events import note

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...launch.report import InitRecord
    from ...plan.steps import LaunchPlan
    from ...state.record import ContainerRecord
    from .handle import Handle

_F_GET_SEALS, _ALL_SEALS = 1034, 0xF
_NS_GET_OWNER_UID = 0xB704
_INIT_NAME = "nucleus-init"
_MAX_PROGRAM = 400
_SPAWN = {schema.KIND_CREATE: "spawn", schema.KIND_START: "spawn-in-root"}  # the plans of containers
_ONCE = ("supervise", "set-ids", "set-capabilities", "drop-bounding", "assert-locked", "exec")
_WAIT_S = 30.0  # for a container that is just starting


class Wish(Value):
    """What shall run inside; what is not said is as it is for the workload.

    directory   the working directory; "" for the workload's, and / for another user
    user, group a number or a name that the container knows; "" for the workload's
    console     rows and columns of a terminal of its own
    own_group   a process group of its own: else it may read the caller's terminal, and cannot signal the workload
    """

    command: tuple[str, ...]
    env: tuple[tuple[str, str], ...] = ()
    directory: str = ""
    user: str = ""
    group: str = ""
    console: tuple[int, int] | None = None
    own_group: bool = True
    timeout_ms: int = 0


class Entry:
    """A process that is ready to join.  `slots` are the plan's descriptors in order; `held` stays empty."""

    __slots__ = ("encoded", "held", "id", "plan", "record", "slots")

    def __init__(self, plan: LaunchPlan, encoded: bytes, record: ContainerRecord) -> None:
        self.id, self.plan, self.record = record.id, plan, record
        self.encoded = encoded
        self.slots: list[int] = []
        self.held: list[int] = []

    def close(self) -> None:
        """Let go of every descriptor: the launcher has its own."""
        for fd in self.slots:
            os.close(fd)
        self.slots = []

    def discard(self) -> None:
        """It does not happen: nothing was made for it but descriptors."""
        self.close()


class _Held:
    """What a container's monitor holds for all its life, sealed; and the plans that were made of it.

    joins   what of a request decides more than its command → plan and its steps' bytes
    """

    __slots__ = ("environment", "joins", "plan", "rlimits", "sealed")

    def __init__(self, init: InitRecord) -> None:
        words = _command_line(init.monitor_pid)
        self.plan = _run_plan(_sealed(init, int(words[0])))
        self.environment = _variables(_sealed(init, int(words[3 + join.environment_slot(self.plan)])))
        variables = self.environment  # what is kept must not keep its keeper
        self.sealed = Remade(lambda: launcher.sealed_environment(variables))
        self.rlimits = _rlimits(init.init_pid)
        self.joins: dict[tuple[object, ...], tuple[LaunchPlan, list[bytes]]] = {}

    def open_environment(self, own: tuple[tuple[str, str], ...]) -> int:
        """The workload's variables and these, in a file that nobody can change."""
        return launcher.sealed_environment(self.environment | dict(own)) if own else self.sealed.again()

    def join(
        self, wish: Wish, user: join.User | None, owner: int, reporter: tuple[str, ...]
    ) -> tuple[LaunchPlan, bytes]:
        """The plan of who joins, and its bytes."""
        # The workload's home is closed to others, and another user has no capability that would open it.
        directory = wish.directory or ("/" if user else join.working_directory(self.plan))
        path = dict(wish.env).get("PATH", self.environment.get("PATH", PATH))
        found = candidates(wish.command[0], path, directory)
        kind = (directory, user, wish.console, wish.own_group, wish.timeout_ms, owner, reporter)
        known = self.joins.get(kind)
        if known is not None:
            plan = join.with_command(known[0], found, wish.command)
            return plan, joined(plan.kind, [*known[1][:-1], encode_step(plan.steps[-1])])
        plan = join.compile_join(
            self.plan,
            join.JoinRequest(
                command=wish.command, candidates=found, directory=directory, user=user, console=wish.console,
                rlimits=self.rlimits, own_group=wish.own_group and wish.console is None,
                timeout_ms=wish.timeout_ms, owner=owner, reporter=reporter,
            ),
        )  # fmt: skip
        invariants.require(plan)
        if len(self.joins) < _KINDS:
            self.joins[kind] = plan, [encode_step(s) for s in plan.steps]
        return plan, encode(plan)


class _Seen(Value):
    """A container as it was when this process entered it last."""

    record: ContainerRecord
    init: InitRecord
    held: _Held


# Of this process: one that enters a container again and again asks its monitor once.  (state root, id) → what it saw.
_SEEN: dict[tuple[str, str], _Seen] = {}
_CONTAINERS, _KINDS = 8, 8


class Running:
    """A container that runs, with what its monitor holds, and a pidfd of its init until `close` or `take_init`."""

    __slots__ = ("_init", "held", "record")

    def __init__(self, seen: _Seen, init: int) -> None:
        self.record, self.held, self._init = seen.record, seen.held, init

    def take_init(self) -> int:
        """The pidfd, for the caller to close."""
        init, self._init = self._init, -1
        return init

    def close(self) -> None:
        """Let go of it, unless somebody took it."""
        if self._init >= 0:
            os.close(self.take_init())


def running(handle: Handle) -> Running:
    """The container, for the caller to close.  Raises Conflict when it does not run."""
    handle.require("exec")
    assert handle.record is not None and handle.init is not None
    record, init, key = handle.record, handle.init, (handle.store.path, handle.id)
    pidfd = _await_init(handle, init)
    seen = _SEEN.get(key)
    try:
        held = seen.held if seen is not None and seen.init == init else _look(handle, init)
    except BaseException:
        os.close(pidfd)
        raise
    if seen is None and len(_SEEN) >= _CONTAINERS:
        _SEEN.clear()
    seen = _SEEN[key] = _Seen(record=record, init=init, held=held)
    return Running(seen, pidfd)


def running_still(root: str, container_id: str) -> Running | None:
    """One that this process entered before and that has the same monitor and init; the caller closes it.

    Its records are there still, and would tell nothing more.  None where something else may be to be told: look at them.
    """
    seen = _SEEN.get((root, container_id))
    if seen is None or seen.record.spec.get("audit_log") or not processes.is_here(seen.record):
        return None
    init = seen.init
    if not processes.is_alive(init.monitor_pid, init.monitor_ticks):
        return None
    # A relative root is another one in another directory, and what is not found is not noted either.
    if not os.path.isdir(f"{root}/containers/{container_id}"):
        return None
    pidfd = processes.open_named(init.init_pid, init.init_ticks, _INIT_NAME)
    if pidfd < 0:
        return None
    if os.geteuid() not in (0, seen.record.creator_uid) or is_frozen(seen.record.cgroups):
        os.close(pidfd)
        return None
    return Running(seen, pidfd)


def forget(root: str, container_id: str) -> None:
    """It is gone: let go of what its monitor held, which may be secret."""
    _SEEN.pop((root, container_id), None)


def _look(handle: Handle, init: InitRecord) -> _Held:
    """What the monitor of a container holds that nobody in this process has entered yet."""
    _check_namespace(handle, init)
    pidfd = handle.open_monitor()
    try:
        return _Held(init)
    except (LookupError, ValueError, StructError, OSError) as reason:
        handle.refresh().require("exec")  # it has ended meanwhile: that is what to say
        raise Conflict(
            f"container {handle.name} cannot be entered: its monitor does not show its plan ({reason})",
            where="nucleus exec",
            remedy="start it again with this version of nucleus",
        ) from None
    finally:
        os.close(pidfd)


def _await_init(handle: Handle, init: InitRecord) -> int:
    """A pidfd of pid 1 once it is init, for the caller to close.

    Before init has taken over, the container's mount namespace still shows the host's tree: nobody enters that.
    """
    deadline = time.monotonic() + _WAIT_S
    while (pidfd := processes.open_named(init.init_pid, init.init_ticks, _INIT_NAME)) < 0:
        handle.refresh().require("exec")
        if time.monotonic() > deadline:
            raise Conflict(
                f"container {handle.name} is still starting", where="nucleus exec", remedy="try again"
            )
        time.sleep(0.002)
    return pidfd


def _check_namespace(handle: Handle, init: InitRecord) -> None:
    """The record of another user may name any process: only a namespace that he made himself is entered for him."""
    creator = os.fstat(handle.fd).st_uid
    try:
        namespace = os.open(f"/proc/{init.init_pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
        try:
            answer = fcntl.ioctl(namespace, _NS_GET_OWNER_UID, bytes(4))
        finally:
            os.close(namespace)
    except OSError as error:
        raise HostUnsupported(
            f"the namespaces of container {handle.name} cannot be looked at: {(error.strerror or '').lower()}",
            where="nucleus exec",
            remedy="act as its creator, or as root with CAP_SYS_PTRACE; vm.memfd_noexec=2 forbids it to ordinary users",
        ) from None
    owner = int.from_bytes(answer, "little")
    if owner != creator:
        raise PermissionRefused(
            f"container {handle.name} belongs to uid {creator}, its namespaces to uid {owner}",
            where="nucleus exec",
            remedy="remove it: its record is not to be trusted",
        )


def _command_line(pid: int) -> list[str]:
    """The words after `nucleus-launch`: plan, control, id, slots."""
    with open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="surrogateescape") as file:
        words = file.read().split("\0")[1:-1]
    return words[1:] if words[:1] == ["detach"] else words


def _sealed(init: InitRecord, number: int) -> bytes:
    """What the monitor's descriptor of that number holds; only what nobody can change any more is taken."""
    fd = os.open(f"/proc/{init.monitor_pid}/fd/{number}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if fcntl.fcntl(fd, _F_GET_SEALS) & _ALL_SEALS != _ALL_SEALS:
            raise ValueError("it is not sealed")
        if processes.start_ticks(init.monitor_pid) != init.monitor_ticks:
            raise ValueError("it has ended")
        data = os.pread(fd, schema.MAX_BYTES + 1, 0)
    finally:
        os.close(fd)
    if len(data) > schema.MAX_BYTES:
        raise ValueError("it is too large")
    return data


def _run_plan(data: bytes) -> LaunchPlan:
    try:
        plan = decode(data)
    except SpecError:
        raise ValueError("it is of another version") from None
    # The launcher judges every step of the plan that is made of it; here the shape has to hold.
    once = (_SPAWN.get(plan.kind, ""), *_ONCE)
    if {len(plan.steps_of(n)) for n in once} != {1}:
        raise ValueError("it is not one of a container")
    return plan


def _variables(data: bytes) -> dict[str, str]:
    entries = [e.decode("utf-8", "surrogateescape").partition("=") for e in data.split(b"\0") if e]
    return {key: value for key, _, value in entries}


def prepare_entry(
    inside: Running,
    wish: Wish,
    *,
    noted: Handle | None = None,
    owner: int = 0,
    reporter: tuple[str, ...] = (),
    log: tuple[str, str] = ("text", ""),
    console: int = -1,
) -> Entry:
    """Everything that joining takes; `inside` is closed.  Raises NucleusError; nothing is left behind then.

    noted     the container, where it is to be an event of it and in its audit log; a probe at every interval is not
    console   the socket that the terminal's master goes out by
    log       format and file of the message when a step fails after this process was replaced
    """
    try:
        plan, encoded = inside.held.join(wish, _user(inside.record, wish), owner, reporter)
        entry = Entry(plan, encoded, inside.record)
        try:
            for name in plan.slots:
                entry.slots.append(_open(name, inside, plan, wish.env, log, console))
            if noted is not None:
                note_entry(noted, wish)
        except BaseException:
            entry.close()
            raise
        return entry
    finally:
        inside.close()


def note_entry(handle: Handle, wish: Wish) -> None:
    """Somebody joins, now: the event, and the audit log's line."""
    words = wish.command
    note(handle.store, handle.record, "exec", command=words, program=words[0][:_MAX_PROGRAM])


def _open(
    name: str, running: Running, plan: LaunchPlan, variables: tuple[tuple[str, str], ...],
    log: tuple[str, str], console: int,
) -> int:  # fmt: skip
    kind, _, number = name.partition(":")
    if kind == "init":
        return running.take_init()
    if kind == "environment":
        return running.held.open_environment(variables)
    if kind == "console":
        return os.dup(console)
    if kind == "origins":
        return launcher.sealed_origins(log, [s.origin for s in plan.steps])
    try:
        directory = running.record.cgroups[int(number)]
        return os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except (OSError, IndexError):
        raise Conflict(
            f"the cgroup of container {running.record.name or running.record.id[:12]} is gone",
            where="nucleus exec",
            remedy="nucleus ps -a shows its state",
        ) from None


def _user(record: ContainerRecord, wish: Wish) -> join.User | None:
    """Another user, by the accounts that the container knows; his ids must be mapped."""
    if not wish.user and not wish.group:
        return None
    from ...spec.container import ContainerSpec
    from ..inputs.accounts import resolve_accounts

    user = wish.user or str(record.uid)
    uid, gid, _ = resolve_accounts(
        ContainerSpec(user=user, group=wish.group, rootfs=str(record.spec.get("rootfs", "")))
    )
    for where, number, lines in (("--user", uid, record.uid_map), ("--group", gid, record.gid_map)):
        if not any([inside <= number < inside + count for inside, _, count in lines]):
            raise SpecError(
                f"id {number} is not mapped into the container",
                where=where,
                remedy="nucleus inspect shows which are",
            )
    return join.User(uid=uid, gid=gid)


def _rlimits(pid: int) -> tuple[tuple[int, int, int], ...]:
    """init's limits, which are those that the workload started from; none is raised above the caller's own."""
    import resource

    lines = procfile.text(f"/proc/{pid}/limits").splitlines()[1:]
    found = []
    for number, line in enumerate(lines):  # the kernel lists them by number
        words = line[26:].split()
        soft, hard = [INFINITY if w == "unlimited" else int(w) for w in words[:2]]
        most = resource.getrlimit(number)[1]
        most = INFINITY if most < 0 else most
        found.append((number, min(soft, most), min(hard, most)))
    return tuple(found)
