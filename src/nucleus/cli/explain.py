"""`nucleus explain [--format text|json] [--raw] [--prepared] [OPTION…] -- COMMAND`: the plan of a run, without running it.

✗ words of steps (`plan/explain.py`), ✗ options (`parser.py`).
"""

from __future__ import annotations

import sys

from ..base.errors import SpecError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..container.prepared import Prepared
    from ..plan.steps import LaunchPlan


def main(argv: list[str]) -> int:
    """Prints the plan in order, each step with the option it comes from; 0."""
    from ..container.prepare import prepare
    from ..container.prepared import Gate
    from ..plan import explain
    from .parser import parse_run

    form, in_parts, rest = _form(_without_run(argv))
    rest = _without_run(rest)
    if form not in ("text", "json", "raw"):
        raise SpecError(f"no format {form!r}", where="--format", remedy="use text or json")
    spec = parse_run(rest, verb="explain")
    prepared = prepare(spec, gate=Gate() if spec.detach else None)
    try:
        assert prepared.plan is not None
        render = {"text": explain.as_text, "json": explain.as_json, "raw": explain.as_raw}[form]
        plans = _parts(prepared) if in_parts else (prepared.plan,)
        sys.stdout.write("\n".join([render(plan) for plan in plans]))
    finally:
        prepared.discard()
    return 0


def _parts(prepared: Prepared) -> tuple[LaunchPlan, ...]:
    """The plan as a program runs it that starts many of its kind: what makes the root, and each start."""
    from ..container.reuse.template import two_parts

    assert prepared.plan is not None and prepared.request is not None
    found = two_parts(prepared.plan, prepared.request.spec, prepared.request.hostname)
    if found is None:
        raise SpecError(
            "every container of this kind makes a root of its own",
            where="--prepared",
            remedy="roots are prepared by the host's root, and not for --rootfs; leave --prepared out",
        )
    return found


def _without_run(words: list[str]) -> list[str]:
    """`explain run …` reads as it is said."""
    return words[1:] if words[:1] == ["run"] else words


def _form(argv: list[str]) -> tuple[str, bool, list[str]]:
    """--format, --raw and --prepared, wherever they stand among the options, and the words that are `run`'s."""
    from ..spec.options import BY_FLAG, BY_SHORT

    form, in_parts, rest, left = "text", False, [], list(argv)
    while left and left[0] != "--" and left[0].startswith("-"):
        word = left.pop(0)
        name, equals, value = word.partition("=")
        if name == "--raw":
            form = "raw"
        elif name == "--prepared":
            in_parts = True
        elif name == "--format":
            form = value if equals else left.pop(0) if left else ""
        else:
            option = BY_FLAG.get(name) or (BY_SHORT.get(word) if not equals else None)
            rest.append(word)
            if option is not None and option.bare is None and not equals and left:
                rest.append(left.pop(0))
    return form, in_parts, rest + left
