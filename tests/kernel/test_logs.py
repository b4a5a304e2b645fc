"""What a detached container printed: kept in files, whatever happens to the disk, and read back."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from sandboxes import PATIENCE_S, Boxes, descendants, wait_until

from nucleus.container.container import Container
from nucleus.observe.events import read_events


@pytest.mark.identity("root", "user", "vm-root")
def test_a_full_disk_makes_nobody_wait_and_the_loss_is_counted(tmp_path: Path, identity: str) -> None:
    """A file system in memory, full while the workload prints: what did not fit is told as soon as there is room."""
    script = Path(__file__).with_name("log_disk_full.py")
    own = (
        ["unshare", "--mount"]
        if identity.endswith("root")
        else ["unshare", "--user", "--map-root-user", "--mount"]
    )
    done = subprocess.run(
        [*own, sys.executable, "-I", str(script), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=3 * PATIENCE_S,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["lost"] > 0 and found["kept"] > 0
    assert found["kept"] + found["lost"] == found["written"]
    assert found["told_meanwhile"] == found["lost"]
    assert found["last"] == "after\n"


# Where a service manager runs, its journal would have the log: `test_service_manager.py`.
FILES = ("run", "-d", "--detach-with", "none", "--name", "job", "--")
NOT_IN_GUESTS = pytest.mark.identity("root", "user", "nosub", "nested")
TALK = "echo one; echo bad >&2; sleep 0.3; echo two; printf 'no end'"


def test_a_detached_container_is_read_while_it_runs_and_after_its_end(boxes: Boxes) -> None:
    started = boxes.cli(*FILES, "sh", "-c", f"{TALK}; sleep 60")
    assert started.code == 0, started.err
    followed = boxes.cli_process("logs", "-f", "job")
    wait_until(lambda: boxes.cli("logs", "job").out == "one\ntwo\nno end")
    assert boxes.cli("stop", "-t", "0", "job").code == 0
    out, _ = followed.communicate(timeout=PATIENCE_S)
    assert out == "one\ntwo\nno end"
    after = boxes.cli("logs", "job")
    assert (after.out, after.err) == ("one\ntwo\nno end", "bad\n")
    assert boxes.cli("logs", "--stderr", "job").out == ""
    assert boxes.cli("logs", "-n", "1", "--stdout", "job").out == "no end"
    assert boxes.cli("logs", "--until", "1h", "job").out == ""


def test_a_new_life_goes_on_in_the_same_log(boxes: Boxes) -> None:
    assert boxes.cli(*FILES, "echo", "alive").code == 0
    assert boxes.cli("wait", "job").out == "0\n"
    assert boxes.cli("restart", "job").code == 0
    assert boxes.cli("wait", "job").out == "0\n"
    wait_until(lambda: boxes.cli("logs", "job").out == "alive\nalive\n")


@NOT_IN_GUESTS
def test_more_than_is_kept_makes_nobody_wait_and_leaves_the_end(boxes: Boxes) -> None:
    """40 MB, more than all files together hold."""
    script = "yes 'a line of forty characters, more or less' | head -c 40000000; echo END"
    assert boxes.cli(*FILES, "sh", "-c", script).code == 0
    assert boxes.cli("wait", "job").out == "0\n"
    wait_until(lambda: boxes.cli("logs", "-n", "1", "job").out.endswith("END\n"))
    (record,) = (boxes.root / "containers").iterdir()
    sizes = [p.stat().st_size for p in record.iterdir() if p.name.startswith("log")]
    assert 8 << 20 < sum(sizes) <= 3 * (8 << 20)


def test_size_and_number_of_its_files_are_chosen(boxes: Boxes) -> None:
    wish = ("--log-max-size", "64K", "--log-max-files", "2")
    script = "yes 'a line of forty characters, more or less' | head -c 1000000; echo END"
    assert boxes.cli("run", "-d", *wish, "--name", "job", "--", "sh", "-c", script).code == 0
    assert boxes.cli("wait", "job").out == "0\n"
    wait_until(lambda: boxes.cli("logs", "-n", "1", "job").out.endswith("END\n"))
    (record,) = (boxes.root / "containers").iterdir()
    sizes = {p.name: p.stat().st_size for p in record.iterdir() if p.name in ("log", "log.1", "log.2")}
    assert set(sizes) == {"log", "log.1"} and max(sizes.values()) <= 64 << 10


def test_a_log_writer_that_was_killed_leaves_what_it_had(boxes: Boxes) -> None:
    assert boxes.cli(*FILES, "sh", "-c", "echo before; sleep 60").code == 0
    wait_until(lambda: boxes.cli("logs", "job").out == "before\n")
    (writer,) = [pid for pid, name in descendants().items() if name == "nucleus-log"]
    os.kill(writer, signal.SIGKILL)
    assert boxes.cli("logs", "-f", "job").out == "before\n"
    assert boxes.cli("rm", "-f", "job").code == 0


@NOT_IN_GUESTS
def test_without_its_log_writer_a_container_ends_and_that_is_told(boxes: Boxes) -> None:
    container = Container.run(
        ["sh", "-c", "echo ready; while :; do echo more; sleep 0.02; done"],
        root=str(boxes.root),
        detach_with="none",
    )
    wait_until(lambda: "ready" in boxes.cli("logs", container.id).out)
    writers = [pid for pid, name in descendants().items() if name == "nucleus-log"]
    assert len(writers) == 1
    os.kill(writers[0], signal.SIGKILL)
    result = container.wait(timeout_s=PATIENCE_S)
    assert (result.reason, result.signal) == ("signal", signal.SIGPIPE)
    assert "ready" in boxes.cli("logs", container.id).out


def test_the_library_reads_it_too(boxes: Boxes) -> None:
    job = Container.run(["sh", "-c", TALK], root=str(boxes.root), name="job", detach_with="none")
    lines = list(job.logs(follow=True))
    assert [(x.stream, x.data) for x in lines if x.stream == "stdout"] == [
        ("stdout", b"one\n"), ("stdout", b"two\n"), ("stdout", b"no end"),
    ]  # fmt: skip
    assert [x.data for x in job.logs(streams=("stderr",))] == [b"bad\n"]
    assert job.wait().exit_code == 0


def test_a_container_of_the_foreground_has_none(boxes: Boxes) -> None:
    assert boxes.cli("run", "--name", "job", "--", "true").code == 0
    done = boxes.cli("logs", "job")
    assert done.code == 125 and "foreground" in done.err and "remedy" in done.err


def test_the_life_of_a_detached_container_is_told(boxes: Boxes) -> None:
    audit = boxes.folder / "audit.jsonl"
    assert boxes.cli("create", "--name", "job", "--audit-log", str(audit), "--", "sleep", "60").code == 0
    assert boxes.cli("start", "job").code == 0
    assert boxes.cli("exec", "job", "--", "sh", "-c", "exit 6", "--token", "hunter2").code == 6
    assert boxes.cli("rename", "job", "work").code == 0
    assert boxes.cli("stop", "-t", "0", "work").code == 0
    assert boxes.cli("restart", "work").code == 0
    assert boxes.cli("kill", "work").code == 0
    assert boxes.cli("wait", "work").out == "137\n"
    assert boxes.cli("rm", "work").code == 0
    told = [e["type"] for e in read_events(str(boxes.root))]
    assert told == [
        "created", "started", "exec", "renamed", "stopping", "stopped",
        "created", "started", "restarted", "killed", "stopped", "removed",
    ]  # fmt: skip
    kinds = [json.loads(line)["type"] for line in audit.read_text().splitlines()]
    assert "hunter2" not in audit.read_text()
    assert kinds == [
        "container_start", "container_exec", "container_kill", "container_stop",
        "container_start", "container_kill", "container_stop",
        "container_remove",
    ]  # fmt: skip
