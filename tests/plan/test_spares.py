"""Starts that take a spare network namespace, and leave one for a later start."""

from __future__ import annotations

import pytest
from plan_requests import ROOT, V1, realistic_plans, request

from nucleus.plan import invariants, schema, spares
from nucleus.plan.compile import compile_plan
from nucleus.plan.join import joined_namespaces
from nucleus.plan.namespaces import CLONE_NEWNET
from nucleus.plan.prepared import split
from nucleus.plan.request import Request
from nucleus.plan.steps import LaunchPlan, step
from nucleus.policy.capabilities import NUMBERS

PLANS = realistic_plans()
START, TAKING, GIVING = PLANS["start"], PLANS["start-taking"], PLANS["start-giving"]


def start_of(asked: Request) -> LaunchPlan:
    parts = split(compile_plan(asked))
    assert parts is not None
    return parts[1]


def names(plan: LaunchPlan) -> list[str]:
    return [s.name for s in plan.steps]


@pytest.mark.parametrize("plan", [TAKING, GIVING])
def test_both_are_safe_plans(plan: LaunchPlan) -> None:
    assert invariants.check(plan) == ()
    assert plan.slots[: len(START.slots)] == START.slots


def test_who_takes_one_is_born_in_it_and_makes_none() -> None:
    taken, monitor = names(TAKING), [s.name for s in TAKING.steps if s.spec.actor == schema.MONITOR]
    assert monitor.index("take-network") < monitor.index("spawn-in-root") < monitor.index("spare-network")
    assert schema.NETWORK not in {s.spec.actor for s in TAKING.steps}
    assert {"spawn-network", "enter-network", "join-network"}.isdisjoint(taken)
    assert set(names(START)) - set(taken) == {
        "spawn-network", "enter-network", "join-network", "await-id-map", "unshare-network", "loopback-up",
        "hand-over-network",
    }  # fmt: skip


def test_who_gives_one_is_as_before() -> None:
    assert [n for n in names(GIVING) if n != "spare-network"] == names(START)


@pytest.mark.parametrize("plan", [START, TAKING, GIVING])
def test_who_enters_later_joins_the_network_namespace(plan: LaunchPlan) -> None:
    assert joined_namespaces(plan) & CLONE_NEWNET


def test_two_network_namespaces_are_one_too_many() -> None:
    at = names(GIVING).index("spawn-in-root")
    taken = step("take-network", origin="network", network=0)
    both = LaunchPlan(
        kind=GIVING.kind, steps=(*GIVING.steps[:at], taken, *GIVING.steps[at:]), slots=GIVING.slots
    )
    assert ["spare network namespace" in p.message for p in invariants.policy(both)] == [True]


def test_only_a_start_in_a_prepared_root_takes_one() -> None:
    assert spares.may_take(START)
    assert not any(spares.may_take(plan) for name, plan in PLANS.items() if not name.startswith("start"))


def test_on_the_hosts_network_there_is_none_to_take() -> None:
    asked = request(ROOT, V1)
    shared = asked.replace(spec=asked.spec.replace(network="host", allow_host_network=True))
    assert not spares.may_take(start_of(shared))


def test_a_capability_needs_a_namespace_of_the_containers_own_user_namespace() -> None:
    bit = 1 << NUMBERS["NET_BIND_SERVICE"]
    kept = [
        step(
            "set-capabilities", origin="capabilities", permitted=bit, effective=bit, inheritable=0, ambient=0
        )
        if s.name == "set-capabilities"
        else s
        for s in START.steps
    ]
    assert not spares.may_take(LaunchPlan(kind=START.kind, steps=tuple(kept), slots=START.slots))
