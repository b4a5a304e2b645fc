"""The check itself: our program and libseccomp's give the same answers, and no branch of ours is idle.

✗ knows no filter.
"""

from __future__ import annotations

import functools

import oracle_libseccomp
from oracle_calls import ARCHITECTURES, Call, calls_for, packed
from oracle_simulator import NotAFilter, one_way_branches, simulate
from oracle_tables import COUNT, is_native, random_table

from nucleus.policy import seccomp
from nucleus.policy.seccomp_rules import KILL_PROCESS, X32_BIT, Filter, decide

# Only answers are asked of the programs of libseccomp, which are longer than a kernel takes for some tables.
NEVER_LOADED = 1 << 20

Case = tuple[Filter, str, bool]  # filter, architecture, may libseccomp take its conditions as they are?

CASES: dict[str, Case] = {
    **{f"{p} {a}": (seccomp.profile(p), a, False) for p in seccomp.PROFILES for a in seccomp.ARCHITECTURES},
    **{f"random table {seed}": (*random_table(seed), is_native(seed)) for seed in range(COUNT)},
}


@functools.cache
def calls_of(name: str) -> tuple[list[Call], bytes]:
    """The calls that this case is judged by, and the same as bytes."""
    filter_, arch, _ = CASES[name]
    calls = calls_for(filter_, arch, seed=sum(name.encode()))
    return calls, packed(calls)


@functools.cache
def expected(name: str) -> list[int]:
    """libseccomp's answers.

    It treats a call of the x32 ABI as a foreign architecture, so a second program says what is wanted there.  On
    aarch64 numbers with that bit are just unknown.
    """
    filter_, arch, native = CASES[name]
    make = oracle_libseccomp.native_program if native else oracle_libseccomp.ordered_program
    calls, _ = calls_of(name)
    as_x86 = {ARCHITECTURES[arch]: ARCHITECTURES["x86_64"], ARCHITECTURES["x86_64"]: 0}
    data = packed([(n, as_x86.get(a, a) if arch != "x86_64" else a, args) for n, a, args in calls])
    answers, _ = simulate(make(filter_, arch, KILL_PROCESS), data, limit=NEVER_LOADED)
    x32 = filter_.x32 if arch == "x86_64" else filter_.unknown
    x32_answers, _ = simulate(make(filter_, arch, x32), data, limit=NEVER_LOADED)
    native_arch = ARCHITECTURES[arch]
    return [
        second if a == native_arch and n & 0xFFFFFFFF >= X32_BIT else first
        for (n, a, _), first, second in zip(calls, answers, x32_answers, strict=True)
    ]


def disagreements(name: str, program: bytes) -> list[str]:
    """Calls that this program answers otherwise than libseccomp's, at most ten."""
    calls, data = calls_of(name)
    try:
        answers, _ = simulate(program, data)
    except NotAFilter as error:
        return [f"the kernel would refuse the program: {error}"]
    pairs = zip(calls, answers, expected(name), strict=True)
    return [
        f"call {n} arch {a:#x} {[hex(x) for x in args]}: {ours:#x}, libseccomp {theirs:#x}"
        for (n, a, args), ours, theirs in pairs
        if ours != theirs
    ][:10]


def idle_branches(name: str, program: bytes) -> list[int]:
    """Branches of this program that the calls took only one way."""
    _, went = simulate(program, calls_of(name)[1])
    return one_way_branches(program, went)


def wrong_by_the_rules(name: str, program: bytes) -> list[str]:
    """Calls that this program answers otherwise than the rules read one by one; a sample, for it is slow."""
    filter_, arch, _ = CASES[name]
    calls, data = calls_of(name)
    answers, _ = simulate(program, data)
    sample = list(zip(calls, answers, strict=True))[:: max(1, len(calls) // 400)]
    return [
        f"call {n} {[hex(x) for x in args]}: {answer:#x}"
        for (n, a, args), answer in sample
        if answer != (decide(filter_, arch, n, args) if a == ARCHITECTURES[arch] else KILL_PROCESS)
    ]
