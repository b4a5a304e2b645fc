"""Environment variables as written: which names are refused, files of variables, copies from the caller.

✗ what the workload's environment starts from: that is the policy's.
"""

from __future__ import annotations

from ..base.errors import Problem, SpecError
from ..base.identifiers import is_variable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

# Variables that make the dynamic linker load or tell things: the program's hardening needs their absence.
REFUSED = (
    "LD_AUDIT", "LD_DEBUG", "LD_DYNAMIC_WEAK", "LD_LIBRARY_PATH", "LD_PRELOAD", "LD_PROFILE", "LD_SHOW_AUXV",
)  # fmt: skip
MAX_BYTES = 1 << 20


def check_name(key: str) -> None:
    """Raises SpecError for what is no variable; never repeats what may be a value."""
    if not is_variable(key):
        raise SpecError(
            "the name of the variable is not [A-Za-z_][A-Za-z0-9_]*", remedy="write KEY=VALUE, such as CI=1"
        )
    if key in REFUSED:
        raise SpecError(
            f"{key} steers the dynamic linker and is refused",
            remedy="install the library where programs look for it",
        )


def variables_of_file(
    data: bytes, name: str, environ: Mapping[str, str]
) -> tuple[list[tuple[str, str]], list[Problem]]:
    """The KEY=VALUE lines of an environment file; a bare KEY is copied from the caller's environment."""
    found: list[tuple[str, str]] = []
    problems: list[Problem] = []
    if len(data) > MAX_BYTES:
        return [], [Problem(message="is larger than 1M", where=name, remedy="keep only variables in it")]
    for number, raw in enumerate(data.split(b"\n"), 1):
        line = raw.decode("utf-8", "surrogateescape").removesuffix("\r")
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        key, equals, value = line.partition("=")
        where = f"{name}:{number}"
        try:
            check_name(key)
            if "\0" in value:
                raise SpecError("the value contains a NUL byte", remedy="remove it")
        except SpecError as error:
            problems.append(Problem(message=error.message, where=where, remedy=error.remedy))
            continue
        if not equals:
            copied, problem = copy_of(key, where, environ)
            problems += [problem] if problem else []
            value = copied
        found.append((key, value))
    return found, problems


def copy_of(key: str, where: str, environ: Mapping[str, str]) -> tuple[str, Problem | None]:
    """The caller's own value of that variable."""
    if key in environ:
        return environ[key], None
    message = f"{key} is not set in the caller's environment"
    return "", Problem(message=message, where=where, remedy=f"write {key}=VALUE, or set it")


def variables_of_descriptor(data: bytes, name: str = "--env-fd") -> tuple[tuple[str, str], ...]:
    """What was read from --env-fd: KEY=VALUE, each ended by NUL or a new line, or JSON (object or list).

    Raises SpecError with every problem; no message repeats a value.
    """
    if len(data) > MAX_BYTES:
        raise SpecError("is larger than 1M", where=name, remedy="send fewer variables")
    if data.lstrip()[:1] in (b"{", b"["):
        entries = _json_entries(data, name)
    else:
        separator = b"\0" if b"\0" in data else b"\n"
        entries = [e.decode("utf-8", "surrogateescape") for e in data.split(separator) if e.strip()]
    found: dict[str, str] = {}
    problems: list[Problem] = []
    for number, entry in enumerate(entries, 1):
        key, equals, value = entry.partition("=")
        try:
            check_name(key)
            if not equals or "\0" in value:
                raise SpecError(
                    f"{key} has no usable value", remedy="send KEY=VALUE without NUL bytes inside"
                )
        except SpecError as error:
            problems.append(
                Problem(message=error.message, where=f"{name}: entry {number}", remedy=error.remedy)
            )
        else:
            found[key] = value
    if problems:
        raise SpecError(problems=tuple(problems))
    return tuple(found.items())


def _json_entries(data: bytes, name: str) -> list[str]:
    import json

    try:
        decoded = json.loads(data)
    except (ValueError, RecursionError):
        decoded = None
    if isinstance(decoded, dict):
        decoded = [f"{key}={value}" if isinstance(value, str) else None for key, value in decoded.items()]
    if not isinstance(decoded, list) or not all(isinstance(entry, str) for entry in decoded):
        raise SpecError(
            "is not a JSON object or list of strings",
            where=name,
            remedy='send {"KEY": "VALUE"} or ["KEY=VALUE"]',
        )
    return [str(entry) for entry in decoded]
