"""`nucleus ps [-a] [-q] [--filter KEY=VALUE] [--format FORMAT]`: the containers of this state root.

✗ which there are (`container/running/inventory.py`), ✗ how a list looks (`tables.py`).
"""

from __future__ import annotations

import sys
import time

from ..base.errors import SpecError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from .tables import Column

HELP = r"""usage: nucleus ps [-a] [-q] [-l] [--filter KEY=VALUE]... [--format FORMAT]
         [--no-trunc] [--root DIR]

List containers: those that run, are paused, or wait to be restarted; with -a
all of them.

  -a, --all           also containers that wait for `start`, and those that have
                      ended and were not removed
  -q, --quiet         ids only
  -l, --latest        only the one that was created last, whatever its state
  -f, --filter KEY=VALUE
                      only those: status=STATE, health=STATE, name=PART,
                      id=PREFIX, label=KEY or label=KEY=VALUE; repeatable. A
                      filter for a state looks at all containers
  --format FORMAT     table (default); json, one object a line; json-array; or a
                      template such as '{{.id}} {{.status}} {{json .labels}}'
                      with the fields of `nucleus inspect`; 'table
                      {{.id}}\t{{.status}}' has columns with heads
  --no-trunc          nothing is shortened in the table
  --root DIR          the state root
"""
_SHOWN = ("running", "paused", "restarting")
_FLAGS = {"-a": "all", "--all": "all", "-q": "quiet", "--quiet": "quiet", "--no-trunc": "whole", "-l": "latest",
          "--latest": "latest"}  # fmt: skip


def main(argv: list[str]) -> int:
    """Prints; 0."""
    from ..container.running.inventory import list_containers
    from .arguments import Arguments
    from .tables import Filters, check_format, render, short

    values = ("--format", "--root", "--filter", "-f")
    given = Arguments(argv, flags=_FLAGS, values=values, help_text=HELP)
    if given.done:
        return 0
    if given.words:
        raise SpecError(
            f"unexpected argument {given.words[0]!r}", where="nucleus ps", remedy="nucleus ps --help"
        )
    filters = Filters(given.lists.get("--filter", []) + given.lists.get("-f", []))
    form = check_format(given.values.get("--format", "table"))
    everything = given.has("all") or given.has("latest") or filters.asks_for("status")
    rows = [
        row
        for row in list_containers(given.values.get("--root", ""))
        if (everything or row["status"] in _SHOWN) and filters.match(row)
    ]
    rows = rows[-1:] if given.has("latest") else rows
    if given.has("quiet"):
        sys.stdout.write("".join([f"{row['id']}\n" for row in rows]))
        return 0
    whole = given.has("whole")
    columns: tuple[Column, ...] = (
        ("ID", lambda r: str(r["id"]) if whole else str(r["id"])[:12]),
        ("NAME", lambda r: short(str(r["name"] or "-"), 0 if whole else 18)),
        ("STATUS", _status),
        ("CREATED", lambda r: _age(r["created_ns"])),
        ("COMMAND", lambda r: short(" ".join(map(str, r["command"])), 0 if whole else 40)),
    )
    sys.stdout.write(render(rows, columns, form))
    return 0


def _status(row: Mapping[str, Any]) -> str:
    """The state and the health; of what has ended, the exit code and why: exit, signal, oom, timeout, health …"""
    if row["status"] != "stopped":
        health = f" ({row['health']})" if row.get("health") and row["status"] == "running" else ""
        return f"{row['status']}{health}"
    return f"exited {row['exit_code']} ({row['reason']})"


def _age(created_ns: object) -> str:
    seconds = max(0, time.time_ns() - created_ns) // 1_000_000_000 if isinstance(created_ns, int) else 0
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= size:
            return f"{seconds // size}{unit} ago"
    return f"{seconds}s ago"
