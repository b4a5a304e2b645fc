"""Rows as a table, JSON Lines or by a template."""

from __future__ import annotations

import pytest

from nucleus.base.errors import SpecError
from nucleus.base.jsontext import dumps
from nucleus.cli.tables import check_format, render, short

ROWS = [{"id": "abc", "memory_bytes": 12, "labels": {"a": "b"}}, {"id": "d", "memory_bytes": 3, "labels": {}}]
COLUMNS = [("ID", lambda r: str(r["id"])), ("MEM", lambda r: str(r["memory_bytes"]))]


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("table", "ID   MEM\nabc  12\nd    3\n"),
        ("json", '{"id": "abc", "memory_bytes": 12, "labels": {"a": "b"}}\n{"id": "d", "memory_bytes": 3, "labels": {}}\n'),
        ("{{.ID}}\\t{{ .MemoryBytes }}", "abc\t12\nd\t3\n"),
        ("{{json .labels}}!", '{"a": "b"}!\n{}!\n'),
        ("{{.labels}}", '{"a": "b"}\n{}\n'),
        ("x{{json .}}{{.id}}", "".join([f"x{dumps(row)}{row['id']}\n" for row in ROWS])),
    ],
)  # fmt: skip
def test_the_three_forms(form: str, text: str) -> None:
    assert render(ROWS, COLUMNS, check_format(form)) == text


@pytest.mark.parametrize("form", ["", "yaml", "{{.id", "{{id}}", "{{range .}}", "{{.}}"])
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
