"""Manual pages in roff (groff_man(7)) of the command, its verbs and launch documents, from the tables.  ✗ writes files."""

from __future__ import annotations

from .. import __version__
from ..spec.options import GROUPS, OPTIONS
from ..spec.parse import type_of
from .completion_scripts import RUN_LIKE
from .help import meaning_of
from .main import VERBS
from .verb_help import page_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..spec.options import Option

DOCUMENT = "nucleus-launch-document"
_WITHOUT_PAGE = ("help", "version")
_ABOUT = {
    "run": "Runs a command in a sandbox of its own and waits for it. Options end at -- or at the first word that is no "
    "option. What is not asked for is closed: no network but loopback, no file of the host but its programs, no "
    "capability.",
    "explain": "Shows the launch plan of such a run, step by step, without running it. --format text or json, or --raw, may "
    "stand first, and --prepared, which shows the two plans of a program that starts many; "
    "the other options are those of nucleus-run(1).",
    "create": "Makes a container ready and does not start its command: nucleus-start(1) does. The options are those of "
    "nucleus-run(1).",
}
_EXIT = (
    ("0 to 123", "the command's own"),
    ("124", "--timeout was reached"),
    ("125", "nucleus itself failed or refused"),
    ("126", "the command was found and cannot be executed"),
    ("127", "the command was not found"),
    ("128 + n", "signal n ended the command"),
)
_ENVIRONMENT = (
    ("NUCLEUS_STATE_DIR", "the state root, where --root is not given"),
    ("NUCLEUS_LOG_FORMAT", "the form of messages, where --log-format is not given"),
    ("NUCLEUS_PLAN_CACHE", "0: run keeps no plan in the state root, and starts from none"),
    ("NUCLEUS_DEBUG", "1: a bug prints its traceback"),
)
_FILES = (
    ("/run/nucleus", "the state root of root"),
    ("$XDG_RUNTIME_DIR/nucleus", "the state root of another user"),
)
_EXAMPLES = (
    "nucleus run -- python3 -c 'print(\"hello\")'",
    "nucleus run --workspace . --memory 1G --timeout 10m -- make test",
    "nucleus explain --workspace . -- make test",
)


def pages() -> dict[str, str]:
    """File name → page."""
    found = {"nucleus.1": _overview(), f"{DOCUMENT}.5": _document()}
    for verb in VERBS:
        if verb in RUN_LIKE:
            found[f"nucleus-{verb}.1"] = _run_like(verb)
        elif verb not in _WITHOUT_PAGE:
            found[f"nucleus-{verb}.1"] = _verb(verb)
    return found


def roff(text: str) -> str:
    """Text as roff shows it: no control character of its own, hyphens that can be searched for."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("…", "\\&...")
    return "\\&" + escaped if escaped.startswith((".", "'")) else escaped


def _bold(text: str) -> str:
    return f"\\fB{roff(text)}\\fR"


def _head(name: str, section: int, sentence: str) -> list[str]:
    return [
        '.\\" Made by tools/gen_manual.py from the tables of verbs and options.',
        f'.TH {name.upper()} {section} "" "nucleus {__version__}" "Nucleus"',
        ".SH NAME",
        f"{roff(name)} \\- {roff(sentence)}",
    ]


def _entries(title: str, rows: list[tuple[str, str]]) -> list[str]:
    lines = [f".SH {title}"]
    for head, text in rows:
        lines += [".TP", head, roff(text)]
    return lines


def _page(lines: list[str]) -> str:
    return "\n".join(lines) + "\n"


def _see_also(*names: str) -> list[str]:
    return [".SH SEE ALSO", ", ".join([f"{_bold(n.partition('(')[0])}({n.partition('(')[2]}" for n in names])]


def _overview() -> str:
    lines = _head("nucleus", 1, "runs commands in hardened Linux sandboxes")
    lines += [
        ".SH SYNOPSIS",
        f"{_bold('nucleus')} [{_bold('--root')} \\fIDIR\\fR] \\fIVERB\\fR [\\fIARGUMENT\\fR ...]",
    ]
    lines += [
        ".SH DESCRIPTION",
        roff(
            "A container runtime without a daemon. What is asked for and what the machine offers are compiled into a launch "
            "plan, which a small static program carries out: namespaces, cgroups, Landlock, seccomp, no capability."
        ),
    ]
    lines += _entries("VERBS", [(_bold(verb), text) for verb, (_, text) in VERBS.items()])
    lines += _entries(
        "OPTIONS",
        [(_option_head(o), meaning_of(o)) for o in OPTIONS if o.key in ("root", "log", "log_format")],
    )
    lines += _entries("EXIT STATUS", [(roff(code), text) for code, text in _EXIT])
    lines += _entries("ENVIRONMENT", [(_bold(name), text) for name, text in _ENVIRONMENT])
    lines += _entries("FILES", [(f"\\fI{roff(name)}\\fR", text) for name, text in _FILES])
    lines += [".SH EXAMPLES", ".EX", *[roff(line) for line in _EXAMPLES], ".EE"]
    names = [f"nucleus-{verb}(1)" for verb in VERBS if verb not in _WITHOUT_PAGE]
    return _page(lines + _see_also(*names, f"{DOCUMENT}(5)"))


def _option_head(option: Option) -> str:
    names = ", ".join([_bold(n) for n in (option.short, option.flag) if n])
    if option.bare is None:
        return f"{names} \\fI{roff(option.metavar)}\\fR"
    return f"{names}[=\\fI{roff(option.metavar)}\\fR]" if option.metavar else names


def _run_like(verb: str) -> str:
    sentence = VERBS[verb][1].replace("`", "")
    lines = _head(f"nucleus-{verb}", 1, sentence)
    word = _bold(f"nucleus {verb}")
    lines += [
        ".SH SYNOPSIS",
        f"{word} [\\fIOPTION\\fR ...] [{_bold('--')}] \\fICOMMAND\\fR [\\fIARGUMENT\\fR ...]",
        ".br",
        f"{word} {_bold('--config')} \\fIFILE\\fR [\\fIOPTION\\fR ...] [{_bold('--')} \\fICOMMAND\\fR ...]",
        ".SH DESCRIPTION",
        roff(_ABOUT[verb]),
    ]
    if verb == "run":
        for group, title in GROUPS:
            rows = [(_option_head(o), meaning_of(o)) for o in OPTIONS if o.cli and o.group == group]
            lines += _entries(title.upper(), rows)
    lines += _entries("EXIT STATUS", [(roff(code), text) for code, text in _EXIT])
    return _page(
        lines + _see_also("nucleus(1)", *(["nucleus-run(1)"] if verb != "run" else []), f"{DOCUMENT}(5)")
    )


def _verb(verb: str) -> str:
    page = page_of(verb)
    lines = _head(f"nucleus-{verb}", 1, VERBS[verb][1])
    lines.append(".SH SYNOPSIS")
    for number, usage in enumerate(page.usage):
        lines += ([".br"] if number else []) + [roff(usage)]
    lines.append(".SH DESCRIPTION")
    for number, text in enumerate(page.text):
        lines += ([".PP"] if number else []) + [roff(text)]
    rows = []
    for flag in page.flags:
        names = ", ".join([_bold(n) for n in flag.names])
        rows.append((f"{names} \\fI{roff(flag.metavar)}\\fR" if flag.metavar else names, flag.text))
    lines += _entries("OPTIONS", rows) if rows else []
    return _page(lines + _see_also("nucleus(1)"))


def _document() -> str:
    lines = _head(DOCUMENT, 5, "options of nucleus run in a TOML or JSON file")
    lines += [
        ".SH DESCRIPTION",
        roff(
            "A launch document holds options of nucleus-run(1) under their long names, with _ for each hyphen. It is read "
            "with --config FILE or --config-fd N; what begins with { is JSON, anything else TOML. Flags replace its "
            "values, repeatable flags add to them, a command replaces its command. Unknown keys are refused."
        ),
        ".SH EXAMPLE",
        ".EX",
        *[
            roff(x)
            for x in ('command = ["make", "test"]', 'workspace = "."', 'memory = "1G"', 'timeout = "10m"')
        ],
        ".EE",
    ]
    rows = [
        (f"{_bold(o.key)} ({roff(type_of(o)[1].replace('`', ''))})", meaning_of(o))
        for group, _ in GROUPS
        for o in OPTIONS
        if o.document and o.group == group
    ]
    lines += _entries("KEYS", rows)
    return _page(lines + _see_also("nucleus-run(1)", "nucleus-schema(1)"))
