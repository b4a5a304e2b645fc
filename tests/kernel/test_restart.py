"""A container that is started once more, by `start` or `restart`, or cannot be.  ✗ by itself: `test_supervision.py`."""

from __future__ import annotations

import os
import subprocess

import pytest
from sandboxes import COMMAND, Boxes, wait_until

from nucleus.base.errors import Conflict, SpecError
from nucleus.container.container import Container

NOT_IN_GUESTS = pytest.mark.identity("root", "user", "nosub", "nested")


def running(boxes: Boxes, *command: str, **options: object) -> Container:
    return Container.run(command, root=str(boxes.root), **options)


def test_a_restart_is_the_same_container_once_more(boxes: Boxes) -> None:
    work = boxes.directory("work")
    container = running(
        boxes, "sh", "-c", "echo $WORD >>/workspace/out; sleep 60", name="web", env={"WORD": "again"},
        workspace=str(work),
    )  # fmt: skip
    before = container.inspect()
    wait_until(lambda: (work / "out").exists() and "again" in (work / "out").read_text())
    container.restart(grace_s=0)
    wait_until(lambda: (work / "out").read_text().count("again") == 2)
    after = container.inspect()
    assert (after["name"], after["status"], after["created_ns"]) == ("web", "running", before["created_ns"])
    assert after["pid"] != before["pid"]
    container.stop(grace_s=0)
    container.restart()
    assert container.status == "running"
    container.remove(force=True)
    assert os.listdir(boxes.root / "names") == []


@NOT_IN_GUESTS
def test_a_restart_that_cannot_be_is_refused_before_anything_ends(boxes: Boxes) -> None:
    read, write = os.pipe()
    os.write(write, b"TOKEN=one\0")
    os.close(write)
    done = subprocess.run(
        [COMMAND, "run", "--root", str(boxes.root), "-d", "--name", "web", "--env-fd", str(read), "--", "sleep", "60"],
        pass_fds=(read,), env=boxes.environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    os.close(read)
    assert done.returncode == 0, done.stderr
    refused = boxes.cli("restart", "web")
    assert refused.code == 125 and "--env-fd" in refused.err
    assert boxes.inspect("web")["status"] == "running"
    boxes.cli("rm", "-f", "web")
    gone = running(boxes, "sleep", "60", rm=True)
    with pytest.raises(Conflict):
        gone.restart()
    gone.remove(force=True)


def test_a_restart_without_what_it_takes_from_the_host_is_refused_before_anything_ends(boxes: Boxes) -> None:
    work = boxes.directory("work")
    secret, data, events = work / "token", work / "data", work / "events"
    secret.write_text("one")
    data.mkdir()
    events.mkdir()
    container = running(
        boxes, "sleep", "60", name="web", volume=[f"{data}:/data"], secret=[f"token={secret}"],
        events_jsonl=str(events / "all"), detach_with="none",
    )  # fmt: skip
    pid = container.inspect()["pid"]
    for gone in (secret, data, events):
        gone.rename(aside := work / "aside")
        with pytest.raises(SpecError, match=str(gone)):
            container.restart()
        assert (container.status, container.inspect()["pid"]) == ("running", pid)
        aside.rename(gone)
    container.restart(grace_s=0)
    assert container.status == "running" and container.inspect()["pid"] != pid
    container.remove(force=True)


@pytest.mark.parametrize("verb", ["start", "restart"])
def test_what_ran_in_the_foreground_runs_once_more_by_itself(boxes: Boxes, verb: str) -> None:
    work = boxes.directory("work")
    script = "echo kept >>out; exit 3"
    ran = subprocess.run(
        [COMMAND, "run", "--root", str(boxes.root), "--name", "job", "--workspace", work.name,
         "--", "sh", "-c", script],
        cwd=work.parent, env=boxes.environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 3, ran.stderr
    before = boxes.inspect("job")
    again = boxes.cli(verb, "job")
    assert (again.code, again.out.strip()) == (0, before["id"]), again.err
    assert boxes.cli("wait", "job").out == "3\n"
    assert (work / "out").read_text() == "kept\nkept\n"
    after = boxes.inspect("job")
    assert (after["created_ns"], after["name"]) == (before["created_ns"], "job") and after["detached"]


@pytest.mark.parametrize("supervised", [(), ("--restart", "on-failure")])
def test_variables_of_a_run_in_the_foreground_are_kept_for_no_restart(
    boxes: Boxes, supervised: tuple[str, ...]
) -> None:
    words = ("-e", "TOKEN=hunter2-c0rrect-h0rse", *supervised, "--", "true")
    assert boxes.cli("run", "--name", "job", *words).code == 0
    again = boxes.cli("restart", "job")
    assert again.code == 125 and "--env" in again.err and "TOKEN" in again.err, again.err
    state = b"".join(path.read_bytes() for path in boxes.root.rglob("*") if path.is_file())
    assert b"hunter2" not in state
    assert boxes.inspect("job")["status"] == "stopped"
