"""What every plan must satisfy before it is run.  ✗ compiles nothing, raises nothing: it returns problems.

`structural` is the predicate of launcher/plan_decode.c, in the other language: the launcher refuses a plan
exactly when this finds something.  `policy` is what makes a well-formed plan safe; the launcher does not
judge that.
"""

from __future__ import annotations

from ..base.errors import LaunchError, Problem
from . import schema

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from .steps import LaunchPlan, Step

_U64 = (1 << 64) - 1
_HEADER_BYTES, _STEP_BYTES = 32, 8
_REMEDY = "this is a defect of nucleus: please report it with the output of `nucleus explain`"

RDONLY, NOSUID, NODEV, NOEXEC = 0x1, 0x2, 0x4, 0x8

# Origins whose mounts may be both writable and executable when people work inside; strict modes pass less.
WRITABLE_EXECUTABLE = frozenset({"workspace", "volume", "tmpfs", "tmp", "home", "rootfs_mode"})
# Device nodes and terminals are the only mounts on which a device file works.
_DEVICES = frozenset({"devices"})
# What the child may do while it is still host root in the kernel's eyes: nothing that follows a path.
_BEFORE_MAPPED = frozenset({"no-new-privileges", "spawn-network", "set-hostname", "become-mapped"})
# All that the process of the network does, in order; the second is left out where the child was born in the namespace.
_NETWORK = ("await-id-map", "unshare-network", "loopback-up", "hand-over-network")
_HOOKS = ("await-hooks", "run-hook", "pivot-root")
# Between the read-back and the program, under the whole lockdown.
_BEFORE_EXEC = frozenset({"announce-locked", "run-hook-inside"})
_MOUNTING = frozenset({"attach-mount", "mount-filesystem", "mount-proc", "cover-file"})
# What follows a path, of the workload's steps.
_FOLLOWING_PATHS = frozenset({"open-console", "landlock-path", "exec"})
# What acts below the private root, and the field that says where.
_BELOW_ROOT = {
    **dict.fromkeys(("attach-mount", "mount-proc", "mount-filesystem"), "target"),
    **dict.fromkeys(("make-directory", "make-symlink", "write-file", "write-secret", "write-sysctl"), "path"),
    **dict.fromkeys(("mask-file", "mask-directory", "protect-path", "seal-mount", "cover-file"), "path"),
}


def check(
    plan: LaunchPlan, *, writable_executable: frozenset[str] = WRITABLE_EXECUTABLE
) -> tuple[Problem, ...]:
    """All problems; policy is judged only where the structure holds."""
    return structural(plan) or policy(plan, writable_executable=writable_executable)


def require(plan: LaunchPlan, *, writable_executable: frozenset[str] = WRITABLE_EXECUTABLE) -> None:
    """Raises LaunchError with all problems of policy.  The launcher itself refuses what is ill-formed."""
    problems = policy(plan, writable_executable=writable_executable)
    if problems:
        raise LaunchError(
            "the launch plan is not safe: " + "; ".join([p.message for p in problems]),
            where=problems[0].where,
            remedy=_REMEDY,
        )


# ---- structure: the decoder's predicate ----------------------------------------------------------


def structural(plan: LaunchPlan) -> tuple[Problem, ...]:
    """Problems for which the launcher would refuse the encoded plan."""
    found: list[str] = []
    if plan.kind not in schema.KINDS:
        return (Problem(message=f"there is no kind {plan.kind}", where="launch plan", remedy=_REMEDY),)
    if len(plan.steps) > schema.MAX_STEPS:
        found.append(f"{len(plan.steps)} steps are more than {schema.MAX_STEPS}")
    if len(plan.slots) > schema.MAX_SLOTS + 1:
        found.append(f"{len(plan.slots)} descriptor slots are more than {schema.MAX_SLOTS + 1}")
    seen: dict[str, int] = {}
    phases = [0] * len(schema.ACTORS)
    size = _HEADER_BYTES
    for index, step in enumerate(plan.steps):
        spec = step.spec
        seen[spec.name] = seen.get(spec.name, 0) + 1
        if spec.phase < phases[spec.actor]:
            found.append(
                f"step {index} {spec.name} comes after a later phase of the {schema.ACTORS[spec.actor]}"
            )
        phases[spec.actor] = max(spec.phase, phases[spec.actor])
        size += _STEP_BYTES + _check_values(step, index, len(plan.slots), found)
    if size > schema.MAX_BYTES:
        found.append(f"{size} bytes are more than {schema.MAX_BYTES}")
    found += _counts(plan.kind, seen)
    found += _relations(seen)
    return tuple([Problem(message=message, where="launch plan", remedy=_REMEDY) for message in found])


def _check_values(step: Step, index: int, slots: int, found: list[str]) -> int:
    """Adds what is wrong with the values of a step; returns their encoded size."""
    size = 0
    for field, value in zip(step.spec.fields, step.values, strict=True):
        if isinstance(value, int):
            size += 8
            fits = field.kind in "nf" and 0 <= value <= _U64
            good = fits and (
                value < slots if field.kind == "f" else _NUMBERS[field.check](value, field.limit)
            )
        else:
            data = value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value
            size += 16 + len(data) - len(data) % 8
            good = field.kind == ("s" if isinstance(value, str) else "b") and _DATA[field.check](
                data, field.limit
            )
            good = good and not (field.kind == "s" and b"\0" in data)
        if not good:
            found.append(f"step {index} {step.name}: {field.name} is not a value that the launcher takes")
    return size


def _absolute(data: bytes, _limit: int) -> bool:
    if data == b"/":
        return True
    parts = data.split(b"/")
    return parts[0] == b"" and len(parts) > 1 and not any([part in (b"", b".", b"..") for part in parts[1:]])


def _component(data: bytes, _limit: int) -> bool:
    return 0 < len(data) <= 255 and b"/" not in data and data not in (b".", b"..")


_NUMBERS: Mapping[str, Callable[[int, int], bool]] = {
    "": lambda _value, _limit: True,
    "max": lambda value, limit: value <= limit,
    "mask": lambda value, limit: not value & ~limit,
}
_DATA: Mapping[str, Callable[[bytes, int], bool]] = {
    "": lambda _data, _limit: True,
    "absolute": _absolute,
    "sysctl": lambda data, limit: _absolute(data, limit) and data.startswith(b"/proc/sys/"),
    "name": _component,
    "multiple": lambda data, limit: len(data) % limit == 0,
    "list": lambda data, _limit: data.endswith(b"\0"),
    "list?": lambda data, _limit: not data or data.endswith(b"\0"),
}


def _counts(kind: int, seen: dict[str, int]) -> Iterator[str]:
    for spec in schema.STEPS:
        allowed = spec.count(kind)
        times = seen.get(spec.name, 0)
        if allowed == schema.REQUIRED and times != 1:
            yield f"{spec.name} must stand in the plan exactly once, not {times} times"
        elif allowed == schema.OPTIONAL and times > 1:
            yield f"{spec.name} may stand in the plan once, not {times} times"
        elif allowed == schema.NEVER and times:
            yield f"{spec.name} has no place in a plan of this kind"


def _relations(seen: dict[str, int]) -> Iterator[str]:
    ruleset = "landlock-ruleset" in seen
    if ruleset != ("landlock-restrict" in seen):
        yield "a Landlock ruleset and its enforcement belong together"
    if not ruleset and ("landlock-path" in seen or "landlock-port" in seen):
        yield "a Landlock rule needs a ruleset"
    if ("hand-over-mounts" in seen) != ("await-host-mounts" in seen):
        yield "the child waits for mounts of the host if, and only if, the monitor hands them over"


# ---- policy --------------------------------------------------------------------------------------


def policy(
    plan: LaunchPlan, *, writable_executable: frozenset[str] = WRITABLE_EXECUTABLE
) -> tuple[Problem, ...]:
    """Problems for which a well-formed plan must not be run."""
    found = [("always", message) for message in _numbered_things(plan)]
    if plan.kind != schema.KIND_PREPARE:  # where no workload is
        found += [("always", message) for message in (*_lockdown_order(plan), *_capability_sets(plan))]
    if plan.kind in (schema.KIND_CREATE, schema.KIND_START):
        found += [("always", message) for message in (*_child_order(plan), *_handed_over(plan))]
    if plan.kind == schema.KIND_JOIN:
        found += [("always", message) for message in _join_order(plan)]
    if plan.kind == schema.KIND_CREATE:
        found += [("always", message) for message in (*_foreign_mounts(plan), *_behind_links(plan))]
    if plan.kind == schema.KIND_PREPARE:
        found += [("rootfs", message) for message in _shared_root(plan)]
    if plan.kind != schema.KIND_JOIN:
        found += _mounts(plan, writable_executable)
    return tuple([Problem(message=message, where=where, remedy=_REMEDY) for where, message in found])


def _named(plan: LaunchPlan, actor: int) -> list[str]:
    return [s.spec.name for s in plan.steps if s.spec.phase >> 4 == actor]


def _lockdown_order(plan: LaunchPlan) -> Iterator[str]:
    workload = [name for name in _named(plan, schema.WORKLOAD) if name not in _BEFORE_EXEC]
    if workload[-2:] != ["assert-locked", "exec"]:
        yield "reading the lockdown back and exec must be the workload's last steps"
    filters = {"set-seccomp", "trace-seccomp"}.intersection(workload)
    if filters and not (len(filters) == 1 and filters.issuperset(workload[-3:-2])):
        yield "nothing may come between the seccomp filter and its read-back"
    mode = _number(plan.steps_of("assert-locked")[0], "seccomp_mode")
    if mode != (2 if filters else 0):
        yield f"seccomp mode {mode} is expected, which is not what the plan installs"
    order = [n for n in workload if n in ("drop-bounding", "set-groups", "set-ids", "set-capabilities")]
    if order != sorted(order, key=("drop-bounding", "set-groups", "set-ids", "set-capabilities").index):
        yield "bounding set, groups, ids, capabilities: no other order works"
    rules = [n for n in workload if n.startswith("landlock-")]
    if rules and (rules[0], rules[-1]) != ("landlock-ruleset", "landlock-restrict"):
        yield "Landlock rules belong between the ruleset and its enforcement"


def _number(step: Step, field: str) -> int:
    value = step[field]
    return value if isinstance(value, int) else -1


def _path(step: Step, field: str) -> str:
    value = step[field]
    return value if isinstance(value, str) else ""


def _capability_sets(plan: LaunchPlan) -> Iterator[str]:
    (sets,), (proof,) = plan.steps_of("set-capabilities"), plan.steps_of("assert-locked")
    permitted, inheritable = _number(sets, "permitted"), _number(sets, "inheritable")
    if _number(sets, "effective") & ~permitted:
        yield "an effective capability that is not permitted"
    if _number(sets, "ambient") & ~(permitted & inheritable):
        yield "an ambient capability that is not both permitted and inheritable"
    if inheritable & ~_number(plan.steps_of("drop-bounding")[0], "keep"):
        yield "an inheritable capability that the bounding set drops"
    if _number(proof, "permitted") != permitted:
        yield "the read-back expects other capabilities than the plan sets"


# Which steps make, use and end a numbered thing: (field, what the step does with it).
_MAKE, _USE, _END = 0, 1, 2
_LIFE: Mapping[str, tuple[tuple[str, int], ...]] = {
    **dict.fromkeys(("create-cgroup", "join-cgroup"), (("cgroup", _MAKE),)),
    **dict.fromkeys(
        ("set-cgroup", "restrict-devices", "attach-devices", "enter-cgroup", "read-counter", "spawn"),
        (("cgroup", _USE),),
    ),
    "remove-cgroup": (("cgroup", _END),),
    **dict.fromkeys(("open-tree", "open-tree-inside"), (("mount", _MAKE),)),
    "attach-mount": (("mount", _END),),
    "make-userns": (("userns", _MAKE),),
    "map-mount": (("mount", _USE), ("userns", _USE)),
}
_NONE = {"cgroup": schema.NO_CGROUP, "userns": schema.CHILD_USERNS, "mount": -1}


def _when(step: Step) -> int:
    # The monitor works up to `release` before the child attaches anything, so its steps count as earlier.
    return 9 if step.spec.phase_name == "finish" else step.spec.phase >> 4


def _numbered_things(plan: LaunchPlan) -> Iterator[str]:
    made: dict[str, set[int]] = {"cgroup": set(), "mount": set(), "userns": set()}
    ended: dict[str, set[int]] = {"cgroup": set(), "mount": set(), "userns": set()}
    for step in sorted([s for s in plan.steps if s.spec.name in _LIFE], key=_when):
        for field, deed in _LIFE[step.spec.name]:
            number = _number(step, field)
            if deed == _MAKE:
                if number in made[field]:
                    yield f"{field} {number} is made twice"
                made[field].add(number)
            elif number != _NONE[field] and (number not in made[field] or number in ended[field]):
                yield f"{step.name} uses {field} {number}, which is not there"
            if deed == _END:
                ended[field].add(number)
    # A cgroup that is joined belongs to the container, and stays.
    for field in ("cgroup", "mount") if plan.kind == schema.KIND_CREATE else ("mount",):
        left = made[field] - ended[field]
        if left:
            yield f"{field} {min(left)} is made and never comes to its end"


def _child_order(plan: LaunchPlan) -> Iterator[str]:
    child, workload = _named(plan, schema.CHILD), _named(plan, schema.WORKLOAD)
    monitor = _named(plan, schema.MONITOR)
    if child[0] != "no-new-privileges":
        yield "no_new_privs must be the child's first step"
    if child[-1] != "become-init":
        yield "becoming init must be the child's last step"
    orders = (
        (child, "become-mapped", set(child) - _BEFORE_MAPPED, "before the child has taken its mapped id"),
        (monitor, "restrict-devices", {"let-hooks-run"}, "before the cgroup refuses devices"),
        (child, "make-root", {*_BELOW_ROOT}, "before there is a root to act on"),
        (child, "adopt-root", {*_BELOW_ROOT, "spawn-workload"}, "before there is a root to act on"),
        (child, "pivot-root", {"spawn-workload"}, "before there is a host's root to detach"),
        (
            child[::-1],
            "announce-mounts",
            _MOUNTING,
            "after the workload was told that every mount is in place",
        ),
        (
            workload,
            "await-root",
            {n for n in workload if n.startswith("landlock")},
            "before every mount is in place",
        ),
    )
    for steps, gate, gated, when in orders:
        early = gated.intersection(steps[: steps.index(gate)]) if gate in steps else ()
        if early:
            yield f"{min(early)} comes {when}"
    if (
        len({"announce-built" in child, "announce-locked" in workload, bool(plan.steps_of("await-proceed"))})
        > 1
    ):
        yield "whoever waits for the word to proceed is told by child and workload that all is built"
    order = [n for n in child if n in _HOOKS]
    if order != sorted(order, key=_HOOKS.index):
        yield "createContainer hooks run after the host's, and before the root is switched"
    if ("await-hooks" in child) != bool(plan.steps_of("let-hooks-run")):
        yield "the child waits for the host's hooks if, and only if, the monitor lets them run"
    network = tuple(_named(plan, schema.NETWORK))
    if network not in ((), _NETWORK, (_NETWORK[0], *_NETWORK[2:])):
        yield f"the process of the network does {', '.join(_NETWORK)}, and nothing else"
    if {"spawn-network" in child, "join-network" in child, "enter-network" in workload} != {bool(network)}:
        yield "init and workload must be in the network namespace that was made for them"
    if network and "take-network" in monitor:
        yield "a container that takes a spare network namespace makes none of its own"


def _join_order(plan: LaunchPlan) -> Iterator[str]:
    child, workload = _named(plan, schema.CHILD), _named(plan, schema.WORKLOAD)
    if child[0] != "no-new-privileges":
        yield "no_new_privs must be the child's first step"
    if child[-2:] != ["join-namespaces", "spawn-inside"]:
        yield "joining the namespaces and starting the process inside must be the child's last steps"
    # Until then the process is the host's user in the kernel's eyes, in a tree that the workload may have filled.
    early = {n for n in workload[: workload.index("set-capabilities")] if n in _FOLLOWING_PATHS}
    if early:
        yield f"{min(early)} comes before the process has become the container's user"


def _foreign_mounts(plan: LaunchPlan) -> Iterator[str]:
    """What others have filled may hold links: nothing is resolved below it before the host's root is gone."""
    attached: list[str] = []
    away = {_number(s, "mount") for s in plan.steps_of("open-tree")}
    detached = False
    for step in plan.steps:
        if step.spec.phase >> 4 != schema.CHILD:
            continue
        if step.name == "await-host-mounts":
            away.clear()
        detached = detached or step.name == "await-detached"
        where = _path(step, _BELOW_ROOT[step.name]) if step.name in _BELOW_ROOT else ""
        if where and not detached and any([where.startswith(f"{above}/") for above in attached]):
            yield f"{where} is resolved below a mount from the host while the host's root is in reach"
        if step.name == "make-symlink":
            attached.append(where)  # of a rootfs: it may point to "..", where the host's root still lies
        if step.name == "attach-mount":
            attached.append(where.rstrip("/"))
            if _number(step, "mount") in away:
                yield f"{where} is mounted before the monitor has handed it over"


def _behind_links(plan: LaunchPlan) -> Iterator[str]:
    """The launcher follows no link below the root, not even one that the plan makes: a path is that of the place itself."""
    links = [_path(s, "path") + "/" for s in plan.steps_of("make-symlink")]
    for step in plan.steps:
        where = _path(step, _BELOW_ROOT[step.name]) if step.name in _BELOW_ROOT else ""
        end = "" if step.name == "make-symlink" else "/"
        for link in links:
            if f"{where}{end}".startswith(link):
                yield f"{where} lies behind the link {link[:-1]}"


def _handed_over(plan: LaunchPlan) -> Iterator[str]:
    """The monitor gives away all that it has taken, when it has done with it; the child expects as many."""
    given = {
        _number(s, "count") for name in ("hand-over-mounts", "await-host-mounts") for s in plan.steps_of(name)
    }
    taken = [_number(s, "mount") for s in plan.steps_of("open-tree")]
    if given != ({len(taken)} if taken else set()) or taken != list(range(len(taken))):
        yield "the monitor hands over other mounts than those it has taken"
    monitor = _named(plan, schema.MONITOR)
    late = monitor[monitor.index("hand-over-mounts") :] if "hand-over-mounts" in monitor else []
    if {"open-tree", "map-mount"}.intersection(late):
        yield "a mount is taken or ID-mapped after all were handed over"


# How a prepared root begins and ends.  Only what makes its file system's own files stands between.
_ROOT_BEGINS = ["make-namespace", "set-file-owner", "make-root"]
_ROOT_ENDS = ["seal-root", "freeze-root"]


def _shared_root(plan: LaunchPlan) -> Iterator[str]:
    """What many containers see is made before any of them, belongs to none, and can be written by none."""
    child = _named(plan, schema.CHILD)
    if child[:3] != _ROOT_BEGINS or child[-2:] != _ROOT_ENDS:
        yield "a prepared root is made in a namespace of its own, for an owner, and is sealed and frozen at the end"
    owner = plan.steps_of("set-file-owner")[0]
    if not _number(owner, "uid") or not _number(owner, "gid"):
        yield "the files of a prepared root would belong to the host's root"
    for step in plan.steps_of("open-tree"):
        if not _number(step, "attributes") & RDONLY:
            yield f"{_path(step, 'path')} would be writable by all containers that share the root"


def _mounts(plan: LaunchPlan, writable_executable: frozenset[str]) -> Iterator[tuple[str, str]]:
    sealed = {_path(s, "path"): _number(s, "attributes") for s in plan.steps_of("seal-mount")}
    root = plan.steps_of("seal-root")
    # A start has no say in it: its root was sealed when it was prepared.
    if plan.kind != schema.KIND_START and (not root or not _number(root[0], "attributes") & RDONLY):
        yield "rootfs", "the private root stays writable"
    targets = {_number(s, "mount"): _path(s, "target") for s in plan.steps_of("attach-mount")}
    for step in plan.steps:
        if step.name in ("open-tree", "open-tree-inside"):
            where = targets.get(_number(step, "mount"), _path(step, "path"))
        elif step.name in ("mount-filesystem", "mount-proc"):
            where = _path(step, "target")
        else:
            continue
        attributes = _number(step, "attributes") | sealed.get(where, 0)
        if not attributes & (RDONLY | NOEXEC) and step.origin.split(".")[0] not in writable_executable:
            yield step.origin, f"{where} would be writable and executable"
        if not attributes & NOSUID:
            yield step.origin, f"setuid programs would work on {where}"
        if not attributes & NODEV and step.origin not in _DEVICES:
            yield step.origin, f"device files would work on {where}"
