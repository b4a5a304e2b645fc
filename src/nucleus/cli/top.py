"""`nucleus top CONTAINER`: the processes inside, with their pids on the host and in the container.

✗ finds them (`container/running/live.py`).
"""

from __future__ import annotations

import os
import sys

from ..base.errors import SpecError

HELP = """usage: nucleus top [--format FORMAT] [--root DIR] CONTAINER

List the processes of a container.

  --format FORMAT  table (default), json (one object a line), or a template such
                   as '{{.pid}} {{.command}}'
  --root DIR       the state root
"""


def main(argv: list[str]) -> int:
    """Prints; 0."""
    from ..container.running.handle import resolve
    from ..container.running.inventory import open_store
    from ..container.running.live import top
    from .arguments import Arguments
    from .tables import check_format, render

    given = Arguments(argv, flags={}, values=("--format", "--root"), help_text=HELP)
    if given.done:
        return 0
    if len(given.words) != 1:
        what = "one container, please" if given.words else "which container?"
        raise SpecError(what, where="nucleus top", remedy="nucleus ps lists them")
    form = check_format(given.values.get("--format", "table"))
    store = open_store(given.values.get("--root", ""))
    try:
        with resolve(store, given.words[0]) as handle:
            rows = [process.as_dict() for process in top(handle)]
    finally:
        store.close()
    sys.stdout.write(render(rows, _columns(), form))
    return 0


def _columns() -> list:  # type: ignore[type-arg]
    from .stats import bytes_shown
    from .tables import short

    ticks = os.sysconf("SC_CLK_TCK")
    return [
        ("PID", lambda r: str(r["pid"])),
        ("INSIDE", lambda r: str(r["inside"] or "-")),
        ("UID", lambda r: str(r["uid"])),
        ("STATE", lambda r: r["state"]),
        ("THREADS", lambda r: str(r["threads"])),
        ("CPU TIME", lambda r: f"{r['cpu_ticks'] / ticks:.2f}s"),
        ("MEMORY", lambda r: bytes_shown(r["rss_bytes"])),
        ("COMMAND", lambda r: short(r["command"], 60)),
    ]
