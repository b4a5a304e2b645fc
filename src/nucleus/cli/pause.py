"""`nucleus pause CONTAINER…`: stop all processes of containers where they are.  ✗ how (`container/running/changing.py`)."""

from __future__ import annotations

HELP = """usage: nucleus pause [--root DIR] CONTAINER...

Stop all processes of containers where they are, by the freezer of their cgroup.

  --filter KEY=VALUE  instead of CONTAINER: those that `nucleus ps -a` shows
                      with this filter, and that are in a state for it;
                      repeatable
  -l, --latest        instead of CONTAINER: the one that was created last, of
                      those with --filter
  --root DIR          the state root
"""


def main(argv: list[str]) -> int:
    """Prints the ids; 125 if one could not be paused."""
    from ..container.running.changing import pause
    from .targets import each, targets

    given = targets(argv, "pause", HELP)
    return 0 if given.done else each(given, pause)
