"""nucleus-log: every byte of both streams in order, bounded files, no waiting for room, readable after any death."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from native import FREESTANDING, SANITIZED, build

from nucleus.base.errors import Conflict
from nucleus.launch import log_writer
from nucleus.observe.frames import DROPPED, HEADER, STDERR, STDOUT, Frame, LogReader, writer_is_gone

ENDS_WITHIN_S = 60


@pytest.fixture(scope="session", params=["freestanding", "sanitized"])
def program(request: pytest.FixtureRequest, workshop: Path) -> Path:
    if request.param == "freestanding":
        return build(workshop / "nucleus-log", ("log.c", "sys_linux.c", "text.c"), FREESTANDING)
    sources = ("log.c", "text.c", "tests/log_seam.c")
    return build(workshop / "nucleus-log-sanitized", sources, (*SANITIZED, "-fno-builtin"))


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[int]:
    fd = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    yield fd
    os.close(fd)


class Writer:
    """A running nucleus-log, and the two ends to print into."""

    def __init__(self, directory: int, *, limit: int = 1 << 20, files: int = 3) -> None:
        self.directory = directory
        self.out, self.err = log_writer.start(directory, max_bytes=limit, files=files)

    def end(self) -> list[Frame]:
        """Close both streams, wait for the writer, read all."""
        os.close(self.out)
        os.close(self.err)
        ended(self.directory)
        return read(self.directory)


def ended(directory: int) -> None:
    deadline = time.monotonic() + ENDS_WITHIN_S
    while not writer_is_gone(directory):
        assert time.monotonic() < deadline, "the writer does not end"
        time.sleep(0.005)


def taken(fd: int) -> None:
    """The writer has read what was printed: the next words are a read, and a frame, of their own."""
    deadline = time.monotonic() + ENDS_WITHIN_S
    while fcntl.ioctl(fd, termios.FIONREAD, bytes(4)) != bytes(4):
        assert time.monotonic() < deadline, "the writer does not read"
        time.sleep(0.001)


def read(directory: int) -> list[Frame]:
    reader = LogReader(directory)
    try:
        return list(reader.frames())
    finally:
        reader.close()


def said(frames: list[Frame], kind: int) -> bytes:
    return b"".join(f.data for f in frames if f.kind == kind)


def lost(frames: list[Frame]) -> tuple[int, int]:
    told = [f.dropped for f in frames if f.kind == DROPPED]
    return sum(out for out, _ in told), sum(err for _, err in told)


@pytest.fixture(autouse=True)
def the_program(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_writer, "PROGRAM", str(program))


def pid_of_writer(directory: int) -> int:
    """Who holds the writer's lock, as /proc/locks tells it."""
    inode = os.stat("log.lock", dir_fd=directory).st_ino
    wanted = os.stat("log.lock", dir_fd=directory).st_dev
    for line in Path("/proc/locks").read_text().splitlines():
        words = line.split()
        if words[1] == "FLOCK" and words[5].endswith(f":{inode}"):
            major, minor, _ = words[5].split(":")
            if (int(major, 16), int(minor, 16)) == (os.major(wanted), os.minor(wanted)):
                return find_holder(inode)
    raise AssertionError("nobody holds the lock")


def find_holder(inode: int) -> int:
    """The lock was taken by a process that has ended; its descriptor is found instead."""
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        try:
            for fd in os.listdir(f"/proc/{entry}/fd"):
                if os.stat(f"/proc/{entry}/fd/{fd}").st_ino == inode:
                    return int(entry)
        except OSError:
            continue
    raise AssertionError("nobody has the lock open")


def test_both_streams_come_whole_in_order_and_binary(directory: int) -> None:
    began_ns = time.time_ns()
    writer, random = Writer(directory), Random(7)
    parts = [random.randbytes(random.randrange(1, 9000)) for _ in range(200)]
    for number, part in enumerate(parts):
        os.write(writer.err if number % 3 == 0 else writer.out, part)
    frames = writer.end()
    assert said(frames, STDOUT) == b"".join(p for n, p in enumerate(parts) if n % 3)
    assert said(frames, STDERR) == b"".join(p for n, p in enumerate(parts) if n % 3 == 0)
    times = [f.time_ns for f in frames]
    assert began_ns <= times[0] <= times[-1] <= time.time_ns()
    assert lost(frames) == (0, 0)


def test_what_is_said_first_on_one_stream_stands_before_what_is_said_later_on_the_other(directory: int) -> None:
    writer = Writer(directory)
    for number in range(10):
        os.write(writer.out if number % 2 else writer.err, b"%d\n" % number)
        taken(writer.out if number % 2 else writer.err)
    assert [f.data for f in writer.end()] == [b"%d\n" % n for n in range(10)]


def test_a_huge_line_is_kept_whole(directory: int) -> None:
    writer = Writer(directory, limit=8 << 20)
    line = bytes(range(1, 256)).replace(b"\n", b"") * 12_000
    with os.fdopen(os.dup(writer.out), "wb") as file:
        file.write(line + b"\n")
    assert said(writer.end(), STDOUT) == line + b"\n"


def test_files_are_rotated_and_their_number_and_size_bounded(directory: int, tmp_path: Path) -> None:
    writer = Writer(directory, limit=4096, files=3)
    written = b"".join(b"%06d\n" % n for n in range(5000))
    for at in range(0, len(written), 70):
        os.write(writer.out, written[at : at + 70])
    frames = writer.end()
    names = sorted(p.name for p in tmp_path.iterdir())
    assert names == ["log", "log.1", "log.2", "log.lock"]
    assert all(p.stat().st_size <= 4096 for p in tmp_path.iterdir())
    kept = said(frames, STDOUT)
    assert len(kept) > 4096 and written.endswith(kept)


def test_one_file_alone_begins_anew(directory: int, tmp_path: Path) -> None:
    writer = Writer(directory, limit=100, files=1)
    for number in range(30):
        os.write(writer.out, b"%03d\n" % number)
        taken(writer.out)
    kept = said(writer.end(), STDOUT)
    assert kept.endswith(b"029\n") and len(kept) < 100
    assert sorted(p.name for p in tmp_path.iterdir()) == ["log", "log.lock"]


def test_a_log_cut_short_at_any_byte_gives_the_frames_before_it(directory: int, tmp_path: Path) -> None:
    writer = Writer(directory)
    for number in range(6):
        os.write(writer.out if number % 2 else writer.err, b"x" * number + b"\n")
        taken(writer.out if number % 2 else writer.err)
    whole = writer.end()
    data, ends, at = (tmp_path / "log").read_bytes(), [], 0
    for frame in whole:
        at += HEADER.size + len(frame.data)
        ends.append(at)
    assert at == len(data)
    for size in range(len(data) + 1):
        (tmp_path / "log").write_bytes(data[:size])
        assert read(directory) == whole[: sum(end <= size for end in ends)], size


def test_a_writer_after_one_that_was_killed_goes_on_behind_its_last_frame(
    directory: int, tmp_path: Path
) -> None:
    writer = Writer(directory)
    os.write(writer.out, b"first\n")
    writer.end()
    data = (tmp_path / "log").read_bytes()
    for size in range(1, len(data)):
        (tmp_path / "log").write_bytes(data + data[:size])
        again = Writer(directory)
        os.write(again.out, b"second\n")
        assert said(again.end(), STDOUT) == b"first\nsecond\n", size


def test_damage_hides_only_the_frames_it_is_in(directory: int, tmp_path: Path) -> None:
    writer = Writer(directory)
    for number in range(5):
        os.write(writer.out, b"line %d\n" % number)
        taken(writer.out)
    whole = writer.end()
    data, size = bytearray((tmp_path / "log").read_bytes()), HEADER.size + 7
    assert len(data) == 5 * size
    for at in range(2 * size, 2 * size + HEADER.size):
        damaged = bytearray(data)
        damaged[at] ^= 0x40
        (tmp_path / "log").write_bytes(damaged)
        found = read(directory)
        assert found[:2] == whole[:2] and found[-2:] == whole[-2:], at
        assert len(found) in (4, 5)


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGPIPE])
def test_a_signal_does_not_end_it(directory: int, sent: signal.Signals) -> None:
    writer = Writer(directory)
    os.kill(pid_of_writer(directory), sent)
    os.write(writer.out, b"still here\n")
    assert said(writer.end(), STDOUT) == b"still here\n"


def test_killed_it_leaves_what_it_had_read(directory: int) -> None:
    writer = Writer(directory)
    os.write(writer.out, b"before\n")
    deadline = time.monotonic() + ENDS_WITHIN_S
    while not read(directory):
        assert time.monotonic() < deadline
    os.kill(pid_of_writer(directory), signal.SIGKILL)
    ended(directory)
    assert said(writer.end(), STDOUT) == b"before\n"


def stat_of(pid: int) -> list[str]:
    """What proc(5) says of a process behind its name: state, parent, process group, session."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def test_it_is_nobodys_child_in_a_session_of_its_own_and_small(directory: int, program: Path) -> None:
    writer = Writer(directory)
    pid = pid_of_writer(directory)
    assert int(stat_of(pid)[1]) != os.getpid()
    deadline = time.monotonic() + ENDS_WITHIN_S
    while int(stat_of(pid)[3]) != pid:  # it has just been born: its session is the first that it makes
        assert time.monotonic() < deadline
        time.sleep(0.001)
    assert os.readlink(f"/proc/{pid}/cwd") == "/"
    if program.name == "nucleus-log":
        rss = [w for w in Path(f"/proc/{pid}/status").read_text().splitlines() if w.startswith("VmRSS")]
        assert int(rss[0].split()[1]) <= 256
    writer.end()


def test_it_holds_no_lock_of_the_container(directory: int, tmp_path: Path) -> None:
    fcntl.flock(directory, fcntl.LOCK_EX)
    writer = Writer(directory)
    fcntl.flock(directory, fcntl.LOCK_UN)
    other = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(other)
    writer.end()


def test_there_is_one_writer(directory: int, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = Writer(directory)
    monkeypatch.setattr(log_writer, "_TRIES", 2)
    with pytest.raises(Conflict, match="another process"):
        log_writer.start(directory, max_bytes=8 << 20, files=3)
    writer.end()


@pytest.mark.parametrize("program", ["sanitized"], indirect=True)
@pytest.mark.parametrize("error", [pytest.param(28, id="ENOSPC"), pytest.param(122, id="EDQUOT"),
                                   pytest.param(0, id="half a frame")])  # fmt: skip
def test_what_does_not_fit_is_dropped_and_counted(
    directory: int, program: Path, tmp_path: Path, error: int
) -> None:
    """The third to the ninth write to the log fail; the workload is never kept waiting, and is told of in the log."""
    lock = os.open(tmp_path / "log.lock", os.O_RDONLY | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)
    out, err = os.pipe(), os.pipe()
    given = (directory, lock, out[0], err[0])
    command = [str(program), *map(str, given), "100000", "2"]
    environment = {"NUCLEUS_LOG_FAULTS": f"3 9 {error}"}
    subprocess.run(command, pass_fds=given, env=environment, check=True, timeout=ENDS_WITHIN_S)
    for fd in (lock, out[0], err[0]):
        os.close(fd)
    for number in range(20):
        os.write(out[1] if number % 2 else err[1], b"%02d\n" % number)
        taken(out[1] if number % 2 else err[1])
    os.close(out[1])
    os.close(err[1])
    ended(directory)
    frames = read(directory)
    kept = said(frames, STDOUT) + said(frames, STDERR)
    assert sum(lost(frames)) == 60 - len(kept) > 0
    assert b"19\n" in kept and b"00\n" in kept


@pytest.mark.parametrize("words", [[], ["3"], ["3", "4", "5", "6", "40", "1"], ["3", "4", "5", "6", "99", "0"],
                                   ["0", "1", "2", "3", "99", "9"], ["3", "4", "5", "x", "99", "9"]])  # fmt: skip
def test_arguments_that_are_wrong_start_nothing(program: Path, words: list[str]) -> None:
    assert subprocess.run([str(program), *words], stdin=subprocess.DEVNULL).returncode == 125
