"""Calls to judge a filter by: constants of its rules ±1, single bits flipped, high words set, and random ones.

✗ knows nothing of programs.
"""

from __future__ import annotations

import random
from struct import pack

from nucleus.policy.seccomp_rules import ALL_BITS, LOW_BITS, X32_BIT, Condition, Filter, decisions

ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
FOREIGN = (0x40000003, 0xC000003F, 0xC00000B6, 0x8000003E, 0, 0xFFFFFFFF)  # i386, neighbours, extremes
PICKED_AT_RANDOM = 150

Call = tuple[int, int, tuple[int, ...]]  # number, architecture, arguments


def packed(calls: list[Call]) -> bytes:
    """As struct seccomp_data."""
    return b"".join([pack("<IIQ6Q", number, arch, 0x1000, *arguments) for number, arch, arguments in calls])


def _near(condition: Condition, dice: random.Random) -> list[int]:
    """Values at which a wrong comparison shows."""
    value = condition.value
    bases = [value, value + 1, value - 1]
    if condition.op == "&==":
        bases += [value | dice.getrandbits(64) & ~condition.mask, value ^ condition.mask, condition.mask]
    flipped = [value ^ 1 << bit for bit in range(64)]
    high = [value & LOW_BITS | word << 32 for word in (1, LOW_BITS, dice.getrandbits(32))]
    swapped = [value >> 32 | (value & LOW_BITS) << 32]
    return [v & ALL_BITS for v in (*bases, *flipped, *high, *swapped, 0, ALL_BITS, LOW_BITS)]


def _meeting(c: Condition, dice: random.Random) -> int:
    free = dice.getrandbits(64) & ~c.mask
    return {
        "==": c.value, "!=": c.value + 1, "<": c.value - 1, "<=": c.value, ">": c.value + 1, ">=": c.value,
        "&==": c.value | free,
    }[c.op] & ALL_BITS  # fmt: skip


def _failing(c: Condition) -> int:
    lowest = c.mask & -c.mask
    return {
        "==": c.value + 1, "!=": c.value, "<": c.value, "<=": c.value + 1, ">": c.value, ">=": c.value - 1,
        "&==": c.value ^ lowest,
    }[c.op] & ALL_BITS  # fmt: skip


def _of_decision(rules: tuple, dice: random.Random) -> list[tuple[int, ...]]:
    pools: dict[int, list[int]] = {}
    for conditions, _ in rules:
        for c in conditions:
            pools.setdefault(c.index, []).extend(_near(c, dice))
    found = []
    for conditions, _ in rules:
        base = [dice.getrandbits(64) for _ in range(6)]
        for others, _ in rules:
            for c in others:
                base[c.index] = _failing(c)
        for c in conditions:
            base[c.index] = _meeting(c, dice)
        found.append(tuple(base))
        for c in conditions:
            for value in pools[c.index]:
                found.append((*base[: c.index], value, *base[c.index + 1 :]))
    for _ in range(PICKED_AT_RANDOM):
        picked = [dice.getrandbits(64) for _ in range(6)]
        for index, pool in pools.items():
            if dice.random() < 0.9:
                picked[index] = dice.choice(pool)
        found.append(tuple(picked))
    return found


def calls_for(filter_: Filter, arch: str, *, seed: int) -> list[Call]:
    """Every number near the table, and for calls with conditions the arguments at which they turn."""
    dice = random.Random(seed)
    audit, known = ARCHITECTURES[arch], decisions(filter_, arch)
    edges = [X32_BIT - 1, X32_BIT, X32_BIT + 1, X32_BIT | 59, X32_BIT | 520, 1 << 31, LOW_BITS - 1]
    numbers = [*range(max(known) + 70), *(1 << bit for bit in range(10, 32)), *edges]

    def any_arguments() -> tuple[int, ...]:
        return tuple(dice.choice((0, dice.getrandbits(64), ALL_BITS)) for _ in range(6))

    found = [(number, audit, any_arguments()) for number in numbers for _ in range(2)]
    found += [(number, other, any_arguments()) for number in numbers[::7] for other in FOREIGN]
    for number, (rules, _) in known.items():
        found += [(number, audit, arguments) for arguments in _of_decision(rules, dice)] if rules else []
    return found
