#!/usr/bin/env python3
"""Writes docs/reference/attacks.md from the table of attacks, which the kernel tests run.

`--check` writes nothing and exits 1 when the page is stale.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests" / "kernel"), str(ROOT / "src")]

from escapes import ATTACKS, LAYERS, Attack  # noqa: E402

PAGE = ROOT / "docs" / "reference" / "attacks.md"
HEAD = """\
# Attacks

Generated from `tests/kernel/escapes.py` by `tools/gen_attacks_page.py`; every row is a test.

Of an attack that is run from the table, each of its layers is tried alone: all the others are switched off, and it is still
stopped. Then all of them are switched off: it succeeds, which shows that the attack is a real one, or what the column
*Behind them* says holds. The attacker is a program inside that knows it is in a sandbox; without the layer of
capabilities it is uid 0 inside with every capability.
"""


def row(attack: Attack) -> str:
    """One line of the table."""
    by = ", ".join([f"`tests/kernel/{name}`" for name in attack.proof]) or "the table"
    behind = attack.beyond or (f"no second layer: {attack.alone}" if attack.alone else "")
    return f"| {attack.name} | {', '.join(attack.layers)} | {behind} | {by} |"


def page() -> str:
    """The whole page."""
    layers = [f"| {name} | {text} |" for name, text in LAYERS.items()]
    lines = [
        HEAD, "| Attack | Layers that stop it | Behind them | Proven by |", "| --- | --- | --- | --- |",
        *map(row, ATTACKS), "", "## The layers that are switched off", "", "| Layer | What it is |", "| --- | --- |",
        *layers, "",
    ]  # fmt: skip
    return "\n".join(lines)


def main() -> int:
    """Write the page, or compare it."""
    text = page()
    if sys.argv[1:] == ["--check"]:
        if PAGE.is_file() and PAGE.read_text(encoding="utf-8") == text:
            return 0
        print(f"{PAGE.relative_to(ROOT)} is stale: run tools/gen_attacks_page.py", file=sys.stderr)
        return 1
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
