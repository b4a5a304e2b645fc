r"""Lists for people and programs: --format table, json (one object a line), json-array or a template; filters.

A template is text with {{.field}}, {{.field.below}}, {{json .field}} and {{json .}}; \t and \n are a tab and a new line.
Behind the word `table` its tabs part columns, and the names of the fields are their heads.
{{.ExitCode}} finds exit_code too.  ✗ which rows and columns: each verb.
"""

from __future__ import annotations

from ..base.errors import SpecError
from ..base.jsontext import dumps
from ..base.value import Value
from ..container.running.lifecycle import STATES
from .errors import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    Row = Mapping[str, Any]
    Column = tuple[str, Callable[[Row], str]]

_FORMS = ("table", "json", "json-array")
_TABLE = "table "


def render(rows: Sequence[Row], columns: Sequence[Column], form: str, *, header: bool = True) -> str:
    """The text of all rows.  Raises SpecError for a template that cannot be filled."""
    if form == "json":
        return "".join([dumps(dict(row)) + "\n" for row in rows])
    if form == "json-array":
        return dumps([dict(row) for row in rows], 2) + "\n"
    if form == "table":
        return _table(rows, columns, header=header)
    if form.startswith(_TABLE):
        return _table(rows, _columns(form.removeprefix(_TABLE)), header=header)
    template = Template(form)
    return "".join([template.line(row) + "\n" for row in rows])


def check_format(form: str) -> str:
    """The format, or SpecError: before anything is asked of the machine."""
    if form not in _FORMS:
        Template(form.removeprefix(_TABLE))
    return form


def short(text: str, width: int) -> str:
    """At most that many characters (0: all of them), none of which moves the cursor."""
    clean = "".join([c if c.isprintable() else "?" for c in text])
    return clean if not width or len(clean) <= width else clean[: width - 3] + "..."


def _table(rows: Sequence[Row], columns: Sequence[Column], *, header: bool) -> str:
    lines = [tuple([name for name, _ in columns])] if header else []
    lines += [tuple([cell(row) for _, cell in columns]) for row in rows]
    widths = [max([len(line[n]) for line in lines], default=0) for n in range(len(columns))]
    return "".join(
        ["  ".join([c.ljust(w) for c, w in zip(line, widths, strict=True)]).rstrip() + "\n" for line in lines]
    )


def _columns(form: str) -> list[Column]:
    """The columns of `table TEMPLATE`."""
    cells = [Template(cell) for cell in form.replace("\\t", "\t").split("\t")]
    return [(cell.title, cell.line) for cell in cells]


class Template:
    """A --format that is neither a table nor JSON.  Raises SpecError when it cannot be read."""

    __slots__ = ("_parts",)

    def __init__(self, form: str) -> None:
        self._parts: list[str | tuple[str, tuple[str, ...]]] = []  # text, or how and which field
        text = form.replace("\\t", "\t").replace("\\n", "\n")
        while text:
            before, found, text = text.partition("{{")
            self._parts.append(before)
            if not found:
                break
            inner, closed, text = text.partition("}}")
            how, dot, field = inner.strip().partition(".")
            path = tuple(field.split(".")) if field else ()
            how = how.strip()
            if not closed or not dot or how not in ("", "json") or (not path and not how) or "" in path:
                raise _no_format(form)
            self._parts.append((how, path))
        if not any(isinstance(part, tuple) for part in self._parts):
            raise _no_format(form)

    @property
    def title(self) -> str:
        """The name of its first field, as the head of a column has it."""
        path = next((part[1] for part in self._parts if isinstance(part, tuple)), ())
        return (path[-1] if path else "all").replace("_", " ").upper()

    def line(self, row: Row) -> str:
        """The text for one row.  Raises SpecError for a field that it does not have."""
        out = []
        for part in self._parts:
            if isinstance(part, str):
                out.append(part)
                continue
            how, path = part
            value: Any = dict(row)
            for word in path:
                value = _below(value, word)
            plain = how != "json" and isinstance(value, str | int | float) and not isinstance(value, bool)
            out.append(printable(str(value)) if plain else dumps(value))
        return "".join(out)


def _no_format(form: str) -> SpecError:
    return SpecError(
        f"'{form}' is no format", where="--format", remedy="use table, json, or text with {{.field}}"
    )


def _below(value: Any, word: str) -> Any:
    known = value if isinstance(value, dict) else value.as_dict() if isinstance(value, Value) else {}
    wanted = word.replace("_", "").lower()
    for key, inner in known.items():
        if str(key).replace("_", "").lower() == wanted:
            return inner
    fields = ", ".join(sorted(map(str, known))) or "no fields"
    raise SpecError(f"there is no field '{word}'", where="--format", remedy=f"there are {fields}")


class Filters:
    """--filter KEY=VALUE, repeated: of one key any may hold (of labels all), of several keys all must."""

    __slots__ = ("_wanted",)

    def __init__(self, texts: Sequence[str]) -> None:
        self._wanted: dict[str, list[str]] = {}
        for text in texts:
            key, equals, value = text.partition("=")
            if not equals or key not in ("status", "health", "name", "label", "id"):
                raise SpecError(
                    f"{text!r} is not a filter", where="--filter",
                    remedy="use status=STATE, health=STATE, name=PART, label=KEY[=VALUE] or id=PREFIX",
                )  # fmt: skip
            known = _KNOWN.get(key)
            if known is not None and value not in known:
                remedy = f"use one of {', '.join(known)}"
                raise SpecError(f"there is no {key} {value!r}", where="--filter", remedy=remedy)
            self._wanted.setdefault(key, []).append(value)

    def asks_for(self, key: str) -> bool:
        """Is there a filter of that kind?"""
        return key in self._wanted

    def match(self, row: Row) -> bool:
        """Does the row pass?"""
        for key, values in self._wanted.items():
            if key == "label":
                if not all(_labelled(row.get("labels") or {}, value) for value in values):
                    return False
            elif not any(_MATCH[key](str(row.get(key) or ""), value) for value in values):
                return False
        return True


def _labelled(labels: Mapping[str, str], wanted: str) -> bool:
    key, equals, value = wanted.partition("=")
    return key in labels and (not equals or labels[key] == value)


# Of these a misspelt value would choose nothing, without a word.
_KNOWN = {
    "status": (*STATES, "exited"),
    "health": ("starting", "healthy", "unhealthy", "none"),
}
_MATCH: dict[str, Callable[[str, str], bool]] = {
    "status": lambda have, want: have == want or (have, want) == ("stopped", "exited"),
    "health": lambda have, want: (have or "none") == want,
    "name": lambda have, want: want in have,
    "id": lambda have, want: have.startswith(want),
}
