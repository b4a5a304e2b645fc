"""Events of a container, by its record: for whoever acts on one.  ✗ the table of events (`observe/events.py`)."""

from __future__ import annotations

from ...observe.events import Subject, emit
from .audited import note_act

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from ...launch.report import ExitRecord
    from ...state.record import ContainerRecord
    from ...state.store import Store

# Event → what the audit log is told of it.
_AUDITED = {
    "exec": "container_exec",
    "killed": "container_kill",
    "stopping": "container_kill",
    "removed": "container_remove",
}


def note(
    store: Store,
    record: ContainerRecord | None,
    event: str,
    /,
    *,
    command: Sequence[str] = (),
    **details: Any,
) -> None:
    """It happened to that container, now: into the state root's log, the files of its own, and its audit log.

    command: for the audit log alone, which has no secrets of it
    details: the fields that `observe.events.TYPES` has for this event, and no other
    """
    if record is None:
        return  # nothing is known of it, not even its name
    file = str(record.spec.get("events_jsonl") or "")
    emit(
        store.path, Subject(id=record.id, name=record.name, labels=record.labels, file=file), event, **details
    )
    if event in _AUDITED:
        note_act(record, _AUDITED[event], command)


def note_end(store: Store, record: ContainerRecord, ended: ExitRecord) -> None:
    """The end of a container whose own monitor could not note it."""
    note(
        store, record, "stopped", exit_code=ended.exit_code, signal=ended.signal, reason=ended.reason,
        duration_ns=ended.finished_ns - ended.started_ns, oom_kills=ended.oom_kills,
        memory_peak_bytes=ended.memory_peak_bytes, cpu_us=ended.cpu_us, pids_denied=ended.pids_denied,
        user_us=ended.user_us, system_us=ended.system_us, max_rss_bytes=ended.max_rss_bytes,
    )  # fmt: skip
