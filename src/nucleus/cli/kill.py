"""`nucleus kill [-s SIGNAL] CONTAINER…`: send a signal to the commands of containers.

✗ how (`container/running/ending.py`).
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .arguments import Arguments

HELP = """usage: nucleus kill [-s SIGNAL] [--root DIR] CONTAINER...

Send a signal to the commands of containers. Returns when it was sent. Without
-s the last of several words may be the signal, such as `nucleus kill web HUP`.

  -s, --signal SIGNAL  default KILL
  --filter KEY=VALUE   instead of CONTAINER: those that `nucleus ps -a` shows
                       with this filter, and that are in a state for it;
                       repeatable
  -l, --latest         instead of CONTAINER: the one that was created last, of
                       those with --filter
  --root DIR           the state root
"""


def main(argv: list[str]) -> int:
    """Prints the ids; 125 if one could not be signalled."""
    from ..container.running.ending import kill, signal_of
    from .targets import each, targets

    given = targets(argv, "kill", HELP, values=("-s", "--signal"))
    if given.done:
        return 0
    name = given.values.get("--signal") or given.values.get("-s") or _last_word(given)
    number = signal_of(name)
    return each(given, lambda handle: kill(handle, number))


def _last_word(given: Arguments) -> str:
    """Taken from the words where it is a signal and no container's name; else KILL.

    Raises SpecError where it is neither: nobody dies of a signal that was misspelt.
    """
    from ..base.errors import NotFound, SpecError
    from ..spec.process import signal_number
    from ..state.store import Store, default_root

    if len(given.words) < 2:
        return "KILL"
    word = given.words[-1]
    store = Store(given.values.get("--root") or default_root(os.geteuid(), dict(os.environ)))
    try:
        if signal_number(word):
            return "KILL" if store.resolve_name(word) is not None else given.words.pop()
        store.resolve(word)
    except NotFound:
        raise SpecError(
            f"{word!r} is no signal and no container", where="nucleus kill", remedy="such as TERM, HUP or 9"
        ) from None
    finally:
        store.close()
    return "KILL"
