"""Limits as writes: the same wish on both hierarchies, and what is said where it cannot hold."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rows import every_row

from nucleus.cgroup.limits import (
    LimitPlan,
    Limits,
    controllers_of,
    demands_cgroup,
    derived_high,
    io_max,
    plan_limits,
    shares_of,
)
from nucleus.spec.resources import IoLimit

V1 = {"memory": 1, "cpu": 1, "pids": 1, "blkio": 1}
V2 = {"memory": 2, "cpu": 2, "pids": 2, "io": 2}
MIB = 1 << 20


def written(plan: LimitPlan) -> list[tuple[str, str]]:
    return [(w.file, w.value) for w in plan.writes]


@every_row(
    ("limits", "on_v2", "on_v1"),
    [
        pytest.param(
            Limits(memory_bytes=100 * MIB),
            [("memory.max", "104857600"), ("memory.swap.max", "0"), ("memory.oom.group", "1")],
            [("memory.limit_in_bytes", "104857600"), ("memory.memsw.limit_in_bytes", "104857600")],
            id="memory alone: no swap, and nothing to slow down at",
        ),
        pytest.param(
            Limits(memory_bytes=100 * MIB, swap_bytes=28 * MIB),
            [
                ("memory.max", "104857600"), ("memory.high", "94371840"), ("memory.swap.max", "29360128"),
                ("memory.oom.group", "1"),
            ],
            [("memory.limit_in_bytes", "104857600"), ("memory.memsw.limit_in_bytes", "134217728")],
            id="v1 counts swap together with memory",
        ),
        pytest.param(
            Limits(cpu_quota_us=150_000),
            [("cpu.max", "150000 100000")],
            [("cpu.cfs_period_us", "100000"), ("cpu.cfs_quota_us", "150000")],
            id="cpus",
        ),
        pytest.param(
            Limits(cpu_weight=200), [("cpu.weight", "200")], [("cpu.shares", "2048")], id="cpu weight"
        ),
        pytest.param(Limits(pids=64), [("pids.max", "64")], [("pids.max", "64")], id="pids"),
        pytest.param(Limits(pids=0), [], [], id="pids 0 is no limit"),
        pytest.param(
            Limits(io=(IoLimit(major=8, minor=16, rbps=1000, wiops=5),)),
            [("io.max", "8:16 rbps=1000 wiops=5")],
            [("blkio.throttle.read_bps_device", "8:16 1000"), ("blkio.throttle.write_iops_device", "8:16 5")],
            id="io",
        ),
    ],
)  # fmt: skip
def test_each_limit_on_both_hierarchies(
    limits: Limits, on_v2: list[tuple[str, str]], on_v1: list[tuple[str, str]]
) -> None:
    assert written(plan_limits(limits, V2)) == on_v2
    assert written(plan_limits(limits, V1)) == on_v1
    assert not plan_limits(limits, V2).problems and not plan_limits(limits, V1).problems


def test_every_write_names_its_option() -> None:
    limits = Limits(memory_bytes=MIB, swap_bytes=0, memory_high_bytes=MIB, cpu_weight=1, pids=5)
    assert [(w.file, w.origin) for w in plan_limits(limits, V2).writes] == [
        ("memory.max", "memory"), ("memory.high", "memory_high"), ("memory.swap.max", "memory_swap"),
        ("memory.oom.group", "memory"), ("cpu.weight", "cpu_weight"), ("pids.max", "pids"),
    ]  # fmt: skip


def test_v1_names_what_was_derived_and_cannot_hold() -> None:
    plan = plan_limits(Limits(memory_bytes=MIB), V1)
    assert [o.limit for o in plan.omitted] == ["memory.high", "memory.oom.group"]
    assert all("v1" in o.reason for o in plan.omitted)


def test_a_default_that_v1_cannot_hold_does_not_stop_the_launch() -> None:
    limits = Limits(
        memory_bytes=MIB, memory_high_bytes=MIB, oom_group=True, defaulted=("oom_group", "memory_high_bytes")
    )
    assert not plan_limits(limits, V1).problems


@pytest.mark.parametrize(
    ("limits", "where"),
    [
        pytest.param(Limits(memory_bytes=MIB, memory_high_bytes=MIB), "--memory-high", id="memory.high"),
        pytest.param(Limits(memory_bytes=MIB, oom_group=True), "--oom-group", id="oom.group"),
        pytest.param(Limits(swap_bytes=0), "--memory-swap", id="swap without memory"),
    ],
)
def test_v1_refuses_what_was_written_and_cannot_hold(limits: Limits, where: str) -> None:
    (problem,) = plan_limits(limits, V1).problems
    assert problem.where == where and problem.remedy


def test_swap_that_the_kernel_does_not_count_is_named_or_refused() -> None:
    derived = plan_limits(Limits(memory_bytes=MIB), V1, swap_limit=False)
    assert "swap" in [o.limit for o in derived.omitted] and not derived.problems
    asked = plan_limits(Limits(memory_bytes=MIB, swap_bytes=MIB), V2, swap_limit=False)
    assert [p.where for p in asked.problems] == ["--memory-swap"]


def test_a_limit_that_was_written_stops_the_launch_with_the_remedy() -> None:
    limits = Limits(memory_bytes=MIB, cpu_quota_us=1000, pids=5, io=(IoLimit(major=8, minor=0, rbps=1),))
    plan = plan_limits(limits, {}, remedy="delegate it")
    assert [p.where for p in plan.problems] == ["--memory", "--cpus", "--pids", "--io-limit"]
    assert {p.remedy for p in plan.problems} == {"delegate it"} and not plan.writes


def test_the_pids_default_falls_back_to_an_rlimit() -> None:
    plan = plan_limits(Limits(pids=512, defaulted=("pids",)), {})
    assert (plan.nproc, plan.problems, [o.limit for o in plan.omitted]) == (512, (), ["pids"])
    assert plan_limits(Limits(pids=512, defaulted=("pids",)), V2).nproc == 0


def test_a_layer_given_up_by_name_is_named_instead_of_refused() -> None:
    plan = plan_limits(Limits(memory_bytes=MIB, pids=7), {}, degraded=True)
    assert (plan.problems, plan.nproc) == ((), 7)
    assert [o.limit for o in plan.omitted] == ["memory", "pids"]


def test_writes_are_divided_among_directories() -> None:
    plan = plan_limits(Limits(memory_bytes=MIB, pids=5, cpu_weight=100), V1)
    assert plan.writes_for(("pids", "cpu")) == (
        ("cpu.shares", "1024", "cpu_weight"), ("pids.max", "5", "pids"),
    )  # fmt: skip


def test_only_what_limits_need_is_wanted() -> None:
    assert controllers_of(Limits(pids=5, cpu_weight=3)) == ("cpu", "pids")
    assert controllers_of(Limits(swap_bytes=0)) == ("memory",) and controllers_of(Limits()) == ()
    assert not demands_cgroup(Limits(pids=512, defaulted=("pids",)))
    assert demands_cgroup(Limits(pids=512)) and demands_cgroup(Limits(memory_bytes=1))


def test_the_default_weight_is_the_default_share() -> None:
    assert (shares_of(100), shares_of(1), shares_of(10_000)) == (1024, 10, 102_400)


@given(st.integers(1, 10_000), st.integers(1, 10_000))
def test_weights_keep_their_order_and_range(one: int, other: int) -> None:
    assert 2 <= shares_of(one) <= 262_144
    assert (one <= other) == (shares_of(one) <= shares_of(other))


@given(st.integers(1, 1 << 62))
def test_the_soft_limit_is_never_above_the_hard_one(memory: int) -> None:
    assert 0 < derived_high(memory) <= memory


@given(st.builds(IoLimit, major=st.integers(0, 4095), minor=st.integers(0, 99), rbps=st.integers(1, 1 << 40)))
def test_an_io_line_has_device_and_given_keys_only(limit: IoLimit) -> None:
    assert io_max(limit) == f"{limit.major}:{limit.minor} rbps={limit.rbps}"


def test_memory_in_which_no_process_starts_is_refused() -> None:
    plan = plan_limits(Limits(memory_bytes=MIB - 1, memory_high_bytes=4096), V2)
    assert [(p.where, p.remedy) for p in plan.problems] == [
        ("--memory", "at least 1M"), ("--memory-high", "at least 1M"),
    ]  # fmt: skip
