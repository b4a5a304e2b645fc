"""`nucleus state [CONTAINER]`: the state of a container as the OCI runtime specification has it; without one, `ps`.

✗ what is known (`container/running/inventory.py`).
"""

from __future__ import annotations

import sys

from ..base.errors import SpecError
from ..base.jsontext import dumps

HELP = """usage: nucleus state [--root DIR] [CONTAINER]

Print the state of a container as JSON, in the words of the OCI runtime
specification; without one, list containers.

  --root DIR  the state root
"""
_VERSION = "1.2.0"


def main(argv: list[str]) -> int:
    """Prints; 0."""
    from ..container.running.inventory import inspect
    from .arguments import Arguments

    given = Arguments(argv, flags={"-a": "all", "--all": "all"}, values=("--root",), help_text=HELP)
    if given.done:
        return 0
    if not given.words:
        from . import ps

        return ps.main(argv)
    if len(given.words) > 1:
        raise SpecError(
            "one container at a time", where="nucleus state", remedy="nucleus inspect takes several"
        )
    known = inspect(given.words[0], root=given.values.get("--root", ""))
    told = {
        "ociVersion": _VERSION, "id": known["id"], "status": known["status"], "pid": known["pid"],
        "bundle": known.get("spec", {}).get("rootfs", ""), "annotations": known.get("labels", {}),
    }  # fmt: skip
    sys.stdout.write(dumps(told, 2) + "\n")
    return 0
