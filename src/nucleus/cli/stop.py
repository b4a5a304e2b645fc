"""`nucleus stop [-t TIME] [-s SIGNAL] CONTAINER…`: ask containers to end.  ✗ how (`container/running/ending.py`)."""

from __future__ import annotations

HELP = """usage: nucleus stop [-t TIME] [-s SIGNAL] [--root DIR] CONTAINER...

Ask containers to end, kill what does not, and return when they have ended.
It is no error when a container has ended before.

  -t, --time TIME      time between the signal and SIGKILL, such as 10s; 0 kills
                       at once, -1 waits for ever; else
                       the container's --stop-timeout
  -s, --signal SIGNAL  the signal that asks; else the container's --stop-signal
  --filter KEY=VALUE   instead of CONTAINER: those that `nucleus ps -a` shows
                       with this filter, and that are in a state for it;
                       repeatable
  -l, --latest         instead of CONTAINER: the one that was created last, of
                       those with --filter
  --root DIR           the state root
"""


def main(argv: list[str]) -> int:
    """Prints the ids; 125 if one could not be ended."""
    from ..container.running.ending import signal_of, stop
    from .targets import each, seconds, targets

    given = targets(argv, "stop", HELP, values=("-t", "--time", "-s", "--signal"))
    if given.done:
        return 0
    name = given.values.get("--signal") or given.values.get("-s")
    number = signal_of(name) if name else None
    grace = seconds(given, "--time", "-t")
    return each(given, lambda handle: stop(handle, grace_s=grace, number=number))
