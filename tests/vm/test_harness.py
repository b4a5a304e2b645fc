"""The guest harness itself, with an emulator that only plays its part.  ✗ starts no virtual machine."""

from __future__ import annotations

import argparse
import stat
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.vm import images, run_kernel_tests, session
from tests.vm.guest import Disks, Guest, GuestDied, GuestTimeout, Machine
from tests.vm.images import Emulator, GuestUnavailable, Image
from tests.vm.saved import SavedState, state_named

WHOLE_IMAGE = """#!/bin/sh
echo built >>"$2/builds"
mkdir -p "$2/image-$1-$3"
sleep 0.2
touch "$2/image-$1-$3"/vmlinuz "$2/image-$1-$3"/stage.cpio "$2/image-$1-$3"/root.ext4
"""

# Finds the agent's descriptor among its arguments, then answers one request as the guest would.
FAKE_EMULATOR = """#!{python} -S
import os, sys, time
fd = int(next(a for a in sys.argv if "id=agent" in a).split("fd=")[1])
def say(kind, data): os.write(fd, kind + len(data).to_bytes(4, "big") + data)
request = os.read(fd, 65536)
{answer}
"""


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of build files whose builder only writes names; the cache is private too."""
    folder = tmp_path / "recipe"
    folder.mkdir()
    for name in images.BUILT_FROM:
        (folder / name).write_text(WHOLE_IMAGE)
        (folder / name).chmod(0o755)
    monkeypatch.setattr(images, "HERE", folder)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setenv("VM_CACHE", str(tmp_path / "cache"))
    return folder


def builds() -> int:
    log = images.cache_folder() / "builds"
    return len(log.read_text().splitlines()) if log.exists() else 0


def test_callers_at_the_same_time_build_an_image_once(recipe: Path) -> None:
    callers = [threading.Thread(target=images.image_for, args=("6.1",)) for _ in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert builds() == 1


def test_a_half_built_image_is_built_again(recipe: Path) -> None:
    images.image_for("6.1").root_disk.unlink()
    assert images.image_for("6.1").is_whole()
    assert builds() == 2


def test_a_builder_that_outlives_its_caller_keeps_others_out(recipe: Path) -> None:
    (recipe / "build-image.sh").write_text("#!/bin/sh\n(sleep 1; touch $2/late) >/dev/null 2>&1 &\nexit 1\n")
    with pytest.raises(GuestUnavailable):
        images.image_for("6.1")
    with images.locked(images.cache_folder() / "lock"):
        assert (images.cache_folder() / "late").exists()


def test_another_recipe_is_another_image_and_old_ones_go(recipe: Path) -> None:
    for number in range(4):
        (recipe / "agent.c").write_text(str(number))
        newest = images.image_for("6.1")
    folders = list(images.cache_folder().glob("image-*"))
    assert len(folders) == images.IMAGES_KEPT
    assert newest.folder in folders


def test_a_build_that_fails_names_the_remedy(recipe: Path) -> None:
    (recipe / "build-image.sh").write_text("#!/bin/sh\nexit 1\n")
    with pytest.raises(GuestUnavailable, match="setup-vm.sh"):
        images.image_for("6.1")


def playing(tmp_path: Path, answer: str) -> Guest:
    """A Guest whose emulator is a script that gives `answer` to the first request."""
    program = tmp_path / "emulator"
    program.write_text(FAKE_EMULATOR.format(python=sys.executable, answer=answer))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    nowhere = tmp_path / "none"
    return Guest(
        Emulator(program=program, arguments=(), version="0"),
        Machine(),
        Image(folder=tmp_path),
        Disks(root=nowhere, root_format="raw", project=nowhere),
        folder=tmp_path,
    )


def test_streams_and_exit_status_come_back(tmp_path: Path) -> None:
    out, err = bytearray(), bytearray()
    answer = 'say(b"O", b"one"); say(b"E", b"two"); say(b"O", b"three"); say(b"X", b"7"); time.sleep(60)'
    with playing(tmp_path, answer) as guest:
        status = guest.run(["command"], time.monotonic() + 60, out=out.extend, err=err.extend)
    assert (status, bytes(out), bytes(err)) == (7, b"onethree", b"two")


def test_an_emulator_that_dies_is_reported_with_its_last_words(tmp_path: Path) -> None:
    with playing(tmp_path, 'sys.stderr.write("cannot go on"); sys.exit(3)') as guest:
        with pytest.raises(GuestDied, match="(?s)cannot go on"):
            guest.run(["command"], time.monotonic() + 60)


def test_a_command_beyond_its_time_is_given_up(tmp_path: Path) -> None:
    with playing(tmp_path, "time.sleep(60)") as guest:
        with pytest.raises(GuestTimeout):
            guest.run(["command"], time.monotonic() + 0.3)


class Resuming:
    """Stands for Guest: the first `deaths` resumed ones die before they answer, or in the command."""

    deaths = 0
    dies_in_command = False
    started: list[list[str]] = []

    def __init__(self, *arguments: object, **named: object) -> None:
        pass

    def __enter__(self) -> Resuming:
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def run(self, argv: list[str], *arguments: object, **named: object) -> int:
        Resuming.started.append(list(argv))
        if argv[0] == "sh" and Resuming.deaths:
            Resuming.deaths -= 1
            raise GuestDied("died while resuming")
        if argv[0] != "sh" and Resuming.dies_in_command:
            raise GuestDied("died at work")
        return 0


@pytest.fixture
def states_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[SavedState]:
    """Sessions over Resuming; the list grows with each saved state that had to be made."""
    made: list[SavedState] = []

    def saved_state(*arguments: object) -> SavedState:
        state = state_named(tmp_path, "key")
        if not state.memory.exists():
            state.memory.touch()
            made.append(state)
        return state

    monkeypatch.setattr(session, "Guest", Resuming)
    monkeypatch.setattr(session, "saved_state", saved_state)
    monkeypatch.setattr(session, "emulator", lambda: None)
    monkeypatch.setattr(session, "image_for", lambda kernel: Image(folder=tmp_path))
    monkeypatch.setattr(Resuming, "deaths", 0)
    monkeypatch.setattr(Resuming, "dies_in_command", False)
    monkeypatch.setattr(Resuming, "started", [])
    return made


@pytest.mark.parametrize(
    ("deaths", "made"),
    [
        pytest.param(0, 1, id="resumes at once"),
        pytest.param(1, 1, id="one death is bad luck"),
        pytest.param(2, 2, id="two deaths are a broken state"),
    ],
)
def test_a_guest_that_dies_before_its_command_is_had_again(
    deaths: int, made: int, states_made: list[SavedState], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Resuming, "deaths", deaths)
    assert session.run_in_guest(Machine(), session.Command(argv=("work",))) == 0
    assert len(states_made) == made
    assert Resuming.started[-1] == ["work"]


def test_a_guest_that_never_resumes_is_given_up(
    states_made: list[SavedState], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Resuming, "deaths", 99)
    with pytest.raises(GuestUnavailable, match="does not resume"):
        session.run_in_guest(Machine(), session.Command(argv=("work",)))
    assert len(Resuming.started) == 3


def test_a_death_at_work_is_not_hidden(
    states_made: list[SavedState], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Resuming, "dies_in_command", True)
    with pytest.raises(GuestDied, match="at work"):
        session.run_in_guest(Machine(), session.Command(argv=("work",)))
    assert Resuming.started.count(["work"]) == 1


def test_a_folder_too_big_for_the_project_disk_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "PROJECT_DISK_BYTES", 1 << 20)
    share = tmp_path / "share"
    share.mkdir()
    (share / "big").write_bytes(b"x" * (2 << 20))
    with pytest.raises(GuestUnavailable, match="share less"):
        session.project_disk(share, tmp_path)


@pytest.mark.parametrize(
    ("counts", "status", "problem"),
    [
        pytest.param({"tests": 3}, 0, "", id="passed"),
        pytest.param({"tests": 3, "failures": 1}, 1, "1 tests failed", id="failure"),
        pytest.param({"tests": 3, "errors": 2}, 1, "2 tests failed", id="error"),
        pytest.param({"tests": 3, "skipped": 1}, 0, "1 tests were left out", id="a skip is no pass"),
        pytest.param({"tests": 0}, 0, "no test ran", id="nothing collected"),
        pytest.param({"tests": 3}, 2, "pytest ended with 2", id="interrupted"),
    ],
)
def test_a_run_passes_only_when_every_test_of_it_did(
    counts: dict[str, int], status: int, problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run_in_guest(machine: Machine, command: session.Command, **streams: object) -> int:
        assert command.collect is not None
        attributes = " ".join(f'{key}="{value}"' for key, value in counts.items())
        (command.collect / "junit.xml").write_text(f"<testsuites><testsuite {attributes}/></testsuites>")
        return status

    monkeypatch.setattr(run_kernel_tests, "run_in_guest", run_in_guest)
    given = argparse.Namespace(tests=[], pytest=[], timeout=1.0)
    outcome = run_kernel_tests.run_once(run_kernel_tests.RUNS[0], tmp_path, tmp_path, given)
    assert outcome.problem == problem


def test_a_guest_that_cannot_be_had_fails_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run_in_guest(*arguments: object, **named: object) -> int:
        raise GuestUnavailable("no emulator")

    monkeypatch.setattr(run_kernel_tests, "run_in_guest", run_in_guest)
    given = argparse.Namespace(tests=[], pytest=[], timeout=1.0)
    outcome = run_kernel_tests.run_once(run_kernel_tests.RUNS[-1], tmp_path, tmp_path, given)
    assert "no emulator" in outcome.problem


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        pytest.param(
            {}, ["vm-6.1-root", "vm-6.1-dev", "vm-6.12-root", "vm-6.12-dev", "vm-6.12-locked"], id="all"
        ),
        pytest.param({"kernel": ["6.1"], "user": ["dev"]}, ["vm-6.1-dev"], id="one kernel, one user"),
        pytest.param(
            {"tests": ["a.py"], "user": ["root"]}, ["vm-6.1-root", "vm-6.12-root"], id="named tests"
        ),
        pytest.param({"tests": ["a.py"], "locked": True}, ["vm-6.12-locked"], id="the locked one"),
    ],
)
def test_which_guests_run(wanted: dict[str, object], names: list[str]) -> None:
    given = argparse.Namespace(**{"tests": [], "kernel": None, "user": None, "locked": False} | wanted)
    assert [run.name for run in run_kernel_tests.chosen(given)] == names
