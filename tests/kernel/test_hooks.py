"""OCI hooks at their five points: order, state, rights, failure, timeout, and who is killed meanwhile."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from sandboxes import PATIENCE_S, Boxes, descendants, wait_until

from nucleus.container.inputs import hooks as host_hooks
from nucleus.observe.events import read_events

# Inside a user namespace the folders above belong to nobody.
pytestmark = pytest.mark.identity("root", "user", "nosub")

POINTS = ("createRuntime", "createContainer", "startContainer", "poststart", "poststop")
SCRIPT = """#!/bin/sh
{ cat; echo; echo $A; id -u; readlink /proc/self/ns/net; readlink /proc/self/ns/pid
  grep -E 'CapEff|Seccomp:' /proc/self/status; } >$OUT/$1
case $1 in *Container) sleep 600 >/dev/null 2>&1 & esac
"""


class Hooks:
    """A list of hooks, the folder that those of the host write to, and the workspace with those inside."""

    def __init__(self, boxes: Boxes) -> None:
        self.boxes = boxes
        self.folder = boxes.directory("hooks")
        self.out = Path(tempfile.mkdtemp(prefix="nucleus-hooks-"))  # no folder above it is root's alone
        self.workspace = boxes.directory("workspace", (1000, 1000) if os.geteuid() == 0 else None)
        self.folder.chmod(0o755)
        self.out.chmod(0o777)
        self.file = self.folder / "hooks.json"

    def write(self, script: str = SCRIPT, *points: str, **more: Any) -> None:
        """The same script at those points."""
        document = {}
        for folder in (self.folder, self.workspace):
            (folder / "hook").write_text(script)
            (folder / "hook").chmod(0o755)
        for point in points or POINTS:
            inside = point == "startContainer"
            folder, out = ("/workspace", "/workspace") if inside else (str(self.folder), str(self.out))
            document[point] = [{
                "path": f"{folder}/hook", "args": ["hook", point], "env": ["A=b c", "PATH=/usr/bin:/bin", f"OUT={out}"],
                **more,
            }]  # fmt: skip
        self.file.write_text(json.dumps(document))
        self.file.chmod(0o600)

    def words(self, name: str) -> tuple[str, ...]:
        """Options of a container with them."""
        return ("--name", name, "--hooks", str(self.file), "--workspace", str(self.workspace))

    def said(self, point: str) -> list[str]:
        """What the script has written there."""
        folder = self.workspace if point == "startContainer" else self.out
        return (folder / point).read_text().split("\n")

    def has_begun(self, point: str) -> bool:
        """Whether it runs."""
        return (self.workspace if point == "startContainer" else self.out).joinpath(point).exists()


@pytest.fixture
def hooks(boxes: Boxes) -> Iterator[Hooks]:
    made = Hooks(boxes)
    yield made
    shutil.rmtree(made.out)


def told(boxes: Boxes, *types: str) -> list[dict[str, Any]]:
    return [event for event in read_events(str(boxes.root)) if event["type"] in types]


def test_each_point_runs_where_and_when_it_has_to_with_the_state(boxes: Boxes, hooks: Hooks) -> None:
    hooks.write()
    # What hooks leave running is ended: the workload waits until it is alone with process 1.
    alone = "while set -- /proc/[0-9]*; [ $# -ne 2 ]; do sleep 0.02; done"
    script = f"readlink /proc/self/ns/net; echo $$; {alone}; echo alone; read line"
    process = boxes.start(*hooks.words("h"), "--", "sh", "-c", script, stdin=subprocess.PIPE)
    wait_until(lambda: boxes.root.exists() and "poststart" in [e["hook"] for e in told(boxes, "hook")])
    out, _ = process.communicate("go\n", timeout=PATIENCE_S)
    network, pid, last = out.split()
    assert (process.returncode, pid, last) == (0, "2", "alone")
    events = told(boxes, "created", "hook", "started", "stopped")
    order = [event.get("hook", event["type"]) for event in events]
    assert order == ["created", *POINTS[:2], "started", *POINTS[2:4], "stopped", "poststop"]
    states = {point: json.loads(hooks.said(point)[0]) for point in POINTS}
    assert [states[p]["status"] for p in POINTS] == ["creating", "creating", "created", "running", "stopped"]
    assert (
        len({state["id"] for state in states.values()})
        == len({state["bundle"] for state in states.values()})
        == 1
    )
    assert len({states[p]["pid"] for p in POINTS[:4]}) == 1 and "pid" not in states["poststop"]
    assert {hooks.said(point)[1] for point in POINTS} == {"b c"}
    there = {point: hooks.said(point)[3] for point in POINTS}
    assert there["createContainer"] == there["startContainer"] == network
    assert there["createRuntime"] == there["poststart"] == os.readlink("/proc/self/ns/net") != network
    assert hooks.said("createContainer")[4] == hooks.said("startContainer")[4] != hooks.said("poststart")[4]
    seccomp = {point: hooks.said(point)[6] for point in POINTS}
    capabilities = {point: int(hooks.said(point)[5].split()[1], 16) for point in POINTS}
    assert seccomp["startContainer"] == "Seccomp:\t2" and capabilities["startContainer"] == 0
    assert capabilities["createContainer"] & 1 << 21, "CAP_SYS_ADMIN of the container's user namespace"
    assert hooks.said("startContainer")[2] == "1000"
    assert boxes.cli("rm", "h").code == 0


@pytest.mark.parametrize("point", POINTS[:3])
@pytest.mark.parametrize("how", ["fails", "hangs"])
def test_a_hook_before_the_command_that_does_not_succeed_ends_the_start(
    boxes: Boxes, hooks: Hooks, point: str, how: str
) -> None:
    if how == "fails":
        hooks.write("#!/bin/sh\necho out of order >&2\nexit 3\n", point)
    else:
        hooks.write("#!/bin/sh\nsleep 600\n", point, timeout=1)
    ran = boxes.cli("run", *hooks.words("h"), "--", "sh", "-c", "echo executed")
    assert ran.code == 125 and f"the {point} hook" in ran.err and "executed" not in ran.out, ran.err
    said = "exit code 3: out of order\n" if how == "fails" else "longer than"
    assert said in ran.err
    (event,) = told(boxes, "hook-failed")
    assert event["hook"] == point and ("out of order" in event["error"]) == (how == "fails")
    late = point == "startContainer"
    detached = boxes.cli("create", *(() if late else ("--rm",)), *hooks.words("d"), "--", "true")
    assert detached.code == (0 if late else 125), detached.err
    if not late:
        ends = [event["exit_code"] for event in told(boxes, "stopped") if event["name"] == "d"]
        assert ends == [125], "it ends once, also where its records are gone at once"
        assert said in detached.err
    else:
        refused = boxes.cli("start", "d")
        assert refused.code == 125 and f"the {point} hook" in refused.err and said in refused.err
    for name in ("h", "d"):
        boxes.cli("rm", "-f", name)


def test_a_hook_that_cannot_be_executed_is_told(boxes: Boxes, hooks: Hooks) -> None:
    hooks.write(SCRIPT, "startContainer")
    (hooks.workspace / "hook").unlink()
    ran = boxes.cli("run", *hooks.words("h"), "--", "true")
    assert ran.code == 125 and "exit code 127" in ran.err, ran.err
    boxes.cli("rm", "h")


def _victim(who: str) -> int:
    """Supervisor, monitor or pid 1 of the one container that is being started."""
    names, parents = descendants(), {}
    for pid in names:
        try:
            parents[pid] = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:  # it has ended meanwhile: none of the three
            continue
    (monitor,) = [
        p for p in parents if names[p] == "nucleus-launch" and "python" in names.get(parents[p], "")
    ]
    if who == "monitor":
        return monitor
    return parents[monitor] if who == "supervisor" else next(p for p in parents if parents[p] == monitor)


@pytest.mark.parametrize("point", POINTS[:3])
@pytest.mark.parametrize("who", ["supervisor", "monitor", "init"])
def test_whoever_is_killed_while_a_hook_runs_nothing_is_left(
    boxes: Boxes, hooks: Hooks, point: str, who: str
) -> None:
    hooks.write("#!/bin/sh\ntrap '' TERM\n>$OUT/$1\nsleep 3\n", point)
    process = boxes.cli_process("run", "--rm", *hooks.words("h"), "--", "sleep", "600")
    wait_until(lambda: hooks.has_begun(point))
    os.kill(_victim(who), signal.SIGKILL)
    process.communicate(timeout=PATIENCE_S)
    assert process.returncode not in (0, None)
    assert boxes.cli("ps", "-a").code == 0
    boxes.cli("rm", "-f", "h")


# ---- whom it trusts ----


def hooked(folder: Path, program: str) -> tuple[Path, Path]:
    """A list with one hook, and what it would leave behind."""
    (folder / "hook").write_text(f"#!/bin/sh\ntouch {folder}/ran\n")
    (folder / "hook").chmod(0o755)
    listed = folder / "hooks.json"
    listed.write_text(json.dumps({"createRuntime": [{"path": program.format(folder), "args": ["hook"]}]}))
    listed.chmod(0o600)
    return listed, folder / "ran"


@pytest.mark.parametrize(
    ("program", "change", "why"),
    [
        ("{}/open/hook", lambda f: put(f / "open", f / "hook", 0o777), "changed by others"),
        ("{}/link", lambda f: (put(f / "open", f / "hook", 0o777), (f / "link").symlink_to(f / "open/hook")), "others"),
        ("{}/../hook", lambda f: None, "not plain"),
        ("{}/hook", lambda f: ((f / "hook").unlink(), os.mkfifo(f / "hook", 0o755)), "regular file"),
    ],
)  # fmt: skip
def test_a_hook_that_others_can_change_is_not_run(
    boxes: Boxes, program: str, change: Callable[[Path], object], why: str
) -> None:
    """Every directory above it is judged by its descriptor, the end of a link too."""
    with TemporaryDirectory(prefix="nucleus-hook-") as name:
        listed, ran = hooked(Path(name), program)
        change(Path(name))
        done = boxes.cli("run", "--hooks", str(listed), "--", "true")
        assert done.code == 125 and why in done.err
        assert not ran.exists()


def put(folder: Path, file: Path, mode: int) -> None:
    """The file in a directory of that mode."""
    folder.mkdir()
    file.rename(folder / file.name)
    folder.chmod(mode)


def test_a_hook_that_is_exchanged_after_it_was_judged_is_not_run(
    boxes: Boxes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The descriptor that was judged is executed, whatever the path leads to by then."""
    with TemporaryDirectory(prefix="nucleus-hook-") as name:
        listed, ran = hooked(Path(name), "{}/hook")
        (hook,) = host_hooks.load(str(listed))
        spawn = os.posix_spawn

        def exchanged(*words: Any, **more: Any) -> int:
            (Path(name) / "hook").rename(Path(name) / "was")
            (Path(name) / "hook").write_text(f"#!/bin/sh\ntouch {name}/planted\n")
            return spawn(*words, **more)

        monkeypatch.setattr(os, "posix_spawn", exchanged)
        host_hooks.run(hook, b"{}")
        assert ran.exists() and not (Path(name) / "planted").exists()
