"""Values → JSON text, and the digest of what is kept; without `json` (4 ms of start-up) and `hashlib` (4 ms, OpenSSL).

✗ reading: that is msgspec's.
"""

from __future__ import annotations

from _blake2 import blake2b

from .value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    Plain = None | bool | int | float | str | Sequence["Plain"] | Mapping[str, "Plain"] | Value

_DIGEST_BYTES = 32
# The interpreter's own encoder writes a record in 10 µs instead of 60, and takes 300 to load: a command writes two.
_FEW = 4
_written = 0


def digest(data: bytes) -> str:
    """256 bits of BLAKE2b in hexadecimal."""
    return blake2b(data, digest_size=_DIGEST_BYTES).hexdigest()


def _quote(text: str) -> str:
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    from _json import encode_basestring_ascii

    return encode_basestring_ascii(text)


# Most of what is written: looked up by type, since a record has a hundred of them.
_SCALARS: dict[type, Callable[[Any], str]] = {
    str: _quote,
    int: repr,
    float: repr,
    bool: {True: "true", False: "false"}.__getitem__,
    type(None): {None: "null"}.__getitem__,
}


def _fields(value: object) -> dict[str, Any]:
    if isinstance(value, Value):
        return value.as_dict()
    raise TypeError(f"{type(value).__name__} has no JSON form")


def dumps(value: Plain, indent: int = 0) -> str:
    """One line; with `indent` > 0 one entry a line.  Values become objects of their fields."""
    global _written
    if indent:
        return _dump(value, indent, "\n")
    _written += 1
    return _line(value) if _written < _FEW else "".join(_encoder()(value, 0))


class Form:
    """Objects that differ in few members: the text of the others is written once."""

    __slots__ = ("_own", "_shared")

    def __init__(self, members: Mapping[str, Any], own: tuple[str, ...]) -> None:
        shared, self._own = ["{"], []
        for number, (key, value) in enumerate(members.items()):
            shared[-1] += f"{', ' if number else ''}{_quote(key)}: "
            if key in own:
                self._own.append(key)
                shared.append("")
            else:
                shared[-1] += _line(value)
        shared[-1] += "}"
        self._shared = shared

    @classmethod
    def of(cls, kept: tuple[list[str], list[str]]) -> Form:
        """The form that `kept` came from."""
        form = object.__new__(cls)
        form._own, form._shared = kept
        return form

    def kept(self) -> tuple[list[str], list[str]]:
        """All of it, as plain values."""
        return self._own, self._shared

    def text(self, own: Mapping[str, str]) -> str:
        """The line of an object with these members, which are JSON text already."""
        parts = [self._shared[0]]
        for key, behind in zip(self._own, self._shared[1:], strict=True):
            parts += (own[key], behind)
        return "".join(parts)


def _line(value: Any) -> str:
    scalar = _SCALARS.get(type(value))
    if scalar is not None:
        return scalar(value)
    if isinstance(value, tuple | list):
        return "[" + ", ".join([_line(v) for v in value]) + "]"
    if isinstance(value, Value):
        value = value.as_dict()
    if not isinstance(value, dict):  # an enumeration's number, or nothing that has a form
        return "".join(_encoder()(value, 0))
    return "{" + ", ".join([f"{_quote(k)}: {_line(v)}" for k, v in value.items()]) + "}"


def _encoder() -> Callable[[Any, int], tuple[str, ...]]:
    global _encode
    if _encode is None:
        from _json import encode_basestring_ascii, make_encoder

        # (markers, default, encoder, indent, key separator, item separator, sort keys, skip keys, allow NaN), as
        # json.encoder calls it
        _encode = make_encoder(None, _fields, encode_basestring_ascii, None, ": ", ", ", False, False, True)
    return _encode


_encode: Callable[[Any, int], tuple[str, ...]] | None = None


def _dump(value: Any, indent: int, newline: str) -> str:
    scalar = _SCALARS.get(type(value))
    if scalar is not None:
        return scalar(value)
    if isinstance(value, Value):
        value = value.as_dict()
    if not value:
        return "{}" if isinstance(value, dict) else "[]"
    inner = newline + " " * indent
    separator = "," + inner
    if isinstance(value, dict):
        parts = [f"{_quote(k)}: {_dump(v, indent, inner)}" for k, v in value.items()]
        return "{" + inner + separator.join(parts) + newline + "}"
    parts = [_dump(v, indent, inner) for v in value]
    return "[" + inner + separator.join(parts) + newline + "]"
