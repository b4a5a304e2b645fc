"""`nucleus in-unit --root DIR ID`: what a transient service of a detached container executes.  Not for people.

✗ how (`container/systemd.py`).
"""

from __future__ import annotations

import sys

from ..base.errors import SpecError


def main(argv: list[str]) -> int:
    """Does not return when the container waits at its gate; 125 when it could not be made."""
    from ..container.systemd import run_in_unit
    from .arguments import Arguments

    given = Arguments(argv, flags={}, values=("--root",), help_text="usage: nucleus in-unit --root DIR ID\n")
    if given.done:
        return 0
    if len(given.words) != 1 or "--root" not in given.values:
        raise SpecError(
            "this verb is for units alone", where="nucleus in-unit", remedy="nucleus run --detach"
        )
    sys.nucleus_command = False  # type: ignore[attr-defined]
    return run_in_unit(given.values["--root"], given.words[0])
