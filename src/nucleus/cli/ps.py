"""`nucleus ps [-a] [-q] [--format table|json]`: the containers of this state root.

✗ which there are (`container/inventory.py`).
"""

from __future__ import annotations

import sys
import time

from ..base.errors import SpecError
from ..base.jsontext import dumps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

HELP = """usage: nucleus ps [-a] [-q] [--format table|json] [--root DIR]

List containers: running ones, with -a also those that have ended.

  -a, --all        also containers that have ended and were not removed
  -q, --quiet      ids only
  --format FORMAT  table (default) or json, one object a line
  --root DIR       the state root
"""


def main(argv: list[str]) -> int:
    """Prints; 0."""
    from ..container.inventory import list_containers
    from .arguments import Arguments

    given = Arguments(argv, flags={"-a": "all", "--all": "all", "-q": "quiet", "--quiet": "quiet"},
                      values=("--format", "--root"), help_text=HELP)  # fmt: skip
    if given.done:
        return 0
    if given.words:
        raise SpecError(
            f"unexpected argument {given.words[0]!r}", where="nucleus ps", remedy="nucleus ps --help"
        )
    form = given.values.get("--format", "table")
    if form not in ("table", "json"):
        raise SpecError(f"no format {form!r}", where="--format", remedy="use table or json")
    rows = [
        r
        for r in list_containers(given.values.get("--root", ""))
        if given.has("all") or r["status"] == "running"
    ]
    if given.has("quiet"):
        sys.stdout.write("".join(f"{r['id']}\n" for r in rows))
    elif form == "json":
        sys.stdout.write("".join(dumps(r) + "\n" for r in rows))
    else:
        sys.stdout.write(_table(rows))
    return 0


def _table(rows: list[dict[str, Any]]) -> str:
    lines = [("ID", "NAME", "STATUS", "CREATED", "COMMAND")]
    for r in rows:
        command = " ".join(map(str, r["command"])) if isinstance(r["command"], tuple) else ""
        lines.append((
            str(r["id"])[:12], _short(str(r["name"] or "-"), 18), _status(r), _age(r["created_ns"]),
            _short(command, 40),
        ))  # fmt: skip
    widths = [max(len(line[n]) for line in lines) for n in range(5)]
    return "".join(
        "  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() + "\n" for line in lines
    )


def _status(row: dict[str, Any]) -> str:
    if row["status"] != "stopped":
        return str(row["status"])
    return f"exited {row['exit_code']} ({row['reason']})"


def _age(created_ns: object) -> str:
    seconds = max(0, time.time_ns() - created_ns) // 1_000_000_000 if isinstance(created_ns, int) else 0
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= size:
            return f"{seconds // size}{unit} ago"
    return f"{seconds}s ago"


def _short(text: str, width: int) -> str:
    clean = "".join(c if c.isprintable() else "?" for c in text)
    return clean if len(clean) <= width else clean[: width - 3] + "..."
