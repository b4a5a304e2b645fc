"""`nucleus rm [-f] CONTAINER…`: remove ended containers, with -f living ones too.

✗ how (`container/running/ending.py`).
"""

from __future__ import annotations

HELP = """usage: nucleus rm [-f] [--root DIR] CONTAINER...

Remove containers that have ended: their records, logs and names.

  -f, --force         kill living ones first
  --filter KEY=VALUE  instead of CONTAINER: those that `nucleus ps -a` shows
                      with this filter, and that are in a state for it;
                      repeatable
  -l, --latest        instead of CONTAINER: the one that was created last, of
                      those with --filter
  --root DIR          the state root
"""


def main(argv: list[str]) -> int:
    """Prints the id of each container it removed; 125 if one could not be."""
    from ..container.running.ending import remove
    from .targets import each, targets

    given = targets(argv, "rm", HELP, flags={"-f": "force", "--force": "force"})
    return 0 if given.done else each(given, lambda handle: remove(handle, force=given.has("force")))
