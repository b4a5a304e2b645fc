"""Two profiles beside each other: what each of them answers to every call, and where they differ.

A document is taken as it is written: it is compared, not judged.  ✗ opens no file.
"""

from __future__ import annotations

from ..base.errors import SpecError
from ..base.value import Value
from . import seccomp
from .seccomp_rules import ALLOW, KILL_PROCESS, LOG, TRAP

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .seccomp_rules import Condition, Filter

_ERRNO, _DATA = 0x00050000, 0xFFFF
_ACTIONS = {ALLOW: "allow", KILL_PROCESS: "kill", TRAP: "trap", LOG: "log"}
_WORDS = {
    "SCMP_ACT_ALLOW": "allow", "SCMP_ACT_KILL_PROCESS": "kill", "SCMP_ACT_KILL": "kill-thread",
    "SCMP_ACT_KILL_THREAD": "kill-thread", "SCMP_ACT_TRAP": "trap", "SCMP_ACT_LOG": "log", "SCMP_ACT_TRACE": "trace",
    "SCMP_ACT_NOTIFY": "notify",
}  # fmt: skip
_OPERATORS = {
    "SCMP_CMP_EQ": "==", "SCMP_CMP_NE": "!=", "SCMP_CMP_LT": "<", "SCMP_CMP_LE": "<=", "SCMP_CMP_GT": ">",
    "SCMP_CMP_GE": ">=", "SCMP_CMP_MASKED_EQ": "&==",
}  # fmt: skip
_DEFAULT_ERRNO = 1  # EPERM, where a document does not say


class Answers(Value):
    """Call → its answers, each with the condition it needs ("" for none), in one form for all profiles."""

    default: str
    calls: tuple[tuple[str, tuple[str, ...]], ...]


class Difference(Value):
    """One call: "+" only the second profile has a rule for it, "-" only the first, "~" they say different things."""

    sign: str
    call: str
    first: tuple[str, ...]
    second: tuple[str, ...]


def answers_of(document: dict[str, Any], where: str) -> Answers:
    """Those of an OCI profile.  Raises SpecError where it is none."""
    try:
        otherwise = int(document.get("defaultErrnoRet", _DEFAULT_ERRNO))
        calls: dict[str, list[str]] = {}
        for entry in document.get("syscalls") or ():
            word = _word(entry["action"], int(entry.get("errnoRet", otherwise)))
            conditions = " and ".join([_condition(a) for a in entry.get("args") or ()])
            for name in entry["names"]:
                calls.setdefault(name, []).append(f"{word} if {conditions}" if conditions else word)
        default = _word(document["defaultAction"], otherwise)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise SpecError(
            "is no seccomp profile", where=where,
            remedy="name a JSON document as the OCI runtime specification has it, or builtin:NAME",
        ) from None  # fmt: skip
    return Answers(
        default=default, calls=tuple(sorted([(n, tuple(dict.fromkeys(a))) for n, a in calls.items()]))
    )


def builtin_answers(name: str) -> Answers:
    """Those of a built-in profile.  Raises SpecError where there is none of that name."""
    known: Filter = seccomp.profile(name)
    calls: dict[str, list[str]] = {}
    for rule in known.rules:
        conditions = " and ".join([_shown(c) for c in rule.when])
        word = _answer(rule.action)
        for call in rule.calls:
            calls.setdefault(call, []).append(f"{word} if {conditions}" if conditions else word)
    return Answers(
        default=_answer(known.default),
        calls=tuple(sorted([(n, tuple(dict.fromkeys(a))) for n, a in calls.items()])),
    )


def difference(first: Answers, second: Answers) -> tuple[Difference, ...]:
    """Where they differ, by call; the answer to all other calls is `DEFAULT`."""
    one, two = dict(first.calls), dict(second.calls)
    found = [
        Difference(sign="~" if call in one and call in two else "+" if call in two else "-", call=call,
                   first=one.get(call, ()), second=two.get(call, ()))
        for call in sorted(one.keys() | two.keys())
        if one.get(call) != two.get(call)
    ]  # fmt: skip
    if first.default != second.default:
        found.insert(0, Difference(sign="~", call=DEFAULT, first=(first.default,), second=(second.default,)))
    return tuple(found)


DEFAULT = "any other call"


def _word(action: str, errno: int) -> str:
    return f"errno {errno}" if action == "SCMP_ACT_ERRNO" else _WORDS[action]


def _answer(action: int) -> str:
    return _ACTIONS.get(action) or (
        f"errno {action & _DATA}" if action & ~_DATA == _ERRNO else f"answer {action:#x}"
    )


def _condition(argument: dict[str, Any]) -> str:
    op, index, value = _OPERATORS[argument["op"]], int(argument["index"]), int(argument["value"])
    if op == "&==":
        return f"arg{index} & {value:#x} == {int(argument.get('valueTwo', 0)):#x}"
    return f"arg{index} {op} {value:#x}"


def _shown(c: Condition) -> str:
    if c.op == "&==":
        mask = c.mask if c.bits == 64 else c.mask & 0xFFFFFFFF
        return f"arg{c.index} & {mask:#x} == {c.value:#x}"
    if c.bits == 32 and c.op == "==":
        return f"arg{c.index} & 0xffffffff == {c.value:#x}"
    return f"arg{c.index} {c.op} {c.value:#x}"
