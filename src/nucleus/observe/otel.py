"""Lives of containers as OpenTelemetry spans: from events, after the fact.  Needs the extra `otel`; imported when asked for.

The trace id is the container's id, and span ids derive from it: a life that is exported twice is the same spans.
✗ collects anything while a container runs: no library is in a launch's way.
"""

from __future__ import annotations

from hashlib import sha256

from ..base.errors import HostUnsupported
from ..base.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from opentelemetry.sdk.trace.export import SpanExporter

# Fields of an event that are no attributes of their own.
_HEAD = ("time_ns", "type", "id", "name", "labels")


class Span(Value):
    """One span: of a whole life, or of a part of it.  parent: the name of the span that it is a part of."""

    name: str
    trace_id: int
    span_id: int
    start_ns: int
    end_ns: int
    parent_id: int = 0
    attributes: dict[str, Any]
    events: tuple[tuple[str, int, dict[str, Any]], ...] = ()
    failed: str = ""  # why, in a word; empty for a good end


def lives(events: Iterable[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], tuple[Span, ...]]]:
    """Each life that has ended: its last event, and its spans, which are the whole, the set-up and the run."""
    open_lives: dict[str, list[dict[str, Any]]] = {}
    for event in events:
        container_id = str(event["id"])
        if event["type"] == "created":
            open_lives[container_id] = [event]
        elif container_id in open_lives:
            open_lives[container_id].append(event)
            if event["type"] == "stopped":
                yield event, _life(open_lives.pop(container_id))


def _life(events: list[dict[str, Any]]) -> tuple[Span, ...]:
    first, last = events[0], events[-1]
    started = next((e for e in events if e["type"] == "started"), None)
    trace = int(first["id"][:32], 16)
    attributes = {
        "container.id": first["id"], "container.name": last["name"], "process.executable.name": first.get("program", ""),
        **{f"container.label.{key}": value for key, value in first["labels"].items()},
        **{f"nucleus.{key}": value for key, value in last.items() if key not in _HEAD},
    }  # fmt: skip
    failed = "" if last["reason"] == "exit" and last["exit_code"] == 0 else str(last["reason"])
    between = tuple([(e["type"], e["time_ns"], _details(e)) for e in events[1:-1] if e["type"] != "started"])
    whole = Span(
        name=f"container {last['name'] or first['id'][:12]}", trace_id=trace, span_id=_span_id(first, "life"),
        start_ns=first["time_ns"], end_ns=last["time_ns"], attributes=attributes, events=between, failed=failed,
    )  # fmt: skip
    end_of_setup = started["time_ns"] if started else last["time_ns"]
    parts = [("setup", first["time_ns"], end_of_setup, "" if started else failed)]
    if started:
        parts.append(("run", started["time_ns"], last["time_ns"], failed))
    below = [
        Span(
            name=name, trace_id=trace, span_id=_span_id(first, name), parent_id=whole.span_id, start_ns=start,
            end_ns=end, attributes={"container.id": first["id"]}, failed=why,
        )
        for name, start, end, why in parts
    ]  # fmt: skip
    return (whole, *below)


def _span_id(first: dict[str, Any], name: str) -> int:
    """Not 0, which stands for none."""
    digest = sha256(f"{first['id']} {first['time_ns']} {name}".encode()).digest()
    return int.from_bytes(digest[:8], "big") or 1


def _details(event: dict[str, Any]) -> dict[str, Any]:
    return {key: value if isinstance(value, str | int | float) else str(value)
            for key, value in event.items() if key not in _HEAD}  # fmt: skip


def otlp_exporter() -> SpanExporter:
    """To where the environment says (OTEL_EXPORTER_OTLP_ENDPOINT, …).  Raises HostUnsupported without the extra."""
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    except ImportError:
        raise HostUnsupported(
            "the OpenTelemetry exporter is not installed", where="--format otlp",
            remedy="install the extra: pip install 'nucleus-container[otel]'",
        ) from None  # fmt: skip
    return OTLPSpanExporter()


def export(spans: Iterable[Span], exporter: SpanExporter) -> None:
    """Hand spans to an exporter.  Raises HostUnsupported when it does not take them."""
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export import SpanExportResult

    resource = Resource.create({"service.name": "nucleus"})
    done = exporter.export([_readable(span, resource, ReadableSpan) for span in spans])
    if done is not SpanExportResult.SUCCESS:
        raise HostUnsupported(
            "the collector does not take spans", where="--format otlp",
            remedy="set OTEL_EXPORTER_OTLP_ENDPOINT to an OTLP collector, such as http://localhost:4318",
        )  # fmt: skip


def _readable(span: Span, resource: Any, kind: Any) -> Any:
    from opentelemetry.sdk.trace import Event
    from opentelemetry.trace import SpanContext, TraceFlags
    from opentelemetry.trace.status import Status, StatusCode

    def context(span_id: int) -> SpanContext:
        return SpanContext(
            span.trace_id, span_id, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED)
        )

    return kind(
        name=span.name, context=context(span.span_id), parent=context(span.parent_id) if span.parent_id else None,
        resource=resource, attributes=span.attributes, start_time=span.start_ns, end_time=span.end_ns,
        events=[Event(name, attributes=details, timestamp=at) for name, at, details in span.events],
        status=Status(StatusCode.ERROR, span.failed) if span.failed else Status(StatusCode.OK),
    )  # fmt: skip
