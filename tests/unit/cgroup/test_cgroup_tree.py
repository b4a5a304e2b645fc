"""Carrying a placement out: on directories that are no cgroups, and on this machine's own."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from hosts import SCOPE, on_v2

from nucleus.base.errors import HostUnsupported
from nucleus.cgroup import tree
from nucleus.cgroup.parent import CgroupDirectory, Placement, choose_parent
from nucleus.host.probe import probe


def pretended(path: Path) -> CgroupDirectory:
    """A directory of an ordinary file system as the parent."""
    return CgroupDirectory(version=2, path=str(path), device=0)


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A delegated cgroup made of plain files, with the check of the file system left out."""
    for name in ("cgroup.procs", "cgroup.subtree_control"):
        (tmp_path / name).write_text("")
    monkeypatch.setattr(tree, "open_directory", lambda d: os.open(d.path, os.O_PATH | os.O_DIRECTORY))
    return tmp_path


def leaf_placement(base: Path) -> Placement:
    return Placement(
        kind="leaf", directories=(pretended(base),), enable=("memory", "pids"),
        leaf=f"{base}/nucleus.self", remedy="delegate",
    )  # fmt: skip


def test_a_plain_directory_is_never_taken_for_a_cgroup(tmp_path: Path) -> None:
    with pytest.raises(HostUnsupported, match="not in the cgroup v2 hierarchy"):
        tree.open_directory(pretended(tmp_path))


def test_a_link_to_a_cgroup_is_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/sys/fs/cgroup")
    with pytest.raises(HostUnsupported, match="cannot be used"):
        tree.open_directory(pretended(tmp_path / "link"))


def test_an_absent_parent_is_refused_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(HostUnsupported) as caught:
        tree.open_directory(pretended(tmp_path / "none"))
    assert "create it" in caught.value.remedy


def test_the_caller_steps_aside_and_hands_the_controllers_on(fake: Path) -> None:
    (fake / "cgroup.procs").write_text(f"{os.getpid()}\n")
    (fake / "nucleus.self").mkdir()
    (fake / "nucleus.self/cgroup.procs").write_text("")
    tree.prepare(leaf_placement(fake))
    assert (fake / "nucleus.self/cgroup.procs").read_text() == str(os.getpid())
    assert (fake / "cgroup.subtree_control").read_text() == "+memory +pids"


def test_processes_of_others_are_not_moved(fake: Path) -> None:
    other = subprocess.Popen(["/bin/sleep", "30"], start_new_session=True)
    try:
        (fake / "cgroup.procs").write_text(f"{os.getpid()}\n{other.pid}\n")
        with pytest.raises(HostUnsupported, match="processes of others"):
            tree.prepare(leaf_placement(fake))
    finally:
        other.kill()
        other.wait()
    assert (fake / "cgroup.subtree_control").read_text() == ""


def test_controllers_that_are_handed_on_already_are_left_alone(fake: Path) -> None:
    (fake / "cgroup.subtree_control").write_text("memory pids")
    tree.prepare(leaf_placement(fake).replace(kind="own", leaf=""))
    assert (fake / "cgroup.subtree_control").read_text() == "memory pids"


def test_a_refusal_of_the_kernel_becomes_a_sentence_with_a_remedy(fake: Path) -> None:
    (fake / "cgroup.subtree_control").unlink()
    with pytest.raises(HostUnsupported, match="memory pids cannot be handed on") as caught:
        tree.prepare(leaf_placement(fake))
    assert caught.value.remedy == "delegate"


def test_settling_goes_on_to_what_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree, "systemd_run", lambda: "/usr/bin/systemd-run")
    monkeypatch.delenv("NUCLEUS_SCOPE", raising=False)
    facts = on_v2(delegated=True, user=True)
    assert facts.cgroup.v2 is not None and not os.path.exists(SCOPE)
    assert tree.settle(facts, wanted=("pids",)).kind == "scope"
    monkeypatch.setenv("NUCLEUS_SCOPE", "1")
    assert tree.settle(facts, wanted=("pids",)).kind == "none"


def test_a_scope_is_asked_for_with_delegation_and_only_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree, "systemd_run", lambda: "/usr/bin/systemd-run")
    placement = choose_parent(on_v2(user=True), wanted=("pids",))
    command = tree.scope_command(placement, ("nucleus", "run", "true"))
    assert command[:3] == ("/usr/bin/systemd-run", "--user", "--scope")
    (unit,) = [w.removeprefix("--unit=") for w in command if w.startswith("--unit=")]
    assert "Delegate=yes" in command and f"--setenv=NUCLEUS_SCOPE={unit}" in command
    assert command[-4:] == ("--", "nucleus", "run", "true")


def test_the_parents_of_this_machine_can_be_opened() -> None:
    placement = choose_parent(probe(), wanted=("memory", "pids"))
    opened = tree.open_parents(placement) if not placement.enable and placement.kind != "scope" else []
    for directory, fd in opened:
        assert os.readlink(f"/proc/self/fd/{fd}") == directory.path
        os.close(fd)
