"""`nucleus unpause CONTAINER…`: let paused containers go on.  ✗ how (`container/running/changing.py`)."""

from __future__ import annotations

HELP = """usage: nucleus unpause [--root DIR] CONTAINER...

Let paused containers go on.

  --filter KEY=VALUE  instead of CONTAINER: those that `nucleus ps -a` shows
                      with this filter, and that are in a state for it;
                      repeatable
  -l, --latest        instead of CONTAINER: the one that was created last, of
                      those with --filter
  --root DIR          the state root
"""


def main(argv: list[str]) -> int:
    """Prints the ids; 125 if one could not go on."""
    from ..container.running.changing import unpause
    from .targets import each, targets

    given = targets(argv, "unpause", HELP)
    return 0 if given.done else each(given, unpause)
