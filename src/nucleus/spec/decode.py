"""The text of a document, TOML or JSON → its table, and on which line each part of it stands.

✗ opens no file, ✗ what the keys mean: launch documents `parse.py`, policy files `policy/`.
"""

from __future__ import annotations

from ..base.errors import Problem, SpecError
from ..base.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .positions import Doubled, Lines

MAX_DOCUMENT = 1 << 20


class Kind(Value):
    """What sort of document it is, for the errors.

    what      "a launch document"
    size      why no good one is large; depth: why none is deep
    begin     what stands at its beginning
    """

    what: str
    size: str
    depth: str
    begin: str


LAUNCH_DOCUMENT = Kind(
    what="a table of options", size="a launch document has a few lines; name another file",
    depth="a launch document has one level of tables", begin='begin with {"command": [...]}',
)  # fmt: skip


class Document:
    """A decoded document.  `table` holds what tomllib or msgspec made of it."""

    __slots__ = ("_doubled", "_lines", "_name", "table")

    def __init__(self, table: dict[str, Any], name: str, lines: Lines, doubled: Doubled) -> None:
        self.table, self._name, self._lines, self._doubled = table, name, lines, doubled

    def place(self, path: str) -> str:
        """File, line and `$.path`.  A value without a line of its own stands where what holds it does."""
        known = path
        while known and known not in self._lines:
            known = known[: max(known.rfind("."), known.rfind("["), 0)]
        line = self._lines.get(known)
        return f"{self._name}:{line} $.{path}" if line else f"{self._name} $.{path}"

    def doubled(self) -> list[Problem]:
        """Every key that stands twice: which of the two would hold?"""
        return [
            Problem(
                message="stands twice", where=f"{self._name}:{line} $.{path}", remedy="keep one of the two"
            )
            for path, line in self._doubled
        ]


def decode(data: bytes, name: str, kind: Kind, *, is_json: bool) -> Document:
    """Raises SpecError where the bytes are no such document at all."""
    from .positions import json_positions, toml_positions

    if len(data) > MAX_DOCUMENT:
        raise SpecError("is larger than 1M", where=name, remedy=kind.size)
    text = _text(data, name)
    decoded = _decode_json(text, name, kind) if is_json else _decode_toml(text, name, kind)
    if not isinstance(decoded, dict):
        raise SpecError(f"is not {kind.what}", where=f"{name}:1 $", remedy=kind.begin)
    lines, doubled = json_positions(text) if is_json else toml_positions(text)
    return Document(decoded, name, lines, doubled)


def _text(data: bytes, name: str) -> str:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as reason:
        line = data.count(b"\n", 0, reason.start) + 1
        raise SpecError("is not UTF-8 text", where=f"{name}:{line}", remedy="save it as UTF-8") from None
    return text.removeprefix("\ufeff")


def _decode_toml(text: str, name: str, kind: Kind) -> object:
    import tomllib

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as reason:
        message, _, at = str(reason).rpartition(" (at ")
        line = at.removeprefix("line ").partition(",")[0]
        if at.startswith("end of document"):
            line = str(text.count("\n") + 1)
        where = f"{name}:{line}" if line.isdigit() else name
        raise SpecError(
            f"is not TOML: {_first_lower(message or str(reason))}", where=where, remedy="mend that line"
        ) from None
    except RecursionError:
        raise _nested(name, kind) from None
    except (ValueError, OverflowError):  # a number of thousands of digits, or a date that does not exist
        raise SpecError(
            "is not TOML: a number or date is out of range", where=name, remedy="write usual numbers"
        ) from None


def _decode_json(text: str, name: str, kind: Kind) -> object:
    import msgspec

    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as reason:
        message, _, at = str(reason).rpartition(" (byte ")
        byte = at.removesuffix(")")
        line = text.encode().count(b"\n", 0, int(byte)) + 1 if byte.isdigit() else 1
        said = _first_lower((message or str(reason)).removeprefix("JSON is malformed: "))
        raise SpecError(f"is not JSON: {said}", where=f"{name}:{line}", remedy="mend that line") from None
    except RecursionError:
        raise _nested(name, kind) from None


def _first_lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def _nested(name: str, kind: Kind) -> SpecError:
    return SpecError("is nested too deeply", where=name, remedy=kind.depth)
