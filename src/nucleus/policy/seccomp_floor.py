"""What no profile from a file loosens: the conditions of the built-in profile, and what leads out of the sandbox.

And what it cannot take away: the few calls by which the launcher reads the lockdown back and executes the command.
✗ reads no file (`seccomp_oci.py`).
"""

from __future__ import annotations

from ..base.errors import Problem, SpecError
from .seccomp_allow import NEVER
from .seccomp_default import DEFAULT
from .seccomp_filters import (
    LAUNCHER_CALLS,
    PR_CAPBSET_READ,
    PR_GET_NO_NEW_PRIVS,
    PR_GET_SECCOMP,
    one_of,
)
from .seccomp_rules import ALLOW, LOG, Filter, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .seccomp_rules import Condition

    Answers = list[tuple[tuple[Condition, ...], int]]

_PERMISSIVE = (ALLOW, LOG)
_FLOOR = "the built-in condition holds whatever a profile says"
_START = "the launcher reads the lockdown back through the filter, then executes"
_READ_BACK = one_of(("prctl",), 0, (PR_GET_SECCOMP, PR_CAPBSET_READ, PR_GET_NO_NEW_PRIVS), _START)


def held_names() -> tuple[str, ...]:
    """Calls whose arguments the built-in profile looks at, and those that are never to be had."""
    conditional = [name for rule in DEFAULT.rules if rule.when for name in rule.calls]
    return tuple(dict.fromkeys([*NEVER, *conditional]))


def above(profile: Filter) -> Filter:
    """The profile over the floor.  Raises SpecError where it refuses what starting a command takes."""
    refused = _refused_starts(profile)
    if refused:
        raise SpecError(problems=refused)
    held = held_names()
    floor = [rule for name in held for rule in _both(profile, name)]
    rest = [
        rule.replace(calls=calls)
        for rule in profile.rules
        if (calls := tuple([c for c in rule.calls if c not in held and c not in LAUNCHER_CALLS]))
    ]
    start = (Rule(calls=LAUNCHER_CALLS, action=ALLOW, why=_START), *_READ_BACK)
    return profile.replace(rules=(*start, *floor, *rest))


def _refused_starts(profile: Filter) -> tuple[Problem, ...]:
    wanted: dict[str, str] = {}
    for rule in profile.rules:
        for name in rule.calls:
            if name in LAUNCHER_CALLS and (rule.action not in _PERMISSIVE or rule.when):
                wanted.setdefault(name, rule.why)
    return tuple([
        Problem(
            message=f"{name} cannot be refused or bounded: the launcher executes the command through the filter",
            where=f"{profile.name} $.{path}", remedy="remove it from that rule",
        )
        for name, path in wanted.items()
    ])  # fmt: skip


def _both(profile: Filter, name: str) -> list[Rule]:
    """The rules of a call that must pass the built-in profile as well: its refusals first, the profile below each permit."""
    wanted = _answers(profile, name)
    found: list[Rule] = []
    for when, action in _answers(DEFAULT, name):
        if action not in _PERMISSIVE:
            found.append(Rule(calls=(name,), action=action, when=when, why=_FLOOR))
        else:
            found += [Rule(calls=(name,), action=a, when=(*when, *w), why=_FLOOR) for w, a in wanted]
    return found


def _answers(filter_: Filter, name: str) -> Answers:
    """Conditions and answer of one call in order; the last has no condition."""
    found: Answers = []
    for rule in filter_.rules:
        if name in rule.calls:
            found.append((rule.when, rule.action))
            if not rule.when:
                return found
    return [*found, ((), filter_.default)]
