"""`nucleus why CONTAINER`: what was refused to it, by which rule, and the flag that would allow it.

✗ finds it out (`container/running/denials.py`).
"""

from __future__ import annotations

import sys

from ..base.errors import SpecError
from ..base.jsontext import dumps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..policy.refusals import Denial

HELP = """usage: nucleus why [--format text|json] [--root DIR] CONTAINER

Tell what was refused to a container, by which rule, and which flag would allow
it; and what cannot be told.

System calls are told where the container ran with --seccomp-log-denied or
--seccomp-mode trace; with the latter also which files it would have written to,
and which machines it would have reached. Limits are told of every container.

  --format FORMAT  text (default), or json, one object a line
  --root DIR       the state root
"""


def main(argv: list[str]) -> int:
    """Prints; 0."""
    from ..container.running.denials import report
    from ..container.running.handle import resolve
    from ..container.running.inventory import open_store
    from .arguments import Arguments

    given = Arguments(argv, flags={}, values=("--format", "--root"), help_text=HELP)
    if given.done:
        return 0
    if len(given.words) != 1:
        what = "one container, please" if given.words else "which container?"
        raise SpecError(what, where="nucleus why", remedy="nucleus ps -a lists them")
    form = given.values.get("--format", "text")
    if form not in ("text", "json"):
        raise SpecError(f"no format {form!r}", where="--format", remedy="use text or json")
    store = open_store(given.values.get("--root", ""))
    try:
        with resolve(store, given.words[0]) as handle:
            found = report(handle)
    finally:
        store.close()
    if form == "json":
        sys.stdout.write("".join([dumps(d) + "\n" for d in found.denials]))
        sys.stdout.write("".join([dumps({"unknown": text}) + "\n" for text in found.unknown]))
        return 0
    sys.stdout.write("".join([_text(d) for d in found.denials]) or "nothing is known to have been refused\n")
    sys.stdout.write("".join([f"not known: {text}\n" for text in found.unknown]))
    return 0


def _text(d: Denial) -> str:
    often = f"  ({d.count} times)" if d.count > 1 else ""
    who = f" by {d.program}" if d.program else ""
    likely = "" if d.certain else " (foretold)"
    lines = (
        f"{d.layer}{likely}: {_shown(d.what)}{who}{often}",
        f"  why:    {d.rule}",
        f"  allow:  {_shown(d.remedy)}",
    )
    return "\n".join(lines) + "\n"


def _shown(text: str) -> str:
    return text if text.isprintable() else ascii(text)
