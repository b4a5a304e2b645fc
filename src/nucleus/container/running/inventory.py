"""Which containers there are, what is known of each, and how one is removed.  ✗ prints: cli/."""

from __future__ import annotations

import os

from ...base.errors import NotFound
from ...base.value import Value
from ...state.store import Store, default_root
from .handle import Handle, resolve
from .lifecycle import ALIVE
from .sweep import AT_MOST, sweep

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Shown(Value):
    """What `ps` and `inspect` tell beside the record: every container has every field, known or not."""

    status: str = ""
    pid: int = 0
    started_ns: int = 0
    finished_ns: int = 0
    exit_code: int | None = None
    signal: int | None = None
    reason: str = ""
    failure: str = ""
    oom_kills: int = 0
    memory_peak_bytes: int = 0
    ready: bool | None = None
    health: str = ""
    health_failures: int = 0
    health_error: str = ""
    restarts: int = 0
    ends: tuple[dict[str, Any], ...] = ()


_UNKNOWN = Shown().as_dict()


_OWN = frozenset(("containers", "names", "events.jsonl"))  # of what a state root holds


def open_store(root: str, *, sweep_at_most: int = AT_MOST, swept: bool = True) -> Store:
    """The state root, swept: what follows reports the truth.  Without that whoever opened it sweeps later.

    Raises NotFound for a root that was named and is none: a mistyped one would look like one without containers.
    """
    if root and not _is_root(root):
        raise NotFound(
            "there is no state root", where=root, remedy="name the one that the containers were made in"
        )
    store = Store(root or default_root(os.geteuid(), os.environ))
    if swept:
        sweep(store, at_most=sweep_at_most)
    return store


def _is_root(path: str) -> bool:
    """Is it one, or an empty directory that may become one?"""
    try:
        names = os.listdir(path)
    except OSError:
        return os.path.exists(path)  # whoever opens it says why not
    return not names or not _OWN.isdisjoint(names)


def _known(store: Store, container_id: str) -> dict[str, Any] | None:
    """What is known of one; None when it is gone or was never complete."""
    try:
        with Handle(store, container_id) as handle:
            return describe(handle) if handle.record is not None else None
    except NotFound:
        return None


def describe(handle: Handle) -> dict[str, Any]:
    """The record with status, pid and exit."""
    known: dict[str, Any] = dict(handle.record.as_dict()) if handle.record else {"id": handle.id}
    known |= _UNKNOWN
    known["status"] = handle.status  # first: that may be the look which meets the end
    ended, init = handle.ended, handle.init
    known["pid"] = init.init_pid if init and known["status"] in ALIVE else 0
    known["started_ns"] = handle.started.started_ns if handle.started else ended.started_ns if ended else 0
    if ended and ended.reason == "failed":
        from ..one_life import failure_of

        error = failure_of(handle)
        known["failure"] = "" if error is None else error.message
    if ended:
        known |= {
            "exit_code": ended.exit_code, "signal": ended.signal, "reason": ended.reason,
            "finished_ns": ended.finished_ns, "oom_kills": ended.oom_kills,
            "memory_peak_bytes": ended.memory_peak_bytes,
        }  # fmt: skip
    if handle.record is not None and handle.record.supervised:
        known |= _supervised(handle)
    return known


def _supervised(handle: Handle) -> dict[str, Any]:
    """What the supervisor tells beside the records."""
    from ..supervision import record as supervision

    told = supervision.read(handle.fd)
    if told is None:
        return {}
    reason = told.reason(handle.ended.finished_ns) if handle.ended is not None else ""
    return ({"reason": reason} if reason else {}) | {
        "health": told.health, "health_failures": told.failures, "health_error": told.health_error,
        "ready": told.ready, "restarts": told.restarts, "ends": list(told.ends),
    }  # fmt: skip


def list_containers(root: str, *, sweep_at_most: int = AT_MOST) -> list[dict[str, Any]]:
    """All containers of the state root, oldest first."""
    store = open_store(root, sweep_at_most=sweep_at_most)
    try:
        found = [known for i in store.ids() if (known := _known(store, i)) is not None]
        return sorted(
            found, key=lambda known: known.get("created_ns", 0)
        )  # their directories change when they run
    finally:
        store.close()


def inspect(reference: str, root: str) -> dict[str, Any]:
    """All that is known of one container.  Raises NotFound, Conflict."""
    store = open_store(root)
    try:
        with resolve(store, reference) as handle:
            known = describe(handle)
            known |= {"live": None, "workspace": None}
            if known["status"] in ALIVE:
                from .live import measured_or_none

                known["live"] = measured_or_none(handle)
            if known.get("spec", {}).get("workspace_mode") == "copy-in-out":
                from ..workspace.outcome import state

                known["workspace"] = state(handle.fd)
            return known
    finally:
        store.close()


def remove(reference: str, *, root: str, force: bool) -> str:
    """Remove an ended container, with `force` a living one too; returns its id.  Raises NotFound, Conflict."""
    from . import ending

    store = open_store(root)
    try:
        with resolve(store, reference) as handle:
            ending.remove(handle, force=force)
            return handle.id
    finally:
        store.close()
