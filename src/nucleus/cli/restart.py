"""`nucleus restart [-t TIME] CONTAINER…`: start containers once more.  ✗ how (`container/container.py`)."""

from __future__ import annotations

HELP = """usage: nucleus restart [-t TIME] [--root DIR] CONTAINER...

Stop containers that run, and start them once more as they were created: the
same id, name and options. Refused where values came by a descriptor, which are
kept nowhere, and for containers of --rm. The files that a start takes from the
host (workspace, volumes, secrets, policies, hooks) are looked for before
anything is stopped, but for a container in a systemd unit.

  -t, --time TIME     time between the stop signal and SIGKILL; else the
                      container's --stop-timeout
  --filter KEY=VALUE  instead of CONTAINER: those that `nucleus ps -a` shows
                      with this filter, and that are in a state for it;
                      repeatable
  -l, --latest        instead of CONTAINER: the one that was created last, of
                      those with --filter
  --root DIR          the state root
"""


def main(argv: list[str]) -> int:
    """Prints the ids; 125 if one could not be started."""
    from ..container.container import restart
    from .targets import each, seconds, targets

    given = targets(argv, "restart", HELP, values=("-t", "--time"))
    if given.done:
        return 0
    grace = seconds(given, "--time", "-t")
    return each(given, lambda handle: restart(handle, grace_s=grace))
