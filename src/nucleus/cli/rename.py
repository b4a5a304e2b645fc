"""`nucleus rename CONTAINER NAME`.  ✗ how (`container/running/changing.py`)."""

from __future__ import annotations

from ..base.errors import SpecError

HELP = """usage: nucleus rename [--root DIR] CONTAINER NAME

Give a container another name; the old one is free then.

  --root DIR  the state root
"""


def main(argv: list[str]) -> int:
    """Prints nothing; 0."""
    from ..container.container import with_handle
    from ..container.running.changing import rename
    from .arguments import Arguments

    given = Arguments(argv, flags={}, values=("--root",), help_text=HELP)
    if given.done:
        return 0
    if len(given.words) != 2:
        raise SpecError(
            "a container and its new name are needed",
            where="nucleus rename",
            remedy="nucleus rename web web-old",
        )
    reference, name = given.words
    with_handle(reference, given.values.get("--root", ""), lambda handle: rename(handle, name))
    return 0
