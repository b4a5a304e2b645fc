"""OCI hooks: which files are trusted, what one is told, what a failure says."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from nucleus.base.errors import LaunchError, SpecError
from nucleus.container.inputs import hooks
from nucleus.container.inputs.hooks_inside import requested


@pytest.fixture
def folder() -> Iterator[Path]:
    """A directory whose path others cannot change, unlike those of a sticky /tmp that a user shares."""
    with TemporaryDirectory(prefix="nucleus-hooks-") as name:
        yield Path(name)


def program(folder: Path, text: str, mode: int = 0o755) -> str:
    path = folder / "hook"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(mode)
    return str(path)


def listed(folder: Path, **points: object) -> str:
    path = folder / "hooks.json"
    path.write_text(json.dumps(points))
    path.chmod(0o600)
    return str(path)


def test_a_hook_reads_the_state_and_has_the_environment_that_is_written(folder: Path) -> None:
    path = program(folder, f"cat >{folder}/state; echo $A $0 $1 $HOME >>{folder}/state")
    entry = {"path": path, "args": ["name", "word"], "env": ["A=b"], "timeout": 5}
    (hook,) = hooks.load(listed(folder, prestart=[entry]))
    assert hook.point == "createRuntime"
    hooks.run(hook, hooks.state_of("abc", "creating", 7, "/b"))
    state, _, rest = (folder / "state").read_text().rpartition("}")
    assert json.loads(state + "}") == {
        "ociVersion": "1.0.2", "id": "abc", "status": "creating", "pid": 7, "bundle": "/b",
    }  # fmt: skip
    assert rest.split()[0] == "b" and rest.split()[-1] == "word"


def test_a_failure_says_what_the_hook_said(folder: Path) -> None:
    path = program(folder, "echo out of order >&2; exit 3")
    with pytest.raises(LaunchError, match="exit code 3: out of order"):
        hooks.run(hooks.Hook(point="poststart", path=path, args=("x",)), b"{}")


def test_a_hook_that_hangs_is_killed_with_its_children(folder: Path) -> None:
    path = program(folder, f"sleep 99 & echo $! >{folder}/child; wait")
    with pytest.raises(LaunchError, match="longer than 1 s"):
        hooks.run(hooks.Hook(point="poststart", path=path, args=("x",), timeout_s=1), b"{}")
    child = int((folder / "child").read_text())
    time.sleep(0.1)
    assert not os.path.exists(f"/proc/{child}") or "State:\tZ" in Path(f"/proc/{child}/status").read_text()


@pytest.mark.parametrize(
    ("mode", "where"),
    [(0o777, "file"), (0o4755, "file"), (0o644, "file"), (0o777, "folder"), (0o622, "list")],
)
def test_what_others_could_have_changed_is_not_run(folder: Path, mode: int, where: str) -> None:
    path = program(folder, "true")
    file = listed(folder, poststop=[{"path": path}])
    hooks.load(file)
    {"file": Path(path), "folder": folder, "list": Path(file)}[where].chmod(mode)
    with pytest.raises(SpecError):
        hooks.load(file)


@pytest.mark.parametrize(
    "points",
    [
        {"startContainer": [{"path": "bin/true"}]},
        {"startContainer": [{"path": "/bin/../true"}]},
        {"createContainer": [{"path": "/bin/true", "args": ["x"] * 501}]},
        {"createContainer": [{"path": "/nonexistent"}]},
        {"never": []},
        {"poststop": [{"path": "true"}]},
        {"poststop": [{"path": "/bin/true", "more": 1}]},
        {"poststop": [{"path": "/bin/true", "timeout": 0}]},
        {"poststop": [{"path": "/bin/true", "env": ["A"]}]},
        {"poststop": {"path": "/bin/true"}},
    ],
)
def test_what_is_no_list_of_hooks_is_refused(folder: Path, points: dict[str, object]) -> None:
    with pytest.raises(SpecError):
        hooks.load(listed(folder, **points))


def test_a_plan_has_the_hooks_inside_and_waits_for_those_of_the_host(folder: Path) -> None:
    path = program(folder, "true")
    known = requested(
        listed(
            folder, poststop=[{"path": path}], startContainer=[{"path": "/in/side", "timeout": 7}],
            createContainer=[{"path": path, "args": ["a", "b"], "env": ["K=v=w"]}],
        )
    )  # fmt: skip
    inside, made = known["hooks"]
    assert (inside.path, inside.slot, inside.timeout_s) == ("/in/side", "", 7)
    assert (made.slot, made.arguments, made.environment) == ("hook:2", ("a", "b"), (("K", "v=w"),))
    assert known["host_hooks"] is True
    assert requested(listed(folder, poststop=[{"path": path}])) == {"hooks": (), "host_hooks": False}
