"""`nucleus run` with options that were asked for before starts from the kept plan, and is like any other start.

It shows in the time of the plan's file, which is that of its last use; one that was made anew is another file.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from sandboxes import COMMAND, PATIENCE_S, Boxes, Ran, descendants, wait_until

pytestmark = pytest.mark.identity("root", "user")

# What a process can see of its sandbox, without what no two containers share.
LOOK = """
cut -d' ' -f4-6 /proc/self/mountinfo | sort
grep -E '^(Cap|NoNewPrivs|Seccomp|Groups|Uid|Gid)' /proc/self/status
cat /proc/self/setgroups; id; env | sort; ulimit -a; umask; pwd
find / /dev /etc /run -maxdepth 1 -printf '%p %m %U %G %s %l\\n' | sort
find /proc/self/fd -printf '%f\\n' | sort
"""
OPTIONS = {
    "process": (
        "--env",
        "A=1",
        "-e",
        "B=",
        "--label",
        "x=y",
        "--workdir",
        "/tmp",
        "--ulimit",
        "nofile=77",
        "--user",
        "7",
    ),
    "files": ("--workspace", "WORK", "--volume", "WORK:/ro:ro", "--tmpfs", "/scratch", "--shm-size", "2M"),
    "host network": ("--network", "host", "--allow-host-network", "--timeout", "10m"),
}


def plans(boxes: Boxes) -> dict[str, os.stat_result]:
    """What is kept; a first request leaves an empty file alone."""
    folder = boxes.root / "plans"
    found = {path.name: path.stat() for path in folder.iterdir()} if folder.exists() else {}
    assert all(s.st_mode & 0o077 == 0 and s.st_uid == os.geteuid() for s in found.values())
    return {name: status for name, status in found.items() if status.st_size}


def used(before: dict[str, os.stat_result], after: dict[str, os.stat_result]) -> bool:
    """Was a kept plan started since?  Fails where one was made anew."""
    assert {n: s.st_ino for n, s in before.items()} == {n: s.st_ino for n, s in after.items()}
    return any(after[name].st_mtime_ns > before[name].st_mtime_ns for name in before)


def run_kept(boxes: Boxes, *words: str, **options: Any) -> Ran:
    """A start that comes from what an earlier one left."""
    before = plans(boxes)
    ran = boxes.cli("run", *words, **options)
    assert used(before, plans(boxes)), ran
    return ran


def learn(boxes: Boxes, *options: str) -> None:
    """Ask for the options until their plan is kept."""
    before, deadline = len(plans(boxes)), time.monotonic() + PATIENCE_S
    while len(plans(boxes)) == before:  # the second time; later where the code itself is two seconds old
        assert time.monotonic() < deadline
        ran = boxes.cli("run", *options, "--", "true")
        assert ran.code == 0, ran


@pytest.mark.identity("root", "user", "nosub", "nested", "vm-root", "vm-user")
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_it_finds_inside_what_a_compiled_start_finds(boxes: Boxes, options: tuple[str, ...]) -> None:
    work = boxes.directory("work")
    (work / ".git").mkdir()
    (work / ".git/config").touch()
    flags = [word.replace("WORK", str(work)) for word in ("--rm", "--hostname", "box", *options)]
    boxes.environment["NUCLEUS_PLAN_CACHE"] = "0"
    compiled = boxes.cli("run", *flags, "--", "sh", "-c", LOOK)
    del boxes.environment["NUCLEUS_PLAN_CACHE"]
    assert compiled.code == 0 and len(compiled.out.splitlines()) > 40, compiled
    assert plans(boxes) == {} and not (boxes.root / "plans").exists()
    learn(boxes, *flags)
    kept = run_kept(boxes, *flags, "--", "sh", "-c", LOOK)
    assert (kept.code, kept.out, kept.err) == (compiled.code, compiled.out, compiled.err)


def test_it_ends_as_a_compiled_start_ends(boxes: Boxes) -> None:
    ends = {
        ("sh", "-c", "exit 7"): 7,
        ("sh", "-c", "kill -9 $$"): 137,
        ("no-such-program",): 127,
        ("/etc/passwd",): 126,
    }
    learn(boxes, "--rm")
    for command, code in ends.items():
        kept = run_kept(boxes, "--rm", *command)
        compiled = boxes.cli("run", "--rm", "--rm", "--", *command)
        assert (kept.code, kept.out, kept.err) == (code, compiled.out, compiled.err)


def test_files_of_the_workspace_belong_to_its_owner(boxes: Boxes) -> None:
    work = boxes.directory("work")
    learn(boxes, "--rm", "--workspace", str(work))
    assert run_kept(boxes, "--rm", "--workspace", str(work), "--", "touch", "made").code == 0
    made, owner = (work / "made").stat(), work.stat()
    assert (made.st_uid, made.st_gid) == (owner.st_uid, owner.st_gid)


def test_what_the_command_leaves_in_a_workspace_is_protected_from_the_next_one(boxes: Boxes) -> None:
    flags = ("--rm", "--workspace", str(boxes.directory("work")))
    learn(boxes, *flags)
    write = "mkdir -p .git && echo bad > .git/config"
    assert run_kept(boxes, *flags, "--", "sh", "-c", write).code == 0  # nothing was there to protect
    ran = boxes.cli("run", *flags, "--", "sh", "-c", write)
    assert ran.code != 0 and "Read-only file system" in ran.err


def test_another_directory_of_the_same_name_is_what_comes_in(boxes: Boxes) -> None:
    work = boxes.directory("work")
    flags = ("--rm", "--workspace", str(work))
    learn(boxes, *flags)
    work.rename(work.with_name("old"))
    boxes.directory("work")
    (work / "new").touch()
    assert boxes.cli("run", *flags, "--", "ls").out == "new\n"
    work.rename(work.with_name("moved"))
    work.symlink_to("old")
    assert boxes.cli("run", *flags, "--", "ls").out == ""


def test_a_container_that_stays_can_be_looked_at_and_started_again(boxes: Boxes) -> None:
    flags = ("--name", "web", "--label", "a=b")
    command = ("sh", "-c", "echo again; exit 3")
    while not plans(boxes):
        known = boxes.cli("run", *flags, "--", *command), boxes.inspect("web")
        boxes.cli("rm", "web")
    ran = run_kept(boxes, *flags, "--", *command)
    assert (ran, shared(boxes.inspect("web"))) == (known[0], shared(known[1]))
    assert boxes.cli("run", *flags, "--", *command).code == 125  # the name is taken
    assert boxes.cli("start", "web").code == 0
    assert boxes.cli("wait", "web").out == "3\n"


def shared(shown: dict[str, Any]) -> dict[str, Any]:
    """What two containers with the same options have in common."""
    own = ("id", "cgroups", "pid", "uid_map", "gid_map")
    behind = ("_ns", "_at", "_usec", "_ms", "peak")
    return {key: value for key, value in shown.items() if key not in own and not key.endswith(behind)}


def test_its_monitor_killed_it_is_gone_and_its_name_free(boxes: Boxes) -> None:
    flags = ("--rm", "--name", "held")
    learn(boxes, *flags)
    for _ in range(2):
        before = plans(boxes)
        process = boxes.start(*flags, "--", "sh", "-c", "echo up; exec sleep 1000")
        assert process.stdout is not None and process.stdout.readline() == "up\n"
        assert used(before, plans(boxes))
        assert boxes.cli("run", *flags, "--", "true").code == 125
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        wait_until(lambda: "sleep" not in descendants().values())


def test_those_of_one_moment_all_start_each_with_ids_of_its_own(boxes: Boxes, identity: str) -> None:
    """The first ones at once, then those that use what they left."""
    for _ in range(3):
        running = [
            boxes.start("--rm", "--", "sh", "-c", "cat /proc/self/uid_map; read _", stdin=subprocess.PIPE)
            for _ in range(4)
        ]
        maps = [process.stdout.readline().split() for process in running if process.stdout]
        for process in running:
            process.communicate("\n")
        assert [process.returncode for process in running] == [0] * 4
        assert len({words[1] for words in maps}) == (4 if identity == "root" else 1)
    assert len(plans(boxes)) == 1


def test_a_damaged_plan_is_made_anew_and_nobody_is_told(boxes: Boxes) -> None:
    learn(boxes, "--rm")
    (name,) = plans(boxes)
    place = boxes.root / "plans" / name
    data = place.read_bytes()
    damaged = data[:4000] + bytes([data[4000] ^ 1]) + data[4001:]
    place.write_bytes(damaged)
    assert boxes.cli("run", "--rm", "--", "echo", "there") == Ran(code=0, out="there\n", err="")
    assert place.read_bytes() != damaged
    assert run_kept(boxes, "--rm", "--", "echo", "there").out == "there\n"


FULL = """
mount -t tmpfs -o size=$1,mode=700 small "$2" || exit 99
for number in 1 2 3; do "$3" run --rm --root "$2" -- echo "$number" || exit; done
ls -lA "$2/plans" | sed 's/.* //'
"""


@pytest.mark.identity("root")
def test_on_a_disk_without_room_for_a_plan_all_starts_succeed(boxes: Boxes) -> None:
    folder = str(boxes.directory("small"))
    argv = ["unshare", "--mount", "sh", "-c", FULL, "sh", "28k", folder, str(COMMAND)]
    done = subprocess.run(argv, capture_output=True, text=True, env=boxes.environment)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[:3] == ["1", "2", "3"] and len(lines) == 5 and len(lines[4]) == 64


@pytest.mark.identity("root")
def test_the_command_is_not_kept(boxes: Boxes) -> None:
    while not plans(boxes):
        boxes.cli("run", "--rm", "--env", "TOKEN=mellon", "--", "echo", "mellon")
    for path in Path(boxes.root / "plans").iterdir():
        assert b"mellon" not in path.read_bytes()
