"""A living container's numbers: its limits and counters, its processes.  ✗ changes any: `updating.py`.

✗ which files (`cgroup/`), ✗ prints.
"""

from __future__ import annotations

import os

from ...base.errors import Conflict, HostUnsupported, NucleusError
from ...base.value import Value
from ...cgroup.stats import Cgroups, Measured, measure
from . import processes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...state.record import ContainerRecord
    from .handle import Handle


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
    record = alive(handle, "stats")
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


def top(handle: Handle) -> list[Process]:
    """The processes inside, by host pid.  Raises Conflict."""
    record = alive(handle, "top")
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


def alive(handle: Handle, verb: str) -> ContainerRecord:
    """Its record.  Raises Conflict where it does not live."""
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
