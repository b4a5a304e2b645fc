"""Limits → what is written into which file of the container's cgroups, on v2 and on v1.  Pure.

The launcher writes (file, value) pairs and knows no controller; the arithmetic and the names are here.
✗ opens no file, ✗ where the cgroup is (`parent.py`).

    limit         v2                                v1
    memory        memory.max                        memory.limit_in_bytes
    swap          memory.swap.max                   memory.memsw.limit_in_bytes (memory + swap)
    memory.high   memory.high                       none
    oom.group     memory.oom.group                  none
    cpus          cpu.max                           cpu.cfs_period_us, cpu.cfs_quota_us
    cpu-weight    cpu.weight                        cpu.shares
    pids          pids.max                          pids.max
    io            io.max                            blkio.throttle.{read,write}_{bps,iops}_device
"""

from __future__ import annotations

from ..base.errors import Problem
from ..base.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..spec.resources import IoLimit

PERIOD_US = 100_000
MIN_MEMORY = 1 << 20
_MIN_SHARES, _MAX_SHARES = 2, 262_144


class Limits(Value):
    """What is to hold.  None and 0 ask for nothing; units are in the names.

    swap_bytes     swap beside the memory; None: none at all where memory is limited
    defaulted      names of fields whose value nobody wrote: they may give way where they cannot hold
    """

    memory_bytes: int | None = None
    memory_high_bytes: int | None = None
    swap_bytes: int | None = None
    oom_group: bool = False
    cpu_quota_us: int | None = None
    cpu_weight: int | None = None
    pids: int | None = None
    io: tuple[IoLimit, ...] = ()
    defaulted: tuple[str, ...] = ()


class LimitWrite(Value):
    """One write: `controller` chooses the directory, `origin` is the key of the option it comes from."""

    controller: str
    file: str
    value: str
    origin: str


class Omission(Value):
    """A limit that does not hold, and why: shown in explain, state and the summary."""

    limit: str
    reason: str


class LimitPlan(Value):
    """The writes in order, what is left out by name, what must stop the launch.

    `nproc`: the pids default where no cgroup can hold it, for RLIMIT_NPROC; 0 when it is not needed.
    """

    writes: tuple[LimitWrite, ...] = ()
    omitted: tuple[Omission, ...] = ()
    problems: tuple[Problem, ...] = ()
    nproc: int = 0

    def writes_for(self, controllers: tuple[str, ...]) -> tuple[tuple[str, str, str], ...]:
        """(file, value, origin) of the writes that go to a directory with these controllers."""
        return tuple([(w.file, w.value, w.origin) for w in self.writes if w.controller in controllers])


def _flag(key: str) -> str:
    return "--" + key.replace("_", "-")


class _Draft:
    """Collects while `plan_limits` goes through the limits."""

    __slots__ = ("available", "degraded", "limits", "omitted", "problems", "remedy", "swap_limit", "writes")

    def __init__(
        self, limits: Limits, available: Mapping[str, int], remedy: str, degraded: bool, swap_limit: bool
    ) -> None:
        self.limits, self.available, self.remedy = limits, available, remedy
        self.degraded, self.swap_limit = degraded, swap_limit
        self.writes: list[LimitWrite] = []
        self.omitted: list[Omission] = []
        self.problems: list[Problem] = []

    def write(self, controller: str, file: str, value: object, origin: str) -> None:
        self.writes.append(LimitWrite(controller=controller, file=file, value=str(value), origin=origin))

    def refuse(self, origin: str, limit: str, reason: str, remedy: str, *, written: bool) -> None:
        """A limit that cannot hold: a problem if the user wrote it and did not give the layer up."""
        if written and not self.degraded:
            message = f"{limit} cannot be enforced: {reason}"
            self.problems.append(Problem(message=message, where=_flag(origin), remedy=remedy))
        else:
            self.omitted.append(Omission(limit=limit, reason=reason))

    def wrote(self, field: str) -> bool:
        """Whether the user wrote that field himself."""
        return field not in self.limits.defaulted

    def version(self, controller: str, origin: str, *, written: bool = True) -> int:
        """1 or 2 where that controller can be used; 0 after saying that it cannot."""
        version = self.available.get(controller, 0)
        if not version:
            reason = f"no {controller} controller may be used here"
            self.refuse(origin, _flag(origin)[2:], reason, self.remedy, written=written)
        return version


_ON_V1 = "cgroup v1 has no counterpart"
_V1_REMEDY = "leave the option out, or boot with systemd.unified_cgroup_hierarchy=1"


def derived_high(memory_bytes: int) -> int:
    """memory.high: a tenth below the limit, where the kernel begins to reclaim and to slow down.

    Only beside swap: without it a process of anonymous memory has nothing to reclaim, and is slowed down for ever between
    the two limits instead of being ended at the second.
    """
    return memory_bytes - memory_bytes // 10


def _memory(draft: _Draft) -> None:
    limits = draft.limits
    asked = (
        ("memory", limits.memory_bytes), ("memory_high", limits.memory_high_bytes),
        ("memory_swap", limits.swap_bytes is not None), ("oom_group", limits.oom_group),
    )  # fmt: skip
    first = next((origin for origin, value in asked if value), "")
    version = draft.version("memory", first) if first else 0
    for origin, value in asked[:2]:
        if value and value < MIN_MEMORY:
            from ..base.units import format_bytes

            message = f"{format_bytes(value)} is too little memory for a process to start"
            draft.problems.append(Problem(message=message, where=_flag(origin), remedy="at least 1M"))
    if version == 2:
        _memory_v2(draft)
    elif version == 1:
        _memory_v1(draft)


def _memory_v2(draft: _Draft) -> None:
    limits, maximum = draft.limits, draft.limits.memory_bytes
    if maximum:
        draft.write("memory", "memory.max", maximum, "memory")
    high, origin = limits.memory_high_bytes, "memory_high"
    if not high and maximum and limits.swap_bytes:
        high, origin = derived_high(maximum), "memory"
    if high:
        draft.write("memory", "memory.high", high, origin)
    if limits.swap_bytes is not None or maximum:
        origin = "memory" if limits.swap_bytes is None else "memory_swap"
        if draft.swap_limit:
            draft.write("memory", "memory.swap.max", limits.swap_bytes or 0, origin)
        else:
            _no_swap_limit(draft)
    # One process of a container killed alone leaves the others in a state nobody has thought of.
    origin = "oom_group" if limits.oom_group and draft.wrote("oom_group") else "memory"
    draft.write("memory", "memory.oom.group", 1, origin)


def _memory_v1(draft: _Draft) -> None:
    limits, maximum = draft.limits, draft.limits.memory_bytes
    if maximum:
        draft.write("memory", "memory.limit_in_bytes", maximum, "memory")
    if maximum and draft.swap_limit:
        origin = "memory" if limits.swap_bytes is None else "memory_swap"
        draft.write("memory", "memory.memsw.limit_in_bytes", maximum + (limits.swap_bytes or 0), origin)
    elif maximum:
        _no_swap_limit(draft)
    elif limits.swap_bytes is not None:
        remedy = "add --memory"
        draft.refuse(
            "memory_swap", "swap", "on cgroup v1 it counts together with memory", remedy, written=True
        )
    high = bool(limits.memory_high_bytes) and draft.wrote("memory_high_bytes")
    draft.refuse("memory_high", "memory.high", _ON_V1, _V1_REMEDY, written=high)
    group = limits.oom_group and draft.wrote("oom_group")
    draft.refuse("oom_group", "memory.oom.group", _ON_V1, _V1_REMEDY, written=group)


def _no_swap_limit(draft: _Draft) -> None:
    reason = "this kernel does not count swap"
    remedy = "boot with swapaccount=1"
    written = draft.limits.swap_bytes is not None and draft.wrote("swap_bytes")
    draft.refuse("memory_swap", "swap", reason, remedy, written=written)


def shares_of(weight: int) -> int:
    """cpu.shares that the scheduler treats as it treats that cpu.weight: the defaults 100 and 1024 are equal.

    It is the kernel's own conversion (sched_weight_from_cgroup): hosts of both kinds divide the processors
    alike; the linear formula of older runtimes makes weight 100 two and a half default shares.
    """
    return max(_MIN_SHARES, min(_MAX_SHARES, (weight * 1024 + 50) // 100))


def _cpu(draft: _Draft) -> None:
    quota, weight = draft.limits.cpu_quota_us, draft.limits.cpu_weight
    if quota and (version := draft.version("cpu", "cpus")):
        if version == 2:
            draft.write("cpu", "cpu.max", f"{quota} {PERIOD_US}", "cpus")
        else:
            draft.write("cpu", "cpu.cfs_period_us", PERIOD_US, "cpus")
            draft.write("cpu", "cpu.cfs_quota_us", quota, "cpus")
    if weight and (version := draft.version("cpu", "cpu_weight")):
        if version == 2:
            draft.write("cpu", "cpu.weight", weight, "cpu_weight")
        else:
            draft.write("cpu", "cpu.shares", shares_of(weight), "cpu_weight")


def _pids(draft: _Draft) -> int:
    """Writes pids.max, or returns what RLIMIT_NPROC has to hold instead."""
    pids = draft.limits.pids
    if not pids:
        return 0
    if draft.version("pids", "pids", written=draft.wrote("pids")):
        draft.write("pids", "pids.max", pids, "pids")
        return 0
    return pids


def io_max(limit: IoLimit) -> str:
    """A line of io.max."""
    keys = ("rbps", limit.rbps), ("wbps", limit.wbps), ("riops", limit.riops), ("wiops", limit.wiops)
    return f"{limit.major}:{limit.minor} " + " ".join([f"{k}={v}" for k, v in keys if v])


def _io(draft: _Draft) -> None:
    if not draft.limits.io:
        return
    controller = "io" if draft.available.get("io") else "blkio"
    version = draft.version(controller, "io_limit")
    for limit in draft.limits.io if version else ():
        if version == 2:
            draft.write("io", "io.max", io_max(limit), "io_limit")
            continue
        files = (
            ("read_bps", limit.rbps), ("write_bps", limit.wbps), ("read_iops", limit.riops),
            ("write_iops", limit.wiops),
        )  # fmt: skip
        for name, value in files:
            if value:
                file = f"blkio.throttle.{name}_device"
                draft.write("blkio", file, f"{limit.major}:{limit.minor} {value}", "io_limit")


def plan_limits(
    limits: Limits,
    available: Mapping[str, int],
    *,
    remedy: str = "",
    degraded: bool = False,
    swap_limit: bool = True,
) -> LimitPlan:
    """What to write where.

    available    controller → cgroup version (1 or 2), of `Placement.versions`
    remedy       what lets a missing controller be used: `Placement.remedy`
    degraded     the user gave the cgroup layer up by name: what cannot hold is named instead of refused
    swap_limit   the kernel counts swap: `Placement.swap_limit`
    """
    draft = _Draft(limits, available, remedy, degraded, swap_limit)
    _memory(draft)
    _cpu(draft)
    nproc = _pids(draft)
    _io(draft)
    return LimitPlan(
        writes=tuple(draft.writes), omitted=tuple(draft.omitted), problems=tuple(draft.problems), nproc=nproc
    )


def controllers_of(limits: Limits) -> tuple[str, ...]:
    """Controllers (by their v2 names) that the limits need."""
    memory = (
        limits.memory_bytes or limits.memory_high_bytes or limits.oom_group or limits.swap_bytes is not None
    )
    wanted = ("memory", memory), ("cpu", limits.cpu_quota_us or limits.cpu_weight), ("pids", limits.pids)
    return tuple([name for name, value in (*wanted, ("io", limits.io)) if value])


def demands_cgroup(limits: Limits) -> bool:
    """Whether a limit that the user wrote needs one: worth a scope of the service manager, and a refusal."""
    return any(name != "pids" or "pids" not in limits.defaulted for name in controllers_of(limits))
