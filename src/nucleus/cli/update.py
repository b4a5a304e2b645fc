"""`nucleus update CONTAINER… --memory SIZE …`: limits and the restart policy of running containers are changed.

✗ writes them (`container/running/updating.py`), ✗ declares the options: they are those of `run`.
"""

from __future__ import annotations

from ..base.errors import SpecError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..container.running.handle import Handle

HELP = """usage: nucleus update [OPTION...] [--root DIR] CONTAINER...

Change limits of running containers, or when they start again; what is not named
stays as it is. The values are those of `nucleus run`.

  -m, --memory SIZE           the most memory; refused where more is in use and
                              cannot be reclaimed
  --memory-swap SIZE          swap beside the memory
  --memory-high SIZE          from here on memory is reclaimed hard
  --cpus N                    the most processor time, in processors
  --cpu-weight N              the share of a busy machine, from 1 to 10000
  --pids N                    the most processes and threads; 0 for no limit
  --io-limit "MAJ:MIN KEY=N"  throttle a block device
  --restart POLICY            no, on-failure[:N], always or unless-stopped, from
                              now on; what runs detached gets a supervisor where
                              it has none
  --filter KEY=VALUE          instead of CONTAINER: those that `nucleus ps -a`
                              shows with this filter, and that are in a state
                              for it; repeatable
  -l, --latest                instead of CONTAINER: the one that was created
                              last, of those with --filter
  --root DIR                  the state root
"""


def main(argv: list[str]) -> int:
    """Prints the id of each container that was changed; 125 if one could not be."""
    from ..container.running.updating import KEYS, parsed, update
    from ..spec.options import BY_KEY
    from .targets import each, targets

    words = {word: key for key in KEYS for word in (BY_KEY[key].flag, BY_KEY[key].short) if word}
    given = targets(argv, "update", HELP, values=tuple(words))
    if given.done:
        return 0
    wanted = parsed({words[word]: text for word, text in given.values.items() if word in words})
    if not wanted:
        raise SpecError("nothing to change was given", where="nucleus update", remedy="such as --memory 512M")

    def act(handle: Handle) -> None:
        update(handle, wanted)

    return each(given, act)
