"""Random rule tables.  Every branch that they need can be reached: within a call each rule has arguments of its own,
or all of them compare one argument with different values.  ✗ compiles nothing.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from nucleus.policy.seccomp_rules import (
    ALL_BITS,
    ALLOW,
    KILL_PROCESS,
    KILL_THREAD,
    LOG,
    OPERATORS,
    TRAP,
    USER_NOTIF,
    Condition,
    Filter,
    Rule,
    errno_answer,
    trace_answer,
)
from nucleus.policy.syscall_tables import TABLES

COUNT = 20
Answer = Callable[[], int]
ANSWERS = (
    *(ALLOW, KILL_PROCESS, KILL_THREAD, TRAP, LOG, USER_NOTIF),
    *(errno_answer(1), errno_answer(38), errno_answer(4094), trace_answer(7)),
)


def _word(dice: random.Random) -> int:
    """No extreme: a comparison with one of those would always come out the same."""
    return dice.choice((dice.randrange(2, 300), dice.randrange(2, 0xFFFFFFFD)))


def _condition(index: int, dice: random.Random, *, bits: int, op: str) -> Condition:
    value = _word(dice) if bits == 32 else _word(dice) | _word(dice) << 32
    mask = ALL_BITS
    if op == "&==":
        shape = dice.choice((0xFF, 0x80, 0x6000, 0xFF << 32, 1 << 63, 0xFFFFFFFF, 0x7E020080, (1 << 64) - 1))
        mask = shape if bits == 64 or shape < 1 << 32 else 0x6000
        value = dice.choice((0, value & mask, mask))
    return Condition(index=index, op=op, value=value, mask=mask, bits=bits)


def _list_of_values(name: str, dice: random.Random, answer: Answer, *, native: bool) -> list[Rule]:
    """One argument: some of its bits, then all of them, against several values."""
    index, bits = dice.randrange(6), 64 if native else dice.choice((32, 64))
    high = 0 if bits == 32 or dice.random() < 0.5 else _word(dice) << 32
    values = dice.sample(range(2, 2000), dice.randrange(1, 9))
    when = [Condition(index=index, op="==", value=high | value, bits=bits) for value in values]
    if dice.random() < 0.5:
        when.insert(0, Condition(index=index, op="&==", mask=0xFF00000, value=0x3000000))
    return [Rule(calls=(name,), action=answer(), when=(c,)) for c in when]


def _native_rules(name: str, dice: random.Random, answer: Answer) -> list[Rule]:
    """Any operators, 64 bits, up to six arguments."""
    indexes = dice.sample(range(6), dice.randrange(1, 7))
    rules = []
    while indexes:
        taken = [indexes.pop() for _ in range(min(len(indexes), dice.randrange(1, 4)))]
        when = tuple(_condition(index, dice, bits=64, op=dice.choice(OPERATORS)) for index in taken)
        rules.append(Rule(calls=(name,), action=answer(), when=when))
    return rules


def _ordered_rules(name: str, dice: random.Random, answer: Answer) -> list[Rule]:
    """Both widths, different answers, a rest.  Few fixed bits in all, for libseccomp gets their product in sets."""
    first, second, third = dice.sample(range(6), 3)
    when = [_condition(first, dice, bits=dice.choice((32, 64)), op=dice.choice(OPERATORS))]
    if dice.random() < 0.5:
        mask = dice.choice((0x3, 0x6000, 1 << 40))
        when.append(Condition(index=second, op="&==", mask=mask, value=dice.choice((0, mask))))
    flags = dice.choice((0x80, 0x7000, 0x3 << 50))
    last = Condition(index=third, op="&==", mask=flags, value=dice.choice((0, flags & -flags)))
    rules = [Rule(calls=(name,), action=answer(), when=w) for w in (tuple(when), (last,))]
    return [*rules, Rule(calls=(name,), action=answer())] if dice.random() < 0.7 else rules


def is_native(seed: int) -> bool:
    """Even tables are such that libseccomp takes their conditions as they are."""
    return seed % 2 == 0


def random_table(seed: int) -> tuple[Filter, str]:
    """A filter and its architecture; later ones are larger, up to where jumps get too long for one byte."""
    dice = random.Random(seed)
    arch = ("x86_64", "aarch64")[seed // 2 % 2]
    names = sorted(TABLES[arch])
    default, other = dice.sample(ANSWERS, 2)
    native = is_native(seed)
    conditional = set(dice.sample(names, 2 + (seed * 4 if native else seed // 4)))
    rules: list[Rule] = []

    def answer() -> int:
        return other if native else dice.choice(ANSWERS)

    for name in names:
        if name in conditional:
            if dice.random() < 0.3:
                rules += _list_of_values(name, dice, answer, native=native)
            else:
                rules += (_native_rules if native else _ordered_rules)(name, dice, answer)
        elif dice.random() < 0.6:
            rules.append(Rule(calls=(name,), action=other if dice.random() < 0.8 else dice.choice(ANSWERS)))
    return Filter(
        name=f"random {seed}", rules=tuple(rules), default=default,
        unknown=default if native else errno_answer(38), x32=dice.choice(ANSWERS),
    ), arch  # fmt: skip
