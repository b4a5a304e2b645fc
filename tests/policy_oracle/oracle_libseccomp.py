"""Programs of libseccomp for the rules of a Filter.  ✗ nothing of our compiler.

libseccomp knows neither an order among rules of one call, nor 32-bit comparisons, nor a range of call numbers.
So a decision is first taken apart into disjoint sets of arguments, each a "masked equal" per argument; and the
architecture is always x86-64, with the numbers of the other one, because numbers are all that a program holds.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import os

from nucleus.policy.seccomp_rules import ALL_BITS, LOW_BITS, Condition, Filter, decisions

_OPERATORS = {"!=": 1, "<": 2, "<=": 3, "==": 4, ">=": 5, ">": 6, "&==": 7}
_BADARCH_ATTRIBUTE = 2  # SCMP_FLTATR_ACT_BADARCH

# For each argument the bits that are fixed, and to what.
Cube = tuple[tuple[int, int], ...]
ANYTHING: Cube = ((0, 0),) * 6


class _Compare(ctypes.Structure):
    _fields_ = (
        ("arg", ctypes.c_uint),
        ("op", ctypes.c_int),
        ("datum_a", ctypes.c_uint64),
        ("datum_b", ctypes.c_uint64),
    )


def _library() -> ctypes.CDLL:
    library = ctypes.CDLL("libseccomp.so.2")
    library.seccomp_init.restype = ctypes.c_void_p
    library.seccomp_init.argtypes = [ctypes.c_uint32]
    library.seccomp_release.argtypes = [ctypes.c_void_p]
    library.seccomp_attr_set.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_uint32]
    library.seccomp_rule_add_array.argtypes = [
        *(ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint, ctypes.POINTER(_Compare))
    ]
    library.seccomp_export_bpf.argtypes = [ctypes.c_void_p, ctypes.c_int]
    library.seccomp_arch_native.restype = ctypes.c_uint32
    return library


def _ok(result: int, what: str) -> None:
    assert result == 0, f"libseccomp: {what}: {os.strerror(-result)}"


def _values(condition: Condition) -> list[tuple[int, int]]:
    """The values for which a condition holds, as disjoint (fixed bits, their value)."""
    width = LOW_BITS if condition.bits == 32 else ALL_BITS
    v = condition.value
    bits = [1 << i for i in range(condition.bits)]
    equal = [(width, v)]
    above = [(width & ~(bit - 1), v & ~(bit - 1) | bit) for bit in bits if not v & bit]
    below = [(width & ~(bit - 1), v & ~(bit - 1) & ~bit) for bit in bits if v & bit]
    masked = [(condition.mask & width, v)] if not v & ~(condition.mask & width) else []
    return {
        "==": equal, "!=": above + below, ">": above, "<": below, ">=": above + equal, "<=": below + equal,
        "&==": masked,
    }[condition.op]  # fmt: skip


def _both(a: Cube, b: Cube) -> Cube | None:
    found = []
    for (mask, value), (other_mask, other_value) in zip(a, b, strict=True):
        if (value ^ other_value) & mask & other_mask:
            return None
        found.append((mask | other_mask, value | other_value))
    return tuple(found)


def _without(a: Cube, b: Cube) -> list[Cube]:
    """What of `a` is not in `b`, as disjoint cubes."""
    if _both(a, b) is None:
        return [a]
    found, rest = [], list(a)
    for i in range(6):
        # From the highest bit down, so that what is left has the shape of the cubes of a comparison.
        for bit in [1 << n for n in reversed(range(b[i][0].bit_length()))]:
            if b[i][0] & bit and not rest[i][0] & bit:
                mask, value = rest[i]
                flipped = list(rest)
                flipped[i] = (mask | bit, value | (bit & ~b[i][1]))
                found.append(tuple(flipped))
                rest[i] = (mask | bit, value | (bit & b[i][1]))
    return found


def disjoint(decision: tuple) -> list[tuple[Cube, int]]:
    """First rule that holds decides → sets of arguments that do not meet, each with its answer."""
    rules, otherwise = decision
    left, found = [ANYTHING], []
    for conditions, action in rules:
        cubes = [ANYTHING]
        for c in conditions:
            at = [tuple(v if i == c.index else (0, 0) for i in range(6)) for v in _values(c)]
            cubes = [both for cube in cubes for other in at if (both := _both(cube, other)) is not None]
        found += [
            (both, action) for cube in left for other in cubes if (both := _both(cube, other)) is not None
        ]
        for other in cubes:
            left = [rest for cube in left for rest in _without(cube, other)]
    return found + [(cube, otherwise) for cube in left]


class _Context:
    def __init__(self, default: int, bad_arch: int) -> None:
        self.library, self.default = _library(), default
        assert self.library.seccomp_arch_native() == 0xC000003E, "the oracle needs an x86-64 machine"
        self.context = self.library.seccomp_init(default)
        _ok(self.library.seccomp_attr_set(self.context, _BADARCH_ATTRIBUTE, bad_arch), "bad arch")

    def add(self, number: int, action: int, compares: list[tuple[int, str, int, int]]) -> None:
        """One rule; what equals the default needs none, and libseccomp refuses it."""
        if action == self.default:
            return
        array = (_Compare * max(1, len(compares)))(*((i, _OPERATORS[op], a, b) for i, op, a, b in compares))
        result = self.library.seccomp_rule_add_array(self.context, action, number, len(compares), array)
        _ok(result, f"rule {number} {compares}")

    def export(self) -> bytes:
        fd = os.memfd_create("oracle")
        try:
            _ok(self.library.seccomp_export_bpf(self.context, fd), "export")
            return os.pread(fd, 1 << 24, 0)
        finally:
            os.close(fd)
            self.library.seccomp_release(self.context)


def ordered_program(filter_: Filter, arch: str, bad_arch: int) -> bytes:
    """Any filter, by way of disjoint sets."""
    context = _Context(filter_.unknown, bad_arch)
    for number, decision in decisions(filter_, arch).items():
        for cube, action in disjoint(decision):
            compares = [(i, "&==", mask, value) for i, (mask, value) in enumerate(cube) if mask]
            context.add(number, action, compares)
    return context.export()


def native_program(filter_: Filter, arch: str, bad_arch: int) -> bytes:
    """A filter without order among rules and without 32-bit comparisons, in libseccomp's own operators."""
    assert filter_.default == filter_.unknown, "the default of libseccomp is one for all numbers"
    context = _Context(filter_.default, bad_arch)
    for number, (rules, otherwise) in decisions(filter_, arch).items():
        if not rules:
            context.add(number, otherwise, [])
        for conditions, action in rules:
            compares = [
                (c.index, c.op, *((c.mask, c.value) if c.op == "&==" else (c.value, 0))) for c in conditions
            ]
            context.add(number, action, compares)
    return context.export()
