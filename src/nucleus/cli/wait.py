"""`nucleus wait [--timeout TIME] CONTAINER…`: print the exit codes of containers when they end.  ✗ how."""

from __future__ import annotations

HELP = """usage: nucleus wait [--timeout TIME] [--root DIR] CONTAINER...

Wait until containers end, and print their exit codes, one a line, in the order
in which they are named.

  --timeout TIME      give up after this time, with exit code 125
  --filter KEY=VALUE  instead of CONTAINER: those that `nucleus ps -a` shows
                      with this filter, and that are in a state for it;
                      repeatable
  -l, --latest        instead of CONTAINER: the one that was created last, of
                      those with --filter
  --root DIR          the state root
"""


def main(argv: list[str]) -> int:
    """Prints the exit codes; 125 if one is not to be had."""
    from ..container.running.ending import wait
    from .targets import each, seconds, targets

    given = targets(argv, "wait", HELP, values=("--timeout",))
    if given.done:
        return 0
    timeout = seconds(given, "--timeout")
    return each(given, lambda handle: str(wait(handle, timeout_s=timeout).exit_code))
