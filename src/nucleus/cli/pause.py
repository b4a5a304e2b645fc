"""`nucleus pause CONTAINER…`: stop all processes of containers where they are.  ✗ how (`container/changing.py`)."""

from __future__ import annotations

HELP = """usage: nucleus pause [--root DIR] CONTAINER...

Stop all processes of containers where they are, by the freezer of their cgroup.

  --root DIR  the state root
"""


def main(argv: list[str]) -> int:
    """Prints the ids; 1 if one could not be paused."""
    from ..container.changing import pause
    from .targets import each, targets

    given = targets(argv, "pause", HELP)
    return 0 if given.done else each(given, pause)
