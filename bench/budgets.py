"""What start-up and memory may cost, as ratios within one run.  ✗ measures nothing, prints nothing."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """`name` takes at most `limit` times as long as `against`; without a limit the two are compared and no more."""

    name: str
    against: str
    limit: float | None = None


BUDGETS = (
    Budget(name="nucleus-sdk", against="bwrap", limit=0.80),
    Budget(name="nucleus-saved", against="bwrap", limit=0.70),
    # Against bwrap with all its namespaces, as the two above; then like with like.
    Budget(name="nucleus-sdk-hostnet", against="bwrap", limit=0.65),
    Budget(name="nucleus-saved-hostnet", against="bwrap", limit=0.65),
    Budget(name="nucleus-sdk-hostnet", against="bwrap-hostnet"),
    Budget(name="nucleus-saved-hostnet", against="bwrap-hostnet"),
    Budget(name="nucleus-exec", against="nucleus-sdk", limit=0.50),
    Budget(name="nucleus-cli", against="runc", limit=1.0),
)
MEMORY_KIB = 1024.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """Of the times in the same round: the median and the quartiles around it."""

    low: float
    median: float
    high: float


def ratio(mine: Sequence[int], others: Sequence[int]) -> Ratio:
    low, median, high = statistics.quantiles([a / b for a, b in zip(mine, others, strict=True)], n=4)
    return Ratio(low=low, median=median, high=high)


def verdicts(times: Mapping[str, Sequence[int]]) -> list[tuple[Budget, Ratio, bool]]:
    """Every budget whose two contestants ran, what was measured, and whether it was kept, as it is without a limit."""
    found = []
    for budget in BUDGETS:
        if budget.name in times and budget.against in times:
            measured = ratio(times[budget.name], times[budget.against])
            found.append((budget, measured, budget.limit is None or measured.median <= budget.limit))
    return found
