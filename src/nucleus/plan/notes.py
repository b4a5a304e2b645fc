"""What the first event of a container says of it, and where events go.  ✗ when they are written: namespaces.py."""

from __future__ import annotations

from ..base.jsontext import dumps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

EVENTS_FILE, EVENTS_MAX_BYTES = "events.jsonl", 4 << 20
# One write of at most 4096 bytes is never mixed with another's; the launcher adds the rest of the line.
_MAX_MEMBERS, _MAX_PROGRAM = 3000, 400


def created_members(name: str, labels: tuple[tuple[str, str], ...], command: tuple[str, ...]) -> str:
    """What the line of `created` says beside time, type and id."""
    known: dict[str, Any] = {"name": name, "labels": dict(labels), "program": command[0][:_MAX_PROGRAM]}
    text = dumps(known)
    if len(text) > _MAX_MEMBERS:
        text = dumps({**known, "labels": {}, "cut": True})
    return f",{text[1:-1]}"
