"""A container whose system calls are recorded: none is lost, none is let go of, and nothing goes on unheard."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections import Counter

import pytest
from sandboxes import Boxes, python, wait_until
from traced_calls import PTRACE, counts, lines_of, traced

from nucleus import sandbox


def test_every_call_is_counted_that_of_every_thread_and_child_too(boxes: Boxes) -> None:
    """getppid is made by nobody else; 4 threads and 3 children make it 250 times each."""
    program = """
import os, threading
def calls():
    for _ in range(250): os.getppid()
threads = [threading.Thread(target=calls) for _ in range(4)]
for t in threads: t.start()
for t in threads: t.join()
for _ in range(3):
    child = os.fork()
    if not child:
        calls()
        os._exit(0)
    os.waitpid(child, 0)
"""
    result, log = traced(boxes, python(), "-I", "-S", "-c", program)
    assert (result.exit_code, result.err) == (0, "")
    assert counts(log)["getppid"] == 1750
    last = lines_of(log)[-1]
    assert last["end"] == "complete"
    assert last["calls"] == sum(counts(log).values()) + sum(counts(log, "errno").values())


def test_the_record_is_complete_when_the_run_has_ended(boxes: Boxes) -> None:
    for _ in range(5):
        _, log = traced(boxes, "true")
    ends = [line for line in lines_of(log) if "end" in line]
    assert [line["end"] for line in ends] == ["complete"] * 5


def test_what_the_profile_refuses_stays_refused_and_is_recorded(boxes: Boxes) -> None:
    lines = boxes.probe(
        "try mount ptrace_me unshare_user terminal",
        flags=("--seccomp-mode", "trace", "--seccomp-log", str(boxes.folder / "calls.jsonl")),
    )[0]
    assert lines == ["mount EPERM", "ptrace_me EPERM", "unshare_user EPERM", "terminal OK"]
    refused = counts(boxes.folder / "calls.jsonl", "errno")
    assert {"mount", "ptrace", "unshare"} <= set(refused)


def test_a_call_that_the_profile_kills_for_kills_and_is_named(boxes: Boxes) -> None:
    result, log = traced(
        boxes, python(), "-I", "-S", "-c", UNSHARE, flags=("--seccomp-profile", "builtin:strict")
    )
    assert result.exit_code == 128 + signal.SIGKILL
    assert set(counts(log, "kill")) == {"unshare"}


UNSHARE = "import ctypes; ctypes.CDLL(None).unshare(0)"


def test_a_long_path_is_recorded_whole(boxes: Boxes) -> None:
    path = "/." * 1500 + "/etc/passwd"
    result, log = traced(boxes, "cat", path)
    assert result.exit_code == 0 and path in [line.get("path") for line in lines_of(log)]
    assert lines_of(log)[-1]["names"] == "complete"


MANY_NAMES = """
import os
for number in range(9000):
    try:
        os.rename(f"/{number}" + 2000 * chr(1), "/x" + 2000 * chr(2))
    except OSError:
        pass
"""


@pytest.mark.identity("root", "user", "nosub", "nested")  # much for an emulator
def test_names_do_not_fill_the_disk(boxes: Boxes) -> None:
    result, log = traced(boxes, python(), "-I", "-S", "-c", MANY_NAMES)
    assert result.exit_code == 0 and log.stat().st_size < 20 << 20
    assert lines_of(log)[-1]["names"] == "cut"


def test_a_record_that_the_command_can_write_to_is_none(boxes: Boxes) -> None:
    folder = boxes.directory("work")
    where = ("--seccomp-mode", "trace", "--seccomp-log", str(folder / "calls.jsonl"))
    for flags in (("--workspace", str(folder)), ("--volume", f"{folder}:/there")):
        refused = boxes.cli("run", *flags, *where, "--", "true")
        assert refused.code == 125 and "--seccomp-log: the command itself" in refused.err
    readable = ("--volume", f"{folder}:/there:ro")
    assert boxes.cli("run", "--rm", *readable, *where, "--", "true").code == 0


def test_nor_one_that_a_link_or_another_name_brings_into_its_reach(boxes: Boxes) -> None:
    """An earlier run may have left the link in the workspace, and may put its own file in the link's place."""
    folder, outside = boxes.directory("work"), boxes.directory("outside")
    (folder / "link").symlink_to(outside)
    (boxes.folder / "link").symlink_to(folder)
    (folder / "named").write_text("")
    os.link(folder / "named", outside / "named")
    for log in (folder / "link" / "calls", boxes.folder / "link" / "calls", outside / "named"):
        flags = ("--workspace", str(folder), "--seccomp-mode", "trace", "--seccomp-log", str(log))
        refused = boxes.cli("run", *flags, "--", "true")
        assert refused.code == 125 and "--seccomp-log: the command itself" in refused.err, refused.err
    assert not (outside / "calls").exists()
    volume = outside / "volume"
    volume.write_text("")
    flags = ("--volume", f"{volume}:/there", "--seccomp-mode", "trace", "--seccomp-log", str(volume))
    refused = boxes.cli("run", *flags, "--", "true")
    assert refused.code == 125 and "--seccomp-log: the command itself" in refused.err, refused.err


OUT_OF_REACH = """
import ctypes, mmap, os
PROT_WRITE, PROT_EXEC = 2, 4
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *3 * [ctypes.c_int], ctypes.c_long]
libc.open.argtypes = [ctypes.c_void_p, ctypes.c_int]
libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
for path, protection in ((b"/etc/passwd", PROT_WRITE), (b"/etc/hostname", PROT_EXEC)):
    page = libc.mmap(None, 4096, 3, 0x22, -1, 0)
    ctypes.memmove(page, path, len(path) + 1)
    libc.mprotect(page, 4096, protection)
    print(libc.open(page, 0) >= 0)
"""


def test_a_name_in_memory_that_the_program_itself_cannot_read_is_recorded(boxes: Boxes) -> None:
    result, log = traced(boxes, python(), "-I", "-S", "-c", OUT_OF_REACH)
    named = {line.get("path") for line in lines_of(log)}
    if result.out == "True\nTrue\n":
        assert {"/etc/passwd", "/etc/hostname"} <= named
    assert result.exit_code == 0 and "/etc/passwd" in named


def test_the_command_itself_is_among_the_names(boxes: Boxes) -> None:
    """Its chdir and its execve are the launcher's, into whose memory not every tracer may look."""
    folder = boxes.directory("work")
    (folder / "here").write_text("#!/bin/sh\n")
    (folder / "here").chmod(0o755)
    result, log = traced(boxes, "/workspace/here", flags=("--workspace", str(folder)))
    named = {line.get("path") for line in lines_of(log)}
    assert result.exit_code == 0 and {"/workspace", "/workspace/here"} <= named


def test_only_refusals_are_asked_about_where_only_they_are_recorded(boxes: Boxes) -> None:
    words = (*boxes.probe_flags(), "--seccomp-log-denied", "--", *boxes.probe_words("try ptrace_me terminal"))
    done = boxes.cli("run", *words)
    assert boxes.answers(done.out, 1) == [["ptrace_me EPERM", "terminal OK"]]
    (record,) = (boxes.root / "containers").glob("*/denied.jsonl")
    assert counts(record) == Counter()
    assert counts(record, "errno")["ptrace"] == 1
    assert lines_of(record)[0]["program"] == "probe"


def test_who_joins_is_refused_the_same_and_a_trace_is_joined_by_nobody(boxes: Boxes) -> None:
    with boxes.start(
        "--seccomp-log-denied", "--name", "den", "--", "sh", "-c", "echo up; exec sleep 60"
    ) as run:
        assert run.stdout is not None and run.stdout.readline() == "up\n"
        inside = boxes.cli("exec", "den", python(), "-I", "-S", "-c", PTRACE)
        assert (inside.code, inside.out) == (0, "-1 1\n"), inside.err
        boxes.cli("kill", "den")
    log = str(boxes.folder / "calls.jsonl")
    flags = ("--seccomp-mode", "trace", "--seccomp-log", log, "--name", "traced")
    with boxes.start(*flags, "--", "sh", "-c", "echo up; exec sleep 60") as run:
        assert run.stdout is not None and run.stdout.readline() == "up\n"
        refused = boxes.cli("exec", "traced", "true")
        assert refused.code == 125 and "recorded" in refused.err
        boxes.cli("kill", "traced")


def test_a_log_that_cannot_be_written_stops_the_launch(boxes: Boxes) -> None:
    refused = boxes.cli("run", "--seccomp-mode", "trace", "--seccomp-log", "/nowhere/x", "--", "true")
    assert refused.code == 125 and "--seccomp-log" in refused.err


@pytest.mark.identity("root")
def test_a_full_disk_lets_no_call_go_unrecorded(boxes: Boxes) -> None:
    result = boxes.cli("run", "--seccomp-mode", "trace", "--seccomp-log", "/dev/full", "--", "true")
    assert result.code != 0
    assert subprocess.run(["test", "-c", "/dev/full"], check=False).returncode == 0


def test_a_profile_is_made_of_several_runs_and_compared(boxes: Boxes) -> None:
    for command in ("true", "pwd"):
        result, log = traced(boxes, command)
        assert result.exit_code == 0
    profile = boxes.folder / "profile.json"
    made = boxes.nucleus("seccomp", "generate", "-o", str(profile), str(log))
    assert made.code == 0 and "of 2 runs" in made.err
    document = json.loads(profile.read_text())
    calls = {name for entry in document["syscalls"] for name in entry["names"]}
    assert document["defaultAction"] == "SCMP_ACT_KILL_PROCESS"
    assert {"getcwd", "execve", "exit_group"} <= calls and "ptrace" not in calls
    assert boxes.nucleus("seccomp", "diff", str(profile), str(profile)).code == 0
    compared = boxes.nucleus("seccomp", "diff", "builtin:default", str(profile))
    assert compared.code == 1 and "- socket" in compared.out.splitlines()


WANTS = """
import ctypes, socket
libc = ctypes.CDLL(None)
for _ in range(3): libc.ptrace(0, 0, 0, 0)
libc.unshare(0x10000000)
def attempt(what, *words):
    try: what(*words)
    except OSError: pass
attempt(open, "/usr/new", "w")
attempt(open, "/workspace/../etc/hosts", "a")
attempt(open, "/tmp/fine", "w")
attempt(socket.socket().connect, ("192.0.2.1", 443))
attempt(socket.socket().connect, ("127.0.0.1", 80))
"""


def test_why_tells_what_was_refused_by_which_rule_and_what_allows_it(boxes: Boxes) -> None:
    log = str(boxes.folder / "calls.jsonl")
    flags = ("--name", "curious", "--seccomp-mode", "trace", "--seccomp-log", log)
    assert boxes.cli("run", *flags, "--", python(), "-I", "-S", "-c", WANTS).code == 0
    told = boxes.cli("why", "--format", "json", "curious")
    found = {line["what"]: line for line in map(json.loads, told.out.splitlines()) if "what" in line}
    assert found["ptrace(arg0=0x0): EPERM"]["count"] == 3
    assert found["unshare(arg0=0x10000000): EPERM"]["remedy"].startswith("none")
    assert found["write to /usr/new"]["remedy"] == "--tmpfs /usr"
    assert found["write to /etc/hosts"]["layer"] == "read-only mount"
    assert found["connect to port 443 of another machine"]["layer"] == "network"
    assert not [what for what in found if "fine" in what or "80" in what.split()]
    text = boxes.cli("why", "curious").out
    assert "read-only mount (foretold): write to /usr/new" in text and "(3 times)" in text


def test_why_says_what_nobody_has_recorded(boxes: Boxes) -> None:
    assert boxes.cli("run", "--name", "plain", "--", "true").code == 0
    told = boxes.cli("why", "plain").out
    assert told.startswith("nothing is known to have been refused\n")
    assert "not known: system calls" in told and "--seccomp-log-denied" in told
    assert "Landlock" in told


def test_a_result_has_what_was_refused(boxes: Boxes) -> None:
    result = boxes.run("--seccomp-log-denied", "--", python(), "-I", "-S", "-c", WANTS)
    assert {d.what.partition("(")[0] for d in result.denials} == {"ptrace", "unshare"}
    assert all(d.certain and d.program.startswith("python3") for d in result.denials)
    killed = boxes.run(
        "--seccomp-log-denied",
        "--seccomp-profile",
        "builtin:strict",
        "--",
        python(),
        "-I",
        "-S",
        "-c",
        UNSHARE,
    )
    (denial,) = [d for d in killed.denials if "killed" in d.what]
    assert denial.what.startswith("unshare(") and killed.signal == signal.SIGKILL
    plain = boxes.run("--seccomp-profile", "builtin:strict", "--", python(), "-I", "-S", "-c", UNSHARE)
    assert plain.signal == signal.SIGSYS and "--seccomp-log-denied" in plain.denials[0].remedy


@pytest.mark.identity("root")
def test_what_a_limit_refused_is_in_the_result_too(boxes: Boxes) -> None:
    forks = "for i in 1 2 3 4 5 6 7 8; do sleep 60 & done; wait"
    result = boxes.run("--pids", "4", "--", "sh", "-c", forks)
    (denial,) = result.denials
    assert (denial.layer, denial.remedy) == ("cgroup", "--pids N") and denial.count >= 1


@pytest.mark.identity("root", "user", "nosub", "nested")  # 20,000 calls take long in an emulator
def test_calls_that_no_kernel_has_do_not_fill_the_record(boxes: Boxes) -> None:
    program = """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
for number in range(5000, 25000):
    libc.syscall(number)
print(ctypes.get_errno())
"""
    result, log = traced(boxes, python(), "-I", "-S", "-c", program)
    assert (result.exit_code, result.out) == (0, "38\n")
    unknown = [line for line in lines_of(log) if line.get("syscall", 0) > 5000]
    assert sum([line["count"] for line in unknown]) == 20_000 and len(unknown) == 2


def test_a_launch_that_fails_leaves_an_empty_record(boxes: Boxes) -> None:
    log = boxes.folder / "calls.jsonl"
    refused = boxes.cli(
        "run",
        "--seccomp-mode",
        "trace",
        "--seccomp-log",
        str(log),
        "--user",
        "nobody-of-that-name",
        "--",
        "true",
    )
    assert refused.code == 125
    assert not log.exists() or log.read_text() == ""


POLICY = """
min_abi = 1

[[rules]]
path = "/"
access = ["read_dir"]

[[rules]]
path = "/usr"
access = ["read", "execute"]
"""


def test_why_holds_what_was_named_against_a_landlock_policy(boxes: Boxes) -> None:
    policy, log = boxes.folder / "landlock.toml", boxes.folder / "calls.jsonl"
    policy.write_text(POLICY)
    flags = (
        "--name",
        "walled",
        "--seccomp-mode",
        "trace",
        "--seccomp-log",
        str(log),
        "--landlock-policy",
        str(policy),
    )
    ran = boxes.cli("run", *flags, "--", "sh", "-c", "cat /etc/hostname; echo x >/tmp/new; true")
    assert "ermission denied" in ran.err
    told = boxes.cli("why", "--format", "json", "walled")
    found = {line["what"]: line for line in map(json.loads, told.out.splitlines()) if "what" in line}
    assert (
        "read_file" in found["read /etc/hostname"]["rule"]
        and found["write to /tmp/new"]["layer"] == "landlock"
    )
    assert not [what for what in found if "/usr/" in what and "execute" in what]


@pytest.mark.identity("root")
def test_why_counts_while_a_container_runs(boxes: Boxes) -> None:
    forks = "for i in 1 2 3 4 5 6 7 8; do sleep 60 & done; wait"
    started = boxes.cli(
        "run", "--detach", "--detach-with", "none", "--name", "busy", "--pids", "4", "--", "sh", "-c", forks
    )
    assert started.code == 0, started.err
    told = wait_until(
        lambda: [line for line in boxes.cli("why", "busy").out.splitlines() if "--pids N" in line]
    )
    assert told
    boxes.cli("rm", "--force", "busy")


def test_a_program_that_runs_the_same_again_and_again_has_a_record_of_each(boxes: Boxes) -> None:
    """The SDK keeps what it has found and compiled from one run to the next."""
    log = boxes.folder / "calls.jsonl"
    options = {
        "root": str(boxes.root),
        "seccomp_mode": "trace",
        "seccomp_log": str(log),
        "seccomp_log_denied": True,
    }
    for _ in range(4):
        result = sandbox.run([python(), "-I", "-S", "-c", UNSHARE], **options)
        assert result.exit_code == 0 and [d.what for d in result.denials] == ["unshare(arg0=0x0): EPERM"]
    assert [line["end"] for line in lines_of(log) if "end" in line] == ["complete"] * 4


@pytest.mark.identity("root")
def test_limits_that_are_reached_again_and_again_are_in_each_result(boxes: Boxes) -> None:
    for _ in range(3):
        result = sandbox.run(
            ["sh", "-c", "sleep 0.1 & sleep 0.1 & sleep 0.1 & wait"], root=str(boxes.root), pids=2
        )
        assert [d.remedy for d in result.denials] == ["--pids N"]
