"""`nucleus help` and `run --help`, made of the tables of verbs and options.  ✗ other verbs' help."""

from __future__ import annotations

import sys

from ..base.errors import SpecError
from ..spec.options import GROUPS, OPTIONS
from .main import VERBS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..spec.options import Option

_WIDTH = 80  # columns; less on a terminal that has less
_NARROWEST = 64
_COLUMN = 34

_OVERVIEW = """\
usage: nucleus [--root DIR] [--log FILE] [--log-format text|json]
         VERB [ARGUMENT…]

Runs commands in hardened Linux sandboxes; no daemon.

{verbs}

examples:
  nucleus run -- python3 -c 'print("hello")'
  nucleus run --workspace . --memory 1G --timeout 10m -- make test
  nucleus explain --workspace . -- make test

`nucleus VERB --help` tells more about a verb.
"""

_RUN = """\
usage: nucleus {verb} [OPTION…] [--] COMMAND [ARGUMENT…]
       nucleus {verb} --config FILE [OPTION…] [-- COMMAND [ARGUMENT…]]

{sentence}
Options end at `--`, or at the first word that is no option.

{options}
exit codes:
  124  --timeout was reached            125  nucleus could not start it
  126  COMMAND cannot be executed       127  COMMAND was not found
  128+n  signal n ended it              else the command's own
"""

_SENTENCES = {
    "run": "Runs a command in a sandbox of its own and waits for it.",
    "create": "Makes a container ready and prints its id; its command waits for\n`nucleus start`.",
    "explain": "Shows the launch plan of such a run. --format text|json, --raw or --prepared may\nstand first.",
}


def main(argv: list[str]) -> int:
    """Prints the overview, or the help of a verb; 0."""
    verb = argv[0] if argv and argv[0] not in ("-h", "--help") else ""
    if not verb:
        sys.stdout.write(overview())
    elif verb in _SENTENCES:
        sys.stdout.write(run_help(verb, _columns()))
    elif verb in VERBS and verb not in ("help", "version"):
        module = f"nucleus.cli.{VERBS[verb][0]}"
        __import__(module)
        return int(sys.modules[module].main(["--help"]))
    elif verb in VERBS:
        sys.stdout.write(f"usage: nucleus {verb}\n\n{VERBS[verb][1]}\n")
    else:
        from ..spec.suggest import hint

        raise SpecError(
            f"unknown verb {ascii(verb)}",
            where="help",
            remedy=f"`nucleus --help` lists them{hint(verb, VERBS)}",
        )
    return 0


def overview() -> str:
    """What `nucleus --help` prints."""
    verbs = "\n".join([f"  {verb:<10} {sentence}" for verb, (_, sentence) in VERBS.items()])
    return _OVERVIEW.format(verbs=verbs)


def _columns() -> int:
    import os

    try:
        return max(_NARROWEST, min(_WIDTH, os.get_terminal_size(sys.stdout.fileno()).columns))
    except (OSError, ValueError):  # no terminal, or no file at all
        return _WIDTH


def run_help(verb: str = "run", width: int = _WIDTH) -> str:
    """What `nucleus run --help` prints: every option, by group, with its default; lines of `width` columns at most."""
    parts = []
    for group, title in GROUPS:
        lines = [
            line
            for option in OPTIONS
            if option.group == group and option.cli
            for line in _lines(option, width)
        ]
        parts.append(f"{title}:\n" + "\n".join(lines) + "\n")
    return _RUN.format(verb=verb, sentence=_SENTENCES[verb], options="\n".join(parts))


def usage_of(option: Option) -> str:
    """`-m, --memory SIZE`, `--rm`, `--allow-degraded-security[=LAYERS]`."""
    name = f"{option.short}, {option.flag}" if option.short else option.flag
    if option.bare is None:
        return f"{name} {option.metavar}"
    return f"{name}[={option.metavar}]" if option.metavar else name


def meaning_of(option: Option) -> str:
    """The help sentence with choices, default and whether it may be repeated."""
    notes = [" | ".join(option.choices)] if len(option.choices) > 1 else []
    notes += ["repeatable"] if option.repeat else []
    notes += [f"default {option.default}"] if option.default and option.default != "false" else []
    return option.help + (f" ({'; '.join(notes)})" if notes else "")


def _lines(option: Option, width: int) -> list[str]:
    import textwrap

    left = f"  {usage_of(option)}" if option.short else f"      {usage_of(option)}"
    text = textwrap.wrap(meaning_of(option), width - _COLUMN, break_on_hyphens=False)
    rows = [" " * _COLUMN + line for line in text]
    if len(left) < _COLUMN - 1:
        rows[0] = left.ljust(_COLUMN) + text[0]
    else:
        rows.insert(0, left)
    return rows
