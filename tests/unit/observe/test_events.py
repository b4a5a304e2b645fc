"""Events: their lines, the bounded log of the state root, following it, choosing from it."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rows import every_row
from texts import CHARACTERS

from nucleus.observe import events
from nucleus.observe.events import (
    FILE,
    MAX_LINE,
    OLDER,
    TYPES,
    Subject,
    emit,
    event_line,
    matcher,
    read_events,
)

ONE = Subject(id="a" * 32, name="web", labels={"team": "x"})
TEXT = st.text(CHARACTERS, max_size=3000)


@given(name=st.text(CHARACTERS, max_size=60), labels=st.dictionaries(TEXT, TEXT, max_size=4), error=TEXT)
def test_any_event_is_one_line_of_json_that_one_write_takes(
    name: str, labels: dict[str, str], error: str
) -> None:
    subject = ONE.replace(name=name, labels=labels)
    line = event_line(subject, "unhealthy", 5, {"failures": 3, "error": error})
    assert line.endswith(b"\n") and line.count(b"\n") == 1 and len(line) <= MAX_LINE
    read = json.loads(line)
    assert (read["time_ns"], read["type"], read["id"], read["name"]) == (5, "unhealthy", ONE.id, name)


@pytest.mark.parametrize(("event", "details"), [("exploded", {}), ("stopped", {"colour": "red"})])
def test_what_is_not_in_the_table_is_no_event(event: str, details: dict[str, str]) -> None:
    with pytest.raises(KeyError):
        event_line(ONE, event, 1, details)


def test_events_go_to_the_state_root_and_to_where_somebody_asked(tmp_path: Path) -> None:
    root, file = tmp_path / "root", tmp_path / "own.jsonl"
    root.mkdir()
    reading, writing = os.pipe()
    subject = ONE.replace(file=str(file), fd=writing)
    emit(str(root), subject, "paused")
    emit(str(root), subject, "killed", signal=signal.SIGKILL)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        lines = pipe.read()
    assert lines == file.read_text() == (root / FILE).read_text()
    assert [(e["type"], e.get("signal")) for e in read_events(str(root))] == [("paused", None), ("killed", 9)]
    assert file.stat().st_mode & 0o777 == 0o600


def test_where_nothing_can_be_written_nothing_fails(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    emit(str(tmp_path / "gone"), ONE, "paused")
    emit(str(tmp_path), ONE.replace(file="/proc/nothing", fd=writing), "paused")
    os.close(writing)
    assert len(list(read_events(str(tmp_path)))) == 1


def test_a_reader_that_does_not_read_holds_nobody_up(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    began = time.monotonic()
    for _ in range(2000):
        emit(str(tmp_path), ONE.replace(fd=writing), "paused")
    assert time.monotonic() - began < 10
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        data = pipe.read()
    assert data.endswith(b"\n") and all(json.loads(line) for line in data.splitlines())


def test_the_log_is_bounded_and_nobody_s_line_is_mixed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = events.rotate
    monkeypatch.setattr(events, "rotate", lambda directory: real(directory, 20_000))

    def write(number: int) -> None:
        for _ in range(200):
            emit(str(tmp_path), ONE.replace(id=f"{number:032}"), "killed", signal=number)

    writers = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([FILE, OLDER])
    assert all(p.stat().st_size <= 21_000 for p in tmp_path.iterdir())
    found = list(read_events(str(tmp_path)))
    assert len(found) > 100
    assert all(int(e["id"]) == e["signal"] for e in found)


def test_following_sees_across_rotation_and_ends_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "_POLL_S", 0.01)
    emit(str(tmp_path), ONE, "killed", signal=0)

    def write() -> None:
        for number in range(1, 6):
            time.sleep(0.02)
            if number == 3:
                os.rename(tmp_path / FILE, tmp_path / OLDER)
            emit(str(tmp_path), ONE, "killed", signal=number)

    writer = threading.Thread(target=write)
    writer.start()
    follower = read_events(str(tmp_path), follow=True, until_ns=time.time_ns() + 60_000_000_000)
    assert [next(follower)["signal"] for _ in range(6)] == list(range(6))
    writer.join()
    until = time.time_ns() + 50_000_000
    assert len(list(read_events(str(tmp_path), follow=True, until_ns=until))) == 6
    assert time.time_ns() >= until


def test_name_and_labels_of_created_hold_for_the_events_after_it(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(
        '{"time_ns":1,"type":"created","id":"aa","name":"web","labels":{"k":"v"}}\n'
        "no json\n[]\n"
        '{"time_ns":2,"type":"stopped","id":"aa","exit_code":1}\n'
        '{"time_ns":3,"type":"renamed","id":"aa","name":"new","old_name":"web"}\n'
        '{"time_ns":4,"type":"removed","id":"aa"}\n'
        '{"time_ns":5,"type":"stopped","id":"bb"'
    )
    found = list(read_events(str(tmp_path)))
    assert [(e["time_ns"], e["name"], e["labels"]) for e in found] == [
        (1, "web", {"k": "v"}), (2, "web", {"k": "v"}), (3, "new", {"k": "v"}), (4, "new", {"k": "v"}),
    ]  # fmt: skip


@every_row(
    ("filters", "fits"),
    [
        pytest.param((), True, id="none"),
        pytest.param(("type=stopped",), True, id="type"),
        pytest.param(("type=created", "type=stopped"), True, id="one of two types"),
        pytest.param(("type=stopped", "name=db"), False, id="two keys"),
        pytest.param(("id=aaa",), True, id="beginning of the id"),
        pytest.param(("label=team",), True, id="label"),
        pytest.param(("label=team=x",), True, id="label with its value"),
        pytest.param(("label=team=y",), False, id="label with another value"),
    ],
)
def test_filters_choose(filters: tuple[str, ...], fits: bool) -> None:
    event = {"type": "stopped", "id": "a" * 32, "name": "web", "labels": {"team": "x"}}
    assert matcher(filters)(event) is fits


@every_row("word", ["type", "type=", "type=stoped", "colour=red", ""])
def test_what_is_no_filter_is_refused(word: str) -> None:
    with pytest.raises(ValueError):
        matcher((word,))


def test_every_type_and_every_field_has_a_meaning() -> None:
    assert all(t.meaning and all(kind and text for kind, text in t.fields.values()) for t in TYPES.values())
