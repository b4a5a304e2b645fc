#!/usr/bin/env python3
"""Writes man/*.1, man/*.5 and completions/* from the tables of verbs and options; removes pages of verbs that are gone.

`--check` writes nothing and exits 1 when one of them is stale.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "src"))

from nucleus.cli.completion_scripts import SCRIPTS  # noqa: E402
from nucleus.cli.man_pages import pages  # noqa: E402

# As each shell wants its file to be called.
NAMES = {"bash": "nucleus", "zsh": "_nucleus", "fish": "nucleus.fish"}


def wanted() -> dict[Path, str]:
    """Every file with its content."""
    found = {ROOT / "man" / name: text for name, text in pages().items()}
    return found | {ROOT / "completions" / NAMES[shell]: make() for shell, make in SCRIPTS.items()}


def main() -> int:
    """Write or check them."""
    files = wanted()
    present = {
        path for folder in ("man", "completions") for path in (ROOT / folder).glob("*") if path.is_file()
    }
    stale = [path for path, text in files.items() if path not in present or path.read_text("utf-8") != text]
    gone = sorted(path for path in present - files.keys() if path.name != "meson.build")
    if "--check" in sys.argv[1:]:
        for path in stale + gone:
            sys.stderr.write(f"{path.relative_to(ROOT)} is stale: run tools/gen_manual.py\n")
        return 1 if stale or gone else 0
    for path in stale:
        path.parent.mkdir(exist_ok=True)
        path.write_text(files[path], encoding="utf-8")
    for path in gone:
        path.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main())
