"""Changing what can be changed of a container that lives: its limits, its restart policy.  ✗ which files (`cgroup/`)."""

from __future__ import annotations

from ...base.errors import Problem, SpecError
from ...base.jsontext import digest, dumps
from ...cgroup.change import change
from ...cgroup.limits import Limits
from ...cgroup.stats import Cgroups
from ...state import gate
from ...state.store import write_file
from . import stored
from .events import note
from .live import alive

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...cgroup.stats import Held
    from ...state.record import ContainerRecord
    from .handle import Handle

# The options.
KEYS = ("memory", "memory_swap", "memory_high", "cpus", "cpu_weight", "pids", "io_limit", "restart")
# Those of `stored.CHANGEABLE` that are limits: field of the spec → field of Limits.
_LIMITS = {
    "memory_bytes": "memory_bytes", "memory_high_bytes": "memory_high_bytes", "swap_bytes": "swap_bytes",
    "cpu_quota_us": "cpu_quota_us", "cpu_weight": "cpu_weight", "pids": "pids", "io_limits": "io",
}  # fmt: skip
_RECORDED = ("memory_bytes", "cpu_quota_us", "pids")


def parsed(texts: dict[str, str]) -> dict[str, object]:
    """Keys of options with what was written → fields of the spec with values.  Raises SpecError with every problem."""
    from ...spec.kinds import parse
    from ...spec.options import BY_KEY

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
    limits = {key: value for key, value in wanted.items() if key in _LIMITS}
    with gate.Lock(handle.fd, gate.VERB_LOCK):
        handle.refresh().require("update" if limits else "update --restart")
        assert handle.record is not None  # in these states it has one
        if handle.record.mode != "agent":
            from ..inputs.mode import refuse

            refuse(stored.spec_of(handle.record.spec | wanted))
        if "restart" in wanted:
            from ..supervision.supervised import require_supervisor

            require_supervisor(handle, str(wanted["restart"]))
        held = _change_limits(alive(handle, "update"), limits) if limits else None
        _record_change(handle, handle.record, wanted)
        return held


def _change_limits(record: ContainerRecord, limits: dict[str, object]) -> Held:
    groups = Cgroups(record.cgroups)
    try:
        found = Limits(**{_LIMITS[k]: v or None if k == "pids" else v for k, v in limits.items()})  # type: ignore[arg-type]
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
    limits = {key: spec[key] for key in wanted if key in _LIMITS}
    note(handle.store, changed, "updated", limits=limits, restart=wanted.get("restart", ""))
