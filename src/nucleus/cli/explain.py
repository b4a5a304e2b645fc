"""`nucleus explain [--format text|json] [--raw] [OPTION…] -- COMMAND`: the plan of a run, without running it.

✗ words of steps (`plan/explain.py`), ✗ options (`parser.py`).
"""

from __future__ import annotations

import sys

from ..base.errors import SpecError


def main(argv: list[str]) -> int:
    """Prints the plan in order, each step with the option it comes from; 0."""
    from ..container.prepare import Gate, prepare
    from ..plan import explain
    from .parser import parse_run

    form, rest = _form(_without_run(argv))
    rest = _without_run(rest)
    if form not in ("text", "json", "raw"):
        raise SpecError(f"no format {form!r}", where="--format", remedy="use text or json")
    spec = parse_run(rest)
    prepared = prepare(spec, gate=Gate() if spec.detach else None)
    try:
        assert prepared.plan is not None
        render = {"text": explain.as_text, "json": explain.as_json, "raw": explain.as_raw}[form]
        sys.stdout.write(render(prepared.plan))
    finally:
        prepared.discard()
    return 0


def _without_run(words: list[str]) -> list[str]:
    """`explain run …` reads as it is said."""
    return words[1:] if words[:1] == ["run"] else words


def _form(argv: list[str]) -> tuple[str, list[str]]:
    """--format and --raw, wherever they stand among the options, and the words that are `run`'s."""
    from ..spec.options import BY_FLAG, BY_SHORT

    form, rest, left = "text", [], list(argv)
    while left and left[0] != "--" and left[0].startswith("-"):
        word = left.pop(0)
        name, equals, value = word.partition("=")
        if name == "--raw":
            form = "raw"
        elif name == "--format":
            form = value if equals else left.pop(0) if left else ""
        else:
            option = BY_FLAG.get(name) or (BY_SHORT.get(word) if not equals else None)
            rest.append(word)
            if option is not None and option.bare is None and not equals and left:
                rest.append(left.pop(0))
    return form, rest + left
