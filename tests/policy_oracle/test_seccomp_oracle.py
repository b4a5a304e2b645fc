"""Our filters against libseccomp's: the same answers to every call, every branch taken both ways, every bug found."""

from __future__ import annotations

import oracle_judge
import pytest
from oracle_bugs import BUGS, compiler_with
from oracle_calls import ARCHITECTURES
from oracle_simulator import steps

from nucleus.policy import seccomp
from nucleus.policy.seccomp_bpf import compile_filter
from nucleus.policy.syscall_tables import NEWEST

CASES = sorted(oracle_judge.CASES)


def compiled(name: str) -> bytes:
    filter_, arch, _ = oracle_judge.CASES[name]
    return compile_filter(filter_, arch)


@pytest.mark.parametrize("name", CASES)
def test_our_program_and_that_of_libseccomp_decide_the_same(name: str) -> None:
    assert oracle_judge.disagreements(name, compiled(name)) == []


@pytest.mark.parametrize("name", CASES)
def test_our_program_decides_what_the_rules_say_when_read_one_by_one(name: str) -> None:
    assert oracle_judge.wrong_by_the_rules(name, compiled(name)) == []


@pytest.mark.parametrize("name", CASES)
def test_every_branch_is_taken_both_ways(name: str) -> None:
    assert oracle_judge.idle_branches(name, compiled(name)) == []


def test_some_table_is_so_large_that_jumps_need_a_second_one() -> None:
    programs = [compiled(name) for name in CASES]
    far = [sum(p[at : at + 2] == b"\x05\0" for at in range(0, len(p), 8)) for p in programs]
    assert max(far) >= 2


@pytest.mark.parametrize("bug", sorted(BUGS))
def test_a_bug_in_the_compiler_is_found(bug: str) -> None:
    broken = compiler_with(bug)
    # Small cases first: most bugs show there.
    names = sorted(CASES, key=lambda name: len(oracle_judge.calls_of(name)[0]))
    for name in names:
        filter_, arch, _ = oracle_judge.CASES[name]
        if oracle_judge.disagreements(name, broken.compile_filter(filter_, arch)):
            return
    pytest.fail("all answers are still right")


@pytest.mark.parametrize("arch", seccomp.ARCHITECTURES)
@pytest.mark.parametrize("name", seccomp.PROFILES)
def test_installing_a_built_in_profile_is_cheap(name: str, arch: str) -> None:
    program, numbers = seccomp.builtin_program(name, arch), NEWEST[arch] + 1
    taken = sum(steps(program, ARCHITECTURES[arch], number) for number in range(numbers))
    assert taken / numbers <= 10.5  # instructions; a list walked from its head takes over a hundred
