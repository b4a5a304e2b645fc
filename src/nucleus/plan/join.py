"""Entering a running container: its cgroups and namespaces, then the lockdown of its run, step by step the same.

The plan is made from the plan of the run itself, which the container's monitor holds sealed in memory: what confines the
workload confines whoever joins it, whatever has become of the spec's files meanwhile.  ✗ a lockdown of its own.
"""

from __future__ import annotations

from ..base.errors import Conflict
from ..base.value import Value
from ..policy import landlock
from . import namespaces, schema, workload
from .names import words
from .steps import LaunchPlan, Step, step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .steps import FieldValue

# The steps of a run that a joining process repeats, in its order.
_REPEATED = frozenset((
    "set-rlimit", "set-umask", "new-keyring", "drop-bounding", "set-groups", "set-ids", "set-capabilities", "await-root",
    "landlock-ruleset", "landlock-path", "landlock-port", "landlock-restrict", "attach-tracer", "set-seccomp",
    "trace-seccomp", "assert-locked",
))  # fmt: skip


class User(Value):
    """Another user than the workload's."""

    uid: int
    gid: int


class JoinRequest(Value):
    """What is asked of a process that joins; all that is not said is as it is for the workload.

    candidates    absolute paths to try for the program
    directory     the working directory; "" for the workload's
    rlimits       limits of init that the run did not set: (resource, soft, hard)
    own_group     a process group of its own; not below a terminal that it reads itself
    console       rows and columns of a terminal of its own; None for none
    owner         as in `Request.owner`
    """

    command: tuple[str, ...]
    candidates: tuple[str, ...]
    directory: str = ""
    user: User | None = None
    rlimits: tuple[tuple[int, int, int], ...] = ()
    own_group: bool = True
    console: tuple[int, int] | None = None
    timeout_ms: int = 0
    owner: int = 0
    reporter: tuple[str, ...] = ()


class _Slots:
    """Names of descriptors, numbered in order of first use."""

    __slots__ = ("names",)

    def __init__(self) -> None:
        self.names: list[str] = []

    def __call__(self, name: str) -> int:
        if name not in self.names:
            self.names.append(name)
        return self.names.index(name)


def joined_namespaces(run: LaunchPlan) -> int:
    """The namespaces that the container of that plan has for itself: none is left out, none is the host's."""
    (spawn,) = (*run.steps_of("spawn"), *run.steps_of("spawn-in-root"))
    flags = _number(spawn, "namespaces")
    if run.steps_of("unshare-cgroup"):
        flags |= namespaces.CLONE_NEWCGROUP
    if run.steps_of("unshare-network") or run.steps_of("take-network"):
        flags |= namespaces.CLONE_NEWNET
    return flags


def compile_join(run: LaunchPlan, request: JoinRequest) -> LaunchPlan:
    """The plan of a process that joins the container of that run.

    Slots: "init" (its pidfd), "cgroup:N" (the directory of the run's cgroup N), "environment", and where they are asked for
    "console" and "origins".
    """
    slot = _Slots()
    steps = [*_outer_steps(run, request, slot), *_inner_steps(run, request, slot)]
    return LaunchPlan(kind=schema.KIND_JOIN, steps=tuple(steps), slots=tuple(slot.names))


def _outer_steps(run: LaunchPlan, request: JoinRequest, slot: _Slots) -> list[Step]:
    """What the monitor does, which stays outside, and the child, which brings the process in."""
    (supervise,) = run.steps_of("supervise")
    cgroups = [(_number(s, "cgroup"), _number(s, "version")) for s in run.steps_of("create-cgroup")]
    steps = [
        step("join-cgroup", origin="cgroup", cgroup=n, directory=slot(f"cgroup:{n}"), version=version)
        for n, version in cgroups
    ]
    v2 = [n for n, version in cgroups if version == 2]
    steps.append(step("spawn", origin="namespaces", namespaces=0, cgroup=v2[0] if v2 else schema.NO_CGROUP))
    steps.append(
        step(
            "supervise", origin="timeout", timeout_ms=request.timeout_ms, owner=request.owner,
            stop_signal=supervise["stop_signal"], grace_ms=supervise["grace_ms"],
        )
    )  # fmt: skip
    if request.reporter:
        program = b"".join([w.encode() + b"\0" for w in request.reporter])
        steps.append(step("report-failure", origin="log", origins=slot("origins"), program=program))
    steps.append(step("no-new-privileges", origin="always"))
    steps += [step("enter-cgroup", origin="cgroup", cgroup=n) for n, version in cgroups if version == 1]
    steps.append(
        step("join-namespaces", origin="namespaces", target=slot("init"), namespaces=joined_namespaces(run))
    )
    steps.append(step("spawn-inside", origin="namespaces", own_group=int(request.own_group)))
    return steps


def _inner_steps(run: LaunchPlan, request: JoinRequest, slot: _Slots) -> list[Step]:
    """The run's own, then the program."""
    own = {_number(s, "resource") for s in run.steps_of("set-rlimit")}
    steps = [
        step("set-rlimit", origin="container", resource=resource, soft=soft, hard=hard)
        for resource, soft, hard in request.rlimits
        if resource not in own
    ]
    for known in run.steps:
        if known.name not in _REPEATED:
            continue
        steps.append(_repeated(known, request))
        if known.name == "await-root" and request.console is not None:
            rows, columns = request.console
            steps.append(
                step("open-console", origin="tty", channel=slot("console"), rows=rows, columns=columns)
            )
    (program,) = run.steps_of("exec")
    steps.append(
        step(
            "exec", origin="command", environment=slot("environment"),
            directory=request.directory or program["directory"],
            **workload.exec_values(request.candidates, request.command),
        )
    )  # fmt: skip
    return steps


def with_command(known: LaunchPlan, candidates: tuple[str, ...], command: tuple[str, ...]) -> LaunchPlan:
    """The plan of a request that differs in nothing but its command."""
    last = known.steps[-1]
    values = dict(zip(last.spec.names, last.values, strict=True)) | workload.exec_values(candidates, command)
    steps = (*known.steps[:-1], step(last.name, origin=last.origin, **values))
    return LaunchPlan(kind=known.kind, steps=steps, slots=known.slots)


def _repeated(known: Step, request: JoinRequest) -> Step:
    changed: dict[str, FieldValue] = {}
    if known.name == "attach-tracer":
        raise Conflict(
            "its calls are being recorded, and those of a second program would be missing there", where="exec",
            remedy="wait until it has ended, or run it with --seccomp-log-denied instead of --seccomp-mode trace",
        )  # fmt: skip
    if known.name == "trace-seccomp":
        return _unheard(known)
    if known.name == "landlock-ruleset" and (request.own_group or request.console is not None):
        # The scope keeps kill(0) from the caller's process group, which this process is not in.  With it, it could not
        # signal the workload either: two processes under one policy are strangers to each other.
        changed["scoped"] = _number(known, "scoped") & ~landlock.SCOPE_SIGNAL
    if request.user is not None and known.name == "set-ids":
        changed = {"uid": request.user.uid, "gid": request.user.gid}
    if request.user is not None and known.name == "set-groups":
        changed["groups"] = b""
    values = dict(zip(known.spec.names, known.values, strict=True)) | changed
    return step(known.name, origin="container", **values)


def _unheard(known: Step) -> Step:
    """The filter of a container whose refusals are recorded: who joins is refused the same, by the kernel itself."""
    from ..policy.seccomp_trace import plain

    program = known["program"]
    assert isinstance(program, bytes)
    return step("set-seccomp", origin="container", program=plain(program), flags=0)


def environment_slot(run: LaunchPlan) -> int:
    """The number of the slot that holds the workload's environment."""
    return _number(run.steps_of("exec")[0], "environment")


def working_directory(run: LaunchPlan) -> str:
    """Where the workload was started."""
    return str(run.steps_of("exec")[0]["directory"])


def described(command: tuple[str, ...]) -> str:
    """The command for a message."""
    return words([w.encode("utf-8", "surrogateescape") for w in command[:3]])


def _number(known: Step, field: str) -> int:
    value = known[field]
    return value if isinstance(value, int) else -1
