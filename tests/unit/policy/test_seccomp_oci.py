"""Seccomp profiles in the OCI form: what they mean, what is refused by name, and what none of them loosens."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rows import every_row

from nucleus.base.errors import SpecError
from nucleus.policy.capabilities import NUMBERS
from nucleus.policy.seccomp_bpf import compile_filter
from nucleus.policy.seccomp_default import DEFAULT
from nucleus.policy.seccomp_filters import LAUNCHER_CALLS, TIOCSTI
from nucleus.policy.seccomp_floor import above, held_names
from nucleus.policy.seccomp_oci import ACTIONS, FLAGS, OPERATORS, Machine, parse
from nucleus.policy.seccomp_rules import (
    ALLOW,
    ENOSYS,
    EPERM,
    KILL_PROCESS,
    KILL_THREAD,
    LOG,
    TRAP,
    Filter,
    decide,
    errno_answer,
    trace_answer,
)
from nucleus.policy.syscall_tables import TABLES

MACHINE = Machine(arch="x86_64", kernel=(6, 1))
CALLS = TABLES["x86_64"]
NONE = (0,) * 6


def profile(*rules: dict[str, Any], default: str = "SCMP_ACT_ERRNO", **more: Any) -> bytes:
    return json.dumps({"defaultAction": default, "syscalls": list(rules), **more}).encode()


def read(data: bytes, machine: Machine = MACHINE) -> Filter:
    return parse(data, "p.json", machine).filter


def allow(*names: str, **more: Any) -> dict[str, Any]:
    return {"names": list(names), "action": "SCMP_ACT_ALLOW", **more}


def answer(filter_: Filter, name: str, *arguments: int) -> int:
    return decide(filter_, "x86_64", CALLS[name], (*arguments, *NONE)[:6])


def refused(data: bytes, machine: Machine = MACHINE) -> list[tuple[str, str]]:
    with pytest.raises(SpecError) as caught:
        read(data, machine)
    problems = caught.value.problems_list()
    assert all(p.remedy and p.where.startswith("p.json") for p in problems)
    return [(p.where, p.message) for p in problems]


@every_row(
    ("action", "meant"),
    [
        ("SCMP_ACT_ALLOW", ALLOW), ("SCMP_ACT_LOG", LOG), ("SCMP_ACT_TRAP", TRAP), ("SCMP_ACT_KILL", KILL_THREAD),
        ("SCMP_ACT_KILL_THREAD", KILL_THREAD), ("SCMP_ACT_KILL_PROCESS", KILL_PROCESS),
        ("SCMP_ACT_ERRNO", errno_answer(EPERM)), ("SCMP_ACT_TRACE", trace_answer(0)),
    ],
)  # fmt: skip
def test_each_action_is_what_the_kernel_calls_so(action: str, meant: int) -> None:
    assert answer(read(profile({"names": ["mkdir"], "action": action})), "mkdir") == meant
    assert answer(read(profile(default=action)), "mkdir") == meant


def test_errnos_are_those_of_the_file() -> None:
    found = read(
        profile({"names": ["mkdir"], "action": "SCMP_ACT_ERRNO", "errnoRet": 13}, defaultErrnoRet=95)
    )
    assert answer(found, "mkdir") == errno_answer(13)
    assert answer(found, "rmdir") == errno_answer(95)


@every_row("op", OPERATORS)
def test_each_operator_compares_all_64_bits(op: str) -> None:
    value, high = 1 << 40 | 7, 1 << 40
    args = [{"index": 1, "value": value, "op": op}]
    if op == "SCMP_CMP_MASKED_EQ":
        args = [{"index": 1, "value": high | 3, "valueTwo": high | 2, "op": op}]
    found = read(profile(allow("lseek", args=args)))
    meant = {
        "SCMP_CMP_NE": lambda a: a != value, "SCMP_CMP_LT": lambda a: a < value, "SCMP_CMP_LE": lambda a: a <= value,
        "SCMP_CMP_EQ": lambda a: a == value, "SCMP_CMP_GE": lambda a: a >= value,
        "SCMP_CMP_GT": lambda a: a > value, "SCMP_CMP_MASKED_EQ": lambda a: a & (high | 3) == high | 2,
    }[op]  # fmt: skip
    for argument in (0, 7, 2, value - 1, value, value + 1, high, high | 2, high | 6, (1 << 64) - 1):
        assert (answer(found, "lseek", 0, argument) == ALLOW) == meant(argument), argument


def test_the_first_rule_whose_conditions_all_hold_decides() -> None:
    one = [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}, {"index": 1, "value": 5, "op": "SCMP_CMP_GT"}]
    found = read(profile({"names": ["kill"], "action": "SCMP_ACT_KILL_PROCESS", "args": one}, allow("kill")))
    assert answer(found, "kill", 1, 6) == KILL_PROCESS
    assert answer(found, "kill", 1, 5) == answer(found, "kill", 2, 6) == ALLOW


def test_a_rule_that_never_holds_is_refused() -> None:
    deny = {
        "names": ["kill"],
        "action": "SCMP_ACT_ERRNO",
        "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}],
    }
    assert refused(profile(allow("kill"), deny)) == [
        ("p.json:1 $.syscalls[1]", "never holds for kill: $.syscalls[0] decides that call already")
    ]


def test_rules_for_other_machines_do_not_count() -> None:
    rules = (
        allow("mount", includes={"caps": ["CAP_SYS_ADMIN"]}), allow("ptrace", includes={"minKernel": "4.8"}),
        allow("bpf", includes={"minKernel": "6.2"}), allow("arch_prctl", includes={"arches": ["amd64", "x32"]}),
        allow("sync", includes={"arches": ["s390x"]}), allow("chroot", excludes={"caps": ["CAP_SYS_CHROOT"]}),
    )  # fmt: skip
    found = read(profile(*rules))
    names = ("mount", "ptrace", "bpf", "arch_prctl", "sync", "chroot")
    assert [n for n in names if answer(found, n) == ALLOW] == ["ptrace", "arch_prctl", "chroot"]
    kept = 1 << NUMBERS["SYS_ADMIN"] | 1 << NUMBERS["SYS_CHROOT"]
    other = read(profile(*rules), MACHINE.replace(capabilities=kept))
    assert [n for n in names if answer(other, n) == ALLOW] == ["mount", "ptrace", "arch_prctl"]


def test_architectures_must_have_this_one() -> None:
    assert read(profile(architectures=["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"]))
    assert read(
        profile(archMap=[{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]}])
    )
    assert refused(profile(architectures=["SCMP_ARCH_AARCH64"])) == [
        ("p.json:1 $.architectures", "does not name SCMP_ARCH_X86_64, which this machine is")
    ]


def test_calls_of_a_later_kernel_get_what_the_profile_has_for_the_rest() -> None:
    assert decide(read(profile(default="SCMP_ACT_KILL")), "x86_64", 5000, NONE) == KILL_THREAD
    assert decide(read(profile(default="SCMP_ACT_ALLOW")), "x86_64", 5000, NONE) == errno_answer(ENOSYS)


def test_flags_are_those_of_the_kernel() -> None:
    assert parse(profile(flags=list(FLAGS)), "p.json", MACHINE).flags == 6


def test_a_misspelt_call_is_told_where_it_would_be_allowed() -> None:
    deny = {"names": ["ptrcae", "s390_pci_mmio_read", "mmap2"], "action": "SCMP_ACT_KILL"}
    found = refused(profile(deny, default="SCMP_ACT_ALLOW"))
    assert found == [("p.json:1 $.syscalls[0].names[0]", "'ptrcae' is not a system call")]
    assert answer(read(profile(allow("ptrcae", "mkdir"))), "mkdir") == ALLOW


def test_all_problems_are_told_at_once_with_their_lines() -> None:
    text = """{
  "defaultAction": "SCMP_ACT_NOTIFY",
  "listenerPath": "/run/x",
  "flags": ["SECCOMP_FILTER_FLAG_NEW_LISTENER"],
  "syscals": [],
  "syscalls": [
    {"names": ["mkdir"], "action": "SCMP_ACT_ALOW", "errnoRet": 70000},
    {"names": "mkdir", "action": "SCMP_ACT_ALLOW"},
    {"names": ["kill"], "action": "SCMP_ACT_ALLOW",
     "args": [{"index": 6, "value": -1, "op": "EQ"}, {"value": 1}]},
    {"action": "SCMP_ACT_ALLOW", "args": {}},
    7
  ]
}"""
    places = [where.partition(" ") for where, _ in refused(text.encode())]
    assert [(file.partition(":")[2], path) for file, _, path in places] == [
        ("5", "$.syscals"), ("2", "$.defaultAction"), ("3", "$.listenerPath"), ("4", "$.flags[0]"),
        ("7", "$.syscalls[0].errnoRet"), ("7", "$.syscalls[0].action"), ("8", "$.syscalls[1].names"),
        ("8", "$.syscalls[1]"), ("10", "$.syscalls[2].args[0].index"), ("10", "$.syscalls[2].args[0].value"),
        ("10", "$.syscalls[2].args[0].op"), ("10", "$.syscalls[2].args[1]"), ("11", "$.syscalls[3]"),
        ("11", "$.syscalls[3].args"), ("12", "$.syscalls[4]"), ("12", "$.syscalls[4]"), ("12", "$.syscalls[4]"),
    ]  # fmt: skip


@every_row(
    "data",
    [b"", b"[]", b"{", b"\xff", b"{}", b'{"defaultAction": 3}', b"[" * 100_000, b'{"a":' * 50_000, b" " * (1 << 20) + b"{}",
     b'{"defaultAction": "SCMP_ACT_ALLOW", "defaultAction": "SCMP_ACT_KILL"}'],
)  # fmt: skip
def test_what_is_no_profile_is_refused(data: bytes) -> None:
    assert refused(data)


def test_an_argument_compared_twice_is_refused() -> None:
    args = [{"index": 0, "value": v, "op": "SCMP_CMP_GE"} for v in (1, 2)]
    assert "compared twice" in refused(profile(allow("kill", args=args)))[0][1]


# ---- the floor ----


def test_no_profile_allows_what_leads_out() -> None:
    everything = above(read(profile(default="SCMP_ACT_ALLOW")))
    for name in ("clone3", "unshare", "setns", "add_key", "request_key", "keyctl"):
        assert answer(everything, name) not in (ALLOW, LOG), name
    assert answer(everything, "ioctl", 0, TIOCSTI) == errno_answer(EPERM)
    assert answer(everything, "ioctl", 0, 1 << 32 | TIOCSTI) == errno_answer(EPERM)
    assert answer(everything, "clone", 0x10000000) == errno_answer(EPERM)
    assert answer(everything, "socket", 40, 1, 0) != ALLOW  # AF_VSOCK
    assert answer(everything, "mkdir") == answer(everything, "socket", 1, 1, 0) == ALLOW


def test_the_launcher_gets_what_it_needs_under_a_profile_that_allows_nothing() -> None:
    nothing = above(read(profile(default="SCMP_ACT_KILL_PROCESS")))
    assert all(answer(nothing, name) == ALLOW for name in LAUNCHER_CALLS)
    assert answer(nothing, "prctl", 39) == ALLOW and answer(nothing, "prctl", 38) == KILL_PROCESS
    assert answer(nothing, "openat") == KILL_PROCESS


@pytest.mark.parametrize("more", [{}, {"args": [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}]}])
def test_a_profile_that_refuses_or_bounds_what_the_launcher_needs_is_refused(more: dict[str, Any]) -> None:
    rule = {"names": ["execve"], "action": "SCMP_ACT_ALLOW" if more else "SCMP_ACT_KILL", **more}
    with pytest.raises(SpecError) as caught:
        above(read(profile(rule, default="SCMP_ACT_ALLOW")))
    (problem,) = caught.value.problems_list()
    assert "execve" in problem.message and problem.where == "p.json $.syscalls[0]"


HELD = held_names()
RULES = st.lists(
    st.fixed_dictionaries({
        "names": st.lists(st.sampled_from([*HELD, "mkdir", "kill", "lseek"]), min_size=1, max_size=3, unique=True),
        "action": st.sampled_from(sorted(ACTIONS)),
        "args": st.lists(
            st.fixed_dictionaries({
                "index": st.integers(0, 5), "value": st.sampled_from([0, 1, 2, 10, 16, TIOCSTI, 0x7E020080, 1 << 33]),
                "valueTwo": st.sampled_from([0, 1, 2]), "op": st.sampled_from(sorted(OPERATORS)),
            }),
            max_size=2, unique_by=lambda a: a["index"],
        ),
    }),
    max_size=6,
)  # fmt: skip


ARGUMENTS = st.tuples(*[st.sampled_from([0, 1, 2, 16, TIOCSTI])] * 6)


@given(
    rules=RULES,
    default=st.sampled_from(sorted(ACTIONS)),
    arguments=st.tuples(*[st.sampled_from([0, 1, 2, 16, TIOCSTI])] * 6),
    others=st.lists(st.sampled_from(HELD), min_size=4, max_size=4),
)
def test_above_the_floor_a_call_passes_only_if_both_let_it(
    rules: list[dict[str, Any]], default: str, arguments: tuple[int, ...], others: list[str]
) -> None:
    try:
        wanted = read(profile(*rules, default=default))
    except SpecError:
        return  # a rule that never holds
    both = above(wanted)
    for name in {*others, "mkdir", "kill", "lseek", *[name for rule in rules for name in rule["names"]]}:
        number = CALLS.get(name)
        if number is None:
            continue
        mine, base = (decide(f, "x86_64", number, arguments) for f in (wanted, DEFAULT))
        found = decide(both, "x86_64", number, arguments)
        if name not in HELD:
            assert found == mine
        elif base not in (ALLOW, LOG):
            assert found == base
        else:
            assert found == mine
    assert compile_filter(both, "x86_64")
