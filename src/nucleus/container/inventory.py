"""Which containers there are, what is known of each, and how one is removed.  ✗ prints: cli/."""

from __future__ import annotations

import os
import time

from ..base.errors import Conflict, NotFound
from ..launch.report import read_exit, read_init
from ..state.record import from_json
from ..state.store import Store, default_root, owner_is_gone, read_file
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
    """The record with status, pid and exit; None when it is gone or was never complete."""
    try:
        fd = store.open(container_id)
    except NotFound:
        return None
    try:
        record = from_json(read_file(fd, "state.json") or b"")
        ended = read_exit(read_file(fd, "exit") or b"")
        init = read_init(read_file(fd, "init") or b"")
    finally:
        os.close(fd)
    if record is None:
        return None
    known: dict[str, Any] = dict(record.as_dict())
    known["status"] = "stopped" if ended else "running" if init else "creating"
    known["pid"] = init.init_pid if init and not ended else 0
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
        container_id = store.resolve(reference)
        return _known(store, container_id) or {"id": container_id, "status": "unknown"}
    finally:
        store.close()


def remove(reference: str, *, root: str, force: bool) -> str:
    """Remove an ended container, with `force` a running one too; returns its id.  Raises NotFound, Conflict."""
    store = open_store(root)
    try:
        container_id = store.resolve(reference)
        fd = store.open(container_id)
        try:
            record = from_json(read_file(fd, "state.json") or b"")
            if not owner_is_gone(fd):
                _end(fd, container_id, force)
                record = from_json(read_file(fd, "state.json") or b"")
            if not settled(read_file(fd, "exit") or b""):
                bury(store, container_id, fd, record)
            remove_directory(store, container_id, record)
        finally:
            os.close(fd)
        return container_id
    finally:
        store.close()


def _end(fd: int, container_id: str, force: bool) -> None:
    if not force:
        raise Conflict(
            f"container {container_id[:12]} is running",
            where="nucleus rm",
            remedy="use rm -f, which kills it",
        )
    deadline = time.monotonic() + _KILL_WAIT_S
    while not owner_is_gone(fd):
        # Again and again: a container that is just starting has no init to kill yet.
        kill_left_over(fd, from_json(read_file(fd, "state.json") or b""))
        if time.monotonic() > deadline:
            raise Conflict(
                f"container {container_id[:12]} did not end", where="nucleus rm", remedy="try again"
            )
        time.sleep(0.01)
