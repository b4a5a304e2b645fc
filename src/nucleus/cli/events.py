"""`nucleus events [-f] [--since T] [--until T] [--filter KEY=VALUE] [--format FORMAT]`: what happened to containers.

✗ what can happen, where it is kept (`observe/events.py`).
"""

from __future__ import annotations

import sys
import time

from ..base.errors import SpecError
from ..base.jsontext import dumps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    Event = dict[str, Any]

HELP = """usage: nucleus events [OPTION...]

Show what happened to the containers of this state root, the oldest first.

  -f, --follow        go on with what happens from now on, until interrupted
  --since TIME        only what happened since then
  --until TIME        only what happened before then; with -f, end then
  --filter KEY=VALUE  type=, id=, name= or label=KEY[=VALUE]; of one key any, of
                      several keys all
  --format FORMAT     table (default); json, one object a line; otlp, which
                      sends lives that have ended as OpenTelemetry spans to
                      where OTEL_EXPORTER_OTLP_ENDPOINT says (extra `otel`)
  --root DIR          the state root

TIME is a time ago (90s, 1h30m), seconds since 1970, or a date such as
2026-01-31T12:00:00Z.
"""
_SHOWN_ELSEWHERE = ("time_ns", "type", "id", "name", "labels")
# Of how it ended, what a person asks first; --format json has the rest.
_BRIEF = {"stopped": ("exit_code", "reason")}


def main(argv: list[str]) -> int:
    """Prints; 0."""
    from ..container.running.inventory import open_store
    from ..container.running.logs import times
    from ..observe.events import matcher, read_events
    from .arguments import Arguments

    filters, rest = _filters(argv)
    given = Arguments(
        rest, flags={"-f": "follow", "--follow": "follow"},
        values=("--since", "--until", "--format", "--root"), help_text=HELP,
    )  # fmt: skip
    if given.done:
        return 0
    if given.words:
        raise SpecError(
            f"unexpected argument {given.words[0]!r}",
            where="nucleus events",
            remedy="--filter id=…, or name=…",
        )
    form = given.values.get("--format", "table")
    if form not in ("table", "json", "otlp"):
        raise SpecError(f"no format {form!r}", where="--format", remedy="use table, json or otlp")
    since, until = times(given.values.get("--since", ""), given.values.get("--until", ""))
    try:
        matches = matcher(filters)
    except ValueError as error:
        raise SpecError(
            f"'{error}' is no filter", where="--filter", remedy="use type=, id=, name= or label=KEY[=VALUE]"
        ) from None

    def chosen(event: Event) -> bool:
        return _within(event["time_ns"], since, until) and matches(event)

    store = open_store(given.values.get("--root", ""))
    try:
        found = read_events(store.path, follow=given.has("follow"), until_ns=until)
        if form == "otlp":
            _export(found, chosen)
        else:
            _print(found, chosen, form=form, at_once=given.has("follow"))
    finally:
        store.close()
    return 0


def _print(found: Iterable[Event], chosen: Callable[[Event], bool], *, form: str, at_once: bool) -> None:
    for event in found:
        if not chosen(event):
            continue
        sys.stdout.write(dumps(event) + "\n" if form == "json" else _row(event))
        if at_once:
            sys.stdout.flush()


def _export(found: Iterable[Event], chosen: Callable[[Event], bool]) -> None:
    """Each life whose end was chosen, as soon as it has ended."""
    from ..observe import otel

    exporter = otel.otlp_exporter()
    try:
        for end, spans in otel.lives(found):
            if chosen(end):
                otel.export(spans, exporter)
    finally:
        exporter.shutdown()


def _filters(argv: list[str]) -> tuple[tuple[str, ...], list[str]]:
    """--filter may be given several times; the rest is for the parser."""
    filters, rest, left = [], [], list(argv)
    while left:
        word = left.pop(0)
        name, equals, value = word.partition("=")
        if name != "--filter":
            rest.append(word)
        elif equals or left:
            filters.append(value if equals else left.pop(0))
        else:
            raise SpecError("a value is missing", where="--filter", remedy="write --filter KEY=VALUE")
    return tuple(filters), rest


def _within(time_ns: object, since: int | None, until: int | None) -> bool:
    if not isinstance(time_ns, int):
        return False
    return (since is None or time_ns >= since) and (until is None or time_ns < until)


def _row(event: Event) -> str:
    from .errors import printable

    moment = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(event["time_ns"] // 1_000_000_000))
    wanted = _BRIEF.get(event["type"]) or [key for key in event if key not in _SHOWN_ELSEWHERE]
    details = " ".join(f"{key}={_short(event[key])}" for key in wanted if key in event)
    name = event["name"] or "-"
    return (
        printable(f"{moment}  {event['id'][:12]}  {name:<16}  {event['type']:<10}  {details}".rstrip()) + "\n"
    )


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."
