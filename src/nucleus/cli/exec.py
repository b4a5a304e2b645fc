"""`nucleus exec [OPTION…] CONTAINER COMMAND…`: run a command in a running container.

✗ how (`container/running/inside.py`).
"""

from __future__ import annotations

import os
import sys

from ..base.errors import NucleusError, Problem
from .errors import render_error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..container.running.enter import Wish
    from ..container.running.handle import Handle
    from ..spec.container import ContainerSpec

HELP = """usage: nucleus exec [OPTION...] CONTAINER [--] COMMAND [ARGUMENT...]

Run a command in a running container: in its namespaces and cgroup, as its user,
under its lockdown.

  -e, --env KEY[=VALUE]     an environment variable beside the workload's;
                            without a value it is copied
  --env-file FILE           environment variables from a file of KEY=VALUE lines
  -w, --workdir DIR         the working directory (default: the workload's, or /
                            with -u)
  -u, --user UID|NAME[:GID]  another user of the container
  -d, --detach              return once the command was executed; it goes on by
                            itself, what it prints is lost
  -i, --interactive         pass the standard input on
  -t, --tty                 give the command a terminal of its own; with -i what
                            is typed goes there
  --timeout TIME            end the command after this time, with exit code 124
  --root DIR                the state root

ctrl-p ctrl-q leaves a terminal of -it.
Exit codes are those of `nucleus run`.
"""
_KEYS = frozenset((
    "detach", "env", "env_file", "workdir", "user", "group", "tty", "interactive", "timeout", "root", "log", "log_format",
))  # fmt: skip


def main(argv: list[str]) -> int:
    """The command's exit code; 125 and a message when it could not be had."""
    from .main import HelpWanted

    try:
        spec, container = parse(argv)
    except HelpWanted:
        sys.stdout.write(HELP)
        return 0
    try:
        return _enter(spec, container)
    except NucleusError as error:
        render_error(error, log_format=spec.log_format, log_path=spec.log_path)
        return error.exit_code


def parse(argv: list[str]) -> tuple[ContainerSpec, str]:
    """What is asked for, in the words of `run`, and the container.  Raises SpecError, HelpWanted."""
    from ..spec.assemble import assemble
    from ..spec.options import BY_KEY
    from .parser import read_file, split, told_by

    problems: list[Problem] = []
    flags, words = split(argv, problems, verb="exec")
    container, command = (words or [""])[0], (words or [""])[1:]
    if command[:1] == ["--"]:
        command = command[1:]
    if not container:
        problems.append(
            Problem(message="which container?", where="nucleus exec", remedy="nucleus ps lists them")
        )
    elif not command:
        problems.append(
            Problem(message="no command", where="nucleus exec", remedy="write it after the container")
        )
    for option, _, where in flags:
        if option.key not in _KEYS:
            message = "is decided when the container is made"
            problems.append(Problem(message=message, where=where, remedy="see `nucleus exec --help`"))
    wanted = {option.key for option, _, _ in flags}
    if "detach" in wanted and wanted & {"tty", "interactive"}:
        message = "a command that goes on by itself has no terminal and no input"
        problems.append(Problem(message=message, where="--detach", remedy="leave -i and -t away"))
    entries = told_by(os.environ) + [entry for entry in flags if entry[0].key in _KEYS]
    entries += [(BY_KEY["command"], word, "command") for word in command]
    spec = assemble(
        entries, environ=os.environ, read_file=read_file, problems=problems, whole=False
    )  # the rules are those of new containers
    return spec, container


def _enter(spec: ContainerSpec, container: str) -> int:
    from ..container.run import refuse_directory_streams
    from ..container.running.enter import Wish
    from ..container.running.handle import resolve
    from ..container.running.inside import enter_in_place, run_beside
    from ..launch import launcher
    from ..state.store import Store, default_root

    refuse_directory_streams()
    store = Store(spec.state_root or default_root(os.geteuid(), dict(os.environ)))
    try:
        with resolve(store, container) as handle:
            wish = Wish(
                command=spec.command, env=spec.env, directory=spec.workdir if spec.wrote("workdir") else "",
                user=spec.user, group=spec.group, timeout_ms=spec.timeout_ms or 0,
                own_group=not (spec.interactive and os.isatty(0)),
            )  # fmt: skip
            if spec.detach:
                run_beside(handle, wish)
                return 0
            if spec.tty:
                return _with_terminal(spec, handle, wish)
            if not spec.interactive:
                os.dup2(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC), 0)
            reporter = (sys.executable, "-I", "-S", launcher.REPORTER)
            enter_in_place(handle, wish, reporter, (spec.log_format, spec.log_path))
    finally:
        store.close()


def _with_terminal(spec: ContainerSpec, handle: Handle, wish: Wish) -> int:
    from ..container.terminal import enter_with_terminal
    from .reporter import report

    ended = enter_with_terminal(handle, wish, keyboard=spec.interactive)
    if ended is None:
        return 0  # its window was left; it goes on
    return report(
        ended.exit, ended.plan, [s.origin for s in ended.plan.steps], spec.log_format, spec.log_path
    )
