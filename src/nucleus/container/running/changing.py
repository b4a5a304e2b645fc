"""What changes a living container without ending it: pause, unpause, rename.  ✗ limits, restart policy: `updating.py`."""

from __future__ import annotations

from ...base.errors import HostUnsupported, SpecError
from ...base.identifiers import is_name
from ...cgroup import control
from ...state import gate
from ...state.store import write_file
from .events import note

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .handle import Handle


def pause(handle: Handle) -> None:
    """Stop every process of the container where it is; returns when none runs any more."""
    with gate.Lock(handle.fd, gate.VERB_LOCK):
        handle.refresh().require("pause")
        control.set_frozen(_cgroups(handle), frozen=True)
        note(handle.store, handle.record, "paused")


def unpause(handle: Handle) -> None:
    """Let a paused container go on."""
    with gate.Lock(handle.fd, gate.VERB_LOCK):
        handle.refresh().require("unpause")
        control.set_frozen(_cgroups(handle), frozen=False)
        note(handle.store, handle.record, "unpaused")


def _cgroups(handle: Handle) -> tuple[str, ...]:
    cgroups = handle.record.cgroups if handle.record else ()
    if not cgroups:
        raise HostUnsupported(
            f"container {handle.name} has no cgroup, and only a cgroup can be frozen",
            where="cgroup",
            remedy="run `nucleus doctor`: it says how to get one delegated; then create it anew",
        )
    return cgroups


def rename(handle: Handle, name: str) -> None:
    """Give the container another name; the old one is free then.  Raises SpecError, Conflict."""
    if not is_name(name):
        raise SpecError(
            f"{name!r} is not a name", where="nucleus rename",
            remedy="use letters, digits, '.', '_' and '-', beginning with a letter or digit",
        )  # fmt: skip
    with gate.Lock(handle.fd, gate.VERB_LOCK):
        handle.refresh().require("rename")
        record = handle.record
        assert record is not None  # what has none is `creating` or `dead`
        if record.name == name:
            return
        handle.store.take_name(name, handle.id)
        # Killed between the two it answers to both, and the record says which is its own.
        write_file(handle.fd, "state.json", record.replace(name=name).to_json())
        if record.name:
            handle.store.release_name(record.name, handle.id)
        handle.refresh()
        note(handle.store, handle.record, "renamed", old_name=record.name)
