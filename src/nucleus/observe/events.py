"""Lifecycle events: the table of their types, the state root's event log, and writing to where somebody asked.

A line is one JSON object, written at once, at most 4096 bytes: lines of several writers never mix.  The launcher
writes `created`, `started`, `oom` and `stopped` itself (launcher/step_events.c).  ✗ decides when something happened.
"""

from __future__ import annotations

import fcntl
import os
import time
from stat import S_ISREG

from ..base.jsontext import dumps
from ..base.value import Value
from ..plan.notes import EVENTS_FILE as FILE
from ..plan.notes import EVENTS_MAX_BYTES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

OLDER = "events.1.jsonl"
MAX_LINE = 4096
_POLL_S = 0.1
_CHUNK = 1 << 20


class EventType(Value):
    """What can happen: its meaning, and the fields beside those that every event has, with theirs."""

    meaning: str
    fields: dict[str, tuple[str, str]] = {}  # name → (type, meaning)


# Of every event; `name` and `labels` stand in the line of `created`, and readers add them to the others.
EVERY = {
    "time_ns": ("int", "when, nanoseconds since the epoch"),
    "type": ("str", "one of the types below"),
    "id": ("str", "the container's id"),
    "name": ("str", "its name, or empty"),
    "labels": ("dict", "its labels"),
}
_END = {
    "exit_code": ("int", "what the command line returned"),
    "signal": ("int", "the signal that ended it, or 0"),
    "reason": (
        "str",
        "exit, signal, oom, timeout, owner-lost, host-kill or failed; what was asked to end for its health has how it did",
    ),
    "duration_ns": ("int", "from the start of the launch to the end"),
    "oom_kills": ("int", "processes that the kernel killed for memory"),
    "memory_peak_bytes": ("int", "the most memory; 0 where it was not counted"),
    "cpu_us": ("int", "processor time of the cgroup; 0 where it was not counted"),
    "pids_denied": ("int", "processes that the limit refused"),
    "user_us": ("int", "processor time of the workload in user mode"),
    "system_us": ("int", "the same in the kernel"),
    "max_rss_bytes": ("int", "the largest process's memory"),
}
_COUNT = {"count": ("int", "how often by now")}
TYPES: dict[str, EventType] = {
    "created": EventType(
        meaning="its cgroup and namespaces are being made",
        fields={
            "program": ("str", "the first word of the command"),
            "cut": ("bool", "the labels were left out: the line would have been too long"),
        },
    ),
    "started": EventType(meaning="the sandbox is ready, the command is let go"),
    "ready": EventType(meaning="its readiness probe succeeded", fields={"after_ms": ("int", "since it started")}),
    "healthy": EventType(meaning="its health check succeeds, for the first time or again"),
    "unhealthy": EventType(
        meaning="its health check failed as often as it may",
        fields={"failures": ("int", "in a row"), "error": ("str", "why the last one failed")},
    ),
    "exec": EventType(
        meaning="somebody starts a command inside", fields={"program": ("str", "the first word of the command")}
    ),
    "attached": EventType(meaning="a terminal was attached"),
    "detached": EventType(meaning="it was detached again"),
    "paused": EventType(meaning="its processes were frozen"),
    "unpaused": EventType(meaning="they go on"),
    "killed": EventType(meaning="somebody sent a signal", fields={"signal": ("int", "which")}),
    "stopping": EventType(meaning="it was asked to end", fields={"signal": ("int", "by which signal")}),
    "oom": EventType(meaning="the kernel killed for memory"),
    "stopped": EventType(meaning="it ended", fields=_END),
    "restarted": EventType(
        meaning="it was started again", fields={**_COUNT, "reason": ("str", "why the one before ended")}
    ),
    "renamed": EventType(meaning="it has another name", fields={"old_name": ("str", "the one before")}),
    "updated": EventType(
        meaning="its limits or its restart policy were changed",
        fields={"limits": ("dict", "the new ones"), "restart": ("str", "the new policy, or empty")},
    ),
    "hook": EventType(
        meaning="an OCI hook has run", fields={"hook": ("str", "which point"), "path": ("str", "its program")}
    ),
    "hook-failed": EventType(
        meaning="an OCI hook failed", fields={"hook": ("str", "which point"), "error": ("str", "why")}
    ),
    "conflict": EventType(
        meaning="files changed inside and outside while it ran", fields={"paths": ("list", "some of them")}
    ),
    "removed": EventType(meaning="its record was removed"),
}  # fmt: skip


class Subject(Value):
    """Whose events: the container, and where else than into the state root's log they go."""

    id: str
    name: str = ""
    labels: dict[str, str] = {}
    file: str = ""  # --events-jsonl
    fd: int = -1  # --events-fd


def event_line(subject: Subject, event: str, time_ns: int, details: dict[str, Any]) -> bytes:
    """One line, at most MAX_LINE bytes: labels and details that are too long are left out.

    Raises KeyError for a type or a field that the table does not have.
    """
    known = TYPES[event].fields
    unknown = [name for name in details if name not in known]
    if unknown:
        raise KeyError(f"{event} has no field {unknown[0]}")
    # Such as a signal by its name: an enumeration has no JSON form of its own.
    details = {
        key: int(value) if isinstance(value, int) and not isinstance(value, bool) else value
        for key, value in details.items()
    }
    head: dict[str, Any] = {"time_ns": time_ns, "type": event, "id": subject.id, "name": subject.name}
    for body in ({"labels": subject.labels, **details}, details, {}):
        line = dumps({**head, **body}).encode() + b"\n"
        if len(line) <= MAX_LINE:
            return line
    raise ValueError("the name is too long")


def emit(root: str, subject: Subject, event: str, /, **details: Any) -> None:
    """Note that it happened, now.  An event is never worth a failure: what cannot be written is left out."""
    line = event_line(subject, event, time.time_ns(), details)
    try:
        directory = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return  # the state root was removed: nobody can ask any more
    try:
        rotate(directory)
        append(FILE, line, directory)
    finally:
        os.close(directory)
    if subject.file:
        append(subject.file, line)
    if subject.fd >= 0:
        _write(subject.fd, line)


def append(path: str, line: bytes, directory: int | None = None) -> bool:
    """One write to the end of a file; False when there is no room, or it is no file of ours."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        fd = os.open(path, flags, 0o600, dir_fd=directory)
    except OSError:
        return False
    try:
        return _write(fd, line)
    finally:
        os.close(fd)


def _write(fd: int, line: bytes) -> bool:
    import select

    waiting = select.poll()
    waiting.register(fd, select.POLLOUT)
    try:
        return any(seen & select.POLLOUT for _, seen in waiting.poll(0)) and os.write(fd, line) == len(line)
    except OSError:
        return False


def rotate(directory: int, max_bytes: int = EVENTS_MAX_BYTES) -> None:
    """Put the log aside when it is full; of several who see that, one does it."""
    try:
        if os.stat(FILE, dir_fd=directory).st_size <= max_bytes:
            return
        own = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=directory)
    except FileNotFoundError:
        return
    try:
        fcntl.flock(own, fcntl.LOCK_EX)
        if os.stat(FILE, dir_fd=own).st_size > max_bytes:
            os.rename(FILE, OLDER, src_dir_fd=own, dst_dir_fd=own)
    except FileNotFoundError:
        return
    finally:
        os.close(own)


def read_events(root: str, *, follow: bool = False, until_ns: int | None = None) -> Iterator[dict[str, Any]]:
    """All events that are kept, the oldest first; with `follow` also those to come.

    Each has name and labels: what `created` said of the container holds for the events after it.
    """
    directory = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    known: dict[str, dict[str, Any]] = {}
    file = _open(directory, OLDER)
    try:
        if file >= 0:
            yield from _lines(file, bytearray(), known)
            os.close(file)
        file, left = _open(directory, FILE), bytearray()
        while True:
            if file >= 0:
                yield from _lines(file, left, known)
            if not follow or (until_ns is not None and time.time_ns() >= until_ns):
                return
            time.sleep(_POLL_S)
            newer = _open(directory, FILE)
            if newer >= 0 and (file < 0 or os.fstat(newer).st_ino != os.fstat(file).st_ino):
                if file >= 0:
                    yield from _lines(file, left, known)
                    os.close(file)
                file, left = newer, bytearray()
            elif newer >= 0:
                os.close(newer)
    finally:
        if file >= 0:
            os.close(file)
        os.close(directory)


def _open(directory: int, name: str) -> int:
    try:
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory)
    except FileNotFoundError:
        return -1
    if S_ISREG(os.fstat(fd).st_mode):
        return fd
    os.close(fd)
    return -1


def _lines(fd: int, left: bytearray, known: dict[str, dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The whole lines from here to the end; a part of one waits in `left`.  A damaged line is passed over."""
    import json

    while data := os.read(fd, _CHUNK):
        left += data
        *whole, rest = bytes(left).split(b"\n")
        left[:] = rest
        for line in whole:
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if isinstance(event, dict) and {"time_ns", "type", "id"} <= event.keys():
                yield _named(event, known)


def _named(event: dict[str, Any], known: dict[str, dict[str, Any]]) -> dict[str, Any]:
    subject = known.setdefault(str(event["id"]), {"name": "", "labels": {}})
    subject |= {key: event[key] for key in subject if key in event}
    head = {key: event[key] for key in ("time_ns", "type", "id")}
    return head | subject | event


def matcher(filters: tuple[str, ...]) -> Callable[[dict[str, Any]], bool]:
    """`type=`, `id=` (or its beginning), `name=`, `label=KEY[=VALUE]`: alternatives of one key, all of the keys.

    Raises ValueError for another one.
    """
    wanted: dict[str, list[str]] = {}
    for word in filters:
        key, equals, value = word.partition("=")
        if key not in ("type", "id", "name", "label") or not equals or not value:
            raise ValueError(word)
        if key == "type" and value not in TYPES:
            raise ValueError(word)
        wanted.setdefault(key, []).append(value)

    def matches(event: dict[str, Any]) -> bool:
        return all(any(_is(event, key, value) for value in values) for key, values in wanted.items())

    return matches


def _is(event: dict[str, Any], key: str, value: str) -> bool:
    if key == "id":
        return str(event["id"]).startswith(value)
    if key == "label":
        name, equals, content = value.partition("=")
        labels = event["labels"]
        return name in labels and (not equals or labels[name] == content)
    return bool(event[key] == value)
