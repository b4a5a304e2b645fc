"""`nucleus stats [CONTAINER…]`: what running containers use, and the limits that hold.

✗ reads cgroups (`container/running/live.py`).
"""

from __future__ import annotations

import sys
import time

from ..base.errors import NucleusError
from ..base.units import format_bytes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

HELP = """usage: nucleus stats [--no-stream] [--format FORMAT] [--root DIR] [CONTAINER...]

Show what containers use, every second until interrupted; without CONTAINER,
those that run.

  --no-stream      show it once
  --format FORMAT  table (default), json (one object a line), or a template such
                   as '{{.name}} {{.memory_bytes}}'
  --root DIR       the state root
"""
_COLUMNS = ("ID", "NAME", "CPU %", "CPU TIME", "MEMORY", "LIMIT", "SWAP", "PIDS", "READ", "WRITTEN")
_PERIOD_S = 1.0


def main(argv: list[str]) -> int:
    """Prints; 0, or 125 when one of several could not be looked at."""
    from .arguments import Arguments
    from .tables import check_format

    given = Arguments(argv, flags={"--no-stream": "once"}, values=("--format", "--root"), help_text=HELP)
    if given.done:
        return 0
    form, root = check_format(given.values.get("--format", "table")), given.values.get("--root", "")
    code, before = _show(given.words, root, form, {})
    while before and not given.has("once"):  # as long as there is somebody to look at
        time.sleep(_PERIOD_S)
        if form == "table":
            sys.stdout.write("\n")
        code, before = _show(given.words, root, form, before)
    return code


def _show(
    references: list[str], root: str, form: str, before: dict[str, tuple[float, int]]
) -> tuple[int, dict[str, tuple[float, int]]]:
    """One look at each; returns the exit code, and what the next look compares with."""
    from .errors import render_error
    from .tables import render
    from .targets import FAILED

    code, rows, looks = 0, [], {}
    for reference in references or _running(root):
        try:
            row = _row(reference, root)
        except NucleusError as error:
            if references:  # of those that were not named, one may have ended meanwhile
                render_error(error)
                code = FAILED
            continue
        now = time.monotonic()
        cpu = row["cpu_us"] or 0
        then, used = before.get(row["id"], (now, cpu))
        row["cpu_percent"] = round((cpu - used) / (now - then) / 10_000, 1) if now > then else 0.0
        looks[row["id"]] = (now, cpu)
        rows.append(row)
    sys.stdout.write(render(rows, [(name, _CELLS[name]) for name in _COLUMNS], form))
    sys.stdout.flush()
    return code, looks


def _running(root: str) -> list[str]:
    from ..container.running.inventory import list_containers

    return [str(r["id"]) for r in list_containers(root) if r["status"] in ("running", "paused")]


def _row(reference: str, root: str) -> dict[str, Any]:
    from ..container.running.handle import resolve
    from ..container.running.inventory import open_store
    from ..container.running.live import measured

    store = open_store(root)
    try:
        with resolve(store, reference) as handle:
            look = measured(handle)
            assert handle.record is not None
            row: dict[str, Any] = {"id": handle.id, "name": handle.record.name, **look.usage.as_dict()}
            return row | {"limits": look.held}
    finally:
        store.close()


def bytes_shown(value: int | None) -> str:
    """Binary units with one decimal; "-" where nobody counts."""
    if value is None:
        return "-"
    size, unit = float(value), "B"
    for bigger in ("K", "M", "G", "T"):
        if size < 1024:
            break
        size, unit = size / 1024, bigger
    return f"{size:.1f}{unit}" if unit != "B" else f"{value}B"


_CELLS = {
    "ID": lambda r: r["id"][:12],
    "NAME": lambda r: r["name"] or "-",
    "CPU %": lambda r: f"{r['cpu_percent']}" if r["cpu_us"] is not None else "-",
    "CPU TIME": lambda r: f"{r['cpu_us'] / 1e6:.2f}s" if r["cpu_us"] is not None else "-",
    "MEMORY": lambda r: bytes_shown(r["memory_bytes"]),
    "LIMIT": lambda r: format_bytes(r["limits"].memory_bytes) if r["limits"].memory_bytes else "none",
    "SWAP": lambda r: bytes_shown(r["swap_bytes"]),
    "PIDS": lambda r: f"{r['pids'] if r['pids'] is not None else '-'}/{r['limits'].pids or 'none'}",
    "READ": lambda r: bytes_shown(r["io_read_bytes"]),
    "WRITTEN": lambda r: bytes_shown(r["io_write_bytes"]),
}
