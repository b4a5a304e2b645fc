"""`nucleus start CONTAINER…`: let created and ended containers run.  ✗ how (`container/detach.py`)."""

from __future__ import annotations

import sys

from ..base.errors import NucleusError
from .errors import render_error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..container.running.handle import Handle

HELP = """usage: nucleus start [--root DIR] CONTAINER...

Let created containers run, and those that have ended once more; returns when
their commands have been executed. What ran in the foreground goes on by itself
then: `nucleus logs` shows what it prints.

  --filter KEY=VALUE  instead of CONTAINER: those that `nucleus ps -a` shows
                      with this filter, and that are in a state for it;
                      repeatable
  -l, --latest        instead of CONTAINER: the one that was created last, of
                      those with --filter
  --root DIR          the state root
"""


def main(argv: list[str]) -> int:
    """Prints the ids; with one container, the exit code of `run` when its command cannot be executed."""
    from ..container.container import with_handle
    from .targets import FAILED, targets

    given = targets(argv, "start", HELP)
    code = 0
    for reference in given.words:
        try:
            sys.stdout.write(with_handle(reference, given.values.get("--root", ""), _started) + "\n")
        except NucleusError as error:
            render_error(error)
            code = error.exit_code if len(given.words) == 1 else FAILED
    return code


def _started(handle: Handle) -> str:
    from ..container.detach import start_or_restart

    start_or_restart(handle)
    return handle.id
