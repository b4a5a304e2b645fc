"""Limits of a living container are changed: what to write is `limits.py`'s, the order and what the kernel says are here.

✗ reads for show (`stats.py`), ✗ makes cgroups (the launcher).
"""

from __future__ import annotations

import os
import time
from errno import EAGAIN, EBUSY, EINVAL, ENOENT

from ..base.errors import Conflict, HostUnsupported, SpecError
from ..base.units import format_bytes
from .limits import Limits, LimitWrite, plan_limits
from .stats import Held, held, usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .stats import Cgroups

# Controller → the files that tell which version's it is.
_TELLS = (
    ("memory", 2, "memory.max"), ("memory", 1, "memory.limit_in_bytes"), ("cpu", 2, "cpu.max"),
    ("cpu", 1, "cpu.cfs_quota_us"), ("io", 2, "io.max"), ("blkio", 1, "blkio.throttle.read_bps_device"),
    ("pids", 2, "pids.max"),
)  # fmt: skip
_RECLAIM_S = 2.0


def available(groups: Cgroups) -> dict[str, int]:
    """Controller → version, for those that act on this container."""
    found: dict[str, int] = {}
    for controller, version, file in _TELLS:
        if controller not in found and groups.find(file) is not None:
            found[controller] = version
    return found


def change(groups: Cgroups, wanted: Limits, *, unlimited_pids: bool = False) -> Held:
    """Write what is asked for and leave the rest; returns what holds then.

    Raises SpecError for what cannot be limited here, Conflict where the container uses more than it would have: then
    nothing of what can be undone stays changed.
    """
    now = held(groups.read)
    memory = wanted.memory_bytes or now.memory_bytes
    if wanted.swap_bytes is not None and memory is None:
        raise SpecError(
            "swap is a part of the memory's limit, and there is none",
            where="--memory-swap",
            remedy="add --memory SIZE",
        )
    swap = wanted.swap_bytes if wanted.swap_bytes is not None else now.swap_bytes
    touches_memory = wanted.memory_bytes or wanted.swap_bytes is not None or wanted.memory_high_bytes
    full = wanted.replace(
        memory_bytes=memory if touches_memory else None,
        swap_bytes=swap if touches_memory else None,
        memory_high_bytes=wanted.memory_high_bytes,
    )
    plan = plan_limits(
        full,
        available(groups),
        remedy="start it with such a limit: it has the controllers that its start needed",
    )
    if plan.problems:
        raise SpecError(problems=plan.problems)
    writes = [w for w in plan.writes if w.file != "memory.oom.group"]
    if unlimited_pids:
        writes.append(LimitWrite(controller="pids", file="pids.max", value="max", origin="pids"))
    if wanted.memory_bytes:
        _make_room(groups, wanted.memory_bytes)
    _write_all(groups, _ordered(writes, now))
    return held(groups.read)


def _ordered(writes: list[LimitWrite], now: Held) -> list[LimitWrite]:
    """v1 holds memory ≤ memory + swap at every moment: what grows goes the outer limit first, what shrinks the inner."""
    names = [w.file for w in writes]
    inner, outer = "memory.limit_in_bytes", "memory.memsw.limit_in_bytes"
    if inner in names and outer in names:
        a, b = names.index(inner), names.index(outer)
        # Where both are without a limit only the inner one may be set first.
        if now.memory_bytes is not None and int(writes[a].value) > now.memory_bytes:
            writes[a], writes[b] = writes[b], writes[a]
    return writes


def _make_room(groups: Cgroups, limit: int) -> None:
    """Below what is in use v2 would kill: what can be reclaimed is reclaimed first, else the change is refused."""
    if groups.find("memory.max") is None:
        return  # v1 answers EBUSY by itself
    deadline = time.monotonic() + _RECLAIM_S
    reclaim = groups.find("memory.reclaim")  # Linux 5.19
    while (used := usage(groups.read).memory_bytes or 0) > limit:
        if reclaim is None or time.monotonic() > deadline:
            raise _in_use(used, limit)
        try:
            groups.write(reclaim, "memory.reclaim", str(used - limit))
        except OSError as error:
            if error.errno != EAGAIN:
                raise
            if (used := usage(groups.read).memory_bytes or 0) > limit:
                raise _in_use(used, limit) from None


def _in_use(used: int, limit: int) -> Conflict:
    return Conflict(
        f"the container uses {format_bytes(used)}, which cannot be reclaimed down to {format_bytes(limit)}",
        where="--memory",
        remedy="choose a higher limit, or let it use less first",
    )


def _write_all(groups: Cgroups, writes: list[LimitWrite]) -> None:
    """In order; where one is refused, those before it are put back."""
    done: list[tuple[int, str, str]] = []
    for write in writes:
        directory = groups.find(write.file)
        if directory is None:
            raise HostUnsupported(
                f"this cgroup has no {write.file}", where=_flag(write), remedy="run `nucleus doctor`"
            )
        before = _before(groups, write)
        try:
            groups.write(directory, write.file, write.value)
        except OSError as error:
            for at, file, value in reversed(done):
                groups.write(at, file, value)
            raise _refusal(groups, write, error) from None
        if before is not None:
            done.append((directory, write.file, before))


def _before(groups: Cgroups, write: LimitWrite) -> str | None:
    """What to write to undo it; None where that cannot be said in one write (the lines of devices)."""
    if write.controller in ("io", "blkio"):
        return None
    text = (groups.read(write.file) or "").strip()
    if write.file.endswith("limit_in_bytes") and text.isdigit() and int(text) >= 1 << 62:
        return "-1"
    return text or None


def _flag(write: LimitWrite) -> str:
    return "--" + write.origin.replace("_", "-")


def _refusal(groups: Cgroups, write: LimitWrite, error: OSError) -> Exception:
    """What the kernel's answer means."""
    if error.errno == EBUSY:
        used = usage(groups.read).memory_bytes or 0
        return _in_use(used, int(write.value)) if write.value.isdigit() else error
    if error.errno == ENOENT:
        return HostUnsupported("the container has ended", where=_flag(write), remedy="nucleus ps -a")
    if error.errno == EINVAL:
        return SpecError(
            f"the kernel refuses {write.file}={write.value}",
            where=_flag(write),
            remedy="choose a value the controller takes",
        )
    return HostUnsupported(
        f"{write.file} cannot be written: {os.strerror(error.errno or 0).lower()}",
        where=_flag(write),
        remedy="act as the container's creator, or as root",
    )
