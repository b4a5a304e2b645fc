"""The audit log (--audit-log FILE): who started what, how confined, what was done to it, how it ended.

One JSON object a line, appended with one write.  Secrets never reach it: commands are redacted, of environment
variables only the names are there.  The launcher writes the line of the end itself.  ✗ decides, ✗ keeps anything.
"""

from __future__ import annotations

import os
import time

from ..base.jsontext import dumps
from ..base.value import Value
from .events import MAX_LINE, append
from .redaction import REDACTED, redact

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any


class Security(Value):
    """How a container is confined: what its plan holds, and what was given up by name."""

    seccomp: str
    landlock: bool
    capabilities: tuple[str, ...]
    no_new_privs: bool
    rootless: bool
    network: str
    uid: int
    gid: int
    degraded: tuple[str, ...]
    pids_by: str


class AuditRecord(Value):
    """One line.  Fields that do not belong to its type are empty."""

    time_ns: int
    type: str
    id: str
    name: str
    caller_uid: int
    caller_pid: int
    command: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    limits: dict[str, int | None] = {}
    security: Security | None = None
    spec_hash: str = ""
    plan_hash: str = ""


# Type → what it says.
TYPES = {
    "container_start": "a container is being started: the command, how it is confined",
    "container_stop": "it ended: the fields of the event `stopped`; written by the launcher",
    "container_exec": "a command was started inside",
    "container_kill": "somebody sent it a signal or ended it",
    "container_remove": "its record was removed",
    "oom": "the kernel killed processes of it for memory; written by the launcher",
}


def acted(kind: str, container_id: str, name: str, command: Sequence[str] = ()) -> AuditRecord:
    """The record of what somebody does to a container.  Raises KeyError for a type that the table does not have."""
    TYPES[kind]
    return AuditRecord(
        time_ns=time.time_ns(), type=kind, id=container_id, name=name, caller_uid=os.getuid(),
        caller_pid=os.getpid(), command=tuple(redact(command)),
    )  # fmt: skip


def write(path: str, record: AuditRecord) -> bool:
    """Append the record; False when there is no room for it."""
    return append(path, line_of(record))


def line_of(record: AuditRecord) -> bytes:
    """One line, at most MAX_LINE bytes: what is long is left out, the longest first, and says so."""
    fields: dict[str, Any] = {
        key: value for key, value in record.as_dict().items() if value not in ((), {}, None, "")
    }
    for drop in ("", "environment", "sources", "command", "name"):
        if drop in fields:
            fields[drop] = (
                REDACTED if drop == "name" else [f"{len(fields[drop])} left out: too long for a line"]
            )
        line = dumps(fields).encode() + b"\n"
        if len(line) <= MAX_LINE:
            return line
    raise ValueError("the record is too long")
