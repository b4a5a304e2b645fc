#!/usr/bin/env python3
"""Writes docs/reference/modes.md from the table of invariants by service mode.

`--check` writes nothing and exits 1 when the page is stale.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "src")]

from nucleus.policy.modes import CHANGED, FATAL, INVARIANTS, MODES, Invariant  # noqa: E402

PAGE = ROOT / "docs" / "reference" / "modes.md"
HEAD = """\
# Service modes

Generated from `src/nucleus/policy/modes.py` by `tools/gen_modes_page.py`; every cell is a test.

`--service-mode` chooses the set of rules that a container is held to:

- `agent`, the default: tools at work on a project. What weakens the sandbox can be had, when it is asked for by name.
- `strict-agent` (also `mitos-agent`, or `--strict-agent`): no layer may be missing, and nothing is given up.
- `production`: a service. Its root, its limits and its policies are known beforehand, nobody else can change them, and
  nothing that can be written is executed.

What the words say:

- **refused**: the launch is refused with exit code 125 before anything is made; all refusals are told at once
- **fatal**: the launch ends with exit code 125 before the workload's program is executed
- **warned**: it goes on with less: `nucleus explain` shows what holds, `nucleus doctor` why
- **allowed**: it may be had

"""
NOTES = """
What holds in every mode, and is therefore no row: no_new_privs before the first mount, an empty set of capabilities
(bounding, permitted, effective, inheritable, ambient), ids of their own for a container of root, no network unless one is
asked for, a read-only root, a process 1 that only reaps and forwards.

Why no step reads the mounts again after the root was switched: each mount gets its flags while it is still detached
(`fsmount(2)`, `mount_setattr(2)` with `AT_RECURSIVE`), so that there is no moment in which it can be seen without them;
the kernel answers an error instead of leaving a flag out, and that error ends the launch (the rows above). Once the root is
sealed nobody in the container holds a capability with which a mount could be changed. That what the plan says is what is
there is shown by a test that compares `/proc/self/mountinfo` of a container of each mode with its plan.
"""


def cell(row: Invariant, mode: str) -> str:
    """The cell's word; a default as its value."""
    word = row.cell(mode)
    if row.values:
        value = row.values[MODES.index(mode)]
        return f"default: **{value}**" if word == CHANGED else f"default: {value}"
    if word == FATAL and mode == "agent" and row.degrade:
        return f"fatal, or warned with `--allow-degraded-security={row.degrade}`"
    return word


def title(row: Invariant) -> str:
    """What the row is about, and by which step or with which option."""
    text = row.title
    if row.step:
        text += f" (step `{row.step}`)"
    if not row.is_there:
        text += f" (binds as soon as a release has `{row.waits.replace('_', '-')}`)"
    return text


def page() -> str:
    """The whole page."""
    lines = ["| What | " + " | ".join(MODES) + " |\n", "|---" * (len(MODES) + 1) + "|\n"]
    for row in INVARIANTS:
        lines.append(f"| {title(row)} | " + " | ".join([cell(row, mode) for mode in MODES]) + " |\n")
    refusals = [row for row in INVARIANTS if row.says]
    errors = ["\n## What the errors say\n\n| Row | Where | mode NAME … | Remedy |\n|---|---|---|---|\n"]
    for row in refusals:
        problem = row.problem(MODES[-1])
        says = problem.message.removeprefix(f"mode {MODES[-1]} ")
        errors.append(f"| {row.key} | `{problem.where}` | {says} | {problem.remedy} |\n")
    return HEAD + "".join(lines) + NOTES + "".join(errors)


def main() -> int:
    """Write or check the page."""
    text = page()
    if PAGE.exists() and PAGE.read_text(encoding="utf-8") == text:
        return 0
    if "--check" in sys.argv[1:]:
        sys.stderr.write(f"{PAGE.relative_to(ROOT)} is stale: run tools/gen_modes_page.py\n")
        return 1
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
