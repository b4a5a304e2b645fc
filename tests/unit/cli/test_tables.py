"""Rows as a table, JSON Lines or by a template."""

from __future__ import annotations

import json
from typing import Any

import pytest
from rows import every_row

from nucleus.base.errors import SpecError
from nucleus.base.jsontext import dumps
from nucleus.cgroup.stats import Held
from nucleus.cli.tables import Filters, Template, check_format, render, short

ROWS = [{"id": "abc", "memory_bytes": 12, "labels": {"a": "b"}}, {"id": "d", "memory_bytes": 3, "labels": {}}]
COLUMNS = [("ID", lambda r: str(r["id"])), ("MEM", lambda r: str(r["memory_bytes"]))]


@every_row(
    ("form", "text"),
    [
        ("table", "ID   MEM\nabc  12\nd    3\n"),
        ("json", '{"id": "abc", "memory_bytes": 12, "labels": {"a": "b"}}\n{"id": "d", "memory_bytes": 3, "labels": {}}\n'),
        ("{{.ID}}\\t{{ .MemoryBytes }}", "abc\t12\nd\t3\n"),
        ("{{json .labels}}!", '{"a": "b"}!\n{}!\n'),
        ("{{.labels}}", '{"a": "b"}\n{}\n'),
        ("table {{.id}}!\\t{{.memory_bytes}}", "ID    MEMORY BYTES\nabc!  12\nd!    3\n"),
        ("table {{json .}}", "ALL\n" + "".join([f"{dumps(row)}\n" for row in ROWS])),
        ("x{{json .}}{{.id}}", "".join([f"x{dumps(row)}{row['id']}\n" for row in ROWS])),
    ],
)  # fmt: skip
def test_the_three_forms(form: str, text: str) -> None:
    assert render(ROWS, COLUMNS, check_format(form)) == text


@every_row("form", ["", "yaml", "{{.id", "{{id}}", "{{range .}}", "{{.}}", "table x"])
def test_what_is_no_form_is_refused_before_anything_is_asked(form: str) -> None:
    with pytest.raises(SpecError, match="no format"):
        check_format(form)


def test_an_unknown_field_names_those_there_are() -> None:
    with pytest.raises(SpecError) as caught:
        render(ROWS, COLUMNS, "{{.nope}}")
    assert "id, labels, memory_bytes" in caught.value.remedy


def test_a_table_without_rows_is_its_header_and_names_cannot_move_the_cursor() -> None:
    assert render([], COLUMNS, "table") == "ID  MEM\n"
    assert render([], COLUMNS, "table", header=False) == ""
    assert short("a\x1b[2Jb\nc", 20) == "a?[2Jb?c" and short("abcdefgh", 6) == "abc..."


ROW: dict[str, Any] = {
    "id": "ab" * 16, "name": "web", "status": "stopped", "exit_code": 3, "labels": {"team": "a", "x": ""},
    "command": ("sh", "-c", "\x1b[31m"), "limits": {"pids": 512, "memory_bytes": None}, "rootless": True,
}  # fmt: skip


@every_row(
    ("template", "line"),
    [
        pytest.param("{{.name}} {{.exit_code}}", "web 3", id="fields"),
        pytest.param("{{.Name}}\\t{{.ExitCode}}", "web\t3", id="in the spelling of others"),
        pytest.param("{{ .limits.pids }}", "512", id="below"),
        pytest.param("{{.limits.memory_bytes}}|{{.rootless}}", "null|true", id="none and true"),
        pytest.param("{{json .command}}", '["sh", "-c", "\\u001b[31m"]', id="what would steer a terminal"),
        pytest.param("{{json .}}", json.dumps(ROW), id="all"),
    ],
)
def test_templates(template: str, line: str) -> None:
    assert Template(template).line(ROW) == line


def test_a_value_has_fields_as_an_object_has() -> None:
    held = Held(pids=3)
    line = Template("{{.live.held.pids}} {{json .live}}").line({"live": {"held": held}})
    assert line == f"3 {dumps({'held': held})}"


@every_row("template", ["{{.name..x}}", "{{.name.}}", "{{.name.x}}", "{{.limits.x}}"])
def test_a_field_that_is_not_below_is_refused(template: str) -> None:
    with pytest.raises(SpecError) as caught:
        Template(template).line(ROW)
    assert caught.value.where == "--format" and caught.value.remedy


@every_row(
    ("texts", "passes"),
    [
        ([], True), (["status=stopped"], True), (["status=exited"], True), (["status=running"], False),
        (["status=running", "status=stopped"], True), (["name=we"], True), (["name=db"], False),
        (["id=abab"], True), (["id=ba"], False), (["label=team"], True), (["label=team=a"], True),
        (["label=team=b"], False), (["label=team", "label=y"], False), (["name=web", "status=running"], False),
        (["label=x="], True), (["health=healthy"], False), (["health=none"], True),
    ],
)  # fmt: skip
def test_filters(texts: list[str], passes: bool) -> None:
    assert Filters(texts).match(ROW) is passes


@every_row("text", ["running", "state=x", "=", ""])
def test_what_is_no_filter_is_refused(text: str) -> None:
    with pytest.raises(SpecError) as caught:
        Filters([text])
    assert caught.value.where == "--filter" and "status=" in caught.value.remedy


@every_row(("text", "known"), [("status=runing", "running"), ("health=ill", "unhealthy")])
def test_a_state_that_does_not_exist_is_refused_with_those_that_do(text: str, known: str) -> None:
    with pytest.raises(SpecError) as caught:
        Filters([text])
    assert known in caught.value.remedy


def test_an_array_is_one_document() -> None:
    assert len(json.loads(render([ROW, ROW], COLUMNS, "json-array"))) == 2
