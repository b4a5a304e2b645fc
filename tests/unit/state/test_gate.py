"""The gate and the locks by which commands meet at a container."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from nucleus.base.errors import Conflict
from nucleus.state import gate


@pytest.fixture
def directory(tmp_path: Path) -> int:
    return os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)


def test_a_word_reaches_whoever_waits_and_nobody_else(directory: int) -> None:
    with pytest.raises(Conflict):
        gate.tell(directory, gate.GO)
    waiting = gate.make(directory)
    gate.tell(directory, gate.GO)
    assert os.read(waiting, 10) == gate.GO
    os.close(waiting)
    with pytest.raises(Conflict):
        gate.tell(directory, gate.GO)


def test_a_gate_of_an_earlier_life_is_replaced(directory: int) -> None:
    old = gate.make(directory)
    new = gate.make(directory)
    gate.tell(directory, gate.KILL)
    os.set_blocking(old, False)
    with pytest.raises(BlockingIOError):
        os.read(old, 1)
    assert os.read(new, 1) == gate.KILL


def test_what_is_no_pipe_gets_nothing(directory: int, tmp_path: Path) -> None:
    (tmp_path / "start").write_bytes(b"")
    gate.tell(directory, gate.GO)
    assert (tmp_path / "start").read_bytes() == b""
    (tmp_path / "start").unlink()
    (tmp_path / "start").symlink_to("elsewhere")
    with pytest.raises(Conflict):
        gate.tell(directory, gate.GO)


def test_waiters_do_not_exclude_each_other_and_are_seen(directory: int) -> None:
    assert not gate.is_watched(directory)
    with gate.Lock(directory, gate.WATCH_LOCK), gate.Lock(directory, gate.WATCH_LOCK):
        assert gate.is_watched(directory)
    assert not gate.is_watched(directory)


def test_verbs_exclude_each_other(directory: int) -> None:
    order: list[str] = []

    def second() -> None:
        with gate.Lock(directory, gate.VERB_LOCK):
            order.append("second")

    with gate.Lock(directory, gate.VERB_LOCK):
        other = threading.Thread(target=second)
        other.start()
        time.sleep(0.05)
        order.append("first")
    other.join(5)
    assert order == ["first", "second"]
