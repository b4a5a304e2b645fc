"""When a prepared root is made, kept, and not used any more.  ✗ makes none: the kernel tests do."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from nucleus.container.reuse import roots as module
from nucleus.container.reuse.roots import Roots, Sources

OLD = time.time_ns() - 10**10


class Made:
    """Stands for the launcher: every root is a pipe's end, and the program beside it a file."""

    def __init__(self) -> None:
        self.count = 0
        self.refuses = False
        self.others: list[int] = []

    def __call__(self, plan: bytes) -> tuple[int, ...]:
        self.count += 1
        if self.refuses:
            return ()
        reading, writing = os.pipe()
        self.others.append(reading)
        if plan.startswith(b"devices"):
            return writing, os.memfd_create("program")
        return (writing,)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Iterator[Made]:
    maker = Made()
    monkeypatch.setattr(module, "_made", maker)
    yield maker
    for fd in maker.others:
        os.close(fd)


@pytest.fixture
def sources(tmp_path: Path) -> tuple[str, ...]:
    (tmp_path / "etc").mkdir()
    for path in (tmp_path, tmp_path / "etc"):
        (path / "file").write_text("")
        os.utime(path, ns=(OLD, OLD))
    time.sleep(0.15)  # ctime cannot be set
    return (str(tmp_path / "file"), str(tmp_path / "etc" / "file"))


def used(roots: Roots, plan: bytes, sources: tuple[str, ...]) -> bool:
    fds = roots.get(plan, Sources(sources))
    for fd in fds:
        assert not os.get_inheritable(fd)
        os.close(fd)
    return bool(fds)


def test_a_root_is_made_the_second_time_and_kept(made: Made, sources: tuple[str, ...]) -> None:
    roots = Roots()
    assert [used(roots, b"plan", sources) for _ in range(4)] == [False, True, True, True]
    assert made.count == 1
    assert [used(roots, b"other", sources) for _ in range(2)] == [False, True]


def test_a_replaced_source_makes_another_root_once_the_directory_is_still(
    made: Made, sources: tuple[str, ...]
) -> None:
    roots = Roots()
    assert [used(roots, b"plan", sources) for _ in range(2)] == [False, True]
    Path(sources[1] + ".new").write_text("new")
    os.rename(sources[1] + ".new", sources[1])
    assert not used(roots, b"plan", sources)
    time.sleep(0.15)
    assert used(roots, b"plan", sources)
    assert made.count == 2


def test_a_source_that_is_gone_ends_the_root(made: Made, sources: tuple[str, ...]) -> None:
    roots = Roots()
    assert [used(roots, b"plan", sources) for _ in range(2)] == [False, True]
    os.rename(os.path.dirname(sources[1]), os.path.dirname(sources[1]) + ".away")
    assert not used(roots, b"plan", sources)


def test_a_machine_that_refuses_is_asked_once(made: Made, sources: tuple[str, ...]) -> None:
    roots = Roots()
    made.refuses = True
    assert [used(roots, b"plan", sources) for _ in range(4)] == [False] * 4
    assert made.count == 1


def test_few_roots_are_kept_and_the_one_that_was_not_used_longest_goes(
    made: Made, sources: tuple[str, ...]
) -> None:
    roots = Roots()
    for number in range(20):
        plan = b"plan %d" % number
        used(roots, plan, sources), used(roots, plan, sources)
    assert len(roots._known) == module._KEPT
    assert [os.get_blocking(fd) for fd in [f._fd for r in roots._known.values() for f in r.files]] == [
        True
    ] * module._KEPT
    assert not used(roots, b"plan 0", sources) and used(roots, b"plan 19", sources)


def test_a_launch_that_failed_ends_all_roots(made: Made, sources: tuple[str, ...]) -> None:
    roots = Roots()
    used(roots, b"plan", sources), used(roots, b"plan", sources)
    (kept,) = [f._fd for r in roots._known.values() for f in r.files]
    roots.forget()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(kept)
    assert not used(roots, b"plan", sources)


def test_a_descriptor_that_the_program_closed_is_neither_used_nor_closed(
    made: Made, sources: tuple[str, ...]
) -> None:
    roots = Roots()
    used(roots, b"plan", sources), used(roots, b"plan", sources)
    (kept,) = [f._fd for r in roots._known.values() for f in r.files]
    with open("/dev/null", "rb") as other:
        os.dup2(other.fileno(), kept)
    assert used(roots, b"plan", sources) and made.count == 2
    assert os.fstat(kept).st_rdev == os.stat("/dev/null").st_rdev
    os.close(kept)


def test_where_one_of_two_descriptors_is_lost_both_are_made_anew(
    made: Made, sources: tuple[str, ...]
) -> None:
    roots = Roots()
    assert [used(roots, b"devices", sources) for _ in range(3)] == [False, True, True]
    assert made.count == 1
    (root,) = roots._known.values()
    os.close(root.files[1]._fd)
    before = len(os.listdir("/proc/self/fd"))
    assert root.again() == () and len(os.listdir("/proc/self/fd")) == before
    assert used(roots, b"devices", sources) and made.count == 2
    (root,) = roots._known.values()
    kept = [f._fd for f in root.files]
    roots.forget()
    for fd in kept:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(fd)
