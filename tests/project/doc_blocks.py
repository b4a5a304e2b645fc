"""Fenced examples of a page: found, and compared with what they printed.  ✗ runs nothing.

```sh [root|user|cgroup …]    shell, run with `set -e`
```python                     a program of its own
```toml NAME, ```json NAME    a file that the examples after it find under that name
```text                       after an example: what it prints; … stands for any text, and alone on its
                              line for any lines
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

RUN = ("sh", "python")
FILES = ("toml", "json")
CONDITIONS = ("root", "user", "cgroup")
_FENCE = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", re.M | re.S)
_NOTHING_BETWEEN = re.compile(r"\s*\Z")


@dataclass(frozen=True, kw_only=True)
class Block:
    """One example: its language, the words behind it, the text, its line, and the output shown after it."""

    language: str
    words: tuple[str, ...]
    text: str
    line: int
    output: str | None


def blocks_of(page: Path) -> list[Block]:
    """The examples of a page, in order."""
    source = page.read_text(encoding="utf-8")
    found: list[Block] = []
    end = 0
    for fence in _FENCE.finditer(source):
        language, words, text = fence[1], tuple(fence[2].split()), fence[3]
        if language == "text":
            follows = (
                found and found[-1].output is None and _NOTHING_BETWEEN.match(source[end : fence.start()])
            )
            if follows:
                found[-1] = Block(**{**vars(found[-1]), "output": text})
        else:
            line = source.count("\n", 0, fence.start()) + 1
            found.append(Block(language=language, words=words, text=text, line=line, output=None))
        end = fence.end()
    return found


def expected(output: str) -> re.Pattern[str]:
    """What is shown, as a pattern for what is printed."""
    lines = [
        r"(?:.*\n)*?"
        if line.strip() == "…"
        else ".*?".join(re.escape(part) for part in line.split("…")) + r"\n"
        for line in output.splitlines()
    ]
    return re.compile("".join(lines) + r"\Z")
