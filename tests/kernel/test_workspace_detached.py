"""copy-in-out of containers that go on by themselves: who stays beside them applies the changes, once, at the very end."""

from __future__ import annotations

import json
import os
import signal
import threading
from pathlib import Path

import pytest
from sandboxes import PATIENCE_S, Boxes, descendants, own_identity, reap_orphans, wait_until
from test_lifecycle import waiters_of
from test_terminal import Window

from nucleus import Container
from nucleus.base.errors import Conflict

# Guests are too slow for what is timed here.
pytestmark = pytest.mark.identity("root", "user", "nosub", "nested")


@pytest.fixture
def work(boxes: Boxes) -> Path:
    top = boxes.directory("work")
    (top / "a").write_text("one\n")
    if own_identity() == "root":
        for path in (top, top / "a"):
            os.chown(path, 4242, 4243)
    return top


def started(boxes: Boxes, work: Path, script: str, **options: object) -> Container:
    wish = {"workspace": str(work), "workspace_mode": "copy-in-out", **options}
    return Container.run(["sh", "-c", script], root=str(boxes.root), **wish)


def folder(boxes: Boxes, container: Container) -> Path:
    return boxes.root / "containers" / container.id


def supervisor_of(boxes: Boxes, container: Container) -> int:
    return int(json.loads((folder(boxes, container) / "supervisor.json").read_bytes())["pid"])


def test_changes_of_a_detached_container_arrive_when_it_has_ended(boxes: Boxes, work: Path) -> None:
    ran = boxes.cli(
        "run", "-d", "--name", "job", "--workspace", str(work), "--workspace-mode", "copy-in-out", "--",
        "sh", "-c", "echo more >>a; echo begun; exec sleep 300",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    wait_until(lambda: boxes.cli("logs", "job").out == "begun\n")
    assert (work / "a").read_text() == "one\n"
    assert boxes.cli("stop", "job").code == 0
    assert (work / "a").read_text() == "one\nmore\n", "`stop` returns when they were applied"
    assert (work / "a").stat().st_uid == work.stat().st_uid
    known = boxes.inspect("job")
    assert (known["workspace"]["state"], known["exit_code"], known["status"]) == ("applied", 143, "stopped")


def test_with_rm_nothing_but_the_changes_stays(boxes: Boxes, work: Path) -> None:
    container = started(boxes, work, "echo more >>a; exit 3", rm=True)
    wait_until(lambda: not folder(boxes, container).exists())
    assert (work / "a").read_text() == "one\nmore\n"


def test_who_waits_for_a_container_that_is_removed_hears_its_exit_code(boxes: Boxes, work: Path) -> None:
    wish = {"workspace": str(work), "workspace_mode": "copy-in-out", "rm": True}
    container = Container.create(["sh", "-c", "echo more >>a; exit 3"], root=str(boxes.root), **wish)
    codes: list[int] = []
    waiter = threading.Thread(target=lambda: codes.append(container.wait().exit_code))
    waiter.start()
    wait_until(lambda: waiters_of(boxes, container) == 1)
    container.start()
    waiter.join(PATIENCE_S)
    assert codes == [3]
    assert (work / "a").read_text() == "one\nmore\n"
    wait_until(lambda: not folder(boxes, container).exists())


def test_conflicts_of_a_detached_container_are_kept_beside_and_told_by_inspect(
    boxes: Boxes, work: Path
) -> None:
    container = started(boxes, work, "echo inside >a; echo begun; exec sleep 300")
    wait_until(lambda: [x.data for x in container.logs()] == [b"begun\n"])
    (work / "a").write_text("outside\n")
    container.stop(grace_s=0)
    known = boxes.inspect(container.id)["workspace"]
    assert (known["state"], known["conflicts"]) == ("conflicts", [["a", "both changed it"]])
    assert (work / "a").read_text() == "outside\n" and (
        Path(known["kept_in"]) / "a"
    ).read_text() == "inside\n"


def test_when_the_supervisor_is_killed_the_changes_are_pending_and_workspace_goes_on(
    boxes: Boxes, work: Path
) -> None:
    container = started(boxes, work, "echo late >l; echo begun; exec sleep 300", name="job")
    wait_until(lambda: [x.data for x in container.logs()] == [b"begun\n"])
    os.kill(supervisor_of(boxes, container), signal.SIGKILL)
    wait_until(lambda: boxes.inspect("job")["status"] == "stopped")
    assert boxes.inspect("job")["workspace"] == {"state": "pending"} and not (work / "l").exists()
    with pytest.raises(Conflict, match="not applied"):
        container.restart()
    with pytest.raises(Conflict, match="not applied"):
        container.remove()
    assert "make      l" in boxes.cli("workspace", "diff", "job").out
    assert boxes.cli("workspace", "apply", "job").code == 0
    assert (work / "l").read_text() == "late\n"


def test_restarts_go_on_with_one_copy_which_is_applied_at_the_last_end(boxes: Boxes, work: Path) -> None:
    script = "echo more >>a; test $(wc -l <a) -ge 4 || exit 7; echo last; sleep 1"
    container = started(boxes, work, script, restart="on-failure")
    seen = set()
    while container.status != "stopped":
        seen.add((work / "a").read_text())
    assert container.wait().exit_code == 0
    assert seen <= {"one\n", "one\nmore\nmore\nmore\n"}, "nothing arrived between two lives"
    assert (work / "a").read_text() == "one\nmore\nmore\nmore\n"
    assert boxes.inspect(container.id)["restarts"] == 2


def test_a_container_that_is_started_again_gets_a_copy_of_what_is_there_now(boxes: Boxes, work: Path) -> None:
    container = started(boxes, work, "echo more >>a")
    container.wait()
    assert (work / "a").read_text() == "one\nmore\n"
    (work / "a").write_text("mine\n")
    container.start()
    container.wait()
    assert (work / "a").read_text() == "mine\nmore\n"


def test_rm_with_force_throws_the_changes_away(boxes: Boxes, work: Path) -> None:
    container = started(boxes, work, "echo more >>a; echo begun; exec sleep 300")
    wait_until(lambda: [x.data for x in container.logs()] == [b"begun\n"])
    container.remove(force=True)
    assert not folder(boxes, container).exists() and (work / "a").read_text() == "one\n"


def test_supervision_in_the_foreground_applies_too(boxes: Boxes, work: Path) -> None:
    wish = ("--workspace", str(work), "--workspace-mode", "copy-in-out", "--restart", "on-failure:1", "--rm")
    refused = boxes.cli("run", *wish, "--", "true")
    assert refused.code == 125 and "cannot restart what --rm removes" in refused.err
    ran = boxes.cli("run", *wish[:-1], "--name", "job", "--", "sh", "-c", "echo more >>a; exit 7")
    assert ran.code == 7, ran.err
    assert (work / "a").read_text() == "one\nmore\nmore\n"
    assert boxes.inspect("job")["workspace"]["state"] == "applied"


def test_a_command_that_was_not_found_changes_nothing(boxes: Boxes, work: Path) -> None:
    wish = ("--workspace", str(work), "--workspace-mode", "copy-in-out")
    assert boxes.cli("run", "-d", *wish, "--", "/no/such/program").code == 127
    assert (work / "a").read_text() == "one\n" and os.listdir(work) == ["a"]


def test_a_container_that_ends_before_it_is_ready_says_so(boxes: Boxes, work: Path) -> None:
    with pytest.raises(Conflict, match="before it was ready"):
        started(boxes, work, "echo more >>a; sleep 1.5", readiness_exec="test -e /none")
    wait_until(lambda: (work / "a").read_text() == "one\nmore\n")


# ---- with a terminal ----

COPY = ("--workspace-mode", "copy-in-out")


def test_with_a_terminal_the_changes_are_applied_at_the_end(boxes: Boxes, work: Path) -> None:
    window = Window(boxes, "run", "-it", "--name", "job", "--workspace", str(work), *COPY, "--", "sh", "-c",
                    "echo more >>a; echo begun; read x; exit 3")  # fmt: skip
    window.expect("begun")
    wait_until(window.raw)
    assert (work / "a").read_text() == "one\n"
    window.send("x\r")
    assert window.end() == 3
    assert (work / "a").read_text() == "one\nmore\n"
    assert boxes.inspect("job")["workspace"]["state"] == "applied"


def kept(boxes: Boxes, work: Path, script: str) -> None:
    words = ("-d", "-t", "--name", "job", "--workspace", str(work), *COPY)
    ran = boxes.cli("run", *words, "--", "sh", "-c", script)
    assert ran.code == 0, ran.err
    wait_until(lambda: boxes.inspect("job")["status"] == "running")


def test_who_keeps_a_terminal_that_was_left_applies_the_changes(boxes: Boxes, work: Path) -> None:
    kept(boxes, work, "echo more >>a; sleep 300")
    wait_until(lambda: "more" in stage(boxes, "a"))
    assert (work / "a").read_text() == "one\n"
    assert boxes.cli("stop", "-t", "0", "job").code == 0
    assert (work / "a").read_text() == "one\nmore\n", "`stop` returns when they were applied"
    reap_orphans()


def stage(boxes: Boxes, name: str) -> str:
    (container,) = (boxes.root / "containers").iterdir()
    return (container / "workspace" / "stage" / name).read_text()


def test_when_who_keeps_the_terminal_is_killed_the_changes_are_pending(boxes: Boxes, work: Path) -> None:
    before = set(descendants())
    kept(boxes, work, "echo more >>a; sleep 300")
    wait_until(lambda: "more" in stage(boxes, "a"))
    (keeper,) = [
        pid for pid, name in descendants().items() if pid not in before and name.startswith("python")
    ]
    os.kill(keeper, signal.SIGKILL)
    wait_until(lambda: boxes.inspect("job")["status"] == "stopped")
    assert boxes.inspect("job")["workspace"] == {"state": "pending"} and (work / "a").read_text() == "one\n"
    assert boxes.cli("workspace", "apply", "job").code == 0
    assert (work / "a").read_text() == "one\nmore\n"
    reap_orphans()
