"""The command `nucleus`: finds the verb, imports its module alone, turns errors into messages and exit codes.

✗ no verb's own work: one file per verb.
"""

from __future__ import annotations

import os
import sys

from .. import cli
from ..base.errors import HostUnsupported, NucleusError, SpecError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

# Verb → (module, the sentence of the overview).  Each module has `main(argv) -> int`.
VERBS: dict[str, tuple[str, str]] = {
    "run": ("run", "run a command in a sandbox"),
    "exec": ("exec", "run a command in a running container"),
    "attach": ("attach", "open a window for a container's terminal, or show what it prints"),
    "explain": ("explain", "show the launch plan of a `run`, step by step, without running it"),
    "create": ("create", "make a container that waits for `start`"),
    "start": ("start", "let created containers run"),
    "stop": ("stop", "ask containers to end, and kill what does not"),
    "kill": ("kill", "send a signal to containers"),
    "restart": ("restart", "start containers once more"),
    "wait": ("wait", "wait until containers end, and print their exit codes"),
    "pause": ("pause", "stop all processes of containers where they are"),
    "unpause": ("unpause", "let paused containers go on"),
    "rename": ("rename", "give a container another name"),
    "ps": ("ps", "list containers"),
    "inspect": ("inspect", "show all that is known of containers"),
    "state": ("state", "show the state of a container in the words of the OCI"),
    "logs": ("logs", "print what a detached container wrote"),
    "events": ("events", "show what happened to containers, and what happens"),
    "workspace": ("workspace", "apply or discard what a run changed in a copy of its workspace"),
    "context": ("context", "print the digest of a context"),
    "rootfs": ("rootfs", "make the manifest of a root file system, or hold one against it"),
    "why": ("why", "tell what was refused to a container, and what would allow it"),
    "learn": ("learn", "run a command, recorded, and write the least that it needs"),
    "seccomp": ("seccomp", "make a profile of recorded system calls, or compare two"),
    "stats": ("stats", "show what running containers use"),
    "top": ("top", "list the processes of a container"),
    "update": ("update", "change limits of running containers"),
    "rm": ("rm", "remove containers"),
    "prune": ("prune", "remove all containers that have ended"),
    "doctor": ("doctor", "what this machine offers, what is missing, and what mends it"),
    "schema": ("schema_cmd", "print the JSON Schema of launch documents"),
    "completion": ("completion", "print the completion script of a shell"),
    "version": ("version", "print the version"),
    "help": ("help", "show help for a verb"),
}
# Verbs that nucleus calls itself by: in no list, and without help.
INTERNAL = {"in-unit": "in_unit", "supervise": "supervise"}
# Other words for a verb.
ALIASES = {"ls": "ps", "list": "ps", "delete": "rm"}
# Verbs that make root's own containers; with any other, root acts on a user's as that user.
_CREATING = ("run", "create", "explain", "learn")
_GLOBAL = ("--root", "--log", "--log-format")
_ACCEPTS = {
    "run": _GLOBAL,
    "create": _GLOBAL,
    "exec": _GLOBAL,
    "explain": _GLOBAL,
    "learn": ("--root",),
    **dict.fromkeys(
        (
            *(
                "start",
                "stop",
                "kill",
                "restart",
                "wait",
                "pause",
                "unpause",
                "rename",
                "ps",
                "inspect",
                "state",
                "rm",
            ),
            *(
                "attach",
                "why",
                "prune",
                "workspace",
                "stats",
                "top",
                "update",
                "logs",
                "events",
                "completion",
            ),
        ),
        ("--root",),
    ),
}
EXIT_USAGE = 125
_INTERRUPTED = 130
_BROKEN_PIPE = 141  # 128 + SIGPIPE


class HelpWanted(Exception):
    """--help stood among the options of a verb."""


def main(argv: list[str]) -> int:
    """Run one command line; returns the exit code."""
    cli.telling = form, log = log_choice(argv, os.environ.get("NUCLEUS_LOG_FORMAT", ""))
    _open_streams()
    try:
        verb, arguments = _verb(argv)
        status = _call(verb, arguments)
        sys.stdout.flush()
        return status
    except NucleusError as error:
        from .errors import render_error

        render_error(error, log_format=form, log_path=log)
        return error.exit_code
    except KeyboardInterrupt:
        _output_lost()  # its reader may have been interrupted, too
        return _INTERRUPTED
    except BrokenPipeError:
        _output_lost()  # nobody reads: leave without a word
        return _BROKEN_PIPE
    except OSError as error:
        return _exhausted(error, form, log)
    except Exception as error:  # noqa: BLE001 - the last line of defence: a bug is reported as one
        return _bug(error, form)


def _open_streams() -> None:
    """A stream that the caller closed becomes /dev/null: else the next file opened would take its number."""
    for fd, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
            # Python has none for a number that was closed when it started.
            setattr(sys, name, open(fd, "w" if fd else "r", encoding="utf-8", closefd=False))


def _output_lost() -> bool:
    """Whether standard output takes nothing more; then the interpreter's own flush is to find nothing amiss."""
    try:
        sys.stdout.flush()
        os.write(1, b"")  # what was too long for a buffer is in none: a device that is full says so again
        space = os.fstatvfs(1)
        if space.f_blocks and not space.f_bavail:
            raise OSError
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC), 1)
        return True
    return False


def log_choice(argv: list[str], fallback: str) -> tuple[str, str]:
    """--log-format and --log before the verb's own parser runs, since its errors are rendered by them too."""
    found = {"--log-format": fallback, "--log": ""}
    skip = False
    for at, word in enumerate(argv):
        if skip:
            skip = False
            continue
        if word == "--":
            break
        name, equals, value = word.partition("=")
        if name in found:
            found[name] = value if equals else argv[at + 1] if at + 1 < len(argv) else ""
            skip = not equals
    return "json" if found["--log-format"] == "json" else "text", found["--log"]


def _verb(argv: list[str]) -> tuple[str, list[str]]:
    """The verb and its arguments; --root, --log and --log-format may stand before the verb."""
    before: list[str] = []
    rest = list(argv)
    while rest:
        word = rest.pop(0)
        name, equals, value = word.partition("=")
        if name in _GLOBAL:
            before.append(word)
            if not equals:
                if not rest:
                    raise SpecError("needs a value", where=word, remedy=f"such as {word} VALUE")
                before.append(value := rest.pop(0))
            if name == "--log-format" and value not in ("text", "json"):
                raise SpecError(f"{value!r} is none of its values", where=name, remedy="use text or json")
        elif word in ("-h", "--help"):
            return "help", rest
        elif word in ("-V", "--version"):
            return "version", rest
        elif word.startswith("-"):
            raise SpecError(
                f"unknown option {ascii(name)}",
                where="nucleus",
                remedy="options stand after the verb; see `nucleus --help`",
            )
        elif word in INTERNAL:
            return word, rest
        elif (word := ALIASES.get(word, word)) in VERBS:
            return word, _accepted(before, _ACCEPTS.get(word, ())) + rest
        else:
            raise _unknown_verb(word)
    return "help", []


def _accepted(before: list[str], flags: tuple[str, ...]) -> list[str]:
    """Of the options before the verb, those that its own parser knows; `main` itself heeds the others."""
    found: list[str] = []
    at = 0
    while at < len(before):
        size = 1 if "=" in before[at] else 2
        if before[at].partition("=")[0] in flags:
            found += before[at : at + size]
        at += size
    return found


def _unknown_verb(word: str) -> SpecError:
    from ..spec.suggest import hint

    return SpecError(
        f"unknown verb {ascii(word)}",
        where="nucleus",
        remedy=f"`nucleus --help` lists them{hint(word, VERBS)}",
    )


def _call(verb: str, arguments: list[str]) -> int:
    if verb == "version":
        from .. import __version__

        sys.stdout.write(f"nucleus {__version__}\n")
        return 0
    if os.geteuid() == 0 and verb not in _CREATING and verb not in INTERNAL:
        from .owner import act_as_owner

        act_as_owner(arguments)
    try:
        return _function(verb)(arguments)
    except HelpWanted:
        return _function("help")([verb])


def _function(verb: str) -> Callable[[list[str]], int]:
    module = INTERNAL.get(verb) or VERBS[verb][0]
    __import__(f"nucleus.cli.{module}")
    found: Callable[[list[str]], int] = sys.modules[f"nucleus.cli.{module}"].main
    return found


# What any call may meet on a machine that is full, and what mends it.
_EXHAUSTED = {
    12: "free some memory",
    23: "raise fs.file-max, or end other programs",
    24: "raise the limit of open files: ulimit -n 1024",
    28: "free some space there",
    30: "name another place: this file system is read-only",
    122: "free some of your quota there",
}


def _exhausted(error: OSError, form: str, log: str) -> int:
    """ENOMEM, ENFILE, EMFILE, ENOSPC, EROFS, EDQUOT are the machine's; any other is a bug."""
    remedy = _EXHAUSTED.get(error.errno or 0)
    if remedy is None:
        return _bug(error, form)
    from .errors import render_error

    where = str(error.filename) if isinstance(error.filename, str | bytes) else "this machine"
    where = "standard output" if _output_lost() else where
    message = (error.strerror or "no resources").lower()
    render_error(HostUnsupported(message, where=where, remedy=remedy), log_format=form, log_path=log)
    return EXIT_USAGE


def _bug(error: Exception, form: str) -> int:
    """A one-line message; the traceback only for those who ask."""
    if os.environ.get("NUCLEUS_DEBUG") == "1":
        import traceback

        traceback.print_exception(error)
    from .errors import render_error

    class Bug(NucleusError):
        code = "bug"

    message = f"this is a bug: {type(error).__name__}: {error}".replace("\n", " ")
    bug = Bug(message, where="nucleus", remedy="set NUCLEUS_DEBUG=1 for the traceback, and report it")
    render_error(bug, log_format=form)
    return EXIT_USAGE
