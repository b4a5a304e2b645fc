"""`nucleus rm [-f] CONTAINER…`: remove ended containers, with -f running ones too.

✗ how (`container/inventory.py`).
"""

from __future__ import annotations

import sys

from ..base.errors import NucleusError, SpecError
from .errors import render_error

HELP = """usage: nucleus rm [-f] [--root DIR] CONTAINER...

Remove containers that have ended: their records, logs and names.

  -f, --force  kill running ones first
  --root DIR   the state root
"""


def main(argv: list[str]) -> int:
    """Prints the id of each container it removed; 125 if one could not be."""
    from ..container.inventory import remove
    from .arguments import Arguments

    given = Arguments(argv, flags={"-f": "force", "--force": "force"}, values=("--root",), help_text=HELP)
    if given.done:
        return 0
    if not given.words:
        raise SpecError("which container?", where="nucleus rm", remedy="nucleus ps -a lists them")
    code = 0
    for reference in given.words:
        try:
            sys.stdout.write(
                remove(reference, root=given.values.get("--root", ""), force=given.has("force")) + "\n"
            )
        except NucleusError as error:
            render_error(error)
            code = error.exit_code
    return code
