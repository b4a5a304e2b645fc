"""A living container's numbers: its limits and counters, changing what can be changed while it lives, its processes.

✗ which files (`cgroup/`), ✗ prints.
"""

from __future__ import annotations

import os

from ..base.errors import Conflict, HostUnsupported, NucleusError, Problem, SpecError
from ..base.jsontext import digest, dumps
from ..base.value import Value
from ..cgroup.change import change
from ..cgroup.limits import Limits
from ..cgroup.stats import Cgroups, Measured, measure
from ..state import gate
from ..state.store import write_file
from . import processes, stored
from .events import note

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..cgroup.stats import Held
    from ..state.record import ContainerRecord
    from .handle import Handle

# What of a spec is a limit that can be changed while it holds: field of the spec → field of Limits.
FIELDS = {
    "memory_bytes": "memory_bytes", "memory_high_bytes": "memory_high_bytes", "swap_bytes": "swap_bytes",
    "cpu_quota_us": "cpu_quota_us", "cpu_weight": "cpu_weight", "pids": "pids", "io_limits": "io",
}  # fmt: skip
LIMITS = ("memory", "memory_swap", "memory_high", "cpus", "cpu_weight", "pids", "io_limit")  # of the options
KEYS = (*LIMITS, "restart")  # of the options that `update` changes
CHANGEABLE = (*FIELDS, "restart")  # their fields of the spec
_RECORDED = ("memory_bytes", "cpu_quota_us", "pids")


class Process(Value):
    """One process of a container."""

    pid: int
    inside: int  # its pid in the container; 0 where it cannot be told
    uid: int  # on the host
    state: str
    threads: int
    cpu_ticks: int
    rss_bytes: int
    start_ticks: int
    command: str


def measured(handle: Handle) -> Measured:
    """Limits and counters as they are now.  Raises Conflict, HostUnsupported."""
    record = _alive(handle, "stats")
    found = measure(record.cgroups)
    init = handle.init
    if found.usage.cpu_us is None and init is not None and processes.is_here(record):
        used = _cpu_us(_members(record.cgroups, init.init_pid, init.init_ticks))
        return found.replace(usage=found.usage.replace(cpu_us=used))
    return found


def _cpu_us(members: set[int]) -> int:
    """Where no hierarchy counts it: what each process used, and the children that it has waited for."""
    ticks = 0
    for pid in members:
        fields = processes.stat_fields(pid)
        if len(fields) > 14:
            ticks += sum([int(word) for word in fields[11:15]])
    return ticks * 1_000_000 // os.sysconf("SC_CLK_TCK")


def measured_or_none(handle: Handle) -> Measured | None:
    """The same, for those who show what there is."""
    try:
        return measured(handle)
    except (NucleusError, OSError):
        return None


def parsed(texts: dict[str, str]) -> dict[str, object]:
    """Keys of options with what was written → fields of the spec with values.  Raises SpecError with every problem."""
    from ..spec.kinds import parse
    from ..spec.options import BY_KEY

    found: dict[str, object] = {}
    problems: list[Problem] = []
    for key, text in texts.items():
        option = BY_KEY[key]
        try:
            value = parse(option, text)
            found[option.field] = (value,) if option.repeat else value
        except SpecError as error:
            problems += [p if p.where else p.replace(where=option.flag) for p in error.problems]
    if problems:
        raise SpecError(problems=tuple(problems))
    return found


def update(handle: Handle, wanted: dict[str, object]) -> Held | None:
    """Change limits or the restart policy of a living container, and its record, so that a restart has them too.

    wanted   fields of the spec, parsed.  Returns the limits that hold then; None where none was to be changed.
    Raises SpecError, Conflict, HostUnsupported.
    """
    limits = {key: value for key, value in wanted.items() if key in FIELDS}
    with gate.Lock(handle.fd, gate.VERB_LOCK):
        handle.refresh().require("update" if limits else "update --restart")
        assert handle.record is not None  # in these states it has one
        if handle.record.mode != "agent":
            from .mode import refuse

            refuse(stored.spec_of(handle.record.spec | wanted))
        if "restart" in wanted:
            from .supervision.adopted import require_supervisor

            require_supervisor(handle, str(wanted["restart"]))
        held = _change_limits(_alive(handle, "update"), limits) if limits else None
        _record_change(handle, handle.record, wanted)
        return held


def _change_limits(record: ContainerRecord, limits: dict[str, object]) -> Held:
    groups = Cgroups(record.cgroups)
    try:
        found = Limits(**{FIELDS[k]: v or None if k == "pids" else v for k, v in limits.items()})  # type: ignore[arg-type]
        return change(groups, found, unlimited_pids=limits.get("pids") == 0)
    finally:
        groups.close()


def _record_change(handle: Handle, record: ContainerRecord, wanted: dict[str, object]) -> None:
    if "restart" in wanted:
        wanted = {**wanted, "explicit": [*dict.fromkeys((*record.spec.get("explicit", ()), "restart"))]}
    spec = record.spec | wanted
    changed = record.replace(
        spec=spec,
        spec_hash=digest(dumps(spec).encode()),
        limits=record.limits | {k: v or None for k, v in wanted.items() if k in _RECORDED},
    )
    write_file(handle.fd, "state.json", changed.to_json())
    stored.change(handle.fd, wanted)
    limits = {key: spec[key] for key in wanted if key in FIELDS}
    note(handle.store, changed, "updated", limits=limits, restart=wanted.get("restart", ""))


def top(handle: Handle) -> list[Process]:
    """The processes inside, by host pid.  Raises Conflict."""
    record = _alive(handle, "top")
    init = handle.init
    if init is None or not processes.is_here(record):
        raise Conflict(
            f"container {handle.name} has no process here", where="nucleus top", remedy="nucleus ps -a"
        )
    first = _members(record.cgroups, init.init_pid, init.init_ticks)
    found = [process for pid in sorted(first) if (process := _look(pid)) is not None]
    # A number may have gone to another process between the two calls: only who is still inside was inside.
    still = _members(record.cgroups, init.init_pid, init.init_ticks)
    return [p for p in found if p.pid in still and processes.start_ticks(p.pid) == p.start_ticks]


def _alive(handle: Handle, verb: str) -> ContainerRecord:
    from .lifecycle import ALIVE

    status = handle.status
    if handle.record is None or status not in ALIVE:
        raise Conflict(
            f"container {handle.name} is {status}",
            where=f"nucleus {verb}",
            remedy="nucleus ps -a shows its state",
        )
    return handle.record


def _members(cgroups: tuple[str, ...], init: int, init_ticks: int) -> set[int]:
    """Host pids: those of the cgroup; without one, the descendants of init and who shares its pid namespace."""
    try:
        groups = Cgroups(cgroups)
    except HostUnsupported:
        return _descendants(init, init_ticks)
    try:
        return groups.members()
    finally:
        groups.close()


def _descendants(init: int, init_ticks: int) -> set[int]:
    parents: dict[int, list[int]] = {}
    spaces: dict[int, int] = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        fields = processes.stat_fields(int(name))
        if len(fields) > 19:
            parents.setdefault(int(fields[1]), []).append(int(name))
        try:
            spaces[int(name)] = os.stat(f"/proc/{name}/ns/pid").st_ino
        except OSError:
            continue  # another user's, not dumpable, or gone
    if processes.start_ticks(init) != init_ticks:
        return set()
    found, waiting = {init}, [init]
    while waiting:
        for child in parents.get(waiting.pop(), []):
            if child not in found:
                found.add(child)
                waiting.append(child)
    inside = {spaces[pid] for pid in found if pid in spaces} - {os.stat("/proc/self/ns/pid").st_ino}
    return found | {pid for pid, space in spaces.items() if space in inside}


def _look(pid: int) -> Process | None:
    """One process, all of it from one start time; None when it has ended."""
    before = processes.stat_fields(pid)
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as file:
            status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            words = file.read(4096)
    except (OSError, ValueError):
        return None
    after = processes.stat_fields(pid)
    if len(before) < 20 or len(after) < 20 or before[19] != after[19]:
        return None
    text = words.rstrip(b"\0").replace(b"\0", b" ").decode("utf-8", "replace")
    numbers = status.get("NSpid", "").split()
    return Process(
        pid=pid,
        inside=int(numbers[-1]) if len(numbers) > 1 else 0,
        uid=int(status.get("Uid", "0").split()[0]),
        state=after[0],
        threads=int(after[17]),
        cpu_ticks=int(after[11]) + int(after[12]),
        rss_bytes=int(after[21]) * os.sysconf("SC_PAGE_SIZE"),
        start_ticks=int(after[19]),
        command="".join(c if c.isprintable() else "?" for c in text or f"[{status.get('Name', '?')}]"),
    )
