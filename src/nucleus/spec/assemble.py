"""What was written, in order, → ContainerSpec, or every problem at once: flags, documents and keywords alike.

Later values replace earlier ones, repeatable options add up (of equal names the last one holds).
✗ opens no file: `read_file` and the caller's environment come as arguments.
"""

from __future__ import annotations

from ..base.errors import Problem, SpecError
from .container import ContainerSpec
from .kinds import parse
from .options import BY_KEY, OPTIONS
from .rules import check

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    from .options import Option

    Entry = tuple[Option, str, str]  # the option, its text, where it stands
    ReadFile = Callable[[str | int], bytes]


class _Draft:
    """Values by field, and what is wrong, while the entries are gone through."""

    __slots__ = (
        *("access", "environ", "env_files", "groups", "places", "problems"),
        *("read_file", "strict", "values"),
    )

    def __init__(self, environ: Mapping[str, str], read_file: ReadFile) -> None:
        self.environ = environ
        self.read_file = read_file
        self.strict = ""  # where --strict-agent was written
        self.access = ""  # ro or rw, where the workspace was written with it
        self.values: dict[str, Any] = {}
        self.env_files: list[tuple[str, str]] = []
        self.groups: list[str] = []
        self.places: dict[str, str] = {}
        self.problems: list[Problem] = []

    def refuse(self, error: SpecError, where: str) -> None:
        for problem in error.problems:
            self.problems.append(problem if problem.where else problem.replace(where=where))

    def enter(self, option: Option, text: str, where: str) -> None:
        """Parse one entry and put its value where it belongs."""
        self.places[option.key] = where
        try:
            value = parse(option, text)
            special = _SPECIAL.get(option.key)
            if special is not None:
                special(self, value, where)
            elif option.repeat:
                values = self.values.setdefault(option.field, [])
                self.places[f"{option.key}[{len(values)}]"] = where
                values.append(value)
            elif option.field:
                self.values[option.field] = value
        except SpecError as error:
            self.refuse(error, where)


def _user(draft: _Draft, value: tuple[str, str], where: str) -> None:
    draft.values["user"], group = value
    draft.groups = [group] if group else []


def _workspace(draft: _Draft, value: tuple[str, str], where: str) -> None:
    draft.values["workspace"], draft.access = value


def _env(draft: _Draft, value: tuple[str, str | None], where: str) -> None:
    from .environment import copy_of

    key, text = value
    if text is None:
        text, problem = copy_of(key, where, draft.environ)
        draft.problems += [problem] if problem else []
    draft.values.setdefault("env", []).append((key, text))


def _env_file(draft: _Draft, value: str, where: str) -> None:
    from .environment import variables_of_file

    found, problems = variables_of_file(draft.read_file(value), value, draft.environ)
    draft.env_files += found
    draft.places.setdefault("env", where)
    draft.problems += problems


def _mode(draft: _Draft, value: str, where: str) -> None:
    draft.values["mode"] = "strict-agent" if value == "mitos-agent" else value


def _strict_agent(draft: _Draft, value: bool, where: str) -> None:
    draft.strict = where if value else ""


_SPECIAL: dict[str, Callable[[_Draft, Any, str], None]] = {
    "service_mode": _mode, "strict_agent": _strict_agent, "user": _user, "workspace": _workspace, "env": _env,
    "env_file": _env_file,
}  # fmt: skip


def assemble(
    entries: Iterable[Entry],
    *,
    environ: Mapping[str, str],
    read_file: ReadFile,
    problems: Iterable[Problem] = (),
    whole: bool = True,
) -> ContainerSpec:
    """The spec that the entries describe.  Raises SpecError with `problems` and all that is found here.

    whole   False: a document could not be read, so what is absent may have stood there
    """
    draft = _Draft(environ, read_file)
    for problem in problems:
        draft.problems.append(problem)
        # What is told of already was written, even though it has no value.
        path = problem.where.rpartition("$.")[2]
        draft.places.setdefault(path.partition("[")[0].partition(".")[0], problem.where)
    for option, text, where in entries:
        draft.enter(option, text, where)
    _finish(draft)
    written = dict.fromkeys([option.key for option in OPTIONS if option.key in draft.places and option.field])
    spec = ContainerSpec(explicit=tuple(written), **draft.values)
    if whole:
        # What a broken option would have meant is not known: no rule is asked about it.
        broken = {problem.where for problem in draft.problems}
        draft.problems += [p for p in check(spec, draft.places) if p.where not in broken]
    if draft.problems:
        raise SpecError(problems=tuple(draft.problems))
    return spec


def _finish(draft: _Draft) -> None:
    """Lists become tuples; of what has a name, the last one with that name holds."""
    values = draft.values
    if draft.env_files:
        values["env"] = draft.env_files + values.get("env", [])
    if draft.groups:
        if "group" in values and values["group"] != draft.groups[0]:
            draft.problems.append(
                Problem(
                    message="--user names another group",
                    where=draft.places["group"],
                    remedy="write the group once",
                )
            )
        values["group"] = draft.groups[0]
    if draft.access:
        _finish_workspace(draft)
    if draft.strict and values.get("mode") == "production":
        draft.problems.append(
            Problem(
                message="mode production is stricter than it", where=draft.strict,
                remedy="use one of the two",
            )
        )  # fmt: skip
    elif draft.strict:
        values["mode"] = "strict-agent"
    for field in ("labels", "env"):
        if field in values:
            values[field] = dict(values[field]).items()
    if "ulimits" in values:
        values["ulimits"] = {limit.name: limit for limit in values["ulimits"]}.values()
    for option in BY_KEY.values():
        if option.repeat and option.field in values:
            values[option.field] = tuple(
                dict.fromkeys(values[option.field]) if option.kind in _SETS else values[option.field]
            )


def _finish_workspace(draft: _Draft) -> None:
    """DIR:ro is a promise: no mode beside it, before or behind, makes the directory one that is written to."""
    mode = draft.values.setdefault("workspace_mode", f"bind-{draft.access}")
    draft.places.setdefault("workspace_mode", draft.places["workspace"])
    if (mode == "bind-ro") != (draft.access == "ro"):
        draft.problems.append(
            Problem(
                message=f"is {mode}, and --workspace says {draft.access}",
                where=draft.places["workspace_mode"],
                remedy="say it once: leave one of the two away",
            )
        )


_SETS = ("account", "syscall", "path")
