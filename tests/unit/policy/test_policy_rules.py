"""Filters and their compiler: what rules mean, which of them are refused, and what the programs look like."""

from __future__ import annotations

import struct

import pytest
from rows import every_row

from nucleus.base.errors import SpecError
from nucleus.policy.seccomp_bpf import MAX_INSTRUCTIONS, compile_filter
from nucleus.policy.seccomp_rules import (
    ALLOW,
    KILL_PROCESS,
    Condition,
    Filter,
    Rule,
    check_condition,
    decide,
    errno_answer,
    holds,
    trace_answer,
)
from nucleus.policy.syscall_tables import TABLES

EPERM = errno_answer(1)


def filter_of(*rules: Rule) -> Filter:
    return Filter(name="test", rules=rules, default=EPERM, unknown=errno_answer(38))


def instructions(program: bytes) -> list[tuple[int, ...]]:
    return list(struct.iter_unpack("<HBBI", program))


@every_row(
    ("op", "below", "same", "above"),
    [
        ("==", False, True, False), ("!=", True, False, True), ("<", True, False, False),
        ("<=", True, True, False), (">", False, False, True), (">=", False, True, True),
    ],
)  # fmt: skip
def test_comparisons_are_of_64_bits_and_unsigned(op: str, below: bool, same: bool, above: bool) -> None:
    value = 0xFFFFFFFF_00000005
    got = [
        holds(Condition(index=0, op=op, value=value), (argument,))
        for argument in (0x7FFFFFFF_FFFFFFFF, value, 0xFFFFFFFF_00000006)
    ]
    assert got == [below, same, above]


def test_a_32_bit_comparison_does_not_see_the_high_word() -> None:
    assert holds(Condition(index=0, op="==", value=5, bits=32), (0xDEADBEEF_00000005,))
    assert not holds(Condition(index=0, op="==", value=5), (0xDEADBEEF_00000005,))


def test_the_first_rule_that_holds_decides() -> None:
    number = TABLES["x86_64"]["ioctl"]
    made = filter_of(
        Rule(calls=("ioctl",), action=errno_answer(7), when=(Condition(index=1, op="==", value=1),)),
        Rule(calls=("ioctl",), action=errno_answer(8), when=(Condition(index=1, op="<", value=5),)),
        Rule(calls=("ioctl",), action=ALLOW),
        Rule(calls=("ioctl",), action=errno_answer(9), when=(Condition(index=1, op="==", value=6),)),
    )
    got = [decide(made, "x86_64", number, (0, value, 0, 0, 0, 0)) for value in (1, 2, 6)]
    assert got == [errno_answer(7), errno_answer(8), ALLOW]


def test_calls_that_an_architecture_does_not_have_are_left_out() -> None:
    made = filter_of(Rule(calls=("open", "read"), action=ALLOW))
    assert len(compile_filter(made, "aarch64")) == len(
        compile_filter(made.replace(rules=made.rules), "aarch64")
    )
    assert decide(made, "aarch64", TABLES["aarch64"]["read"], (0,) * 6) == ALLOW


@every_row(
    "wrong",
    [
        pytest.param(Condition(index=6, op="==", value=0), id="seventh argument"),
        pytest.param(Condition(index=0, op="~", value=0), id="unknown operator"),
        pytest.param(
            Condition(index=0, op="==", value=1 << 32, bits=32), id="value wider than the comparison"
        ),
        pytest.param(Condition(index=0, op="==", value=-1), id="negative value"),
        pytest.param(Condition(index=0, op="==", value=0, bits=16), id="16 bits"),
    ],
)
def test_a_condition_that_cannot_be_asked_is_refused(wrong: Condition) -> None:
    with pytest.raises(SpecError) as caught:
        check_condition(wrong)
    assert caught.value.where and caught.value.remedy


def test_answers_out_of_range_are_refused() -> None:
    for make, number in ((errno_answer, 4096), (errno_answer, -1), (trace_answer, 65536)):
        with pytest.raises(SpecError):
            make(number)


def test_the_architecture_is_tested_before_anything_else_and_a_foreign_one_kills() -> None:
    program = instructions(compile_filter(filter_of(Rule(calls=("read",), action=ALLOW)), "x86_64"))
    load, test = program[:2]
    assert load == (0x20, 0, 0, 4)
    assert (test[0], test[3]) == (0x15, 0xC000003E)
    assert program[2 + test[2]] == (0x06, 0, 0, KILL_PROCESS)


def test_the_same_filter_gives_the_same_bytes() -> None:
    rules = [Rule(calls=(name,), action=ALLOW) for name in ("read", "write", "openat", "close")]
    assert compile_filter(filter_of(*rules), "x86_64") == compile_filter(
        filter_of(*reversed(rules)), "x86_64"
    )


def test_a_condition_that_nothing_can_meet_costs_nothing() -> None:
    never = Condition(index=0, op="&==", mask=0xF0, value=0x0F)
    made = filter_of(Rule(calls=("read",), action=ALLOW, when=(never,)))
    assert compile_filter(made, "x86_64") == compile_filter(filter_of(), "x86_64")


def test_a_filter_that_the_kernel_would_not_take_is_refused_with_its_size() -> None:
    when = [Condition(index=1, op="==", value=(n << 32) | n) for n in range(1, MAX_INSTRUCTIONS // 2)]
    rules = [Rule(calls=("ioctl",), action=ALLOW, when=(c,)) for c in when]
    with pytest.raises(SpecError, match="instructions"):
        compile_filter(filter_of(*rules), "x86_64")


def test_an_unknown_architecture_is_refused() -> None:
    with pytest.raises(SpecError, match="s390x"):
        compile_filter(filter_of(), "s390x")
