"""`nucleus inspect CONTAINER…`: all that is known of a container, as JSON.

✗ what is known (`container/inventory.py`).
"""

from __future__ import annotations

import sys

from ..base.errors import SpecError
from ..base.jsontext import dumps

HELP = """usage: nucleus inspect [--root DIR] CONTAINER...

Print what is known of containers as a JSON list: record, state, exit.

  --root DIR  the state root
"""


def main(argv: list[str]) -> int:
    """Prints; 0."""
    from ..container.inventory import inspect
    from .arguments import Arguments

    given = Arguments(argv, flags={}, values=("--root",), help_text=HELP)
    if given.done:
        return 0
    if not given.words:
        raise SpecError("which container?", where="nucleus inspect", remedy="nucleus ps -a lists them")
    found = [inspect(reference, root=given.values.get("--root", "")) for reference in given.words]
    sys.stdout.write(dumps(found, 2) + "\n")
    return 0
