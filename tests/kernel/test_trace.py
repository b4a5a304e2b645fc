"""A container whose system calls are recorded: none is lost, none is let go of, and nothing goes on unheard."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from sandboxes import PATIENCE_S, Boxes, descendants, python, wait_until

from nucleus import sandbox
from nucleus.policy.syscall_tables import TABLES

NAMES = {number: name for name, number in TABLES[os.uname().machine].items()}


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def counts(path: Path, answer: str = "allow") -> Counter[str]:
    found: Counter[str] = Counter()
    for line in lines_of(path):
        if "syscall" in line and line["answer"] == answer:
            found[NAMES[line["syscall"]]] += line["count"]
    return found


def traced(boxes: Boxes, *words: str, flags: tuple[str, ...] = ()) -> tuple[Any, Path]:
    log = boxes.folder / "calls.jsonl"
    result = boxes.run("--seccomp-mode", "trace", "--seccomp-log", str(log), *flags, "--", *words)
    return result, log


def tracers() -> list[int]:
    return [pid for pid, name in descendants().items() if name == "nucleus-trace"]


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


def test_without_its_tracer_nothing_goes_on(boxes: Boxes) -> None:
    """Nor does what the command has left in a session of its own; the marks stop, and the record has no end."""
    log, marks = boxes.folder / "calls.jsonl", boxes.directory("marks")
    flags = ("--rm", "--workspace", str(marks), "--seccomp-mode", "trace", "--seccomp-log", str(log))
    forever = "while :; do echo mark >>$0; sleep 0.01; done"
    script = f"setsid sh -c '{forever}' there & echo up; exec sh -c '{forever}' here"
    with boxes.start(*flags, "--", "sh", "-c", script) as command:
        assert command.stdout is not None and command.stdout.readline() == "up\n"
        wait_until(lambda: {path.name for path in marks.iterdir()} == {"here", "there"})
        (tracer,) = tracers()
        os.kill(tracer, signal.SIGKILL)
        assert command.wait(PATIENCE_S) == 128 + signal.SIGKILL
    wait_until(lambda: not descendants())
    assert [line for line in lines_of(log) if "end" in line] == []


@pytest.mark.parametrize("answer", ["refused", "allowed"])
def test_where_nobody_hears_of_refusals_any_more_they_are_refused_all_the_same(
    boxes: Boxes, answer: str
) -> None:
    """As calls that the kernel does not have; what is allowed it never heard of."""
    program = f"""
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
print("up", flush=True)
input()
result = libc.ptrace(0, 0, 0, 0) if {answer == "refused"} else libc.getppid() * 0
print(result, ctypes.get_errno())
"""
    words = ("--rm", "--seccomp-log-denied", "--", python(), "-I", "-S", "-c", program)
    with boxes.start(*words, stdin=subprocess.PIPE) as command:
        assert command.stdout is not None and command.stdout.readline() == "up\n"
        (tracer,) = tracers()
        os.kill(tracer, signal.SIGKILL)
        wait_until(lambda: not tracers())
        out, _ = command.communicate("\n", timeout=PATIENCE_S)
    assert out == ("-1 38\n" if answer == "refused" else "0 0\n")


INTERRUPTED = """
import errno, os, signal
signal.signal(signal.SIGCHLD, lambda *_: None)  # without SA_RESTART
codes = {}
for number in range(400):
    child = os.fork()
    if not child:
        for _ in range(number % 20):
            os.getppid()
        os._exit(0)
    while not os.waitpid(child, os.WNOHANG)[0]:
        try:
            os.close(-1)
        except OSError as problem:
            codes[errno.errorcode[problem.errno]] = True
print(*codes)
"""


def test_a_signal_breaks_no_call_off_that_it_does_not_break_off_otherwise(boxes: Boxes) -> None:
    """No program expects EINTR of close or clone: a shell whose pipe stays open so waits for ever."""
    result, _ = traced(boxes, python(), "-I", "-S", "-c", INTERRUPTED)
    assert (result.exit_code, result.out) == (0, "EBADF\n"), result.err


STOPPED = """
set -m
sleep 600 &
pid=$!
kill -STOP %1
until jobs | grep -q Stopped; do sleep 0.01; done
kill -CONT %1
while jobs | grep -q Stopped; do sleep 0.01; done
jobs | grep -q Running && echo running
kill %1
wait $pid
echo $?
"""


@pytest.mark.identity("root", "user", "nosub", "nested")  # guests have no bash
def test_a_job_stops_and_goes_on_as_without_a_trace(boxes: Boxes) -> None:
    result, _ = traced(boxes, "bash", "-c", STOPPED)
    assert (result.exit_code, result.out) == (0, "running\n143\n"), result.err


def test_a_thread_may_execute_another_program(boxes: Boxes) -> None:
    program = """
import os, threading, time
threading.Thread(target=lambda: os.execvp("sh", ["sh", "-c", "echo $PPID"])).start()
time.sleep(600)
"""
    result, log = traced(boxes, python(), "-I", "-S", "-c", program)
    assert (result.exit_code, result.out) == (0, "1\n"), result.err
    assert lines_of(log)[-1]["end"] == "complete"


UNTRACED = """
import ctypes, os, platform
CLONE_UNTRACED, SIGCHLD = 0x00800000, 17
number = {"x86_64": 56, "aarch64": 220}[platform.machine()]
child = ctypes.CDLL(None).syscall(number, CLONE_UNTRACED | SIGCHLD, 0, 0, 0, 0)
if not child:
    try:
        open("/tmp/made", "w")
    except OSError as problem:
        os._exit(problem.errno)
    os._exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_child_that_is_not_traced_can_make_no_call(boxes: Boxes) -> None:
    """clone(2) has a flag by which no tracer gets the child."""
    result, _ = traced(boxes, python(), "-I", "-S", "-c", UNTRACED)
    assert (result.exit_code, result.out) == (0, "38\n"), result.err


def test_a_listener_that_is_dead_before_the_start_lets_nothing_start(boxes: Boxes) -> None:
    """All is built and locked down, and waits for the word to execute."""
    log = boxes.folder / "calls.jsonl"
    flags = ("--detach-with", "none", "--seccomp-mode", "trace", "--seccomp-log", str(log))
    assert boxes.cli_process("create", *flags, "--name", "deaf", "--", "true").wait(PATIENCE_S) == 0
    (tracer,) = wait_until(tracers)
    os.kill(tracer, signal.SIGKILL)
    started = boxes.cli("start", "deaf")
    waited = boxes.cli("wait", "deaf")
    assert started.code != 0 or waited.out.strip() not in ("", "0"), (started, waited)


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


PTRACE = """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
print(libc.ptrace(0, 0, 0, 0), ctypes.get_errno())
"""


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


def test_the_listener_itself_is_confined(boxes: Boxes) -> None:
    """It reads what a hostile program wrote: it can make no file and no process, and nobody looks into it."""
    log = boxes.folder / "calls.jsonl"
    flags = ("--rm", "--seccomp-mode", "trace", "--seccomp-log", str(log))
    with boxes.start(*flags, "--", "sh", "-c", "echo up; read line; exit 7", stdin=subprocess.PIPE) as run:
        assert run.stdout is not None and run.stdout.readline() == "up\n"
        (tracer,) = wait_until(tracers)
        status = Path("/proc", str(tracer), "status").read_text()
        assert "\nNoNewPrivs:\t1\n" in status and "\nSeccomp:\t2\n" in status
        if os.geteuid():
            with pytest.raises(PermissionError):
                os.listdir(f"/proc/{tracer}/fd")
        run.communicate("go on\n", timeout=PATIENCE_S)
        assert run.returncode == 7


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
