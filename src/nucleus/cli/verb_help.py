"""What `VERB --help` prints → its parts: the one declaration of a small verb's options, for manual and completion.

The options of `run` come from the option table.  ✗ prints.
"""

from __future__ import annotations

from ..base.value import Value


class Flag(Value):
    """One option of a verb.

    names    such as -f and --follow
    metavar  what stands for its value; empty where it takes none
    """

    names: tuple[str, ...]
    metavar: str = ""
    text: str = ""


class Page(Value):
    """The help of one verb.

    usage   its usage lines, without `usage:`
    text    paragraphs around the options
    """

    verb: str
    usage: tuple[str, ...]
    flags: tuple[Flag, ...]
    text: tuple[str, ...]

    @property
    def takes_containers(self) -> bool:
        """Whether its arguments are containers."""
        return any("CONTAINER" in line for line in self.usage)


def page_of(verb: str) -> Page:
    """The help of a verb that is not made of the option table."""
    import io
    from contextlib import redirect_stdout

    from .help import main

    printed = io.StringIO()
    with redirect_stdout(printed):
        main([verb])
    return parse(verb, printed.getvalue())


def parse(verb: str, text: str) -> Page:
    """Usage lines, then paragraphs; a line that begins with two spaces and a dash is an option."""
    usage: list[str] = []
    flags: list[Flag] = []
    paragraphs: list[list[str]] = [[]]
    lines = text.splitlines()
    while lines and (lines[0].startswith("usage:") or (usage and lines[0].startswith("  "))):
        line = lines.pop(0).removeprefix("usage:").strip()
        if usage and not line.startswith("nucleus "):  # one that goes on
            line = f"{usage.pop()} {line}"
        usage.append(line)
    within = False
    for line in lines:
        stripped = line.strip()
        if line.startswith("  ") and stripped.startswith("-"):
            flags.append(_flag(stripped))
            within = True
        elif within and line.startswith("      ") and stripped:
            last = flags.pop()
            flags.append(last.replace(text=f"{last.text} {stripped}".strip()))
        elif not stripped:
            within = False
            paragraphs.append([])
        else:
            paragraphs[-1].append(stripped)
    return Page(
        verb=verb, usage=tuple(usage), flags=tuple(flags), text=tuple([" ".join(p) for p in paragraphs if p])
    )


def _flag(line: str) -> Flag:
    head, _, text = line.partition("  ")
    names, metavar = [], ""
    for word in head.replace(",", " ").replace("[=", " ").replace("]", "").split():
        name, equals, value = word.partition("=")
        if name.startswith("-"):
            names.append(name)
            metavar = value if equals else metavar
        else:
            metavar = f"{metavar} {word}".strip()
    return Flag(names=tuple(names), metavar=metavar, text=text.strip())
