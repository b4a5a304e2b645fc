"""Launch documents and keyword mappings → entries for `assemble`, each with its `$.path`, file and line.

All problems of a document are collected.  msgspec checks the types; it is imported only when a document is read.
✗ opens no file, ✗ knows no rule, ✗ text: `decode.py`.
"""

from __future__ import annotations

from ..base.errors import Problem, SpecError
from .options import BY_KEY
from .suggest import shown_key

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from .assemble import Entry, ReadFile
    from .container import ContainerSpec
    from .options import Option

# Kinds whose values are not written as strings alone: the types that a document may use, and how to say it.
_STRING: tuple[Any, str] = (str, "a string")
_STRING_OR_NUMBER: tuple[Any, str] = (str | int, "a string or a whole number")
_STRING_OR_ANY_NUMBER: tuple[Any, str] = (str | int | float, "a string or a number")
_NUMBER: tuple[Any, str] = (int, "a whole number")
_TABLE: tuple[Any, str] = (list[str] | dict[str, str], "a table, or a list of strings KEY=VALUE")
TYPES: dict[str, tuple[Any, str]] = {
    "account": _STRING_OR_NUMBER,
    "count": _NUMBER,
    "descriptor": _STRING_OR_NUMBER,
    "cpus": _STRING_OR_ANY_NUMBER,
    "duration": _STRING_OR_ANY_NUMBER,
    "interval": _STRING_OR_ANY_NUMBER,
    "env": _TABLE,
    "flag": (bool, "true or false"),
    "label": _TABLE,
    "layers": (list[str] | bool, "a list of layers, or true for all"),
    "signal": _STRING_OR_NUMBER,
    "port": _NUMBER,
    "files": _NUMBER,
    "retries": _NUMBER,
    "size": _STRING_OR_NUMBER,
    "swap": _STRING_OR_NUMBER,
    "user": _STRING_OR_NUMBER,
    "weight": _NUMBER,
}
_GOT = {
    "str": "a string",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "a table",
    "null": "null",
}


def type_of(option: Option) -> tuple[Any, str]:
    """The type that msgspec checks, and how to say it."""
    one, words = TYPES.get(option.kind, _STRING)
    if option.repeat and option.kind not in _TABLES:
        return list.__class_getitem__(one), f"a list, each {words}"
    return one, words


_TABLES = ("env", "label")


def _no_file(source: str | int) -> bytes:
    raise SpecError("files are not read here", where=str(source), remedy="pass the variables themselves")


def words_of(command: Sequence[str]) -> list[str]:
    """A command for `from_mapping`.  Raises SpecError for one string, which would be a list of letters."""
    if isinstance(command, str | bytes):
        raise SpecError(
            "is one string, but must be a list of words",
            where="$.command",
            remedy='such as ["echo", "hello"]; for a shell ["sh", "-c", "echo hello"]',
        )
    return list(command)


def called(command: Sequence[str], options: Mapping[str, object]) -> dict[str, object]:
    """The document of a call with its command beside `options`.  Raises SpecError where it is among them once more."""
    if "command" in options:
        raise SpecError(
            "the command is given twice", where="command", remedy="give it as the first argument alone"
        )
    return {"command": words_of(command), **options}


def from_mapping(
    mapping: Mapping[str, object],
    *,
    environ: Mapping[str, str] | None = None,
    read_file: ReadFile = _no_file,
) -> ContainerSpec:
    """Keywords or a decoded document → ContainerSpec, or SpecError with every problem."""
    from .assemble import assemble

    entries, problems = mapping_entries(mapping, lambda path: f"$.{path}")
    return assemble(entries, environ=environ or {}, read_file=read_file, problems=problems)


def document_entries(data: bytes, name: str) -> tuple[list[Entry], list[Problem]]:
    """Entries and problems of a document; `name`, its file, says TOML or JSON, else its first byte does."""
    from .decode import LAUNCH_DOCUMENT, decode

    is_json = name.endswith(".json") or (not name.endswith(".toml") and data.lstrip()[:1] in (b"{", b"["))
    document = decode(data, name, LAUNCH_DOCUMENT, is_json=is_json)
    entries, problems = mapping_entries(document.table, document.place)
    return entries, problems + document.doubled()


def mapping_entries(
    mapping: Mapping[Any, object], place: Callable[[str], str]
) -> tuple[list[Entry], list[Problem]]:
    """Entries of a mapping whose keys are those of the option table; `place` says where a path stands."""
    entries: list[Entry] = []
    problems: list[Problem] = []
    for key, given in mapping.items():
        value = given.__fspath__() if hasattr(given, "__fspath__") else given  # os.PathLike
        option = BY_KEY.get(key)
        if option is None or not option.document:
            from .later import refusal

            error = refusal(str(key), as_flag=False)
            problems.append(
                Problem(message=error.message, where=place(shown_key(str(key))), remedy=error.remedy)
            )
            continue
        wrong = _type_problems(option, value, place)
        problems += wrong
        entries += [] if wrong else _texts(option, value, place)
    return entries, problems


def _type_problems(option: Option, value: Any, place: Callable[[str], str]) -> list[Problem]:
    """Every part of a value that has the wrong type."""
    key = option.key
    item, words = TYPES.get(option.kind, _STRING)
    if option.kind in _TABLES or option.kind == "layers":
        item, words = _STRING
    if isinstance(value, dict) and option.kind in _TABLES:
        parts = [(f"{key}.{shown_key(str(name))}", part) for name, part in value.items()]
    elif isinstance(value, list | tuple) and (option.repeat or option.kind == "layers"):
        parts = [(f"{key}[{number}]", part) for number, part in enumerate(value)]
    else:
        item, words = type_of(option)
        parts = [(key, value)]
    named = value if isinstance(value, dict) and option.kind in _TABLES else ()
    bad = [_no_name(option, place(f"{key}.{shown_key(str(name))}")) for name in named if "=" in str(name)]
    mismatches = [(place(path), _mismatch(part, item)) for path, part in parts]
    return bad + [_type_problem(option, where, got, words) for where, got in mismatches if got]


def _no_name(option: Option, where: str) -> Problem:
    return Problem(
        message="contains '=', which would end the name",
        where=where,
        remedy=f"such as {option.key} = {_example(option)}",
    )


def _mismatch(value: object, wanted: Any) -> str:
    """What the value is, when it is not of the wanted type; else ''."""
    import msgspec

    try:
        msgspec.convert(value, wanted, strict=True)
    except (msgspec.ValidationError, RecursionError) as reason:
        got = str(reason).partition("got `")[2].partition("`")[0]
        return _GOT.get(got, got or "something else")
    return ""


def _type_problem(option: Option, where: str, got: str, words: str) -> Problem:
    return Problem(
        message=f"is {got}, but must be {words}",
        where=where,
        remedy=f"such as {option.key} = {_example(option)}",
    )


def _example(option: Option) -> str:
    """The option's example as TOML."""
    text = option.example
    if option.kind in ("flag", "weight", "count") or option.key == "command":
        return text
    return f'["{text}"]' if option.repeat or option.kind == "layers" else f'"{text}"'


def _texts(option: Option, value: Any, place: Callable[[str], str]) -> list[Entry]:
    """The entries of one key: the same texts that the flags would have."""
    key = option.key
    if isinstance(value, dict):
        return [(option, f"{name}={text}", place(f"{key}.{shown_key(name)}")) for name, text in value.items()]
    if option.kind == "layers":
        if isinstance(value, bool):
            return [(option, "all", place(key))] if value else []
        return [(option, ",".join(value), place(key))] if value else []
    if isinstance(value, list | tuple):
        return [(option, _text_of(item), place(f"{key}[{number}]")) for number, item in enumerate(value)]
    return [(option, _text_of(value), place(key))]


def _text_of(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        text = f"{value:.6f}" if abs(value) < 1e15 else repr(value)
        return text.rstrip("0").rstrip(".") if "." in text else text
    return str(value)
