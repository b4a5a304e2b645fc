"""Lives as OpenTelemetry spans: which, from when to when, and that a collector gets them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from nucleus.base.errors import HostUnsupported
from nucleus.cli import events as verb
from nucleus.observe import otel
from nucleus.observe.events import FILE

ID = "0123456789abcdef" * 2


def event(at: int, kind: str, container_id: str = ID, **more: Any) -> dict[str, Any]:
    head = {"time_ns": at, "type": kind, "id": container_id, "name": "web", "labels": {"team": "x"}}
    return head | more


END = {"exit_code": 137, "signal": 9, "reason": "oom", "oom_kills": 1}
LIFE = [
    event(10, "created", program="sh"),
    event(20, "started"),
    event(25, "oom"),
    event(30, "stopped", **END),
]


def test_a_life_is_a_trace_with_the_id_of_the_container() -> None:
    ((end, (whole, setup, run)),) = otel.lives(LIFE)
    assert end["type"] == "stopped"
    assert {f"{span.trace_id:032x}" for span in (whole, setup, run)} == {ID}
    assert [(s.name, s.start_ns, s.end_ns) for s in (whole, setup, run)] == [
        ("container web", 10, 30), ("setup", 10, 20), ("run", 20, 30),
    ]  # fmt: skip
    assert setup.parent_id == run.parent_id == whole.span_id != 0
    assert (whole.failed, setup.failed, run.failed) == ("oom", "", "oom")
    assert whole.attributes["container.label.team"] == "x" and whole.attributes["nucleus.exit_code"] == 137
    assert [name for name, _, _ in whole.events] == ["oom"]


def test_the_same_life_is_the_same_spans_and_another_one_is_not() -> None:
    again = [e | {"time_ns": e["time_ns"] + 100} for e in LIFE]
    first, second, third = [spans for _, spans in otel.lives([*LIFE, *again, *LIFE])]
    assert first == third
    assert {s.span_id for s in first}.isdisjoint({s.span_id for s in second})


def test_lives_that_have_not_ended_or_have_no_beginning_are_none() -> None:
    other = "f" * 32
    assert list(otel.lives([*LIFE[:-1], event(5, "stopped", other, **END)])) == []


def test_a_launch_that_failed_has_no_run() -> None:
    failed = event(30, "stopped", exit_code=125, signal=0, reason="failed")
    ((_, spans),) = otel.lives([LIFE[0], failed])
    assert [(s.name, s.failed) for s in spans] == [("container web", "failed"), ("setup", "failed")]


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bytes]]:
    """A collector on this machine, and what it was sent."""
    sent: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            sent.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing on the terminal."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "none")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield sent
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_collector_gets_the_lives_that_were_chosen(tmp_path: Path, collector: list[bytes]) -> None:
    import json

    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    others = [e | {"id": "f" * 32, "name": "db"} for e in LIFE]
    (tmp_path / FILE).write_text("".join(json.dumps(e) + "\n" for e in [*LIFE, *others]))
    assert verb.main(["--root", str(tmp_path), "--format", "otlp", "--filter", "name=web"]) == 0
    (body,) = collector
    request = ExportTraceServiceRequest()
    request.ParseFromString(body)
    spans = [s for r in request.resource_spans for scope in r.scope_spans for s in scope.spans]
    assert sorted((s.name, s.start_time_unix_nano, s.end_time_unix_nano) for s in spans) == [
        ("container web", 10, 30), ("run", 20, 30), ("setup", 10, 20),
    ]  # fmt: skip
    assert {s.trace_id.hex() for s in spans} == {ID}


def test_without_the_extra_the_remedy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(
        __import__("sys").modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None
    )
    with pytest.raises(HostUnsupported) as caught:
        otel.otlp_exporter()
    assert "otel" in caught.value.remedy
