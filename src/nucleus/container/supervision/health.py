"""Health of a container: what follows from each check, and when the next one is due.  Pure.

    starting ──▶ healthy ◀──▶ unhealthy

✗ runs no check: `supervisor.py`.
"""

from __future__ import annotations

from ...base.value import Value

STARTING, HEALTHY, UNHEALTHY = "starting", "healthy", "unhealthy"
# What came of one run of a check.  BROKEN: the command could not be executed at all.
PASSED, FAILED, BROKEN = "passed", "failed", "broken"


class Check(Value):
    """What is asked of a health check; times in milliseconds."""

    interval_ms: int
    retries: int
    start_period_ms: int


class Health(Value):
    """Where a container stands.  `failures` in a row count towards `retries`; `due_ms` since the start: the next check."""

    status: str = STARTING
    failures: int = 0
    due_ms: int = 0
    error: str = ""


def at_start(check: Check) -> Health:
    """Before the first check: it is made after the interval, or at the end of the start period where that is sooner."""
    return Health(due_ms=min(check.interval_ms, check.start_period_ms or check.interval_ms))


def after(check: Check, health: Health, outcome: str, now_ms: int, error: str = "") -> Health:
    """The health that follows from one more outcome, `now_ms` after the start.

    Failures do not count in the start period until a check has passed; a check that is broken acts at once.
    """
    due_ms = now_ms + check.interval_ms
    if outcome == PASSED:
        return Health(status=HEALTHY, due_ms=due_ms)
    if outcome == BROKEN:
        return Health(status=UNHEALTHY, failures=health.failures + 1, due_ms=due_ms, error=error)
    if health.status == STARTING and now_ms < check.start_period_ms:
        # Not later than the end of the period: from then on it counts.
        return health.replace(due_ms=min(due_ms, max(check.start_period_ms, now_ms + 1)), error=error)
    failures = health.failures + 1
    status = UNHEALTHY if failures >= check.retries else health.status
    return Health(status=status, failures=failures, due_ms=due_ms, error=error)
