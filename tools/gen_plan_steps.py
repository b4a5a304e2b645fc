#!/usr/bin/env python3
"""Writes what derives from the step table: launcher/plan_steps.def and the committed hash in plan/schema.py.

`--check` writes nothing and exits 1 when a file is stale.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "src"))

from nucleus.plan import schema  # noqa: E402

CHECKS = {
    "": "CHECK_NONE", "max": "CHECK_MAX", "mask": "CHECK_MASK", "absolute": "CHECK_ABSOLUTE",
    "name": "CHECK_NAME", "multiple": "CHECK_MULTIPLE", "list": "CHECK_LIST", "list?": "CHECK_LIST_OR_EMPTY",
    "sysctl": "CHECK_SYSCTL", "slot": "CHECK_SLOT",
}  # fmt: skip
COUNTS = {"*": "COUNT_ANY", "?": "COUNT_OPTIONAL", "1": "COUNT_REQUIRED", "-": "COUNT_NEVER"}


def c_name(name: str) -> str:
    """open-tree → OPEN_TREE"""
    return name.upper().replace("-", "_")


def definitions() -> str:
    """The X-macro file: PHASE(...) lines, then STEP(...) lines."""
    out = ["/* Generated from nucleus/plan/schema.py by tools/gen_plan_steps.py; do not edit. */"]
    out.append("#ifdef SCHEMA_HASH_LINE\nSCHEMA_HASH_LINE(0x%016xULL)\n#endif" % schema.schema_hash())
    out.append("#ifdef PHASE")
    out += [f"PHASE({c_name(name)}, {value:#04x})" for name, value in schema.PHASES.items()]
    out.append("#endif\n#ifdef STEP")
    for s in schema.STEPS:
        fields = ", ".join(f"{{ '{f.kind}', {CHECKS[f.check]}, {f.limit:#x}ULL }}" for f in s.fields)
        out.append(
            f'STEP({c_name(s.name)}, {s.opcode}, "{s.name}", PHASE_{c_name(s.phase_name)}, '
            f"{', '.join([COUNTS[c] for c in s.counts])}, {len(s.fields)}"
            + (f",\n     {fields})" if fields else ", { 0, CHECK_NONE, 0 })")
        )
    out.append("#endif\n#ifdef FIELD_NAMES")
    out += [
        "FIELD_NAMES(%s, %s)" % (c_name(s.name), ", ".join(f'"{name}"' for name in s.names))
        for s in schema.STEPS
        if s.names
    ]
    out.append("#endif")
    return "\n".join(out) + "\n"


def main() -> int:
    """Write or check both files."""
    target, table = ROOT / "launcher/plan_steps.def", ROOT / "src/nucleus/plan/schema.py"
    text = table.read_text()
    fresh = re.sub(r"^SCHEMA_HASH = .*$", f"SCHEMA_HASH = 0x{schema.schema_hash():016X}", text, flags=re.M)
    stale = [
        p
        for p, wanted in ((target, definitions()), (table, fresh))
        if not p.exists() or p.read_text() != wanted
    ]
    if "--check" in sys.argv:
        for path in stale:
            print(f"stale: {path.relative_to(ROOT)} (run tools/gen_plan_steps.py)")
        return 1 if stale else 0
    target.write_text(definitions())
    table.write_text(fresh)
    return 0


if __name__ == "__main__":
    sys.exit(main())
