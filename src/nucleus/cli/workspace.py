"""`nucleus workspace diff|apply|discard CONTAINER`: the changes of a copy-in-out run that are pending.

✗ merges (`container/workspace/apply.py`).
"""

from __future__ import annotations

import sys

from ..base.errors import SpecError
from ..base.jsontext import dumps

HELP = """usage: nucleus workspace diff|apply|discard [--format text|json] [--root DIR]
         CONTAINER

What a run with --workspace-mode copy-in-out changed stays in its container
until it is applied, also when nucleus was killed meanwhile.

  diff     list what apply would do: make, change, remove, conflict
  apply    carry the changes into the workspace; what changed there too is kept
           beside, and the exit code is 125
  discard  throw the changes away

  --format FORMAT  of diff: text (default), or json, one object a line
  --root DIR       the state root
"""
_VERBS = ("diff", "apply", "discard")


def main(argv: list[str]) -> int:
    """Prints; 0, or 125 where changes stand against changes of the workspace."""
    from ..container.running.handle import resolve
    from ..container.running.inventory import open_store
    from .arguments import Arguments

    given = Arguments(argv, flags={}, values=("--root", "--format"), help_text=HELP)
    if given.done:
        return 0
    if len(given.words) != 2 or given.words[0] not in _VERBS:
        raise SpecError(
            "what to do, and with which container?",
            where="nucleus workspace",
            remedy="nucleus workspace diff|apply|discard CONTAINER",
        )
    form = given.values.get("--format", "text")
    if form not in ("text", "json"):
        raise SpecError(f"no format {form!r}", where="--format", remedy="use text or json")
    verb, reference = given.words
    store = open_store(given.values.get("--root", ""))
    try:
        with resolve(store, reference) as handle:
            sys.stdout.write(_act(verb, handle, form))
    finally:
        store.close()
    return 0


def _act(verb: str, handle, form: str) -> str:  # type: ignore[no-untyped-def]
    from ..container.workspace import outcome as pending

    if verb == "discard":
        pending.discard(handle)
        return f"{handle.id}\n"
    if verb == "apply":
        outcome = pending.apply(handle)
        if outcome.conflicts:
            raise pending.told(outcome)
        return f"{handle.id}\n"
    actions = pending.difference(handle)
    if form == "json":
        return "".join([dumps(action) + "\n" for action in actions])
    return "".join([f"{a.what:9} {_shown(a.path)}{f'  ({a.why})' if a.why else ''}\n" for a in actions])


def _shown(path: str) -> str:
    """A name that cannot move the cursor or begin a line of its own."""
    return path if path.isprintable() else ascii(path)
