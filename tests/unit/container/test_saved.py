"""A saved plan's file: who may write it, what is refused, what is noticed.  ✗ starts no sandbox."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nucleus.base.errors import PermissionRefused, SpecError
from nucleus.container.reuse.saved import SavedPlan
from nucleus.plan.encode import decode
from nucleus.plan.steps import Step


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUCLEUS_STATE_DIR", str(tmp_path / "state"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "plan"
    SavedPlan.compile(["/bin/true"], env=["A=b"]).save(path)
    return path


def test_what_was_saved_is_loaded(file: Path, tmp_path: Path) -> None:
    loaded = SavedPlan.load(file)
    assert not loaded.recompiled
    loaded.save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == file.read_bytes()


def test_a_plan_is_for_its_owner_to_read(file: Path) -> None:
    assert file.stat().st_mode & 0o777 == 0o600


def test_compiling_leaves_nothing_behind(file: Path, tmp_path: Path) -> None:
    assert list((tmp_path / "state" / "containers").iterdir()) == []


def steps(file: Path) -> list[Step]:
    """Without the one that holds the block of host ids: which one is free, others decide too."""
    plan = decode(file.read_bytes().split(b"\n", 2)[2])
    return [step for step in plan.steps if step.name != "write-id-map"]


def test_two_compilations_are_the_same_plan(file: Path, tmp_path: Path) -> None:
    SavedPlan.compile(["/bin/true"], env=["A=b"]).save(tmp_path / "other")
    assert steps(file) == steps(tmp_path / "other")


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_plan_that_others_may_write_is_refused(file: Path, mode: int) -> None:
    file.chmod(mode)
    with pytest.raises(PermissionRefused, match="nobody else may write"):
        SavedPlan.load(file)


def test_a_directory_is_no_plan(tmp_path: Path) -> None:
    with pytest.raises((PermissionRefused, SpecError)):
        SavedPlan.load(tmp_path)


@pytest.mark.parametrize("at", [0, 20, 200, -3000, -500, -1])
def test_a_plan_that_was_cut_short_is_refused(file: Path, at: int) -> None:
    data = file.read_bytes()
    file.write_bytes(data[:at])
    with pytest.raises(SpecError, match="save the plan again"):
        SavedPlan.load(file)


def test_a_plan_with_a_tail_is_refused(file: Path) -> None:
    file.write_bytes(file.read_bytes() + b"\0" * 8)
    with pytest.raises(SpecError, match="save the plan again"):
        SavedPlan.load(file)


def test_a_plan_of_another_machine_is_compiled_again(file: Path) -> None:
    data = file.read_bytes()
    at = data.index(b'"facts": "') + len(b'"facts": "')
    file.write_bytes(data[:at] + b"0" * 64 + data[at + 64 :])
    assert SavedPlan.load(file).recompiled


def test_a_value_that_comes_by_descriptor_is_not_saved() -> None:
    reader, writer = os.pipe()
    os.close(writer)
    with pytest.raises(SpecError, match="cannot stand in a document"):
        SavedPlan.compile(["/bin/true"], env_fd=reader)
    os.close(reader)


def test_a_copy_of_a_context_is_not_saved(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="one container"):
        SavedPlan.compile(["/bin/true"], context=tmp_path)


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    SavedPlan.compile(["/bin/true"])
    before = os.listdir("/proc/self/fd")
    SavedPlan.compile(["/bin/true"]).save(tmp_path / "plan")
    SavedPlan.load(tmp_path / "plan")
    assert os.listdir("/proc/self/fd") == before
