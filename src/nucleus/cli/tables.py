"""Rows for people and programs: --format table, json (one object a line) or a template.

A template is text with {{.field}}, {{json .field}} and {{json .}}; \\t and \\n are a tab and a new line.
✗ which rows and columns: each verb.
"""

from __future__ import annotations

from ..base.errors import SpecError
from ..base.jsontext import dumps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    Row = Mapping[str, Any]
    Column = tuple[str, Callable[[Row], str]]


def render(rows: Sequence[Row], columns: Sequence[Column], form: str, *, header: bool = True) -> str:
    """The text of all rows.  Raises SpecError for a template that cannot be filled."""
    if form == "json":
        return "".join([dumps(dict(row)) + "\n" for row in rows])
    if form == "table":
        return _table(rows, columns, header=header)
    parts = _template(form)
    return "".join(["".join([_filled(part, row) for part in parts]) + "\n" for row in rows])


def check_format(form: str) -> str:
    """The format, or SpecError: before anything is asked of the machine."""
    if form not in ("table", "json"):
        _template(form)
    return form


def short(text: str, width: int) -> str:
    """At most that many characters, none of which moves the cursor."""
    clean = "".join([c if c.isprintable() else "?" for c in text])
    return clean if len(clean) <= width else clean[: width - 3] + "..."


def _table(rows: Sequence[Row], columns: Sequence[Column], *, header: bool) -> str:
    lines = [tuple([name for name, _ in columns])] if header else []
    lines += [tuple([cell(row) for _, cell in columns]) for row in rows]
    widths = [max([len(line[n]) for line in lines], default=0) for n in range(len(columns))]
    return "".join(
        ["  ".join([c.ljust(w) for c, w in zip(line, widths, strict=True)]).rstrip() + "\n" for line in lines]
    )


def _template(form: str) -> list[str | tuple[str, str]]:
    """Text, and (how, field) for what is filled in."""
    parts: list[str | tuple[str, str]] = []
    text = form.replace("\\t", "\t").replace("\\n", "\n")
    while text:
        before, found, text = text.partition("{{")
        parts.append(before)
        if not found:
            break
        inner, closed, text = text.partition("}}")
        how, dot, field = inner.strip().rpartition(".")
        if not closed or not dot or how.strip() not in ("", "json") or (not how.strip() and not field):
            raise SpecError(
                f"'{form}' is no format", where="--format", remedy="use table, json, or text with {{.field}}"
            )
        parts.append((how.strip(), field))
    if not any(isinstance(part, tuple) for part in parts):
        raise SpecError(
            f"'{form}' is no format", where="--format", remedy="use table, json, or text with {{.field}}"
        )
    return parts


def _filled(part: str | tuple[str, str], row: Row) -> str:
    if isinstance(part, str):
        return part
    how, field = part
    if not field:
        return dumps(dict(row))
    wanted = field.replace("_", "").lower()
    for key, value in row.items():
        if key.replace("_", "").lower() == wanted:
            return dumps(value) if how == "json" or not isinstance(value, str | int | float) else str(value)
    raise SpecError(
        f"there is no field '{field}'", where="--format", remedy=f"there are {', '.join(sorted(row))}"
    )
