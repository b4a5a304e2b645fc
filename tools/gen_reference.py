#!/usr/bin/env python3
"""Writes docs/reference/options.md, which derives from the option table.

`--check` writes nothing and exits 1 when the page is stale.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "src"))

from nucleus.cli.options_page import options_page  # noqa: E402

PAGE = ROOT / "docs" / "reference" / "options.md"


def main() -> int:
    """Write or check the page."""
    text = options_page()
    if PAGE.exists() and PAGE.read_text(encoding="utf-8") == text:
        return 0
    if "--check" in sys.argv[1:]:
        sys.stderr.write(f"{PAGE.relative_to(ROOT)} is stale: run tools/gen_reference.py\n")
        return 1
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
