"""Kept facts: the same object while nothing changes, others as soon as something does.  ✗ mounts nothing."""

from __future__ import annotations

import os
import resource

import pytest

from nucleus.host import current
from nucleus.host.current import CurrentFacts, ProcFile


def test_facts_are_probed_once_while_nothing_changes() -> None:
    kept = CurrentFacts()
    assert kept.get() is kept.get()


def test_forgotten_facts_are_probed_again() -> None:
    kept = CurrentFacts()
    first = kept.get()
    kept.forget()
    assert kept.get() is not first


def test_another_limit_is_noticed() -> None:
    kept = CurrentFacts()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    first = kept.get()
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft - 1, hard))
        assert kept.get().rlimits.nofile.soft == first.rlimits.nofile.soft - 1
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_changed_file_is_noticed(tmp_path: os.PathLike[str], monkeypatch: pytest.MonkeyPatch) -> None:
    file = os.path.join(tmp_path, "passwd")
    monkeypatch.setattr(current, "_LOOKED_AT", (file,))
    kept = CurrentFacts()
    first = kept.get()
    with open(file, "w") as written:
        written.write("x")
    assert kept.get() is not first


def test_another_runtime_directory_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = CurrentFacts()
    first = kept.get()
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/nowhere")
    assert kept.get() is not first


def test_facts_are_not_believed_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(current, "_BELIEVED_S", -1.0)
    kept = CurrentFacts()
    assert kept.get() is not kept.get()


def test_a_closed_descriptor_is_noticed() -> None:
    kept = CurrentFacts()
    first = kept.get()
    for file in (kept._view._mounts._file, kept._cgroup):
        other = file._fd
        with open("/dev/null", "rb") as null:
            os.dup2(null.fileno(), other)
        assert kept.get() is first and file._fd != other
        os.close(other)


def test_a_child_looks_with_a_descriptor_of_its_own() -> None:
    kept = CurrentFacts()
    kept.get()
    before = (kept._view._mounts._file._fd, kept._cgroup._fd)
    child = os.fork()
    if child == 0:
        kept.get()
        os._exit(1 if {kept._view._mounts._file._fd, kept._cgroup._fd} & {*before} else 0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_file_of_any_length_is_read_to_its_end(tmp_path: os.PathLike[str]) -> None:
    path = os.path.join(tmp_path, "file")
    for length in (0, 1, 4095, 4096, 10_000):
        with open(path, "wb") as written:
            written.write(b"x" * length)
        assert ProcFile(path).text() == b"x" * length
    assert ProcFile(path + ".absent").text() == b""
