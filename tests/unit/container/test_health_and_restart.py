"""Health and restart as arithmetic: what follows from every sequence of checks and ends."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rows import every_row

from nucleus.container.supervision import health, restart
from nucleus.container.supervision.health import (
    BROKEN,
    FAILED,
    HEALTHY,
    PASSED,
    STARTING,
    UNHEALTHY,
    Check,
)
from nucleus.container.supervision.restart import End, Policy

CHECKS = st.builds(
    Check,
    interval_ms=st.integers(1, 60_000),
    retries=st.integers(1, 6),
    start_period_ms=st.integers(0, 60_000),
)
OUTCOMES = st.lists(st.tuples(st.sampled_from((PASSED, FAILED, BROKEN)), st.integers(0, 5_000)), max_size=40)


def run(check: Check, outcomes: list[tuple[str, int]]) -> list[tuple[str, int, health.Health]]:
    """Each outcome, when it came (a check takes its time), and the health after it."""
    state, seen, now = health.at_start(check), [], 0
    for outcome, took in outcomes:
        now = max(now, state.due_ms) + took
        state = health.after(check, state, outcome, now, "why")
        seen.append((outcome, now, state))
    return seen


@given(CHECKS, OUTCOMES)
def test_it_is_unhealthy_exactly_after_as_many_failures_in_a_row_as_it_may_have(
    check: Check, outcomes: list[tuple[str, int]]
) -> None:
    row, passed = 0, False
    broken = False
    for outcome, now, state in run(check, outcomes):
        if outcome == PASSED:
            row, passed, broken = 0, True, False
        elif outcome == BROKEN:
            row, broken, passed = row + 1, True, True
        elif passed or now >= check.start_period_ms:
            row += 1
        expected = UNHEALTHY if broken or row >= check.retries else HEALTHY if passed else STARTING
        assert state.status == expected
        assert state.error == ("" if outcome == PASSED else "why")


@given(CHECKS, OUTCOMES)
def test_the_next_check_is_always_ahead_and_never_later_than_the_interval(
    check: Check, outcomes: list[tuple[str, int]]
) -> None:
    assert 0 < health.at_start(check).due_ms <= check.interval_ms
    for _, now, state in run(check, outcomes):
        assert now < state.due_ms <= now + check.interval_ms


def test_failures_in_the_start_period_do_not_count_and_the_first_after_it_does() -> None:
    check = Check(interval_ms=400, retries=1, start_period_ms=1000)
    seen = run(check, [(FAILED, 0)] * 4)
    assert [(now, state.status) for _, now, state in seen] == [
        (400, STARTING), (800, STARTING), (1000, UNHEALTHY), (1400, UNHEALTHY),
    ]  # fmt: skip


def test_a_check_that_cannot_be_executed_acts_at_once_even_in_the_start_period() -> None:
    check = Check(interval_ms=10, retries=9, start_period_ms=10_000)
    assert run(check, [(BROKEN, 0)])[0][2].status == UNHEALTHY


@every_row(
    ("text", "expected"),
    [
        ("no", Policy(when="no")),
        ("on-failure", Policy(when="on-failure")),
        ("on-failure:5", Policy(when="on-failure", at_most=5)),
        ("always", Policy(when="always")),
        ("unless-stopped", Policy(when="unless-stopped")),
    ],
)
def test_a_policy_is_taken_apart(text: str, expected: Policy) -> None:
    assert restart.policy(text) == expected


@given(st.sampled_from(("no", "on-failure", "on-failure:3", "always", "unless-stopped")), st.integers(0, 255),
       st.booleans(), st.booleans(), st.integers(0, 10))  # fmt: skip
def test_stop_wins_over_every_policy(text: str, code: int, failed: bool, forced: bool, row: int) -> None:
    end = End(exit_code=code, failed=failed, forced=forced)
    assert not restart.again(restart.policy(text), end, row, stopping=True)


@every_row(
    ("text", "end", "row", "expected"),
    [
        pytest.param("no", End(exit_code=1), 0, False, id="no"),
        pytest.param("no", End(exit_code=1, forced=True), 99, True, id="health-on-failure restart"),
        pytest.param("on-failure", End(exit_code=0), 0, False, id="success"),
        pytest.param("on-failure", End(exit_code=0, failed=True), 0, True, id="unhealthy, and ended well"),
        pytest.param("on-failure:2", End(exit_code=1), 1, True, id="one is left"),
        pytest.param("on-failure:2", End(exit_code=1), 2, False, id="none is left"),
        pytest.param("always", End(exit_code=0), 99, True, id="always"),
        pytest.param("unless-stopped", End(exit_code=0), 99, True, id="unless-stopped"),
    ],
)
def test_which_ends_are_followed_by_a_start(text: str, end: End, row: int, expected: bool) -> None:
    assert restart.again(restart.policy(text), end, row, stopping=False) is expected


@given(st.integers(0, 10_000))
def test_pauses_double_from_a_tenth_of_a_second_to_a_minute(row: int) -> None:
    pause, following = restart.pause_ms(row), restart.pause_ms(row + 1)
    assert 100 <= pause <= following <= 60_000
    assert following in (2 * pause, 60_000)


def test_ten_seconds_of_health_are_forgiving() -> None:
    assert restart.in_a_row_after(7, 9_999) == 7
    assert restart.in_a_row_after(7, 10_000) == 0
