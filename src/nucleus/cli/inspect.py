"""`nucleus inspect CONTAINER…`: all that is known of containers, as JSON or by a template.

✗ what is known (`container/running/inventory.py`).
"""

from __future__ import annotations

import sys

from ..base.errors import NucleusError
from ..base.jsontext import dumps
from .errors import render_error

HELP = """usage: nucleus inspect [--format TEMPLATE] [--root DIR] CONTAINER...

Print what is known of containers as a JSON list: record, state, exit.

  --format TEMPLATE   one line for each instead, such as '{{.name}} {{.status}}'
                      or '{{json .limits}}'
  --filter KEY=VALUE  instead of CONTAINER: those that `nucleus ps -a` shows
                      with this filter; repeatable
  -l, --latest        instead of CONTAINER: the one that was created last, of
                      those with --filter
  --root DIR          the state root
"""


def main(argv: list[str]) -> int:
    """Prints those that are found; 125 if one is not."""
    from ..container.running.inventory import inspect
    from .tables import Template
    from .targets import FAILED, targets

    given = targets(argv, "inspect", HELP, values=("--format", "-f"))
    if given.done:
        return 0
    form = given.values.get("--format") or given.values.get("-f") or "json"
    template = None if form == "json" else Template(form)
    found, code = [], 0
    for reference in given.words:
        try:
            known = inspect(reference, root=given.values.get("--root", ""))
        except NucleusError as error:
            render_error(error)
            code = FAILED
            continue
        if template is not None:
            sys.stdout.write(template.line(known) + "\n")
        found.append(known)
    if template is None and found:
        sys.stdout.write(dumps(found, 2) + "\n")
    return code
