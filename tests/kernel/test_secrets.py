"""Secrets and variables reach the workload and nothing else: no argv, environment, plan, state or log."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from sandboxes import COMMAND, PATIENCE_S, Boxes, descendants

VALUE = "hunter2-c0rrect-h0rse"


@pytest.fixture
def token(boxes: Boxes) -> Path:
    """A file with a secret."""
    path = boxes.folder / "token"
    path.write_text(VALUE)
    path.chmod(0o600)
    return path


def test_a_secret_is_a_file_of_the_workload_alone(boxes: Boxes, token: Path) -> None:
    flags = ("--secret", f"token={token}")
    content, status, folder, written = boxes.probe(
        "cat /run/secrets/token",
        "stat /run/secrets/token",
        "stat /run/secrets",
        "write /run/secrets/token",
        flags=flags,
    )
    assert content == [VALUE]
    assert status[0].split()[:3] == ["100400", "1000", "1000"]
    assert folder[0].split()[:3] == ["40700", "1000", "1000"]
    assert written[0] in ("EROFS", "EACCES")


def test_a_secret_may_lie_deeper(boxes: Boxes, token: Path) -> None:
    (content,) = boxes.probe(
        "cat /run/secrets/db/password", flags=("--secret", f"{token}:/run/secrets/db/password")
    )
    assert content == [VALUE]


def places_of(pid: int) -> dict[str, bytes]:
    """What can be read of a process: arguments, environment, and files in memory such as the plan."""
    found = {}
    for name in ("cmdline", "environ"):
        try:
            found[f"{pid}/{name}"] = Path("/proc", str(pid), name).read_bytes()
        except OSError:
            continue
    try:
        names = os.listdir(f"/proc/{pid}/fd")
    except OSError:  # init is closed to all but root
        return found
    for name in names:
        path = f"/proc/{pid}/fd/{name}"
        try:
            if (leads_to := os.readlink(path)).startswith("/memfd:"):
                found[f"{pid} {leads_to}"] = Path(path).read_bytes()
        except FileNotFoundError:
            continue  # it has just been closed
    return found


def test_while_it_runs_a_secret_stands_nowhere_else(boxes: Boxes, token: Path) -> None:
    log = boxes.folder / "log"
    flags = ("--name", "holder", "--log", str(log), "--secret", f"token={token}", "--env", "PLAIN=1")
    process = boxes.start(*flags, "--", "sh", "-c", "echo ready; exec sleep 600")
    try:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        pids = [process.pid, *descendants(process.pid)]
        assert len(pids) >= 3  # monitor, init, workload
        seen: dict[str, bytes] = {}
        for pid in pids:
            seen |= places_of(pid)
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE_S)
    for path in [*boxes.root.rglob("*"), log]:
        if path.is_file():
            seen[str(path)] = path.read_bytes()
    assert {name for name, data in seen.items() if VALUE.encode() in data} == set()
    assert any("nucleus-plan" in name for name in seen) and any(name.endswith("/state.json") for name in seen)
    assert len(seen) > 6


@pytest.mark.identity("root", "user", "nosub", "nested")
def test_a_secret_is_not_in_the_plan(boxes: Boxes, token: Path) -> None:
    words = ["--root", str(boxes.root), "--secret", f"token={token}", "--", "true"]
    for form in (["--format", "text"], ["--format", "json"], ["--raw"]):
        shown = subprocess.run(
            [str(COMMAND), "explain", *form, *words], capture_output=True, env=boxes.environment, check=True
        ).stdout
        assert VALUE.encode() not in shown and b"/run/secrets/token" in shown


@pytest.mark.identity("root", "user", "nosub", "nested")
def test_a_secret_that_is_a_link_or_no_file_is_refused(boxes: Boxes, token: Path) -> None:
    link = boxes.folder / "link"
    link.symlink_to(token)
    for source in (link, boxes.folder):
        ran = boxes.cli("run", "--secret", f"token={source}", "--", "true")
        assert ran.code == 125 and "--secret" in ran.err


@pytest.fixture
def variables(boxes: Boxes) -> int:
    """A descriptor with two variables."""
    read, write = os.pipe()
    os.write(write, f"TOKEN={VALUE}\0OTHER=two words\0".encode())
    os.close(write)
    os.set_inheritable(read, True)
    return read


def test_variables_of_a_descriptor_are_in_no_record(boxes: Boxes, variables: int) -> None:
    flags = ("--name", "holder", "--env-fd", str(variables))
    script = 'echo "$TOKEN $OTHER"; exec sleep 600'
    process = boxes.start(*flags, "--", "sh", "-c", script, pass_fds=(variables,))
    os.close(variables)
    try:
        assert process.stdout is not None and process.stdout.readline() == f"{VALUE} two words\n"
        pids = [process.pid, *descendants(process.pid)]
        arguments = b"".join(Path("/proc", str(pid), "cmdline").read_bytes() for pid in pids)
        own = [pid for pid in pids if Path("/proc", str(pid), "comm").read_text().startswith("nucleus-")]
        assert len(own) == 2  # monitor and init; the workload's own environment has them, of course
        launcher = b"".join(
            data for pid in own for name, data in places_of(pid).items() if "nucleus-environment" not in name
        )
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE_S)
    state = b"".join(path.read_bytes() for path in boxes.root.rglob("*") if path.is_file())
    assert VALUE.encode() not in arguments + launcher + state
    assert state


def test_variables_come_from_flags_files_and_the_caller(boxes: Boxes) -> None:
    file = boxes.folder / "variables"
    file.write_text("# a comment\nFROM_FILE=f\nBOTH=file\n")
    os.environ["FROM_CALLER"] = "c"
    try:
        flags = ("--env-file", str(file), "--env", "BOTH=flag", "--env", "FROM_CALLER", "--env", "EMPTY=")
        (lines,) = boxes.probe("environment", flags=flags)
    finally:
        del os.environ["FROM_CALLER"]
    assert {"FROM_FILE=f", "BOTH=flag", "FROM_CALLER=c", "EMPTY="} <= set(lines)


@pytest.mark.identity("root", "user", "nosub", "nested")
def test_values_of_variables_are_not_in_the_record(boxes: Boxes) -> None:
    assert boxes.cli("run", "--name", "quiet", "--env", f"TOKEN={VALUE}", "--", "true").code == 0
    state = b"".join(path.read_bytes() for path in boxes.root.rglob("*") if path.is_file())
    assert VALUE.encode() not in state
    assert b"TOKEN" in state


def test_variables_of_a_detached_container_are_for_its_owner_alone(boxes: Boxes) -> None:
    assert boxes.cli("run", "-d", "--name", "quiet", "--env", f"TOKEN={VALUE}", "--", "true").code == 0
    boxes.cli("wait", "quiet")
    holding = [p for p in boxes.root.rglob("*") if p.is_file() and VALUE.encode() in p.read_bytes()]
    assert [path.name for path in holding] == ["spec.json"]
    assert holding[0].stat().st_mode & 0o077 == 0 and holding[0].parent.stat().st_mode & 0o077 == 0


@pytest.mark.identity("root", "user", "nosub", "nested")
@pytest.mark.parametrize("name", ["LD_PRELOAD", "LD_LIBRARY_PATH", "LD_AUDIT"])
def test_what_the_loader_obeys_is_refused(boxes: Boxes, name: str) -> None:
    ran = boxes.cli("run", "--env", f"{name}=/x", "--", "true")
    assert ran.code == 125 and re.search(r"remedy", ran.err)
