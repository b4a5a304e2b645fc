"""What the verbs on containers have in common: several targets, an error for each that failed.  ✗ any verb's work."""

from __future__ import annotations

import sys

from ..base.errors import NucleusError, SpecError
from .arguments import Arguments
from .errors import render_error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ..container.running.handle import Handle

FAILED = 125  # whichever verb it was: 1 is the word of commands, and of verbs that answer yes or no


def targets(
    argv: list[str],
    verb: str,
    help_text: str,
    *,
    flags: dict[str, str] | None = None,
    values: tuple[str, ...] = (),
) -> Arguments:
    """The arguments of a verb that wants containers; `words` are their references.

    Raises SpecError where none is named, and no --filter or --latest says which.
    """
    known = {"-l": "latest", "--latest": "latest", **(flags or {})}
    given = Arguments(argv, flags=known, values=("--root", "--filter", *values), help_text=help_text)
    if given.done:
        return given
    chosen = given.has("latest") or "--filter" in given.lists
    if chosen and given.words:
        raise SpecError(
            f"{given.words[0]!r} beside --filter or --latest",
            where=f"nucleus {verb}",
            remedy="use one of the two",
        )
    if chosen:
        given.words = _chosen(given, verb)
    elif not given.words:
        raise SpecError("which container?", where=f"nucleus {verb}", remedy="nucleus ps -a lists them")
    return given


def _chosen(given: Arguments, verb: str) -> list[str]:
    """The ids that --filter and --latest mean: none is no error, when nothing is as the filter has it."""
    from ..container.running.inventory import list_containers
    from ..container.running.lifecycle import DEAD, LEGAL, STATES, STOPPED
    from .tables import Filters

    filters = Filters(given.lists.get("--filter", []))
    rows = [row for row in list_containers(given.values.get("--root", "")) if filters.match(row)]
    if given.has("latest"):
        return [str(row["id"]) for row in rows[-1:]]
    states = LEGAL.get(f"{verb} -f" if given.has("force") else verb, STATES)
    if verb == "start":
        states += (STOPPED, DEAD)
    return [str(row["id"]) for row in rows if row["status"] in states]


def each(given: Arguments, act: Callable[[Handle], str | None]) -> int:
    """Do it with every target and print what comes of it, or the target's id; 125 if any could not be done."""
    from ..container.container import with_handle

    def done(handle: Handle) -> str:
        return act(handle) or handle.id

    code = 0
    for reference in given.words:
        try:
            line = with_handle(reference, given.values.get("--root", ""), done)
        except NucleusError as error:
            render_error(error)
            code = FAILED
            continue
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
    return code


def seconds(given: Arguments, *names: str) -> float | None:
    """The time that one of the options gives, such as 10, 1.5s or 2m; -1 for ever; None when none was given."""
    from ..base.units import parse_duration

    for name in names:
        text = given.values.get(name)
        if text == "-1":
            return -1.0
        if text is not None:
            try:
                return parse_duration(text) / 1000
            except SpecError as error:
                raise SpecError(error.message, where=name, remedy=error.remedy) from None
    return None
