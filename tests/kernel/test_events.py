"""What is told of a container's life: its events, wherever they were asked for, and the audit log."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from sandboxes import PATIENCE_S, Boxes, python, wait_until

from nucleus.observe.events import EVERY, TYPES, read_events

EAT = "b = []\nwhile True: b.append(bytearray(1 << 20))"


def told(boxes: Boxes) -> list[dict[str, Any]]:
    return list(read_events(str(boxes.root)))


@pytest.mark.parametrize(
    ("words", "code", "reason"),
    [
        pytest.param(("--", "sh", "-c", "exit 3"), 3, "exit", id="exit"),
        pytest.param(("--", "sh", "-c", "kill -9 $$"), 137, "signal", id="signal"),
        pytest.param(("--timeout", "200ms", "--", "sleep", "600"), 124, "timeout", id="timeout"),
        pytest.param(("--", "/nonexistent"), 127, "failed", id="not found"),
        pytest.param(("--rm", "--", "true"), 0, "exit", id="removed at once"),
    ],
)
def test_a_life_is_told_from_its_making_to_its_end(
    boxes: Boxes, words: tuple[str, ...], code: int, reason: str
) -> None:
    before = time.time_ns()
    assert boxes.cli("run", "--name", "job", "-l", "team=x", *words).code == code
    events = told(boxes)
    assert [e["type"] for e in events] == ["created", "started", "stopped"]
    assert {(e["name"], e["labels"]["team"], e["id"]) for e in events} == {("job", "x", events[0]["id"])}
    assert before < events[0]["time_ns"] <= events[1]["time_ns"] <= events[2]["time_ns"] < time.time_ns()
    assert (events[2]["exit_code"], events[2]["reason"]) == (code, reason)
    for event in events:
        assert event.keys() <= EVERY.keys() | TYPES[event["type"]].fields.keys()
    assert events[2].keys() == EVERY.keys() | TYPES["stopped"].fields.keys()


def test_the_words_of_the_end_are_those_of_the_record(boxes: Boxes) -> None:
    code = boxes.cli("run", "--name", "job", "--", "sh", "-c", "exit 5").code
    known, event = boxes.inspect("job"), told(boxes)[-1]
    for key in ("exit_code", "signal", "reason", "oom_kills", "memory_peak_bytes"):
        assert event[key] == known[key]
    assert event["exit_code"] == code == 5


@pytest.mark.identity("root", "vm-root", "vm-user")
def test_running_out_of_memory_is_an_event_of_its_own(boxes: Boxes) -> None:
    boxes.run("--memory", "64M", "--", python(), "-c", EAT)
    events = told(boxes)
    assert [e["type"] for e in events] == ["created", "started", "oom", "stopped"]
    assert (events[-1]["reason"], events[-1]["oom_kills"] >= 1, events[-1]["memory_peak_bytes"] > 1 << 20) == (
        "oom", True, True,
    )  # fmt: skip


def test_events_go_to_a_file_and_to_a_descriptor_too(boxes: Boxes) -> None:
    file = boxes.folder / "events.jsonl"
    reading, writing = os.pipe()
    words = ("--rm", "--events-jsonl", str(file), "--events-fd", str(writing), "--", "true")
    assert boxes.cli("run", *words, pass_fds=(writing,)).code == 0
    os.close(writing)
    with os.fdopen(reading) as pipe:
        by_descriptor = pipe.read()
    for text in (by_descriptor, file.read_text()):
        assert [json.loads(line)["type"] for line in text.splitlines()] == ["created", "started", "stopped"]
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_reader_that_is_gone_or_asleep_changes_nothing(boxes: Boxes) -> None:
    for asleep in (False, True):
        reading, writing = os.pipe()
        if asleep:
            os.set_blocking(writing, False)
            with pytest.raises(BlockingIOError):
                while True:
                    os.write(writing, bytes(4096))
            os.set_blocking(writing, True)
        else:
            os.close(reading)
        words = ("--rm", "--events-fd", str(writing), "--", "sh", "-c", "exit 9")
        assert boxes.cli("run", *words, pass_fds=(writing,)).code == 9
        os.close(writing)
        if asleep:
            os.close(reading)
    assert [e["type"] for e in told(boxes)] == ["created", "started", "stopped"] * 2


@pytest.mark.parametrize("flag", ["--events-jsonl", "--audit-log"])
def test_a_file_that_cannot_be_written_is_told_before_anything_starts(boxes: Boxes, flag: str) -> None:
    done = boxes.cli("run", flag, str(boxes.folder / "no" / "such"), "--", "true")
    assert done.code == 125 and flag in done.err and "remedy" in done.err
    assert told(boxes) == []


def test_a_monitor_that_was_killed_is_told_by_the_next_command(boxes: Boxes) -> None:
    process = boxes.start("--name", "job", "--", "sleep", "600")
    wait_until(lambda: boxes.root.exists() and any(e["type"] == "started" for e in told(boxes)))
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert boxes.cli("rm", "job").code == 0
    events = told(boxes)
    assert [e["type"] for e in events] == ["created", "started", "stopped", "removed"]
    assert (events[2]["reason"], events[2]["exit_code"]) == ("host-kill", 137)
    assert {e["name"] for e in events} == {"job"}


def test_the_verb_shows_chooses_and_follows(boxes: Boxes) -> None:
    boxes.run("--name", "one", "--", "true")
    boxes.run("--name", "two", "-l", "k=v", "--", "false")
    shown = boxes.cli("events", "--filter", "label=k", "--filter", "type=stopped", "--format", "json")
    (event,) = [json.loads(line) for line in shown.out.splitlines()]
    assert (event["name"], event["exit_code"]) == ("two", 1)
    assert "exit_code=1 reason=exit" in boxes.cli("events", "--since", "5m").out
    assert boxes.cli("events", "--since", "2100-01-01T00:00:00Z").out == ""
    follower = boxes.cli_process("events", "-f", "--filter", "name=three")
    assert boxes.cli("run", "--name", "three", "--", "true").code == 0
    assert follower.stdout is not None
    assert [follower.stdout.readline().split()[4] for _ in range(3)] == ["created", "started", "stopped"]
    assert boxes.cli("rm", "three").code == 0
    assert follower.stdout.readline().split()[4] == "removed"
    follower.send_signal(signal.SIGINT)
    assert follower.communicate(timeout=PATIENCE_S)[0] == ""
    out = boxes.cli("events", "-f", "--until", f"{time.time() + 0.2:.3f}", "--filter", "name=three").out
    assert [line.split()[4] for line in out.splitlines()] == ["created", "started", "stopped", "removed"]


def test_the_audit_log_tells_who_started_what_and_holds_no_secret(boxes: Boxes) -> None:
    log = boxes.folder / "audit.jsonl"
    source = boxes.directory("data")
    words = ("--name", "job", "--audit-log", str(log), "-e", "API_TOKEN=hunter2", "-v", f"{source}:/data:ro")
    assert boxes.cli("run", *words, "--", "sh", "-c", "exit 4", "--password", "hunter2").code == 4
    start, stop = [json.loads(line) for line in log.read_text().splitlines()]
    assert "hunter2" not in log.read_text()
    assert start["command"] == ["sh", "-c", "exit 4", "--password", "[redacted]"]
    assert (start["caller_uid"], start["environment"]) == (os.getuid(), ["API_TOKEN"])
    assert start["sources"] == [f"{source}:/data"]
    assert start["security"]["seccomp"] == "default" and start["security"]["landlock"] is True
    assert (stop["type"], stop["exit_code"], stop["id"]) == ("container_stop", 4, start["id"])
    assert log.stat().st_mode & 0o777 == 0o600
    assert boxes.cli("rm", "job").code == 0
    assert [json.loads(line)["type"] for line in log.read_text().splitlines()][2:] == ["container_remove"]


def test_explaining_a_run_notes_nothing(boxes: Boxes) -> None:
    log = boxes.folder / "audit.jsonl"
    boxes.explain("--audit-log", str(log), "--", "true")
    assert log.read_text() == "" and told(boxes) == []


def test_the_log_of_many_containers_at_once_is_whole(boxes: Boxes) -> None:
    running = [boxes.start("--rm", "--name", f"c{n}", "--", "true") for n in range(12)]
    for process in running:
        assert process.wait(timeout=4 * PATIENCE_S) == 0  # each is as slow as all of them
        process.communicate()
    events = told(boxes)
    assert len(events) == 36
    for number in range(12):
        own = [e["type"] for e in events if e["name"] == f"c{number}"]
        assert own == ["created", "started", "stopped"]
    assert Path(boxes.root, "events.jsonl").stat().st_mode & 0o777 == 0o600
