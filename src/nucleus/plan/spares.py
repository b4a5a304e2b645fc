"""A start with a network namespace that was made beside an earlier one, and that makes one for a later start.

Both are variants of one plan of a start, so that nothing else of it is said twice.  ✗ keeps no namespace: container/.
"""

from __future__ import annotations

from . import schema
from .steps import LaunchPlan, Step, step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

TAKEN, RECEIVER = "network", "spares"  # slots: the namespace, and where to send the next one
# What stands in a plan for a namespace that the container makes itself.
_OWN = frozenset(("spawn-network", "enter-network", "join-network"))
_SHOWN = "unshare-network"


def may_take(start: LaunchPlan) -> bool:
    """Is a namespace of the host's user namespace as good as its own?  A capability would be worth nothing there."""
    kept = [values for s in start.steps_of("set-capabilities") for values in s.values]
    return start.kind == schema.KIND_START and bool(start.steps_of(_SHOWN)) and not any(kept)


def giving(start: LaunchPlan) -> LaunchPlan:
    """The start makes its own, and one more."""
    return _variant(start, start.steps, (RECEIVER,))


def taking(start: LaunchPlan) -> LaunchPlan:
    """The start takes one, and makes the next."""
    kept = [s for s in start.steps if s.name not in _OWN and s.spec.actor != schema.NETWORK]
    return _variant(start, kept, (RECEIVER, TAKEN))


def _variant(start: LaunchPlan, steps: Iterable[Step], more: tuple[str, ...]) -> LaunchPlan:
    slots = (*start.slots, *more)
    added = [step("spare-network", origin="network", receiver=slots.index(RECEIVER))]
    if TAKEN in more:
        added.append(step("take-network", origin="network", network=slots.index(TAKEN)))
    found = list(steps)
    for one in added:
        before = [n for n, s in enumerate(found) if s.spec.phase < one.spec.phase]
        found.insert(before[-1] + 1 if before else 0, one)
    return LaunchPlan(kind=start.kind, steps=tuple(found), slots=slots)
