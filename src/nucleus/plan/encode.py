"""LaunchPlan ↔ bytes.  Each plan has exactly one encoding.  ✗ knows no policy.

header  magic "NUCPLAN\\0" | u16 version | u16 kind | u32 step count | u64 body bytes | u64 schema hash
step    u16 opcode | u16 flags (0) | u32 body bytes | fields: n u64 | s,b u64 length, bytes, NUL, zero padding to 8 | f u64
"""

from __future__ import annotations

from _struct import Struct  # `struct` only hands it on, from a file of its own

from ..base.errors import SpecError
from . import schema
from .steps import LaunchPlan, Step

MAGIC = b"NUCPLAN\0"
_HEADER = Struct("<8sHHIQQ")
_STEP = Struct("<HHI")
_U64 = Struct("<Q")


def _framed(data: bytes) -> bytes:
    return _U64.pack(len(data)) + data + bytes(8 - len(data) % 8)


def encode_step(step: Step) -> bytes:
    """One step's bytes, header and body."""
    parts: list[bytes] = []
    for value in step.values:
        if isinstance(value, int):
            parts.append(_U64.pack(value))
        elif isinstance(value, str):
            if "\0" in value:
                field = step.spec.names[len(parts)]
                raise SpecError(
                    f"{step.name}: {field} contains a NUL byte", where=step.origin, remedy="remove it"
                )
            parts.append(_framed(value.encode("utf-8", "surrogateescape")))
        else:
            parts.append(_framed(value))
    body = b"".join(parts)
    return _STEP.pack(step.spec.opcode, 0, len(body)) + body


def encode(plan: LaunchPlan) -> bytes:
    """The one encoding of the plan.  Raises SpecError when it would pass the launcher's limits."""
    return join(plan.kind, [encode_step(s) for s in plan.steps])


def join(kind: int, steps: list[bytes]) -> bytes:
    """A plan from the bytes of its steps."""
    body = b"".join(steps)
    size = _HEADER.size + len(body)
    if size > schema.MAX_BYTES or len(steps) > schema.MAX_STEPS:
        raise SpecError(
            f"the launch plan is too large ({size} bytes, {len(steps)} steps)",
            where="launch plan",
            remedy=f"stay below {schema.MAX_BYTES} bytes and {schema.MAX_STEPS} steps: fewer volumes, a shorter command",
        )
    return _HEADER.pack(MAGIC, schema.VERSION, kind, len(steps), len(body), schema.SCHEMA_HASH) + body


def decode(data: bytes) -> LaunchPlan:
    """The plan back from its bytes (tests, `explain --plan`).  Slots are numbered, not named; origins are empty."""
    magic, version, kind, count, length, schema_hash = _HEADER.unpack_from(data)
    if (magic, version, schema_hash) != (MAGIC, schema.VERSION, schema.SCHEMA_HASH):
        raise SpecError(
            "not a launch plan of this version",
            where="launch plan",
            remedy="save the plan again with this version of nucleus",
        )
    at, steps, slots = _HEADER.size, [], 0
    for _ in range(count):
        opcode, _flags, _size = _STEP.unpack_from(data, at)
        at += _STEP.size
        spec = schema.BY_OPCODE[opcode]
        values: list[int | str | bytes] = []
        for field in spec.fields:
            (number,) = _U64.unpack_from(data, at)
            at += 8
            if field.kind in "nf":
                values.append(number)
                slots = max(slots, number + 1) if field.kind == "f" else slots
                continue
            raw = data[at : at + number]
            at += number + 8 - number % 8
            values.append(raw.decode("utf-8", "surrogateescape") if field.kind == "s" else raw)
        steps.append(Step(spec, tuple(values), ""))
    if at != len(data) or at != _HEADER.size + length:
        raise SpecError(
            "the launch plan is cut short or has a tail", where="launch plan", remedy="save the plan again"
        )
    return LaunchPlan(kind=kind, steps=tuple(steps), slots=tuple(f"slot {i}" for i in range(slots)))
