"""`nucleus prune [--filter KEY=VALUE]`: remove all containers that have ended.  ✗ how (`container/running/ending.py`)."""

from __future__ import annotations

import sys

from ..base.errors import Conflict, NotFound, NucleusError, SpecError
from .errors import render_error

HELP = """usage: nucleus prune [--filter KEY=VALUE]... [--root DIR]

Remove all containers that have ended, and clean up behind those whose owner was
killed.

  --filter KEY=VALUE  only those: name=PART, id=PREFIX, label=KEY or
                      label=KEY=VALUE, status=STATE
  --root DIR          the state root
"""


def main(argv: list[str]) -> int:
    """Prints the ids of those that were removed; 125 if one could not be."""
    from ..container.container import with_handle
    from ..container.running.ending import remove
    from ..container.running.inventory import list_containers
    from .arguments import Arguments
    from .tables import Filters

    given = Arguments(argv, flags={}, values=("--filter", "--root"), help_text=HELP)
    if given.done:
        return 0
    if given.words:
        raise SpecError(
            f"unexpected argument {given.words[0]!r}", where="nucleus prune", remedy="nucleus prune --help"
        )
    filters = Filters(given.lists.get("--filter", []))
    root, code = given.values.get("--root", ""), 0
    for row in list_containers(root, sweep_at_most=0):
        if row["status"] not in ("stopped", "dead") or not filters.match(row):
            continue
        container_id = str(row["id"])
        try:
            with_handle(container_id, root, lambda handle: remove(handle, force=False))
        except (NotFound, Conflict):
            continue  # somebody else removed it, or started it once more
        except NucleusError as error:
            render_error(error)
            code = 1
            continue
        sys.stdout.write(f"{container_id}\n")
    return code
