"""`nucleus kill [-s SIGNAL] CONTAINER…`: send a signal to the commands of containers.  ✗ how (`container/ending.py`)."""

from __future__ import annotations

HELP = """usage: nucleus kill [-s SIGNAL] [--root DIR] CONTAINER...

Send a signal to the commands of containers.  Returns when it was sent.

  -s, --signal SIGNAL  default KILL
  --root DIR           the state root
"""


def main(argv: list[str]) -> int:
    """Prints the ids; 1 if one could not be signalled."""
    from ..container.ending import kill, signal_of
    from .targets import each, targets

    given = targets(argv, "kill", HELP, values=("-s", "--signal"))
    if given.done:
        return 0
    number = signal_of(given.values.get("--signal") or given.values.get("-s") or "KILL")
    return each(given, lambda handle: kill(handle, number))
