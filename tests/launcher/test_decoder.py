"""The launcher's decoder: what it refuses, and that Python's own predicate agrees with it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random
from struct import error as StructError

from hypothesis import given, settings
from native import ROOT, SANITIZED, build
from plan_strategies import damaged_plan, damaged_plans, plans

from nucleus.base.errors import SpecError
from nucleus.plan import invariants
from nucleus.plan.encode import encode
from nucleus.plan.steps import LaunchPlan

Verdict = Callable[[bytes, int], int]


def agrees(plan: LaunchPlan, verdict: Verdict) -> bool:
    """Whether decoder and invariants say the same; what cannot be encoded must have a problem."""
    problems = invariants.structural(plan)
    try:
        data = encode(plan)
    except (SpecError, StructError):
        return bool(problems)
    return (verdict(data, len(plan.slots)) == 0) == (not problems)


@given(plan=plans())
@settings(max_examples=200, deadline=None)
def test_a_well_formed_plan_is_accepted_by_both(plan: LaunchPlan, verdict: Verdict) -> None:
    assert invariants.structural(plan) == ()
    assert verdict(encode(plan), len(plan.slots)) == 0


@given(plan=damaged_plans())
@settings(max_examples=300, deadline=None)
def test_a_changed_plan_is_accepted_by_both_or_by_none(plan: LaunchPlan, verdict: Verdict) -> None:
    assert agrees(plan, verdict)


def test_both_agree_on_ten_thousand_changed_plans(verdict: Verdict) -> None:
    differing = [seed for seed in range(10_000) if not agrees(damaged_plan(Random(seed)), verdict)]
    assert differing == []


def test_a_plan_cut_short_at_any_byte_is_refused(encoded_samples: list[Path], workshop: Path) -> None:
    sources = ("tests/truncate.c", "tests/reencode.c", "plan_decode.c", "text.c")
    program = build(workshop / "truncate-check", sources, SANITIZED)
    done = subprocess.run([program, "5", *encoded_samples], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert int(done.stdout) == sum(path.stat().st_size for path in encoded_samples)


def test_five_million_guided_mutations_find_nothing_and_reach_the_branches() -> None:
    """No sanitizer speaks, 98 % of the branches are reached, accepted mutants re-encode to themselves."""
    command = [sys.executable, str(ROOT / "tools/fuzz.py"), "--target=decode", "--runs=5000000", "--coverage"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=800)
    assert done.returncode == 0, done.stdout[-4000:]
