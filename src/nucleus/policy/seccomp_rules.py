"""The rules of a filter as values: condition, rule, filter, and the answers that a filter can give.

A rule holds when all of its conditions do.  Rules of one call are tried in order: the first that holds
decides, and the filter's default where none does.  ✗ no call lists (the profiles), no BPF (seccomp_bpf).
"""

from __future__ import annotations

from ..base.errors import SpecError
from ..base.value import Value
from .syscall_tables import NEWEST, TABLES

TYPE_CHECKING = False
if TYPE_CHECKING:
    # What one call comes to: its conditional rules in order, and the answer when none of them holds.
    Decision = tuple[tuple[tuple[tuple["Condition", ...], int], ...], int]

# Answers, as seccomp(2) encodes them.
KILL_PROCESS, KILL_THREAD, TRAP = 0x80000000, 0x00000000, 0x00030000
USER_NOTIF, LOG, ALLOW = 0x7FC00000, 0x7FFC0000, 0x7FFF0000
_ERRNO, TRACE = 0x00050000, 0x7FF00000

EPERM, ENOSYS, EPROTONOSUPPORT, EAFNOSUPPORT = 1, 38, 93, 97
MAX_ERRNO = 4095  # the kernel takes larger ones for this

# How a condition compares argument and value, unsigned.
EQ, NE, LT, LE, GT, GE, MASKED_EQ = "==", "!=", "<", "<=", ">", ">=", "&=="
OPERATORS = (EQ, NE, LT, LE, GT, GE, MASKED_EQ)

ALL_BITS = 0xFFFFFFFFFFFFFFFF
LOW_BITS = 0xFFFFFFFF

# Calls of the x32 ABI carry this bit; they run under the audit architecture of x86-64.
X32_BIT = 0x40000000


def errno_answer(number: int) -> int:
    """The call fails with that errno."""
    if not 0 <= number <= MAX_ERRNO:
        raise SpecError(
            f"errno {number} is not between 0 and {MAX_ERRNO}", where="seccomp", remedy="see errno(3)"
        )
    return _ERRNO | number


def trace_answer(number: int) -> int:
    """A tracer decides; it is told the number.  Without a tracer the call fails with ENOSYS."""
    if not 0 <= number <= 0xFFFF:
        raise SpecError(f"trace value {number} is not between 0 and 65535", where="seccomp", remedy="use 0")
    return TRACE | number


class Condition(Value):
    """One comparison of argument `index` (0-5).

    `bits` 64 compares the whole register; 32 what the kernel looks at where its own parameter is an int.
    There, with 64, a caller evades an equality by setting a high bit that the kernel then drops.
    `mask` is applied to the argument, by MASKED_EQ only.
    """

    index: int
    op: str
    value: int
    mask: int = ALL_BITS
    bits: int = 64


class Rule(Value):
    """What happens to these calls when all conditions hold."""

    calls: tuple[str, ...]
    action: int
    when: tuple[Condition, ...] = ()
    why: str = ""


class Filter(Value):
    """A whole policy.

    `default` answers calls that the architecture's table knows and no rule decides; `unknown` those that it
    does not know, as a later kernel's; `x32` the calls of that ABI.  A foreign architecture kills.
    """

    name: str
    rules: tuple[Rule, ...]
    default: int
    unknown: int
    x32: int = KILL_PROCESS


def check_condition(condition: Condition) -> Condition:
    """The same condition; SpecError when it cannot be asked of a call."""
    c = condition
    limit = ALL_BITS if c.bits == 64 else LOW_BITS
    if c.op not in OPERATORS or not 0 <= c.index <= 5 or c.bits not in (32, 64):
        raise SpecError(f"no such condition: {c!r}", where="seccomp", remedy=f"index 0-5, one of {OPERATORS}")
    if not 0 <= c.value <= limit or not 0 <= c.mask <= ALL_BITS:
        raise SpecError(
            f"the value of {c!r} has more than {c.bits} bits", where="seccomp", remedy="shorten it"
        )
    return c


def holds(condition: Condition, arguments: tuple[int, ...]) -> bool:
    """What a condition means: the definition that the compiler is held against."""
    argument, value = arguments[condition.index], condition.value
    if condition.bits == 32:
        argument &= LOW_BITS
    match condition.op:
        case "==":
            return argument == value
        case "!=":
            return argument != value
        case "<":
            return argument < value
        case "<=":
            return argument <= value
        case ">":
            return argument > value
        case ">=":
            return argument >= value
        case _:
            return argument & condition.mask == value


def decide(filter_: Filter, arch: str, number: int, arguments: tuple[int, ...]) -> int:
    """The answer to one call, straight from the rules."""
    if arch == "x86_64" and number >= X32_BIT:
        return filter_.x32
    name = next((n for n, known in TABLES[arch].items() if known == number), None)
    if name is None:
        return filter_.unknown
    for rule in filter_.rules:
        if name in rule.calls and all(holds(check_condition(c), arguments) for c in rule.when):
            return rule.action
    return filter_.default


def decisions(filter_: Filter, arch: str) -> dict[int, Decision]:
    """The decision for every call that the architecture's table knows, by number, ascending.

    Names that this architecture does not have are left out: `open` on aarch64 is nobody's mistake.
    """
    table = TABLES[arch]
    rules: dict[str, list[tuple[tuple[Condition, ...], int]]] = {}
    for rule in filter_.rules:
        when = tuple([check_condition(c) for c in rule.when])
        for name in rule.calls:
            if name in table:
                rules.setdefault(name, []).append((when, rule.action))
    plain: Decision = ((), filter_.default)
    found: dict[int, Decision] = {}
    for name, number in sorted(table.items(), key=lambda entry: entry[1]):
        found[number] = _decision(rules[name], filter_.default) if name in rules else plain
    return found


def _decision(rules: list[tuple[tuple[Condition, ...], int]], default: int) -> Decision:
    """Cut after the first unconditional rule, which answers whatever is left."""
    conditional: list[tuple[tuple[Condition, ...], int]] = []
    for when, action in rules:
        if not when:
            return tuple(conditional), action
        conditional.append((when, action))
    return tuple(conditional), default


def newest(arch: str) -> int:
    """The highest call number that the table of the architecture knows."""
    return NEWEST[arch]
