"""What a container printed, during its life and after it: from its own files, or from the journal where systemd keeps it.

✗ prints: cli/, ✗ writes.
"""

from __future__ import annotations

import time

from ...base.errors import Conflict, SpecError
from ...observe.frames import has_log, writer_is_gone
from ...observe.logs import STREAMS, Selection, read_lines
from ...observe.times import parse_time
from ...state.store import is_locked
from . import lifecycle

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...observe.logs import LogLine
    from .handle import Handle

# What is in the pipes when the last process has gone is read soon; a supervisor may have them open for longer.
_LAST_WORDS_S, _OF_THE_OWNED_S = 30.0, 2.0
_STARTING = (lifecycle.CREATING, lifecycle.CREATED)


def container_logs(
    handle: Handle, wish: Selection | None = None, *, follow: bool = False
) -> Iterator[LogLine]:
    """The lines that were kept, the oldest first; with `follow` also those to come, until the container has ended.

    The handle must stay open as long as somebody reads.  Raises Conflict where nothing is kept.
    """
    unit = handle.record.detached if handle.record else ""
    if unit not in ("", "none"):
        from ...observe.journal import read_journal

        return read_journal(
            unit, wish or Selection(), follow=follow, uid=handle.record.creator_uid if handle.record else 0,
            has_ended=lambda: handle.refresh().status not in lifecycle.ALIVE,
        )  # fmt: skip
    if not has_log(handle.fd) and handle.status not in _STARTING:
        why, remedy = (
            "it ran in the foreground",
            "what it printed went to where it was started; start it with -d",
        )
        if handle.record is not None and handle.record.spec.get("tty"):
            why, remedy = "it has a terminal", f"nucleus attach {handle.name} shows that; start it without -t"
        raise Conflict(f"container {handle.name} keeps no log: {why}", where="nucleus logs", remedy=remedy)
    if not follow and handle.ended is not None:
        _await_writer(handle.fd)
    return read_lines(handle.fd, wish or Selection(), follow=follow)


def _await_writer(directory: int) -> None:
    """The container has ended: what it said last may still be on its way to the file, for a moment."""
    begun = time.monotonic()
    while not writer_is_gone(directory):
        patience = _OF_THE_OWNED_S if is_locked(directory) else _LAST_WORDS_S
        if time.monotonic() - begun > patience:
            return
        time.sleep(0.01)


def selection(
    *,
    since: str = "",
    until: str = "",
    tail: str | int | None = None,
    streams: tuple[str, ...] = ("stdout", "stderr"),
) -> Selection:
    """From the words of people: times as `parse_time` reads them, a number of lines or "all".  Raises SpecError."""
    if unknown := [s for s in streams if s not in STREAMS] or (not streams and ["none"]):
        raise SpecError(f"no stream {unknown[0]!r}", where="streams", remedy="use stdout, stderr or both")
    since_ns, until_ns = times(since, until)
    return Selection(since_ns=since_ns, until_ns=until_ns, tail=_count(tail), streams=tuple(streams))


def times(since: str, until: str) -> tuple[int | None, int | None]:
    """Two points in time by the same clock, in nanoseconds; None for what nobody wrote.  Raises SpecError."""
    now = time.time_ns()
    return _time(since, now, "--since"), _time(until, now, "--until")


def _time(text: str, now_ns: int, where: str) -> int | None:
    if not text:
        return None
    try:
        return parse_time(text, now_ns)
    except SpecError as error:
        raise SpecError(error.message, where=where, remedy=error.remedy) from None


def _count(tail: str | int | None) -> int | None:
    text = "all" if tail is None else str(tail)
    if text == "all":
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise SpecError(f"'{text}' is no number of lines", where="--tail", remedy="use digits, or all")
    return int(text)
