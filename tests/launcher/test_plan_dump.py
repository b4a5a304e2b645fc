"""Two readings of the same bytes: Python's `--raw` and the launcher's own reader print the same text."""

from __future__ import annotations

import subprocess
from pathlib import Path
from random import Random

import pytest
from plan_strategies import SLOTS, random_plan, sample_plans

from nucleus.plan import explain
from nucleus.plan.encode import decode, encode


def dumped(program: Path, data: bytes) -> tuple[int, str, str]:
    """Exit code, text and complaint of nucleus-plan-dump."""
    done = subprocess.run([program, "-", str(SLOTS)], input=data, capture_output=True)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


@pytest.mark.parametrize("name", sorted(sample_plans()))
def test_the_raw_text_is_the_same_in_both_languages(name: str, plan_dump: Path) -> None:
    plan = sample_plans()[name]
    assert dumped(plan_dump, encode(plan)) == (0, explain.as_raw(plan), "")


def test_the_raw_text_is_the_same_for_many_random_plans(plan_dump: Path) -> None:
    for seed in range(1000, 1300):
        plan = random_plan(Random(seed))
        assert dumped(plan_dump, encode(plan)) == (0, explain.as_raw(plan), ""), seed


def test_a_plan_read_back_from_its_bytes_says_the_same() -> None:
    for seed in range(200):
        plan = random_plan(Random(seed))
        assert explain.as_raw(decode(encode(plan))) == explain.as_raw(plan)


def test_bytes_that_are_no_plan_are_refused_with_the_place(plan_dump: Path) -> None:
    data = bytearray(encode(sample_plans()["join-least"]))
    data[34] = 1  # flags of the first step
    code, text, complaint = dumped(plan_dump, bytes(data))
    assert (code, text) == (1, "")
    assert complaint == "refused: error 71 at byte 32\n"
