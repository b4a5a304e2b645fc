"""Frames become lines; which lines are chosen; reading while a writer rotates."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rows import every_row

from nucleus.base.errors import SpecError
from nucleus.observe import logs, times
from nucleus.observe.frames import (
    DROPPED,
    HEADER,
    MAGIC,
    STDERR,
    STDOUT,
    Frame,
    LogReader,
    Parser,
    header_check,
)
from nucleus.observe.logs import LogLine, Selection, read_lines


def encoded(time_ns: int, kind: int, data: bytes) -> bytes:
    return (
        HEADER.pack(MAGIC, kind, 0, len(data), header_check(kind, len(data), time_ns), time_ns) + data
    )  # as launcher/log.c writes it


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[int]:
    fd = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    yield fd
    os.close(fd)


def texts(lines: Iterator[LogLine]) -> list[bytes]:
    return [line.data for line in lines]


FRAMES = st.lists(
    st.tuples(st.integers(0, 2**64 - 1), st.sampled_from([STDOUT, STDERR]), st.binary(max_size=80)),
    max_size=20,
)


@given(frames=FRAMES, noise=st.binary(max_size=40), cuts=st.lists(st.integers(1, 50), max_size=40))
def test_any_frames_come_back_however_the_bytes_are_cut(
    frames: list[tuple[int, int, bytes]], noise: bytes, cuts: list[int]
) -> None:
    data = b"".join(encoded(*frame) for frame in frames)
    parser, found, at = Parser(), [], 0
    for size in [*cuts, len(data)]:
        found += parser.feed(data[at : at + size])
        at += size
    assert [(f.time_ns, f.kind, f.data) for f in found] == frames


@given(junk=st.binary(max_size=300))
def test_what_is_no_frame_is_passed_over(junk: bytes) -> None:
    parser = Parser()
    found = parser.feed(junk + encoded(5, STDOUT, b"after"))
    assert [f.data for f in found][-1:] == [b"after"]


def test_lines_are_cut_at_new_lines_and_parts_are_told(directory: int, tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(
        encoded(1, STDOUT, b"one\ntw") + encoded(2, STDERR, b"err\r\n") + encoded(3, STDOUT, b"o\n\nend")
    )
    assert [(x.stream, x.data, x.begins, x.time_ns) for x in read_lines(directory, Selection())] == [
        ("stdout", b"one\n", True, 1), ("stdout", b"tw", True, 1), ("stderr", b"err\r\n", True, 2),
        ("stdout", b"o\n", False, 3), ("stdout", b"\n", True, 3), ("stdout", b"end", True, 3),
    ]  # fmt: skip


def test_the_last_lines_come_with_all_their_parts(directory: int, tmp_path: Path) -> None:
    (tmp_path / "log.1").write_bytes(encoded(1, STDOUT, b"a\nb\nc"))
    (tmp_path / "log").write_bytes(encoded(2, STDERR, b"x\n") + encoded(3, STDOUT, b"c\nd\n"))
    assert b"".join(texts(read_lines(directory, Selection(tail=3)))) == b"ccx\nd\n".replace(b"ccx", b"cc\nx")
    assert texts(read_lines(directory, Selection(tail=0))) == []


PIECES = st.lists(
    st.tuples(st.sampled_from([STDOUT, STDERR]), st.text("ab\n", max_size=6).map(str.encode)), max_size=30
)


@given(pieces=PIECES, tail=st.integers(0, 8), since=st.integers(0, 30), one=st.booleans())
def test_of_the_last_lines_alone_the_same_are_told_as_of_all(
    pieces: list[tuple[int, bytes]], tail: int, since: int, one: bool
) -> None:
    frames = [Frame(time_ns=number, kind=kind, data=data) for number, (kind, data) in enumerate(pieces)]
    wish = Selection(tail=tail, since_ns=since, streams=("stderr",) if one else ("stdout", "stderr"))
    every = logs._wanted(frames, wish, logs._Cutter())
    cutter = logs._Cutter()
    newest = logs._newest(frames, wish, cutter, tail)
    assert list(logs._last(logs._wanted(newest, wish, cutter), tail, cutter.older)) == list(
        logs._last(every, tail)
    )


def test_times_and_streams_choose(directory: int, tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(
        b"".join(encoded(n, STDOUT if n % 2 else STDERR, b"%d\n" % n) for n in range(10))
    )
    assert texts(read_lines(directory, Selection(since_ns=3, until_ns=6))) == [b"3\n", b"4\n", b"5\n"]
    assert texts(read_lines(directory, Selection(streams=("stderr",), since_ns=5))) == [b"6\n", b"8\n"]


def test_what_was_lost_is_told_in_words(directory: int, tmp_path: Path) -> None:
    counts = (7).to_bytes(8, "little") + (0).to_bytes(8, "little")
    (tmp_path / "log").write_bytes(encoded(1, DROPPED, counts))
    (line,) = read_lines(directory, Selection())
    assert (line.stream, line.data) == (
        "dropped",
        b"7 bytes of stdout were lost: there was no room for them\n",
    )


def test_rotation_while_reading_hides_nothing_and_doubles_nothing(directory: int, tmp_path: Path) -> None:
    def write(name: str, data: bytes) -> None:
        with open(tmp_path / name, "ab") as file:
            file.write(data)

    write("log", encoded(1, STDOUT, b"1"))
    reader = LogReader(directory)
    assert [f.data for f in reader.frames()] == [b"1"]
    write("log", encoded(2, STDOUT, b"2"))
    for number in range(3, 6):
        for old in (2, 1):
            if (tmp_path / f"log.{old}").exists():
                os.rename(tmp_path / f"log.{old}", tmp_path / f"log.{old + 1}")
        os.rename(tmp_path / "log", tmp_path / "log.1")
        write("log", encoded(number, STDOUT, b"%d" % number))
    assert [f.data for f in reader.frames()] == [b"2", b"3", b"4", b"5"]
    assert list(reader.frames()) == []
    reader.close()


def test_following_ends_with_the_writer_and_misses_nothing(
    directory: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "_POLL_S", 0.005)
    lock = os.open(tmp_path / "log.lock", os.O_RDONLY | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)

    def write() -> None:
        with open(tmp_path / "log", "ab", buffering=0) as file:
            for number in range(20):
                file.write(encoded(number, STDOUT, b"%d\n" % number))
                time.sleep(0.003)
        os.close(lock)

    writer = threading.Thread(target=write)
    writer.start()
    found = texts(read_lines(directory, Selection(), follow=True))
    writer.join()
    assert found == [b"%d\n" % n for n in range(20)]


def test_files_are_let_go_when_nobody_reads_on(directory: int, tmp_path: Path) -> None:
    for name in ("log", "log.1", "log.2"):
        (tmp_path / name).write_bytes(encoded(1, STDOUT, b"x") * 3)
    before = len(os.listdir("/proc/self/fd"))
    lines = read_lines(directory, Selection())
    next(lines)
    lines.close()  # type: ignore[attr-defined]
    assert len(os.listdir("/proc/self/fd")) == before


NOW = 1_800_000_000 * times.SECOND_NS


@every_row(
    ("text", "ns"),
    [
        pytest.param("90s", NOW - 90 * times.SECOND_NS, id="seconds ago"),
        pytest.param("1h30m", NOW - 5400 * times.SECOND_NS, id="hours and minutes ago"),
        pytest.param("1700000000", 1_700_000_000 * times.SECOND_NS, id="epoch"),
        pytest.param("1700000000.25", 1_700_000_000_250_000_000, id="epoch with a fraction"),
        pytest.param("2026-01-31T12:00:00Z", 1_769_860_800 * times.SECOND_NS, id="RFC 3339"),
        pytest.param("2026-01-31T12:00:00.000000001Z", 1_769_860_800_000_000_001, id="nanoseconds"),
        pytest.param("2026-01-31T13:00:00+01:00", 1_769_860_800 * times.SECOND_NS, id="another zone"),
    ],
)
def test_times_are_read_as_people_write_them(text: str, ns: int) -> None:
    assert times.parse_time(text, NOW) == ns


@every_row("text", ["", "soon", "2026-13-01", "1x", "-5s", "2026-01-31T12:00:00.5.5Z"])
def test_what_is_no_time_is_told(text: str) -> None:
    with pytest.raises(SpecError, match="is no time"):
        times.parse_time(text, NOW)


@given(ns=st.integers(0, 4_000_000_000 * times.SECOND_NS))
def test_a_time_survives_its_text(ns: int) -> None:
    assert times.parse_time(times.format_time(ns), NOW) == ns


def test_frames_are_values() -> None:
    assert Frame(time_ns=1, kind=STDOUT, data=b"x") == Frame(time_ns=1, kind=STDOUT, data=b"x")
