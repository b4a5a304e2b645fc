"""Freezing and killing by a cgroup's files, on directories that stand for cgroups."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from nucleus.base.errors import Conflict, HostUnsupported
from nucleus.cgroup import control


def v2(folder: Path, *, freeze: str = "0", frozen: int = 0) -> tuple[str, ...]:
    (folder / "cgroup.freeze").write_text(f"{freeze}\n")
    (folder / "cgroup.events").write_text(f"populated 1\nfrozen {frozen}\n")
    return (str(folder),)


def test_what_was_asked_for_says_whether_it_is_frozen(tmp_path: Path) -> None:
    assert not control.is_frozen(v2(tmp_path, freeze="0", frozen=1))
    # A signal wakes a frozen process for a few steps.
    assert control.is_frozen(v2(tmp_path, freeze="1", frozen=0))
    assert not control.is_frozen((str(tmp_path / "gone"),)) and not control.is_frozen(())


@pytest.mark.parametrize(("state", "frozen"), [("THAWED", False), ("FREEZING", True), ("FROZEN", True)])
def test_the_freezer_of_v1(tmp_path: Path, state: str, frozen: bool) -> None:
    (tmp_path / "freezer.state").write_text(f"{state}\n")
    assert control.is_frozen(("/nowhere", str(tmp_path))) is frozen


def test_freezing_waits_until_all_stand_still(tmp_path: Path) -> None:
    directories = v2(tmp_path)

    def kernel() -> None:
        while "1" not in (tmp_path / "cgroup.freeze").read_text():
            time.sleep(0.001)
        time.sleep(0.02)
        (tmp_path / "cgroup.events").write_text("frozen 1\n")

    other = threading.Thread(target=kernel)
    other.start()
    control.set_frozen(directories, frozen=True)
    assert "frozen 1" in (tmp_path / "cgroup.events").read_text()
    other.join(5)


def test_what_does_not_stand_still_is_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "_WAIT_S", 0.02)
    with pytest.raises(Conflict):
        control.set_frozen(v2(tmp_path), frozen=True)
    assert (tmp_path / "cgroup.freeze").read_text().startswith("0")


def test_without_a_freezer_the_remedy_is_told(tmp_path: Path) -> None:
    with pytest.raises(HostUnsupported) as caught:
        control.set_frozen((str(tmp_path),), frozen=True)
    assert "doctor" in caught.value.remedy


def test_all_are_killed_where_the_kernel_can(tmp_path: Path) -> None:
    assert not control.kill_all((str(tmp_path),)) and not control.kill_all(())
    (tmp_path / "cgroup.kill").write_text("")
    assert control.kill_all(("/nowhere", str(tmp_path)))
    assert (tmp_path / "cgroup.kill").read_text() == "1"
