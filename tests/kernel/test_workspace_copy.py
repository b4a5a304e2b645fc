"""--workspace-mode copy-in-out with real containers: what comes back, what a hostile run cannot do, what a kill leaves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from sandboxes import PATIENCE_S, Boxes, Ran, own_identity, wait_until

from nucleus.base.errors import Conflict
from nucleus.observe.events import read_events

# An emulated guest is slow, and its disk small.
HERE = pytest.mark.identity("root", "user", "nosub", "nested")
AS_ROOT = pytest.mark.identity("root", "vm-root")


@pytest.fixture
def work(boxes: Boxes) -> Path:
    """A workspace with a little of everything."""
    top = boxes.directory("work")
    (top / "d").mkdir()
    (top / "a").write_text("one\n")
    (top / "d" / "x").write_text("two\n")
    (top / "link").symlink_to("nowhere")
    if own_identity() in ("root", "vm-root"):
        for path in (top, *top.rglob("*")):
            os.chown(path, 4242, 4243, follow_symlinks=False)
    return top


def flags(work: Path, *more: str) -> tuple[str, ...]:
    return ("--workspace", str(work), "--workspace-mode", "copy-in-out", *more)


def command(boxes: Boxes, work: Path, script: str, *more: str) -> Ran:
    return boxes.cli("run", *flags(work, *more), "--", "sh", "-c", script)


def running(boxes: Boxes, work: Path, name: str, script: str) -> subprocess.Popen[str]:
    process = boxes.start(
        *flags(work, "--name", name), "--", "sh", "-c", f"{script}; echo begun; exec sleep 300"
    )
    assert process.stdout is not None and process.stdout.readline() == "begun\n"
    return process


def ended(process: subprocess.Popen[str]) -> int:
    code = process.wait(timeout=PATIENCE_S)
    assert process.stdout is not None
    process.stdout.close()
    return code


def test_changes_arrive_at_the_end_and_not_before(boxes: Boxes, work: Path) -> None:
    process = running(
        boxes, work, "c", "echo more >>a; rm -r d; mkdir n; echo new >n/y; ln -s y n/s; chmod 600 a"
    )
    assert (work / "a").read_text() == "one\n" and (work / "d" / "x").exists()
    process.send_signal(signal.SIGTERM)
    assert ended(process) == 143
    assert (work / "a").read_text() == "one\nmore\n" and (work / "a").stat().st_mode & 0o777 == 0o600
    assert sorted(os.listdir(work)) == ["a", "link", "n"] and os.readlink(work / "n" / "s") == "y"
    owner = work.stat().st_uid, work.stat().st_gid
    assert {(p.lstat().st_uid, p.lstat().st_gid) for p in work.rglob("*")} == {owner}
    assert boxes.inspect("c")["workspace"]["state"] == "applied"


@pytest.mark.parametrize("code", [0, 3])
def test_the_command_s_exit_code_stays_and_what_it_did_is_applied(
    boxes: Boxes, work: Path, code: int
) -> None:
    ran = command(boxes, work, f"echo ran >r; exit {code}", "--rm")
    assert (ran.code, (work / "r").read_text()) == (code, "ran\n")
    assert os.listdir(boxes.root / "containers") == []


def test_a_signal_to_the_command_reaches_the_workload(boxes: Boxes, work: Path) -> None:
    script = 'trap "echo got >t; exit 7" TERM; echo begun; while :; do sleep 0.1; done'
    process = boxes.start(*flags(work, "--rm"), "--", "sh", "-c", script)
    assert process.stdout is not None and process.stdout.readline() == "begun\n"
    process.send_signal(signal.SIGTERM)
    assert ended(process) == 7
    assert (work / "t").read_text() == "got\n"


@HERE
def test_names_times_holes_links_and_attributes_come_through_both_ways(boxes: Boxes, work: Path) -> None:
    odd = os.fsencode(work) + b"/new\nline \xff"
    Path(os.fsdecode(odd)).write_bytes(b"odd")
    with open(work / "sparse", "wb") as file:
        file.seek(64 << 20)
        file.write(b"end")
    os.link(work / "a", work / "again")
    os.setxattr(work / "d" / "x", "user.note", b"kept")
    os.utime(work / "d" / "x", (1_000_000_000, 1_000_000_000))
    (work / "closed").mkdir(mode=0o750)
    os.mkfifo(work / "pipe")
    if os.geteuid() == 0:
        for path in work.rglob("*"):
            os.chown(path, work.stat().st_uid, work.stat().st_gid, follow_symlinks=False)
    script = (
        "test ! -e pipe || exit 9; test a -ef again || exit 8; stat -c '%Y %s %b' d/x sparse;"
        "cp 'new\nline '* copied; echo x >>d/x; echo y >>again; truncate -s 128M hole; : >'n\nl'; mkdir -m 700 deep"
    )
    result = boxes.run(*flags(work), "--", "sh", "-c", script)
    assert result.exit_code == 0, result.err
    assert result.out.splitlines()[0].startswith("1000000000 4 ")
    assert int(result.out.split()[-1]) < 1000, "holes stayed holes in the copy"
    assert (work / "copied").read_bytes() == b"odd" and (work / "n\nl").read_bytes() == b""
    assert os.getxattr(work / "d" / "x", "user.note") == b"kept"
    assert (work / "a").read_text() == "one\ny\n" and os.path.samefile(work / "a", work / "again")
    hole = (work / "hole").stat()
    assert hole.st_size == 128 << 20 and hole.st_blocks < 1000
    assert (work / "deep").stat().st_mode & 0o777 == 0o700
    assert (work / "closed").stat().st_mode & 0o777 == 0o750
    assert Path(os.fsdecode(odd)).read_bytes() == b"odd" and (work / "pipe").is_fifo()


# ---- both sides ----


def test_a_file_changed_on_both_sides_is_kept_beside_and_the_exit_code_is_125(
    boxes: Boxes, work: Path
) -> None:
    process = running(boxes, work, "c", "echo inside >a; echo inside >d/x; echo fine >b")
    (work / "a").write_text("outside\n")
    (work / "d" / "appeared").write_text("mine\n")
    diff = boxes.cli("workspace", "diff", "c")
    assert diff.code == 125 and "is running" in diff.err
    process.send_signal(signal.SIGTERM)
    assert ended(process) == 125
    known = boxes.inspect("c")["workspace"]
    assert (known["state"], known["conflicts"]) == ("conflicts", [["a", "both changed it"]])
    assert [e["paths"] for e in read_events(str(boxes.root)) if e["type"] == "conflict"] == [["a"]]
    assert (work / "a").read_text() == "outside\n" and (work / "d" / "appeared").read_text() == "mine\n"
    assert (Path(known["kept_in"]) / "a").read_text() == "inside\n"
    assert (work / "d" / "x").read_text() == "inside\n" and (work / "b").read_text() == "fine\n"


def test_the_library_raises_and_keeps_both_versions(boxes: Boxes, work: Path) -> None:
    # The workload waits for the change of the host by looking at a volume.
    signs = boxes.directory("signs", (work.stat().st_uid, work.stat().st_gid) if os.geteuid() == 0 else None)
    child = subprocess.Popen(
        [sys.executable, "-c", "import sys,time,os\nwhile not os.path.exists(sys.argv[1]): time.sleep(.01)\n"
         "open(sys.argv[2],'w').write('outside')\nopen(sys.argv[3],'w').write('')",
         str(signs / "copied"), str(work / "a"), str(signs / "changed")],
    )  # fmt: skip
    script = "echo inside >a; : >/signs/copied; while [ ! -e /signs/changed ]; do sleep 0.05; done"
    with pytest.raises(Conflict, match="'a': both changed it"):
        boxes.run(*flags(work, "--volume", f"{signs}:/signs"), "--", "sh", "-c", script)
    assert child.wait(timeout=PATIENCE_S) == 0
    assert (work / "a").read_text() == "outside"
    assert [p.read_text() for p in work.glob("nucleus-conflicts-*/a")] == ["inside\n"]
    assert os.listdir(boxes.root / "containers") == []


# ---- a hostile run ----


def test_links_made_inside_lead_nobody_out(boxes: Boxes, work: Path) -> None:
    outside = boxes.directory("outside")
    (outside / "x").write_text("untouched\n")
    script = (
        f"rm -r d; ln -s {outside} d; rm a; ln -s /etc/shadow a; ln -s {outside}/x new; mkfifo p;"
        "mkdir q; ln -s / q/root; ln -s ../../../../../../etc q/up"
    )
    assert command(boxes, work, script, "--rm").code == 0
    assert (outside / "x").read_text() == "untouched\n" and os.listdir(outside) == ["x"]
    assert os.readlink(work / "d") == str(outside) and os.readlink(work / "a") == "/etc/shadow"
    assert not (work / "p").exists()
    # The next run copies the links as links: nothing of what they point to comes in.
    result = boxes.run(
        *flags(work), "--", "sh", "-c", "cat a d/x new q/root/etc/hostname 2>&1 | grep -c 'No such\\|denied'"
    )
    assert int(result.out) >= 3
    assert (outside / "x").read_text() == "untouched\n"


def test_a_directory_that_became_a_link_here_is_not_written_through(boxes: Boxes, work: Path) -> None:
    outside = boxes.directory("outside")
    (outside / "x").write_text("untouched\n")
    process = running(boxes, work, "c", "echo inside >d/x; echo inside >d/new; mkdir -p d/deep; : >d/deep/y")
    (work / "d" / "x").unlink()
    (work / "d").rmdir()
    (work / "d").symlink_to(outside)
    process.send_signal(signal.SIGTERM)
    assert ended(process) == 125
    assert (outside / "x").read_text() == "untouched\n" and os.listdir(outside) == ["x"]
    known = boxes.inspect("c")["workspace"]
    assert {path for path, _ in known["conflicts"]} == {"d/x", "d/new", "d/deep", "d/deep/y"}
    assert (Path(known["kept_in"]) / "d" / "x").read_text() == "inside\n"


@HERE
def test_a_tree_without_end_is_refused_whole_and_can_be_thrown_away(boxes: Boxes, work: Path) -> None:
    script = (
        "i=0; while [ $i -lt 1500 ]; do mkdir e && cd e || exit 1; i=$((i+1)); done; : >bottom; chmod 0 ."
    )
    try:
        ran = command(boxes, work, script, "--name", "deep")
        assert ran.code == 125 and "directories deep" in ran.err and "discard" in ran.err
        assert not (work / "e").exists()
        assert boxes.cli("rm", "deep").code == 125
        assert boxes.cli("workspace", "discard", "deep").code == 0
        assert boxes.inspect("deep")["workspace"]["state"] == "discarded"
    finally:
        boxes.cli("rm", "-f", "deep")  # else what is left would be too deep for pytest to remove


@HERE
def test_files_that_nobody_may_read_and_files_without_end_come_back(boxes: Boxes, work: Path) -> None:
    script = "truncate -s 3T huge; echo s >secret; chmod 0 secret; mkdir shut; : >shut/in; chmod 0 shut; chmod 500 d"
    ran = command(boxes, work, script, "--rm")  # reading what the holes stand for would take hours
    assert ran.code == 0, ran.err
    assert (work / "huge").stat().st_size == 3 << 40 and (work / "huge").stat().st_blocks == 0
    assert (work / "secret").stat().st_mode & 0o777 == 0 and (work / "shut").stat().st_mode & 0o777 == 0
    (work / "shut").chmod(0o700)
    assert (work / "shut" / "in").exists()
    (work / "huge").unlink()


@AS_ROOT
def test_a_setuid_bit_and_a_device_do_not_come_back(boxes: Boxes, work: Path) -> None:
    process = running(boxes, work, "c", "cp /bin/true t; echo x >>a")
    stage = boxes.root / "containers" / boxes.inspect("c")["id"] / "workspace" / "stage"
    # What a broken kernel or a given-up filter would let a run do.
    (stage / "t").chmod(0o6755)
    os.mknod(stage / "disk", 0o60666, os.makedev(7, 0))
    os.chown(stage / "t", 0, 0)
    process.send_signal(signal.SIGTERM)
    assert ended(process) == 143
    status = (work / "t").stat()
    assert status.st_mode & 0o7777 == 0o755 and (status.st_uid, status.st_gid) == (4242, 4243)
    assert not (work / "disk").exists()
    assert boxes.inspect("c")["workspace"]["left_out"] == ["disk"]


# ---- kills ----


def test_after_a_kill_the_changes_are_pending_and_can_be_seen_and_applied(boxes: Boxes, work: Path) -> None:
    process = running(boxes, work, "c", "echo late >l; rm a; echo more >>d/x")
    process.kill()
    ended(process)
    wait_until(lambda: boxes.inspect("c")["status"] == "stopped")
    assert boxes.inspect("c")["workspace"] == {"state": "pending"}
    assert sorted(os.listdir(work)) == ["a", "d", "link"]
    ran = boxes.cli("rm", "c")
    assert ran.code == 125 and "workspace apply" in ran.err
    lines = [
        json.loads(line) for line in boxes.cli("workspace", "diff", "--format", "json", "c").out.splitlines()
    ]
    assert {(row["what"], row["path"]) for row in lines} == {
        ("make", "l"),
        ("remove", "a"),
        ("change", "d/x"),
    }
    assert boxes.cli("workspace", "apply", "c").code == 0
    assert sorted(os.listdir(work)) == ["d", "l", "link"] and (work / "d" / "x").read_text() == "two\nmore\n"
    again = boxes.cli("workspace", "apply", "c")
    assert again.code == 125 and "applied already" in again.err


def test_a_killed_monitor_leaves_the_changes_pending_and_discard_throws_them_away(
    boxes: Boxes, work: Path
) -> None:
    process = running(boxes, work, "c", "echo late >l")
    monitor = Path(f"/proc/{boxes.inspect('c')['pid']}/status").read_text()
    parent = next(line.split()[1] for line in monitor.splitlines() if line.startswith("PPid:"))
    os.kill(int(parent), signal.SIGKILL)
    assert ended(process) == 125
    assert boxes.inspect("c")["workspace"] == {"state": "pending"}
    assert boxes.cli("workspace", "discard", "c").code == 0
    assert not (work / "l").exists()
    assert boxes.cli("rm", "c").code == 0


def test_a_workspace_that_is_another_directory_by_now_gets_nothing(boxes: Boxes, work: Path) -> None:
    process = running(boxes, work, "c", "echo late >l")
    process.kill()
    ended(process)
    wait_until(lambda: boxes.inspect("c")["status"] == "stopped")
    work.rename(work.with_name("moved"))
    work.mkdir()
    ran = boxes.cli("workspace", "apply", "c")
    assert ran.code == 125 and "another directory" in ran.err and "/stage" in ran.err
    work.rmdir()
    work.with_name("moved").rename(work)
    assert boxes.cli("workspace", "apply", "c").code == 0
    assert (work / "l").read_text() == "late\n"


def test_a_command_that_was_not_found_leaves_nothing_pending(boxes: Boxes, work: Path) -> None:
    ran = boxes.cli("run", *flags(work, "--name", "none"), "--", "/no/such/program")
    assert ran.code == 127
    assert boxes.inspect("none")["workspace"]["state"] == "discarded"
    assert sorted(os.listdir(work)) == ["a", "d", "link"]
