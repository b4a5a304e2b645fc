"""Profiles out of records: what was seen is allowed, exactly; what is not whole makes none."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rows import every_row

from nucleus.base.errors import SpecError
from nucleus.policy.seccomp_compare import DEFAULT, answers_of, builtin_answers, difference
from nucleus.policy.seccomp_generate import left_out, profile_of
from nucleus.policy.seccomp_record import merged, read
from nucleus.policy.seccomp_trace import ARGUMENTS
from nucleus.policy.syscall_tables import TABLES

X86 = 0xC000003E
NUMBERS = TABLES["x86_64"]


def line(
    name: str, *args: int, answer: str = "allow", count: int = 1, errno: int = 0, arch: int = X86
) -> str:
    """As nucleus-trace writes it."""
    looked_at = {str(i): v for i, v in zip(ARGUMENTS.get(name, ()), args, strict=False)}
    found = {"arch": arch, "syscall": NUMBERS[name], "args": looked_at, "answer": answer, "count": count}
    return json.dumps(found | ({"errno": errno} if answer == "errno" else {}))


def trace(*lines: str) -> str:
    calls = sum([json.loads(found)["count"] for found in lines])
    return "\n".join([*lines, json.dumps({"end": "complete", "calls": calls})]) + "\n"


def holds(argument: dict[str, Any], values: dict[int, int]) -> bool:
    value = values.get(argument["index"], 0)
    if argument["op"] == "SCMP_CMP_MASKED_EQ":
        return value & argument["value"] == argument["valueTwo"]
    return (value == argument["value"]) is (argument["op"] == "SCMP_CMP_EQ")


def answers(document: dict[str, Any], name: str, values: dict[int, int]) -> set[str]:
    """The answers of all entries that hold: whatever the order of a reader, there must be but one."""
    found = {
        entry["action"]
        for entry in document["syscalls"]
        if name in entry["names"] and all([holds(a, values) for a in entry.get("args", ())])
    }
    return found or {document["defaultAction"]}


ALLOW, REFUSE, KILL = {"SCMP_ACT_ALLOW"}, {"SCMP_ACT_ERRNO"}, {"SCMP_ACT_KILL_PROCESS"}


def test_a_profile_allows_what_was_recorded_and_kills_for_the_rest() -> None:
    record = read(
        trace(
            line("read", count=9), line("ioctl", 0x5401), line("ioctl", 0xFFFFFFFF80045430), line("socket", 1, 1, 0),
            line("clone3", answer="errno", errno=38), line("ptrace", 0, answer="kill"),
        ),
        "calls",
    )  # fmt: skip
    document = profile_of(record)
    assert document["architectures"] == ["SCMP_ARCH_X86_64"]
    assert answers(document, "read", {}) == ALLOW
    assert answers(document, "ioctl", {1: 0x5401}) == answers(document, "ioctl", {1: 0x80045430}) == ALLOW
    assert answers(document, "ioctl", {1: 0x5412}) == answers(document, "ptrace", {}) == KILL
    assert answers(document, "ioctl", {1: 0x1_0000_5412}) == KILL
    assert answers(document, "socket", {0: 1, 1: 1}) == ALLOW
    assert answers(document, "socket", {0: 2, 1: 1}) == answers(document, "mount", {}) == KILL
    assert answers(document, "clone3", {}) == REFUSE
    assert left_out(record) == ("ptrace",)


def test_what_the_launcher_needs_and_what_comes_by_chance_is_always_there() -> None:
    document = profile_of(read(trace(line("read")), "calls"))
    for name in ("execve", "capget", "exit_group", "rt_sigreturn", "futex", "restart_syscall"):
        assert answers(document, name, {}) == ALLOW
    assert answers(document, "prctl", {0: 39}) == ALLOW
    assert answers(document, "prctl", {0: 22}) == KILL


@pytest.mark.parametrize("refused", [True, False])
def test_no_run_shows_that_a_set_user_id_bit_may_be_set(refused: bool) -> None:
    lines = [line("chmod", 0o755), line("openat", 0), line("prlimit64", 0, 7)]
    lines += [line("chmod", 0o4755, answer="errno", errno=1)] if refused else []
    document = profile_of(read(trace(*lines), "calls"))
    assert answers(document, "chmod", {1: 0o644}) == ALLOW
    assert (
        answers(document, "chmod", {1: 0o4755})
        == answers(document, "chmod", {1: 0o6755})
        == (REFUSE if refused else KILL)
    )
    assert answers(document, "openat", {2: 0o100, 3: 0o644}) == ALLOW
    assert answers(document, "openat", {2: 0o100, 3: 0o4755}) == KILL
    assert answers(document, "prlimit64", {0: 77, 2: 0xDEADBEEF}) == KILL


def test_a_value_that_was_always_the_same_is_demanded_and_one_that_varied_is_not() -> None:
    same = profile_of(read(trace(line("getrandom", 1), line("getrandom", 1)), "calls"))
    assert answers(same, "getrandom", {2: 1}) == ALLOW
    assert answers(same, "getrandom", {2: 2}) == KILL
    varied = profile_of(read(trace(line("getrandom", 1), line("getrandom", 2)), "calls"))
    assert answers(varied, "getrandom", {2: 3}) == ALLOW


FORMS = st.lists(
    st.tuples(
        st.sampled_from(sorted(set(ARGUMENTS) & set(NUMBERS) - {"restart_syscall"})),
        st.lists(st.sampled_from([0, 1, 2, 5, 0x5401, 0xFFFFFFFF]), min_size=3, max_size=3),
    ),
    max_size=12,
)


@given(st.lists(FORMS, min_size=1, max_size=3))
def test_of_any_runs_each_call_is_allowed_and_by_no_order_refused(
    runs: list[list[tuple[str, list[int]]]],
) -> None:
    records = tuple([read(trace(*[line(name, *args) for name, args in run]), "calls") for run in runs if run])
    if not records:
        return
    document = profile_of(merged(records))
    from nucleus.policy.seccomp_generate import _guard

    for run in runs:
        for name, args in run:
            values = dict(zip(ARGUMENTS[name], args, strict=False))
            if not _guard(
                name
            ):  # what the profile demands was met by the run, and is not in these made-up values
                assert answers(document, name, values) == ALLOW


def test_records_of_several_runs_add_up() -> None:
    one, two = read(trace(line("read", count=3)), "a"), read(trace(line("read"), line("write")), "b")
    both = merged((one, two))
    assert sum([count for _, count in both.calls]) == 5 and both.runs == 2 and both.complete


@every_row(
    ("text", "said"),
    [
        (line("read") + "\n", "no run has ended"),
        (trace(line("read")).replace('"calls": 1', '"calls": 2'), "not whole"),
        (trace(line("read")).replace("complete", "lost"), "not whole"),
        ("", "no run has ended"),
        (trace(line("read"), line("read", arch=0xC00000B7)), "architectures"),
    ],
    ids=["no end", "lines are missing", "the disk was full", "nothing", "two machines"],
)  # fmt: skip
def test_a_record_that_is_not_whole_makes_no_profile(text: str, said: str) -> None:
    with pytest.raises(SpecError, match=said):
        profile_of(read(text, "calls"))


@every_row("text", ["nonsense", "[]", '{"arch": 1}', "{" * 100_000, '{"end": "complete"}', "1"])
def test_a_line_that_is_none_is_named(text: str) -> None:
    with pytest.raises(SpecError) as refused:
        read(line("read") + "\n" + text + "\n", "calls")
    assert refused.value.problems[0].where == "calls:2"


def test_two_profiles_are_told_apart_call_by_call() -> None:
    first = answers_of({"defaultAction": "SCMP_ACT_KILL_PROCESS", "syscalls": [
        {"names": ["read", "write"], "action": "SCMP_ACT_ALLOW"},
    ]}, "a")  # fmt: skip
    second = answers_of({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38, "syscalls": [
        {"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 3, "op": "SCMP_CMP_EQ"}]},
        {"names": ["close"], "action": "SCMP_ACT_ERRNO", "errnoRet": 13},
    ]}, "b")  # fmt: skip
    found = {d.call: (d.sign, d.first, d.second) for d in difference(first, second)}
    assert found == {
        DEFAULT: ("~", ("kill",), ("errno 38",)),
        "close": ("+", (), ("errno 13",)),
        "read": ("~", ("allow",), ("allow if arg0 == 0x3",)),
        "write": ("-", ("allow",), ()),
    }
    assert difference(builtin_answers("strict"), builtin_answers("strict")) == ()
    assert "alarm" in {d.call for d in difference(builtin_answers("strict"), builtin_answers("default"))}
    with pytest.raises(SpecError, match="no seccomp profile"):
        answers_of({"syscalls": "x"}, "c")
