"""Audit records: one line, whole, whatever was asked for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from texts import CHARACTERS

from nucleus.observe.audit import AuditRecord, acted, line_of, write
from nucleus.observe.events import MAX_LINE

TEXTS = st.lists(st.text(CHARACTERS, max_size=2500), max_size=4).map(tuple)


@given(command=TEXTS, environment=TEXTS, sources=TEXTS, name=st.text(CHARACTERS, max_size=3000))
def test_any_record_is_one_line_that_one_write_takes(
    command: tuple[str, ...], environment: tuple[str, ...], sources: tuple[str, ...], name: str
) -> None:
    record = AuditRecord(
        time_ns=1, type="container_start", id="a" * 32, name=name, caller_uid=0, caller_pid=7, command=command,
        environment=environment, sources=sources,
    )  # fmt: skip
    line = line_of(record)
    assert len(line) <= MAX_LINE and line.count(b"\n") == 1
    read = json.loads(line)
    assert (read["id"], read["caller_pid"]) == ("a" * 32, 7)
    if len(repr(record)) < 2000:
        assert tuple(read.get("command", ())) == command


def test_what_somebody_does_is_recorded_with_who_and_without_secrets(tmp_path: Path) -> None:
    file = tmp_path / "audit"
    assert write(str(file), acted("container_exec", "a" * 32, "web", ["psql", "--password", "hunter2"]))
    read = json.loads(file.read_text())
    assert (read["type"], read["command"]) == ("container_exec", ["psql", "--password", "[redacted]"])


def test_what_is_not_in_the_table_is_no_audit_record() -> None:
    with pytest.raises(KeyError):
        acted("container_dreams", "a" * 32, "")
