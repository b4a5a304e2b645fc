"""How steps and plans are framed as bytes, for those who have the numbers of the table already.  ✗ which steps there are.

header  magic "NUCPLAN\\0" | u16 version | u16 kind | u32 step count | u64 body bytes | u64 schema hash
step    u16 opcode | u16 flags (0) | u32 body bytes | fields: n u64 | s,b u64 length, bytes, NUL, zero padding to 8 | f u64
"""

from __future__ import annotations

from _struct import Struct  # `struct` only hands it on, from a file of its own

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MAGIC = b"NUCPLAN\0"
HEADER = Struct("<8sHHIQQ")
STEP = Struct("<HHI")
U64 = Struct("<Q")


def step_bytes(opcode: int, values: Iterable[int | str | bytes]) -> bytes:
    """One step, header and body."""
    parts: list[bytes] = []
    for value in values:
        if isinstance(value, int):
            parts.append(U64.pack(value))
            continue
        data = value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value
        parts.append(U64.pack(len(data)) + data + bytes(8 - len(data) % 8))
    body = b"".join(parts)
    return STEP.pack(opcode, 0, len(body)) + body


def plan_bytes(version: int, kind: int, schema_hash: int, steps: Sequence[bytes]) -> bytes:
    """A plan from the bytes of its steps."""
    body = b"".join(steps)
    return HEADER.pack(MAGIC, version, kind, len(steps), len(body), schema_hash) + body
