"""supervisor.json: what the supervisor of a container knows of it.  Whole or not at all, one writer.  ✗ decides nothing."""

from __future__ import annotations

from ...base.errors import HostUnsupported, LaunchError
from ...base.jsontext import dumps
from ...base.value import Value
from ...state.store import read_file, write_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FILE = "supervisor.json"
VERSION = 1
MOST_ENDS = 10
CREATED, RUNNING, PAUSING, ENDED = "created", "running", "pausing", "ended"


class Supervision(Value):
    """The state of a supervised container.

    phase        created, running, pausing (before the next start) or ended (no start follows)
    pid, ticks   the supervisor's, and its start time in clock ticks
    health       starting, healthy or unhealthy; empty without a health check
    failures     checks that failed in a row;  health_error: why the last one did
    ready        its readiness probe has succeeded, or it has none and runs
    ready_error  why it was given up
    restarts     starts after the first
    next_start_ns  when the pause is over, nanoseconds since the epoch
    ends         the last ends, the newest last: exit_code, signal, reason, error, started_ns, finished_ns
    """

    version: int = VERSION
    phase: str = CREATED
    pid: int
    ticks: int = 0
    health: str = ""
    failures: int = 0
    health_error: str = ""
    ready: bool = False
    ready_error: str = ""
    restarts: int = 0
    next_start_ns: int = 0
    ends: tuple[dict[str, Any], ...] = ()

    def reason(self, finished_ns: int) -> str:
        """Why the last life ended, if that is the one: whoever ended it knows better than the record of the end."""
        return self._last(finished_ns, "reason")

    def error(self, finished_ns: int) -> str:
        """The same of the sentence about it: it may end with what a hook has printed."""
        return self._last(finished_ns, "error")

    def _last(self, finished_ns: int, what: str) -> str:
        last = self.ends[-1] if self.ends else {}
        return str(last[what]) if last.get("finished_ns") == finished_ns else ""


def write(directory: int, known: Supervision) -> None:
    """Tell it; where the disk is full readers see what was told before."""
    try:
        write_file(directory, FILE, dumps(known).encode() + b"\n")
    except HostUnsupported:
        return  # or the directory is gone: --rm


def read(directory: int) -> Supervision | None:
    """What was told last; None where there is no supervisor, or another version's."""
    data = read_file(directory, FILE)
    if data is None:
        return None
    import json

    try:
        fields = json.loads(data)
        if fields.pop("version") != VERSION:
            return None
        return Supervision(**{**fields, "ends": tuple(fields["ends"])})
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def not_ready(reason: str) -> LaunchError:
    """The error of a container that did not become ready."""
    return LaunchError(
        f"the container did not become ready: {reason}", where="readiness",
        remedy="see what it prints without the readiness probe",
    )  # fmt: skip
