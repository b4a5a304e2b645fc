"""`nucleus logs`: which bytes go to which stream, with which words before them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nucleus.base.errors import Conflict, SpecError
from nucleus.cli import logs
from nucleus.launch.report import EXIT
from nucleus.observe.frames import DROPPED, HEADER, MAGIC, STDERR, STDOUT, header_check
from nucleus.state.store import Store, write_file

ID = "a" * 32
SECOND = 1_000_000_000
EXITED = EXIT.pack(b"NUCEXIT\0", 1, 0, 3, 0, 1, 2, *[0] * 7, bytes(32))


def frame(at_s: int, kind: int, data: bytes) -> bytes:
    time_ns = at_s * SECOND
    return HEADER.pack(MAGIC, kind, 0, len(data), header_check(kind, len(data), time_ns), time_ns) + data


@pytest.fixture
def root(tmp_path: Path) -> str:
    """A state root with a container that has ended and had rotated logs."""
    store = Store(str(tmp_path))
    fd = store.create(ID).fd
    write_file(fd, "exit", EXITED, mode=0o400)
    write_file(fd, "log.lock", b"")
    write_file(fd, "log.1", frame(1_700_000_001, STDOUT, b"one\n") + frame(1_700_000_002, STDERR, b"bad\n"))
    lost = (5).to_bytes(8, "little") + (6).to_bytes(8, "little")
    write_file(
        fd, "log", frame(1_700_000_003, DROPPED, lost) + frame(1_700_000_004, STDOUT, b"two\nha")
        + frame(1_700_000_005, STDOUT, b"lf\n\xff\0\n"),
    )  # fmt: skip
    os.close(fd)
    store.close()
    return str(tmp_path)


LOST = b"nucleus: 5 bytes of stdout and 6 bytes of stderr were lost: there was no room for them\n"


@pytest.mark.parametrize(
    ("words", "out", "err"),
    [
        pytest.param([], b"one\ntwo\nhalf\n\xff\0\n", b"bad\n" + LOST, id="all"),
        pytest.param(["-f"], b"one\ntwo\nhalf\n\xff\0\n", b"bad\n" + LOST, id="following one that has ended"),
        pytest.param(["--stderr"], b"", b"bad\n" + LOST, id="the standard error"),
        pytest.param(["--stdout", "-n", "2"], b"half\n\xff\0\n", b"", id="the last two lines"),
        pytest.param(["--since", "1700000004"], b"two\nhalf\n\xff\0\n", b"", id="since"),
        pytest.param(["--until=1700000002"], b"one\n", b"", id="until"),
        pytest.param(
            ["-t", "--until", "1700000002"], b"2023-11-14T22:13:21.000000000Z one\n", b"", id="times"
        ),
        pytest.param(
            ["-t", "-n", "2", "--stdout"],
            b"2023-11-14T22:13:24.000000000Z half\n2023-11-14T22:13:25.000000000Z \xff\0\n",
            b"",
            id="one time for a line in two parts",
        ),
    ],
)
def test_what_was_kept_is_printed(
    root: str, words: list[str], out: bytes, err: bytes, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert logs.main([*words, "--root", root, ID[:6]]) == 0
    assert capfdbinary.readouterr() == (out, err)


@pytest.mark.parametrize(
    ("words", "where"),
    [
        pytest.param([], "nucleus logs", id="no container"),
        pytest.param([ID, ID], "nucleus logs", id="two containers"),
        pytest.param(["--since", "soon", ID], "--since", id="no time"),
        pytest.param(["--tail", "-1", ID], "--tail", id="no number"),
    ],
)
def test_what_was_asked_wrongly_is_told(root: str, words: list[str], where: str) -> None:
    with pytest.raises(SpecError) as caught:
        logs.main(["--root", root, *words])
    assert caught.value.where == where and caught.value.remedy


def test_a_container_of_the_foreground_keeps_no_log(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    fd = store.create(ID).fd
    write_file(fd, "exit", EXITED, mode=0o400)
    os.close(fd)
    with pytest.raises(Conflict, match="foreground"):
        logs.main(["--root", str(tmp_path), ID])
