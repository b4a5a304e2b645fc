"""`nucleus update CONTAINER… --memory SIZE …`: limits of running containers are changed.

✗ writes them (`container/live.py`), ✗ declares the options: they are those of `run`.
"""

from __future__ import annotations

import sys

from ..base.errors import NucleusError, Problem, SpecError

KEYS = ("memory", "memory_swap", "memory_high", "cpus", "cpu_weight", "pids", "io_limit")
HELP = """usage: nucleus update [OPTION...] [--root DIR] CONTAINER...

Change limits of running containers; what is not named stays as it is. The values are those of `nucleus run`.

  -m, --memory SIZE           the most memory; refused where more is in use and cannot be reclaimed
  --memory-swap SIZE          swap beside the memory
  --memory-high SIZE          from here on memory is reclaimed hard
  --cpus N                    the most processor time, in processors
  --cpu-weight N              the share of a busy machine, from 1 to 10000
  --pids N                    the most processes and threads; 0 for no limit
  --io-limit "MAJ:MIN KEY=N"  throttle a block device
  --root DIR                  the state root
"""


def main(argv: list[str]) -> int:
    """Prints the id of each container that was changed; 1 if one of several could not be."""
    from ..container.handle import resolve
    from ..container.inventory import open_store
    from ..container.live import update
    from .arguments import Arguments
    from .errors import render_error

    flags = tuple(["--" + key.replace("_", "-") for key in KEYS])
    given = Arguments(argv, flags={}, values=("--root", "-m", *flags), help_text=HELP)
    if given.done:
        return 0
    wanted = _limits(given.values)
    if not given.words:
        raise SpecError("which container?", where="nucleus update", remedy="nucleus ps lists them")
    if not wanted:
        raise SpecError("no limit was given", where="nucleus update", remedy="such as --memory 512M")
    code = 0
    store = open_store(given.values.get("--root", ""))
    try:
        for reference in given.words:
            try:
                with resolve(store, reference) as handle:
                    update(handle, wanted)
                    sys.stdout.write(f"{handle.id}\n")
            except NucleusError as error:
                render_error(error)
                code = 1 if len(given.words) > 1 else error.exit_code
    finally:
        store.close()
    return code


def _limits(values: dict[str, str]) -> dict[str, object]:
    """Field of the spec → value.  Raises SpecError with every problem."""
    from ..spec.kinds import parse
    from ..spec.options import BY_KEY

    found: dict[str, object] = {}
    problems: list[Problem] = []
    for key in KEYS:
        option = BY_KEY[key]
        text = values.get(option.flag, values.get(option.short) if option.short else None)
        if text is None:
            continue
        try:
            value = parse(option, text)
            found[option.field] = (value,) if option.repeat else value
        except SpecError as error:
            problems += [p if p.where else p.replace(where=option.flag) for p in error.problems]
    if problems:
        raise SpecError(problems=tuple(problems))
    return found
