"""argv of `run` → ContainerSpec, by the option table.  Options end at `--` or at the first word that is none.

A document given by --config or --config-fd is the base: flags replace its values, repeatable flags add to
them, a command replaces its command.  ✗ option names, ✗ what values mean (`spec/`), ✗ printing.
"""

from __future__ import annotations

import os

from ..base.errors import Problem, SpecError
from ..spec.assemble import assemble
from ..spec.options import BY_FLAG, BY_KEY, BY_SHORT
from .main import HelpWanted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..spec.assemble import Entry
    from ..spec.container import ContainerSpec
    from ..spec.options import Option

MAX_FILE = 1 << 20


def read_file(source: str | int) -> bytes:
    """A file by path, or an inherited descriptor by number, one byte more than the largest taken at most."""
    where = source if isinstance(source, str) else f"descriptor {source}"
    try:
        fd = (
            os.open(source, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK) if isinstance(source, str) else source
        )
    except OSError as reason:
        raise SpecError(
            f"cannot be opened: {(reason.strerror or '').lower()}",
            where=where,
            remedy="name a file that you can read",
        ) from None
    try:
        os.set_blocking(fd, True)
        data = b""
        while len(data) <= MAX_FILE:
            part = os.read(fd, MAX_FILE + 1 - len(data))
            if not part:
                break
            data += part
        return data
    except OSError as reason:
        raise SpecError(
            f"cannot be read: {(reason.strerror or '').lower()}", where=where, remedy="name a readable file"
        ) from None
    finally:
        _close(fd)


def _close(fd: int) -> None:
    try:
        os.close(fd)
    except OSError as reason:
        if reason.errno != 9:  # EBADF: the caller named a descriptor that is not open
            raise


def parse_run(
    argv: list[str],
    environ: Mapping[str, str] | None = None,
    read: Callable[[str | int], bytes] = read_file,
    *,
    verb: str = "run",
) -> ContainerSpec:
    """What `nucleus run ARGV…` asks for, or another verb with its options.

    Raises SpecError with every problem, HelpWanted for --help.
    """
    problems: list[Problem] = []
    flags, command = split(argv, problems, verb)
    base: list[Entry] | None = []
    environ = os.environ if environ is None else environ
    if any(option.key in ("config", "config_fd") for option, _, _ in flags):
        base = _document(flags, read, problems)
    entries = told_by(environ) + (base or [])
    if command is not None:
        entries = [entry for entry in entries if entry[0].key != "command"]
        entries += [(BY_KEY["command"], word, "command") for word in command]
    return assemble(
        entries + flags,
        environ=environ,
        read_file=read,
        problems=problems,
        whole=base is not None,
    )


def told_by(environ: Mapping[str, str]) -> list[Entry]:
    """The form of messages that $NUCLEUS_LOG_FORMAT asks for, where nothing else does; what it cannot be is ignored."""
    json = environ.get("NUCLEUS_LOG_FORMAT") == "json"
    return [(BY_KEY["log_format"], "json", "NUCLEUS_LOG_FORMAT")] if json else []


def split(
    argv: list[str], problems: list[Problem], verb: str = "run"
) -> tuple[list[Entry], list[str] | None]:
    """Entries of the flags, and the words behind them (None when there are none)."""
    entries: list[Entry] = []
    at = 0
    while at < len(argv):
        word = argv[at]
        at += 1
        if word == "--":
            return entries, argv[at:] or None
        if not word.startswith("-") or word == "-":
            return entries, argv[at - 1 :]
        if word in ("--help", "-h"):
            raise HelpWanted
        if letters := _joined(word):
            entries += letters
            continue
        option, text = _flag(word)
        if option is None:
            problems.append(_unknown(word, verb))
            continue
        where = option.flag if word.startswith("--") else option.short
        if text is None and option.bare is not None:
            text = option.bare
        elif text is None:
            # A word that is a flag itself is no value: the value was forgotten.
            if at == len(argv) or argv[at] == "--" or argv[at].partition("=")[0] in BY_FLAG:
                such = f"such as {where} {option.example}" if option.example else ""
                problems.append(Problem(message="needs a value", where=where, remedy=such))
                continue
            text = argv[at]
            at += 1
        entries.append((option, text, where))
    return entries, None


def _joined(word: str) -> list[Entry]:
    """`-it`: short flags without values in one word; nothing for any other word."""
    found = [BY_SHORT.get(f"-{letter}") for letter in word[1:]]
    if word.startswith("--") or len(found) < 2:
        return []
    entries = [(o, o.bare, o.short) for o in found if o is not None and o.bare is not None]
    return entries if len(entries) == len(found) else []


def _flag(word: str) -> tuple[Option | None, str | None]:
    """`--flag=value`, `--flag`, `-m512M`, `-m=512M`, `-m` → the option and the value that is attached."""
    if word.startswith("--"):
        name, equals, value = word.partition("=")
        return BY_FLAG.get(name), value if equals else None
    rest = word[2:]
    return BY_SHORT.get(word[:2]), rest.removeprefix("=") if rest else None


def _unknown(word: str, verb: str) -> Problem:
    from ..spec.later import LATER_SHORT, refusal

    name = word.partition("=")[0]
    if not name.startswith("--"):
        known = LATER_SHORT.get(name)
        if known is None:
            return Problem(
                message=f"unknown option {ascii(name)}",
                where=verb,
                remedy=f"`nucleus {verb} --help` lists the options",
            )
        name = known
    error = refusal(name[2:], as_flag=True)
    return Problem(message=error.message, where=verb, remedy=error.remedy)


def _document(
    flags: list[Entry], read: Callable[[str | int], bytes], problems: list[Problem]
) -> list[Entry] | None:
    """The entries of the launch document that the flags name; None when it could not be read."""
    from ..spec.kinds import parse
    from ..spec.parse import document_entries

    given = [(option, text, where) for option, text, where in flags if option.key in ("config", "config_fd")]
    if len(given) > 1:
        problems.append(
            Problem(
                message="two launch documents", where=given[1][2], remedy="merge them into one, or use flags"
            )
        )
        return None
    option, text, where = given[0]
    try:
        name = text if option.key == "config" else f"{where} {text}"
        source = parse(option, text)
        assert isinstance(source, str | int)
        data = read(source)
        entries, found = document_entries(data, name)
    except SpecError as error:
        # A value that is no path or number at all is told by the flag's own parser.
        problems += [p for p in error.problems if p.where]
        return None
    problems += found
    return entries
