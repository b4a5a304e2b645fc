"""How a container ends: exit codes, signals, timeouts, terminals; what ps, inspect and rm say."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import time

import pytest
from sandboxes import COMMAND, PATIENCE_S, Boxes, descendants, wait_until

import nucleus
from nucleus import Container
from nucleus.base.errors import LaunchError
from nucleus.container.result import Result
from nucleus.plan import schema

# Where every kernel does the same, the slow guests of the virtual machine need not show it again.
NOT_IN_GUESTS = pytest.mark.identity("root", "user", "nosub", "nested")


def started(process: subprocess.Popen[str]) -> None:
    """Waits for the first line of the workload."""
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.strip() == "ready", (line, process.poll())


def finished(process: subprocess.Popen[str]) -> tuple[int, str]:
    out, _ = process.communicate(timeout=PATIENCE_S)
    return process.returncode, out


def state_of(pid: int) -> str:
    """The letter that proc(5) has for what a process does."""
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
        return file.read().rpartition(")")[2].split()[0]


@NOT_IN_GUESTS
@pytest.mark.parametrize(
    ("flags", "command", "code"),
    [
        pytest.param((), ("true",), 0, id="success"),
        pytest.param((), ("sh", "-c", "exit 3"), 3, id="its own code"),
        pytest.param((), ("sh", "-c", "exit 255"), 255, id="the highest"),
        pytest.param(("--timeout", "300ms"), ("sleep", "60"), 124, id="timeout"),
        pytest.param((), ("no-such-program",), 127, id="not found"),
        pytest.param((), ("/etc/hosts",), 126, id="not executable"),
        pytest.param((), ("/usr",), 126, id="a directory"),
        pytest.param((), ("sh", "-c", "kill -TERM $$"), 143, id="terminated"),
        pytest.param((), ("sh", "-c", "kill -KILL $$"), 137, id="killed"),
        pytest.param((), ("sh", "-c", "kill -SEGV $$"), 139, id="crashed"),
        pytest.param(("--workdir", "/nowhere"), ("true",), 125, id="no such directory"),
        pytest.param(("--no-such-flag",), ("true",), 125, id="usage"),
        pytest.param(("--volume", "/no/such/path:/data"), ("true",), 125, id="no such source"),
    ],
)
def test_exit_codes(boxes: Boxes, flags: tuple[str, ...], command: tuple[str, ...], code: int) -> None:
    ran = boxes.cli("run", "--rm", *flags, "--", *command)
    assert ran.code == code, ran.err
    assert "Traceback" not in ran.err
    assert ("remedy:" in ran.err) == (code in (124, 125, 126, 127)), ran.err


@pytest.mark.parametrize(
    ("name", "code"), [("TERM", 143), ("INT", 130), ("HUP", 129), ("QUIT", 131), ("USR1", 138)]
)
def test_a_signal_to_the_monitor_ends_the_workload(boxes: Boxes, name: str, code: int) -> None:
    # A shell in the background would ignore INT and QUIT; the workload here is the sleep itself.
    process = boxes.start("--name", "sleeper", *boxes.probe_flags(), "--", *boxes.probe_words("wait 60"))
    assert process.stdout is not None
    assert "waiting" in process.stdout.readline()
    process.send_signal(getattr(signal, f"SIG{name}"))
    assert finished(process)[0] == code
    known = boxes.inspect("sleeper")
    assert (known["reason"], known["signal"]) == ("signal", code - 128)


@NOT_IN_GUESTS
@pytest.mark.parametrize("name", ["TERM", "INT", "HUP", "QUIT", "USR1", "USR2", "WINCH"])
def test_a_workload_may_handle_what_is_forwarded(boxes: Boxes, name: str) -> None:
    script = f"trap 'echo got {name}; exit 7' {name}; echo ready; while :; do sleep 0.05; done"
    process = boxes.start("--rm", "--", "sh", "-c", script)
    started(process)
    process.send_signal(getattr(signal, f"SIG{name}"))
    assert finished(process) == (7, f"got {name}\n")


def test_stop_and_continue_reach_the_workload(boxes: Boxes) -> None:
    script = "trap 'echo continued' CONT; echo ready; while :; do sleep 0.05; done"
    process = boxes.start("--rm", "--", "sh", "-c", script)
    started(process)
    process.send_signal(signal.SIGTSTP)

    wait_until(lambda: state_of(process.pid) == "T")
    process.send_signal(signal.SIGCONT)
    assert process.stdout is not None
    assert process.stdout.readline() == "continued\n"
    process.terminate()
    assert finished(process)[0] == 143


def timed_out(boxes: Boxes, first_s: float, *flags: str, trap: str) -> tuple[float, Result]:
    """What came of a workload whose trap was set when its time was up, and that time: a busy machine gets more of it."""
    script = f"{trap}; echo ready; while :; do sleep 0.05; done"
    for seconds in (first_s, 5, 25, 125):
        result = boxes.run("--timeout", f"{seconds * 1000:.0f}ms", *flags, "--", "sh", "-c", script)
        if result.out.startswith("ready\n"):
            return seconds, result
    raise AssertionError("it was never ready in time")


def test_a_timeout_asks_first(boxes: Boxes) -> None:
    flags = ("--stop-signal", "INT", "--stop-timeout", "60s")
    _, result = timed_out(boxes, 1, *flags, trap="trap 'echo asked; exit 5' INT")
    assert (result.exit_code, result.reason, result.out) == (124, "timeout", "ready\nasked\n")


def test_a_timeout_then_kills(boxes: Boxes) -> None:
    seconds, result = timed_out(boxes, 0.5, "--stop-timeout", "300ms", trap="trap '' TERM")
    assert (result.exit_code, result.reason) == (124, "timeout")
    assert result.duration_s >= seconds + 0.3


def test_everything_inside_ends_with_the_workload(boxes: Boxes) -> None:
    result = boxes.run(
        "--", "sh", "-c", "sleep 600 & setsid sleep 600 & (trap '' TERM HUP; sleep 600) & echo left"
    )
    assert (result.exit_code, result.out) == (0, "left\n")


def test_a_monitor_that_is_killed_takes_the_container_along(boxes: Boxes) -> None:
    process = boxes.start("--name", "orphan", "--", "sh", "-c", "echo ready; sleep 600")
    started(process)
    process.kill()
    finished(process)
    wait_until(lambda: boxes.inspect("orphan")["status"] == "stopped")
    known = boxes.inspect("orphan")
    assert (known["reason"], known["exit_code"]) == ("host-kill", 137)


def test_the_library_s_container_ends_with_its_caller(boxes: Boxes) -> None:
    program = (
        "import sys; from nucleus import sandbox; from nucleus.cli.parser import parse_run; "
        "show = lambda data: print(data.decode(), end='', flush=True); "
        "sandbox.run(parse_run(sys.argv[1:]), on_stdout=show)"
    )
    caller = subprocess.Popen(
        [sys.executable, "-c", program, "--root", str(boxes.root), "--", "sh", "-c", "echo ready; sleep 600"],
        stdout=subprocess.PIPE, text=True,
        env=boxes.environment | {"PYTHONPATH": str(COMMAND.parents[1] / "src")},
    )  # fmt: skip
    started(caller)
    caller.kill()
    caller.communicate(timeout=PATIENCE_S)
    # The fixture's own check waits until its processes, cgroups and state are gone.


def test_streams_are_the_caller_s(boxes: Boxes) -> None:
    read, write = os.pipe()
    os.write(write, b"from outside\n")
    os.close(write)
    ran = boxes.cli("run", "--rm", "--", "sh", "-c", "cat; echo to stderr >&2", stdin=read)
    os.close(read)
    assert (ran.code, ran.out, ran.err) == (0, "from outside\n", "to stderr\n")


@NOT_IN_GUESTS
def test_a_reader_that_is_gone_is_a_broken_pipe(boxes: Boxes) -> None:
    ran = boxes.run("--", "sh", "-c", "yes | head -n 1; echo ${PIPESTATUS:-done}")
    assert ran.out.startswith("y\n") and "Broken pipe" not in ran.err


# ---- terminals ----


class Terminal:
    """A shell on a terminal of its own, driven by lines."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execve(command[0], command, environment)
        self.seen = ""

    def send(self, text: str) -> None:
        os.write(self.fd, text.encode())

    def expect(self, text: str) -> str:
        """Reads until the text appears; what came before it is returned and forgotten."""
        deadline = time.monotonic() + PATIENCE_S
        while text not in self.seen:
            ready, _, _ = select.select([self.fd], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"{text!r} did not come; seen: {self.seen!r}"
            try:
                data = os.read(self.fd, 65536)
            except OSError:
                data = b""
            assert data, f"the terminal ended before {text!r}; seen: {self.seen!r}"
            self.seen += data.decode(errors="replace")
        before, _, self.seen = self.seen.partition(text)
        return before

    def close(self) -> int:
        os.close(self.fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


@pytest.fixture
def shell(boxes: Boxes) -> Terminal:
    """A bash of the host with job control, whose prompt is `host> `."""
    environment = boxes.environment | {"PS1": "host> ", "TERM": "dumb", "NUCLEUS_STATE_DIR": str(boxes.root)}
    terminal = Terminal(["/bin/bash", "--norc", "--noprofile", "-i"], environment)
    terminal.expect("host> ")
    return terminal


def all_stopped(terminal: int) -> bool:
    """Whether the workload is, whole; what was stopped before it executed (vfork(2)) keeps its parent waiting."""
    try:
        found = descendants(terminal).items()
        states = {state_of(pid) for pid, name in found if name in ("sh", "sleep")}
    except OSError:
        return False  # one has just ended
    return {"T"} <= states <= {"T", "D"}


def test_ctrl_z_stops_and_fg_continues(boxes: Boxes, shell: Terminal) -> None:
    # What is typed is echoed, and fg repeats it: it must not look like what is waited for.
    script = 'trap "echo went o\\"\\"n" CONT; while :; do echo "tick"; sleep 0.05; done'
    shell.send(f"{COMMAND} run --rm -- sh -c '{script}'\n")
    shell.expect("\r\ntick\r\n")
    shell.send("\x1a")
    shell.expect("Stopped")
    shell.expect("host> ")
    wait_until(lambda: all_stopped(shell.pid))
    shell.send("fg\n")
    shell.expect("went on\r\n")  # the terminal is its own again before it is told to continue
    shell.send("\x03")
    shell.expect("host> ")
    shell.send("echo code=$?\n")
    shell.expect("code=130")
    shell.send("exit\n")
    shell.close()


def test_bash_has_job_control_inside(boxes: Boxes, shell: Terminal) -> None:
    # What is typed is echoed: it must not look like what is waited for.
    shell.send(f"{COMMAND} run --rm -e 'PS1=in''side> ' -- bash --norc --noprofile -i\n")
    shell.expect("inside> ")
    shell.send("sh -c 'echo u''p; exec sleep 300'\n")
    shell.expect("up\r\n")
    shell.send("\x1a")
    shell.expect("Stopped")
    shell.send("bg; jobs\n")
    shell.expect("Running")
    shell.send("kill %1; wait %1; echo code=$?\n")
    shell.expect("code=143")
    shell.send("exit 4\n")
    shell.expect("host> ")
    shell.send("echo code=$?\n")
    shell.expect("code=4")
    shell.send("exit\n")
    shell.close()


def test_the_caller_s_terminal_cannot_be_typed_into(boxes: Boxes, shell: Terminal) -> None:
    shell.send(f"{COMMAND} run --rm {' '.join(boxes.probe_flags())} -- /probe/probe try tiocsti tioclinux\n")
    shell.expect("tiocsti EPERM")
    shell.expect("host> ")
    shell.send("exit\n")
    shell.close()


# ---- the state commands ----


def test_ps_inspect_and_rm_tell_a_life(boxes: Boxes) -> None:
    process = boxes.start("--name", "web", "--label", "team=a", "--", "sh", "-c", "echo ready; sleep 600")
    started(process)
    assert "web" in boxes.cli("ps").out
    assert boxes.inspect("web")["status"] == "running"
    assert boxes.cli("rm", "web").code == 125
    process.terminate()
    finished(process)
    assert "web" not in boxes.cli("ps").out
    assert "web" in boxes.cli("ps", "-a").out
    assert boxes.inspect("web")["labels"] == {"team": "a"}
    assert boxes.cli("rm", "web").code == 0
    assert boxes.cli("ps", "-a").out.count("web") == 0


@NOT_IN_GUESTS
def test_rm_by_force_ends_a_running_container(boxes: Boxes) -> None:
    process = boxes.start("--name", "web", "--", "sh", "-c", "echo ready; sleep 600")
    started(process)
    assert boxes.cli("rm", "-f", "web").code == 0
    assert finished(process)[0] == 137


@NOT_IN_GUESTS
def test_a_name_is_taken_once(boxes: Boxes) -> None:
    assert boxes.cli("run", "--name", "one", "--", "true").code == 0
    second = boxes.cli("run", "--name", "one", "--", "true")
    assert second.code == 125
    assert "nucleus rm one" in second.err
    assert boxes.cli("run", "--rm", "--name", "two", "--", "true").code == 0
    assert boxes.cli("run", "--rm", "--name", "two", "--", "true").code == 0


@pytest.mark.identity("root", "user")
def test_a_launcher_of_another_version_is_named(boxes: Boxes, monkeypatch: pytest.MonkeyPatch) -> None:
    """It refuses the plan where nobody hears it; nothing of what never started is left."""
    monkeypatch.setattr(schema, "SCHEMA_HASH", 1)
    for start in (Container.run, Container.create, nucleus.run):
        with pytest.raises(LaunchError, match="of another version") as caught:
            start(["true"], root=str(boxes.root))
        assert "make build" in caught.value.remedy
    assert boxes.cli("ps", "-aq").out == ""
