#!/usr/bin/env python3
"""Writes docs/reference/errors.md from the table of bad input, which the kernel tests run.

`--check` writes nothing and exits 1 when the page is stale.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests" / "kernel")]

from bad_case import Case  # noqa: E402
from bad_input import GROUPS  # noqa: E402

PAGE = ROOT / "docs" / "reference" / "errors.md"
HEAD = """\
# Errors

Generated from `tests/kernel/bad_input.py` by `tools/gen_errors_page.py`; every row is a test.

An error is two lines on standard error, for each problem found:

    nucleus: WHERE: what is wrong
      remedy: what to do

and an exit code, which is the same for every verb: 125 when nucleus failed or refused, be it for one of several
containers (the others are done), 126 when the command cannot be executed, 127 when it was not found. 1 is an answer:
that of the command, of `nucleus doctor` (something is missing), of `nucleus seccomp diff` and `nucleus rootfs verify`
(they differ). With `--log-format json` it is one line of JSON with the same words (`level`, `code`, `exit_code`,
`problems`: `message`, `where`, `remedy`). Nothing is left behind by a launch that was refused.
"""
WIDEST = 60


def cell(text: str) -> str:
    """Text for a cell of a Markdown table."""
    short = text if len(text) <= WIDEST else text[: WIDEST - 1] + "…"
    return short.replace("|", "\\|")


def code(text: str) -> str:
    """The same, set as code; what cannot stand there is told in words."""
    return f"`{cell(text)}`" if text else ""


def written(case: Case) -> str:
    """What was typed, or written into the document."""
    if case.words[:2] == ("run", "--config") and case.files:
        content = next(iter(case.files.values()))
        if isinstance(content, bytes):
            return "a file of bytes"
        line = " ".join(content.split())
        return code(line)
    words = [word if len(word) < WIDEST else f"{word[:8]}…" for word in case.words]
    return code(" ".join(words))


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for title, cases in GROUPS.items():
        parts.append(
            f"\n## {title}\n\n| What | Written | Exit | Where | Says | Remedy |\n|---|---|---|---|---|---|\n"
        )
        for case in cases:
            cells = (
                cell(case.title), written(case), str(case.code), code(case.where), cell(case.says),
                cell(case.remedy),
            )  # fmt: skip
            parts.append(f"| {' | '.join(cells)} |\n")
    return "".join(parts)


def main() -> int:
    """Write or check the page."""
    text = page()
    if PAGE.exists() and PAGE.read_text(encoding="utf-8") == text:
        return 0
    if "--check" in sys.argv[1:]:
        sys.stderr.write(f"{PAGE.relative_to(ROOT)} is stale: run tools/gen_errors_page.py\n")
        return 1
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
