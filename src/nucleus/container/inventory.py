"""Which containers there are, what is known of each, and how one is removed.  ✗ prints: cli/."""

from __future__ import annotations

import os
import time

from ..base.errors import Conflict, NotFound
from ..state.record import from_json
from ..state.store import Store, default_root, owner_is_gone, read_file
from .events import note
from .handle import Handle, resolve
from .lifecycle import ALIVE
from .sweep import bury, kill_left_over, remove_directory, settled, sweep

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_KILL_WAIT_S = 5.0


def open_store(root: str) -> Store:
    """The state root, swept: what follows reports the truth."""
    store = Store(root or default_root(os.geteuid(), dict(os.environ)))
    sweep(store)
    return store


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
    ended, init = handle.ended, handle.init
    known["status"] = handle.status
    known["pid"] = init.init_pid if init and known["status"] in ALIVE else 0
    known["started_ns"] = handle.started.started_ns if handle.started else ended.started_ns if ended else 0
    if ended:
        known |= {
            "exit_code": ended.exit_code, "signal": ended.signal, "reason": ended.reason,
            "finished_ns": ended.finished_ns, "oom_kills": ended.oom_kills,
            "memory_peak_bytes": ended.memory_peak_bytes,
        }  # fmt: skip
    return known


def list_containers(root: str) -> list[dict[str, Any]]:
    """All containers of the state root, oldest first."""
    store = open_store(root)
    try:
        return [known for i in store.ids() if (known := _known(store, i)) is not None]
    finally:
        store.close()


def inspect(reference: str, root: str) -> dict[str, Any]:
    """All that is known of one container.  Raises NotFound, Conflict."""
    store = open_store(root)
    try:
        with resolve(store, reference) as handle:
            known = describe(handle)
            if known["status"] in ALIVE:
                from .live import measured_or_none

                known["live"] = measured_or_none(handle)
            return known
    finally:
        store.close()


def remove(reference: str, *, root: str, force: bool) -> str:
    """Remove an ended container, with `force` a running one too; returns its id.  Raises NotFound, Conflict."""
    store = open_store(root)
    try:
        with resolve(store, reference) as handle:
            _end(handle, force=force)
            record = from_json(read_file(handle.fd, "state.json") or b"")
            if not settled(read_file(handle.fd, "exit") or b""):
                bury(store, handle.id, handle.fd, record)
            remove_directory(store, handle.id, record)
            note(store, record, "removed")
            return handle.id
    finally:
        store.close()


def _end(handle: Handle, *, force: bool) -> None:
    """Take the container's lock, with `force` by killing what holds it."""
    deadline = time.monotonic() + _KILL_WAIT_S
    while not owner_is_gone(handle.fd):
        # Somebody who only looks holds the lock for a moment too: its state tells whether it is in use.
        if not force:
            handle.refresh().require("rm")
        else:
            # Again and again: a container that is just starting has no init to kill yet.
            kill_left_over(handle.fd, from_json(read_file(handle.fd, "state.json") or b""))
        if time.monotonic() > deadline:
            raise Conflict(f"container {handle.name} did not end", where="nucleus rm", remedy="try again")
        time.sleep(0.01)
