"""A plan out of an earlier one that differs in few words: the command, the host name, the block of host ids.

A process that starts many sandboxes compiles and encodes once per kind of sandbox.  What comes out is, byte
for byte, what `compile_plan` and `encode` make of the same request: a test holds the two together.
✗ keeps nothing: the caller does.
"""

from __future__ import annotations

from . import namespaces, rootfs, workload
from .compile import compile_plan
from .draft import Draft
from .encode import encode_step, join
from .steps import LaunchPlan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..base.value import Value
    from .request import Identity, Request
    from .steps import Step

# What a plan does not hold at all, or only in the steps that `_changed` makes anew.
_SPEC_VARIES = frozenset(("command", "env", "labels"))
_REQUEST_VARIES = frozenset(("spec", "identity", "candidates", "hostname"))
_MAPS = frozenset(("uid_map", "gid_map"))
_NOTHING: frozenset[str] = frozenset()


class Compiled:
    """A request with its plan, and the plan's bytes step by step."""

    __slots__ = ("chunks", "places", "plan", "request")

    def __init__(
        self, request: Request, plan: LaunchPlan, chunks: list[bytes], places: dict[tuple[str, object], int]
    ) -> None:
        self.request, self.plan, self.chunks, self.places = request, plan, chunks, places

    def encoded(self) -> bytes:
        """What `encode` would make of the plan."""
        return join(self.plan.kind, self.chunks)


def compiled(request: Request) -> Compiled:
    """Compile and encode from the ground up."""
    plan = compile_plan(request)
    places = {_place(s): n for n, s in enumerate(plan.steps)}
    return Compiled(request, plan, [encode_step(s) for s in plan.steps], places)


def adapted(known: Compiled, request: Request) -> Compiled | None:
    """The plan of `request` out of that of a request of the same kind; None when it is of another kind."""
    if not _same_kind(known.request, request):
        return None
    steps, chunks = list(known.plan.steps), list(known.chunks)
    for step in _changed(known, request):
        at = known.places.get(_place(step))
        if at is None:
            return None
        if steps[at] != step:
            steps[at], chunks[at] = step, encode_step(step)
    plan = LaunchPlan(kind=known.plan.kind, steps=tuple(steps), slots=known.plan.slots)
    return Compiled(request, plan, chunks, known.places)


def _same_kind(one: Request, other: Request) -> bool:
    return (
        _equal(one, other, _REQUEST_VARIES)
        and _equal(one.spec, other.spec, _SPEC_VARIES)
        and (_equal(one.identity, other.identity, _NOTHING) or _other_block(one.identity, other))
    )


def _equal(one: Value, other: Value, but: frozenset[str]) -> bool:
    if one is other:
        return True
    return all([getattr(one, f) == getattr(other, f) for f in type(one)._fields if f not in but])


def _other_block(known: Identity, request: Request) -> bool:
    """Do only the host ids differ, and does nothing but the id map hold them?  (ID-mapped volumes do.)"""
    identity = request.identity
    maps = (known.uid_map, known.gid_map, identity.uid_map, identity.gid_map)
    return (
        not request.volumes
        and not identity.helpers
        and _equal(known, identity, _MAPS)
        and all(len(m) == 1 and (m[0].inside, m[0].count) == (0, maps[0][0].count) for m in maps)
    )


def _changed(known: Compiled, request: Request) -> list[Step]:
    """The steps that may differ between requests of one kind, by the functions that always make them."""
    draft = Draft(request)
    draft.slots = list(known.plan.slots)
    namespaces.created_steps(draft)
    workload.exec_step(draft, request.spec.workdir)
    if request.hostname != known.request.hostname:
        namespaces.unmapped_steps(draft)
        rootfs.etc_steps(draft, names_only=True)
    if request.identity.uid_map != known.request.identity.uid_map:
        namespaces.id_map_steps(draft)
    return draft.steps


def _place(step: Step) -> tuple[str, object]:
    """What a step is known by among its equals: files have a path, events a place; the others in question are alone."""
    return step.spec.name, step.values[0] if step.spec.name in ("write-file", "note-created") else None
