#!/usr/bin/env python3
"""Writes docs/explain/plan-format.md from the step table.  `--check` only says if it is stale (exit 1)."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "src"))

from nucleus.plan import schema  # noqa: E402

PAGE = """# The launch plan, byte by byte

<!-- Generated from nucleus/plan/schema.py by tools/gen_plan_format.py; do not edit. -->

`nucleus explain` prints a plan in words, `nucleus explain --raw` as it is encoded. The launcher runs
nothing of a plan before it has checked all of it. This page is the contract between the two programs of
one installation: a plan carries the hash of this table, and a launcher with another table refuses it. It
is no interchange format.

## Encoding (version {version}, little-endian, everything aligned to 8 bytes)

    header (32 bytes)  "NUCPLAN\\0" | u16 version | u16 kind (1 create, 2 join) | u32 number of steps
                       | u64 bytes of the body | u64 hash of the table
    step               u16 opcode | u16 flags (0) | u32 bytes of the fields | fields, in the table's order
      number           u64
      slot             u64, an index into the descriptors that the launcher was given
      text, bytes      u64 length | the bytes | NUL | zeros up to a multiple of 8; text holds no NUL

A plan has at most {steps} steps and {size} MiB. Values stand in the order of the table, none is optional,
none is repeated, padding is zero: each plan has exactly one encoding.

## What the launcher refuses

- another magic, version, table or kind; a length or count that is not exactly what follows
- an unknown opcode, flags other than 0, a field that leaves its step, text with a NUL in it
- a value outside its column "takes": a number above its maximum or with an unknown bit, a path that is
  not absolute or has an empty, `.` or `..` component, a slot that was not given
- a step that comes more or less often than its kind of plan allows (columns create and join: 1 once, ? at
  most once, \\* any number, - never)
- phases that go backwards for one actor
- a Landlock rule without ruleset and enforcement, or ID-mapped mounts for which the child does not wait

`nucleus.plan.invariants` is the same predicate in Python, together with what makes a plan a safe one; a
test compares the two on thousands of random plans.

## Steps

Each actor runs its own steps, phase after phase; the three work at the same time and wait for one another
where a step says so.
"""

TAKES = {
    "absolute": "absolute path",
    "name": "one path component",
    "list": "NUL-ended words, at least one",
    "list?": "NUL-ended words",
    "sysctl": "path below /proc/sys",
    "slot": "slot",
}


def takes(field: schema.Field) -> str:
    """What a field may be, in a few words."""
    if field.check == "max":
        full = field.limit == (1 << 64) - 1
        return (
            "number" if full else f"0 to {field.limit}" if field.limit < 1 << 16 else f"0 to {field.limit:#x}"
        )
    if field.check == "mask":
        return f"bits of {field.limit:#x}"
    if field.check == "multiple":
        return f"bytes, a multiple of {field.limit}"
    kind = {"s": "text", "b": "bytes"}.get(field.kind, "")
    return kind if not field.check else TAKES[field.check]


def page() -> str:
    """docs/explain/plan-format.md"""
    steps = schema.MAX_STEPS
    out = [PAGE.format(version=schema.VERSION, steps=f"{steps:,}", size=schema.MAX_BYTES >> 20)]
    last = None
    for s in sorted(schema.STEPS, key=lambda step: step.phase):
        if s.phase != last:
            last = s.phase
            out.append(f"### {schema.ACTORS[s.actor].capitalize()}: {s.phase_name}\n")
            out.append(f"| step | opcode | {' | '.join(schema.KINDS.values())} | fields | |\n|{' --- |' * 8}")
        fields = "<br>".join([f"`{f.name}` {takes(f)}" for f in s.fields])
        counts = [c.replace("*", "\\*") for c in s.counts]
        out.append(f"| `{s.name}` | {s.opcode} | {' | '.join(counts)} | {fields} | {s.text} |")
        if s is _last_of(s.phase):
            out.append("")
    return "\n".join(out).rstrip() + "\n"


def _last_of(phase: int) -> schema.StepSpec:
    return [s for s in schema.STEPS if s.phase == phase][-1]


def main() -> int:
    """Write or check the page."""
    target = ROOT / "docs/explain/plan-format.md"
    fresh = target.exists() and target.read_text() == page()
    if "--check" in sys.argv:
        if not fresh:
            print(f"stale: {target.relative_to(ROOT)} (run tools/gen_plan_format.py)")
        return 0 if fresh else 1
    target.write_text(page())
    return 0


if __name__ == "__main__":
    sys.exit(main())
