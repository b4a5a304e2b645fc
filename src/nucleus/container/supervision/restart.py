"""Whether an ended container starts again, and after which pause.  Pure.  ✗ starts nothing: `supervisor.py`."""

from __future__ import annotations

from ...base.value import Value

NO, ON_FAILURE, ALWAYS, UNLESS_STOPPED = "no", "on-failure", "always", "unless-stopped"
FIRST_PAUSE_MS, LONGEST_PAUSE_MS, HEALTHY_MS = 100, 60_000, 10_000


class Policy(Value):
    """--restart, taken apart; `at_most` 0: without end."""

    when: str = NO
    at_most: int = 0


class End(Value):
    """How one life of a container ended.

    forced   it was ended in order to start again (--health-on-failure restart)
    failed   it was ended because it was not healthy, or could not be started
    """

    exit_code: int
    failed: bool = False
    forced: bool = False


def policy(text: str) -> Policy:
    """The policy behind a value of --restart, which is judged already."""
    when, _, most = text.partition(":")
    return Policy(when=when, at_most=int(most or 0))


def again(wanted: Policy, end: End, in_a_row: int, *, stopping: bool) -> bool:
    """Whether it starts again, after so many restarts in a row.  What somebody stopped stays stopped."""
    if stopping:
        return False
    if end.forced or wanted.when in (ALWAYS, UNLESS_STOPPED):
        return True
    failed = bool(end.failed or end.exit_code)
    return wanted.when == ON_FAILURE and failed and (not wanted.at_most or in_a_row < wanted.at_most)


def pause_ms(in_a_row: int) -> int:
    """The pause before the next start, after so many restarts in a row."""
    return min(FIRST_PAUSE_MS << min(in_a_row, 20), LONGEST_PAUSE_MS)


def in_a_row_after(in_a_row: int, healthy_ms: int) -> int:
    """What a life that was healthy for so long leaves of the count."""
    return 0 if healthy_ms >= HEALTHY_MS else in_a_row
