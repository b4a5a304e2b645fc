"""A command that is recorded gets no call past its record, and is not disturbed by it."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest
from sandboxes import PATIENCE_S, Boxes, descendants, python, wait_until
from traced_calls import PTRACE, counts, lines_of, traced, tracers


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


OWN_FILTER = """
import ctypes, os, platform, struct
libc = ctypes.CDLL(None, use_errno=True)
seccomp = {"x86_64": 317, "aarch64": 277}[platform.machine()]
def install(answer, flags):
    code = ctypes.create_string_buffer(struct.pack("<HBBI", 6, 0, 0, answer))
    program = ctypes.create_string_buffer(struct.pack("<HxxxxxxQ", 1, ctypes.addressof(code)))
    libc.prctl(38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS
    return libc.syscall(seccomp, 1, flags, program), ctypes.get_errno()
print(install(0x7FF0FFFF, 0)[0])  # what this profile's own filter returns for a call that is allowed
print(libc.ptrace(0, 0, 0, 0), ctypes.get_errno(), libc.unshare(0x10000000), ctypes.get_errno())
print(install(0x7FF00000 | 77, 0)[0])
print(os.getppid() >= 0)
print(install(0x7FC00000, 8)[1])  # a listener, which would be asked instead
"""


def test_a_filter_of_the_programs_own_changes_neither_answer_nor_record(boxes: Boxes) -> None:
    result, log = traced(boxes, python(), "-I", "-S", "-c", OWN_FILTER)
    assert result.out.splitlines() == ["0", "-1 1 -1 1", "0", "True", "16"], result.err
    assert {"ptrace", "unshare"} <= set(counts(log, "errno")) and "ptrace" not in counts(log)
    assert lines_of(log)[-1]["end"] == "complete"


PERMISSIVE = """{"defaultAction": "SCMP_ACT_ALLOW"}"""


def test_nobody_gets_another_tracer_whatever_the_profile_allows(boxes: Boxes) -> None:
    """The new tracer's child would have this one no more."""
    profile = boxes.folder / "permissive.json"
    profile.write_text(PERMISSIVE)
    plain = boxes.run("--seccomp-profile", str(profile), "--", python(), "-I", "-S", "-c", PTRACE)
    assert plain.out == "0 0\n", plain.err
    words = (python(), "-I", "-S", "-c", PTRACE)
    result, log = traced(boxes, *words, flags=("--seccomp-profile", str(profile)))
    assert result.out == "-1 1\n" and counts(log, "errno")["ptrace"] == 1


@pytest.mark.identity("root", "user", "nosub", "nested")  # who has a compiler
def test_no_call_of_a_program_slips_through_that_another_thread_has_executed(boxes: Boxes) -> None:
    """The one who waits with a call dies; the new program has its number, and was once let go on in its place."""
    programs = boxes.directory("programs")
    here = Path(__file__).parent / "programs"
    for name, flags in (("exec_race", ["-pthread"]), ("refused_first", ["-nostdlib"])):
        words = ["cc", "-static", "-O1", *flags, "-o", str(programs / name), str(here / f"{name}.c")]
        subprocess.run(words, check=True, timeout=PATIENCE_S)
    flags = ("--volume", f"{programs}:/programs:ro")
    result, log = traced(boxes, "/programs/exec_race", "/programs/refused_first", "300", flags=flags)
    assert (result.exit_code, result.out) == (0, "made 0, refused 300, other 0\n"), result.err
    assert counts(log, "errno")["keyctl"] == 300 and "keyctl" not in counts(log)


FAIR = """
import os, threading, time
end = time.monotonic() + 2
calls = [0] * 8
def call(which):
    while time.monotonic() < end:
        os.getppid()
        calls[which] += 1
for which in range(1, 8):
    if not os.fork():
        call(which)
        os._exit(0)
call(0)
print(calls[0])
"""


def test_who_has_many_busy_children_gets_his_turn(boxes: Boxes) -> None:
    """The kernel tells a tracer of the newest first; the parent made 1 of 80 calls."""
    result, log = traced(boxes, python(), "-I", "-S", "-c", FAIR)
    assert int(result.out) * 30 > counts(log)["getppid"], result.out


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
