"""`nucleus schema`: the JSON Schema of launch documents.  ✗ what the schema says (`spec/document.py`)."""

from __future__ import annotations

import sys

from ..base.errors import SpecError

USAGE = """\
usage: nucleus schema

Print the JSON Schema of launch documents (`nucleus run --config FILE`).
"""


def main(argv: list[str]) -> int:
    """Prints; 0."""
    if argv and argv[0] in ("-h", "--help"):
        sys.stdout.write(USAGE)
        return 0
    if argv:
        raise SpecError(
            f"unexpected argument {ascii(argv[0])}", where="schema", remedy="use `nucleus schema` alone"
        )
    import json

    from ..spec.document import json_schema

    sys.stdout.write(json.dumps(json_schema(), indent=2) + "\n")
    return 0
