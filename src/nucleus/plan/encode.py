"""LaunchPlan ↔ bytes (`frame.py` has the layout).  Each plan has exactly one encoding.  ✗ knows no policy."""

from __future__ import annotations

from ..base.errors import SpecError
from . import schema
from .frame import HEADER, MAGIC, STEP, U64, plan_bytes, step_bytes
from .steps import LaunchPlan, Step


def encode_step(step: Step) -> bytes:
    """One step's bytes, header and body."""
    for at, value in enumerate(step.values):
        if isinstance(value, str) and "\0" in value:
            field = step.spec.names[at]
            raise SpecError(
                f"{step.name}: {field} contains a NUL byte", where=step.origin, remedy="remove it"
            )
    return step_bytes(step.spec.opcode, step.values)


def encode(plan: LaunchPlan) -> bytes:
    """The one encoding of the plan.  Raises SpecError when it would pass the launcher's limits."""
    return join(plan.kind, [encode_step(s) for s in plan.steps])


def join(kind: int, steps: list[bytes]) -> bytes:
    """A plan from the bytes of its steps."""
    size = HEADER.size + sum(map(len, steps))
    if size > schema.MAX_BYTES or len(steps) > schema.MAX_STEPS:
        raise SpecError(
            f"the launch plan is too large ({size} bytes, {len(steps)} steps)",
            where="launch plan",
            remedy=f"stay below {schema.MAX_BYTES} bytes and {schema.MAX_STEPS} steps: fewer volumes, a shorter command",
        )
    return plan_bytes(schema.VERSION, kind, schema.SCHEMA_HASH, steps)


def decode(data: bytes) -> LaunchPlan:
    """The plan back from its bytes (tests, `explain --plan`).  Slots are numbered, not named; origins are empty."""
    magic, version, kind, count, length, schema_hash = HEADER.unpack_from(data)
    if (magic, version, schema_hash) != (MAGIC, schema.VERSION, schema.SCHEMA_HASH):
        raise SpecError(
            "not a launch plan of this version",
            where="launch plan",
            remedy="save the plan again with this version of nucleus",
        )
    at, steps, slots = HEADER.size, [], 0
    for _ in range(count):
        opcode, _flags, _size = STEP.unpack_from(data, at)
        at += STEP.size
        spec = schema.BY_OPCODE[opcode]
        values: list[int | str | bytes] = []
        for field in spec.fields:
            (number,) = U64.unpack_from(data, at)
            at += 8
            if field.kind in "nf":
                values.append(number)
                slots = max(slots, number + 1) if field.kind == "f" else slots
                continue
            raw = data[at : at + number]
            at += number + 8 - number % 8
            values.append(raw.decode("utf-8", "surrogateescape") if field.kind == "s" else raw)
        steps.append(Step(spec, tuple(values), ""))
    if at != len(data) or at != HEADER.size + length:
        raise SpecError(
            "the launch plan is cut short or has a tail", where="launch plan", remedy="save the plan again"
        )
    return LaunchPlan(kind=kind, steps=tuple(steps), slots=tuple(f"slot {i}" for i in range(slots)))
