"""Terminals of containers' own: real ones, with job control, of which the caller's terminal is the window."""

from __future__ import annotations

import array
import fcntl
import os
import pty
import select
import signal
import socket
import struct
import subprocess
import termios
import time
from hashlib import sha256

import pytest
from sandboxes import COMMAND, PATIENCE_S, Boxes, reap_orphans, wait_until

from nucleus.launch.report import read_init
from nucleus.observe.events import read_events

# Guests are too slow for what is timed here, and have neither PostgreSQL nor a compiler.
pytestmark = pytest.mark.identity("root", "user", "nosub", "nested")
SIZE = (33, 101)


class Window:
    """A command on a terminal of its own, typed into and read from."""

    def __init__(
        self, boxes: Boxes, *words: str, controlling: bool = True, program: str = str(COMMAND)
    ) -> None:
        self.fd, other = pty.openpty()
        self.resize(*SIZE)
        self.before = termios.tcgetattr(other)
        environment = boxes.environment | {"TERM": "dumb", "NUCLEUS_STATE_DIR": str(boxes.root)}
        self.process = subprocess.Popen(
            [program, *words], stdin=other, stdout=other, stderr=other, env=environment,
            start_new_session=True,
            preexec_fn=(lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0)) if controlling else None,
        )  # fmt: skip
        self.other = other  # kept open: attributes can be read after the end
        self.seen = ""

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def send(self, text: str) -> None:
        os.write(self.fd, text.encode())

    def expect(self, text: str) -> str:
        """Reads until the text appears; what came before it is returned and forgotten."""
        deadline = time.monotonic() + PATIENCE_S
        while text not in self.seen:
            ready, _, _ = select.select([self.fd], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"{text!r} did not come; seen: {self.seen!r}"
            self.seen += os.read(self.fd, 65536).decode(errors="replace")
        before, _, self.seen = self.seen.partition(text)
        return before

    def raw(self) -> bool:
        return not termios.tcgetattr(self.other)[3] & termios.ICANON

    def end(self) -> int:
        """The exit code; the terminal must be as it was."""
        code = self.process.wait(PATIENCE_S)
        assert termios.tcgetattr(self.other) == self.before
        os.close(self.fd)
        os.close(self.other)
        return code

    def close(self) -> int:
        """The window is closed under the command; its exit code."""
        os.close(self.fd)
        os.close(self.other)
        return self.process.wait(PATIENCE_S)


SHELL = ("-e", "PS1=inside> ")
BASH = ("bash", "--norc", "--noprofile", "-i")


def entered(boxes: Boxes) -> subprocess.Popen[str]:
    return entered_as(boxes, "box")


def entered_as(boxes: Boxes, name: str) -> subprocess.Popen[str]:
    process = boxes.start(
        "--name", name, *boxes.probe_flags(), "--", "sh", "-c", "echo ready; exec sleep 600"
    )
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    return process


def test_a_command_ends_with_the_window_that_it_alone_was_opened_for(boxes: Boxes) -> None:
    """As by `ssh -t` or `xterm -e`: of the hangup the kernel tells the leader of the session, which the monitor is."""
    window = Window(boxes, "run", "--rm", "--", "sh", "-c", "echo ready; exec sleep 600")
    window.expect("ready")
    assert window.close() == 128 + signal.SIGHUP


def test_an_interrupt_ends_the_loop_of_the_shell_around_it(boxes: Boxes) -> None:
    window = Window(boxes, *BASH[1:], program=BASH[0])
    inside = "echo in-$((1$N + 10)); exec sleep 600"
    window.send(f"for N in 1 2 3; do {COMMAND} run --rm -e N=$N -- sh -c '{inside}'; done\n")
    window.expect("in-21")
    window.send("\x03")
    window.send("echo next-$((40 + 2))\n")
    assert "in-22" not in window.expect("next-42")
    window.send("exit\n")
    window.process.wait(PATIENCE_S)
    window.close()


def test_what_began_in_the_background_gets_its_terminal_in_the_foreground(boxes: Boxes) -> None:
    window = Window(boxes, *BASH[1:], program=BASH[0])
    window.send(f"{COMMAND} run --rm -it -e PS1=inside -- sh &\n")
    deadline = time.monotonic() + PATIENCE_S
    while "Stopped" not in window.seen and time.monotonic() < deadline:
        window.send("jobs; echo $((20 + 1))\n")
        window.seen = window.expect("21")
    window.seen = ""
    window.send("fg; echo code $?\n")
    window.expect("inside")
    window.send("echo $((40 + 2)); exit 7\n")
    window.expect("42")
    window.expect("code 7")
    window.send("exit\n")
    window.process.wait(PATIENCE_S)
    window.close()


@pytest.mark.parametrize("verb", ["run", "exec"])
def test_the_terminal_inside_is_a_real_one_with_job_control(boxes: Boxes, verb: str) -> None:
    container = entered(boxes) if verb == "exec" else None
    words = (
        ("exec", "-it", *SHELL, "box", "--")
        if container
        else ("run", "--rm", "-it", *SHELL, *boxes.probe_flags(), "--")
    )
    window = Window(boxes, *words, *BASH)
    window.expect("inside> ")
    window.send("tty; stty size\r")
    window.expect("/dev/pts/0\r\n33 101\r\n")
    window.resize(20, 60)
    window.process.send_signal(signal.SIGWINCH)
    window.send("until stty size | grep -x '20 6[0]'; do sleep 0.05; done\r")
    window.expect("20 60\r\n")
    # One process that makes no other: a stop in the middle of a vfork would stop the child alone.
    window.send(
        """perl -e '$|=1; $SIG{CONT}=sub{print "went o"."n\\n"}; print "u"."p\\n"; sleep 600 while 1'\r"""
    )
    window.expect("up\r\n")
    window.send("\x1a")
    window.expect("Stopped")
    window.send("fg\r")
    window.expect("went on\r\n")  # bash has given it the terminal before it told it to go on
    window.send("\x03")
    window.send("echo code=$?\r")
    window.expect("code=130")
    window.send("/probe/probe try tiocsti tioclinux\r")
    window.expect("tiocsti EPERM")
    window.expect("tioclinux EPERM")
    assert window.raw()
    window.send("exit 4\r")
    assert window.end() == 4
    if container:
        container.kill()
        container.communicate()


def test_without_interactive_nothing_is_typed_into_it(boxes: Boxes) -> None:
    window = Window(boxes, "run", "--rm", "-t", "--", "sh", "-c", "tty; exec sleep 600")
    window.expect("/dev/pts/0")
    assert not window.raw()
    window.send("\x03")  # the caller's own terminal makes a signal of it, which is handed on
    assert window.end() == 130


@pytest.mark.parametrize("name", ["TERM", "HUP", "INT"])
def test_a_signal_ends_it_and_the_terminal_is_as_it_was(boxes: Boxes, name: str) -> None:
    window = Window(boxes, "run", "--rm", "-it", "--", "sh", "-c", "echo u''p; exec sleep 600")
    window.expect("up\r\n")
    wait_until(window.raw)
    window.process.send_signal(getattr(signal, f"SIG{name}"))
    assert window.end() == 128 + getattr(signal, f"SIG{name}")


def test_a_signal_reaches_who_has_closed_its_terminal(boxes: Boxes) -> None:
    script = "trap 'exit 9' TERM; echo u''p; exec <&- >&- 2>&-; while :; do sleep 0.05; done"
    window = Window(boxes, "run", "--rm", "-it", "--", "sh", "-c", script)
    window.expect("up\r\n")
    time.sleep(0.3)
    window.process.terminate()
    assert window.end() == 9


@pytest.mark.parametrize("flag", ["-t", "-it"])
def test_whoever_loses_the_caller_s_terminal_is_told_though_the_kernel_tells_nobody(
    boxes: Boxes, flag: str
) -> None:
    script = "trap 'seq 50000; exit 8' HUP; echo u''p; while :; do sleep 0.05; done"
    window = Window(boxes, "run", "--rm", flag, "--", "sh", "-c", script, controlling=False)
    window.expect("up\r")
    os.close(window.other)
    os.close(window.fd)
    assert window.process.wait(PATIENCE_S) == 8


def test_when_the_monitor_is_killed_the_terminal_is_as_it_was(boxes: Boxes) -> None:
    window = Window(boxes, "run", "--name", "box", "-it", "--", "sh", "-c", "echo u''p; exec sleep 600")
    window.expect("up\r\n")
    wait_until(window.raw)
    (record,) = boxes.root.glob("containers/*/init")
    init = read_init(record.read_bytes())
    assert init is not None
    os.kill(init.monitor_pid, signal.SIGKILL)
    assert window.end() == 125
    assert boxes.cli("rm", "-f", "box").code == 0


def test_what_fails_before_the_terminal_is_there_is_told(boxes: Boxes) -> None:
    window = Window(boxes, "run", "--rm", "-it", "--", "no-such-program")
    window.expect("command not found: no-such-program")
    assert window.end() == 127
    ran = boxes.cli("run", "-t", "--", "true")
    assert (ran.code, "is not a terminal" in ran.err, "remedy:" in ran.err) == (125, True, True)


def test_much_output_and_much_input_pass_whole(boxes: Boxes) -> None:
    window = Window(
        boxes,
        "run",
        "--rm",
        "-it",
        "--",
        "sh",
        "-c",
        "stty raw -echo; echo up; head -c 50000 | sha256sum; seq 20000",
    )
    window.expect("up\n")
    data = "0123456789" * 5000
    sent = 0
    while sent < len(data):
        sent += os.write(window.fd, data[sent : sent + 1000].encode())
    window.expect(sha256(data.encode()).hexdigest())
    window.expect("20000\n")
    assert window.end() == 0


def test_the_terminal_is_sent_to_whoever_listens(boxes: Boxes) -> None:
    """One message, one descriptor, as runc has it."""
    path = str(boxes.folder / "console.sock")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(1)
    process = boxes.start(
        "--name", "sent", "-t", "--console-socket", path, "--", "sh", "-c", "tty; stty size; read x; exit $x"
    )
    connection, _ = listener.accept()
    fds = array.array("i")
    data, messages, _, _ = connection.recvmsg(4096, socket.CMSG_SPACE(16), socket.MSG_CMSG_CLOEXEC)
    assert data == b"/dev/ptmx"
    ((level, kind, payload),) = messages
    assert (level, kind, len(payload)) == (socket.SOL_SOCKET, socket.SCM_RIGHTS, fds.itemsize)
    fds.frombytes(payload)
    assert connection.recv(1) == b""  # nothing more comes, and nobody waits
    seen = b""
    while b"0 0\r\n" not in seen:
        seen += os.read(fds[0], 4096)
    assert seen == b"/dev/pts/0\r\n0 0\r\n"
    os.write(fds[0], b"9\n")
    process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 9
    os.close(fds[0])
    connection.close()
    listener.close()
    again = boxes.cli("restart", "sent")
    assert again.code == 125 and "--console-socket" in again.err, "nobody may listen there any more"
    refused = boxes.cli("run", "-t", "--console-socket", path, "--", "true")
    assert (refused.code, "takes no connection" in refused.err) == (125, True)
    alone = boxes.cli("run", "--console-socket", path, "--", "true")
    assert (alone.code, "needs --tty" in alone.err) == (125, True)


def test_a_window_may_be_left_and_opened_again(boxes: Boxes) -> None:
    script = "echo u''p; while read -r line; do echo got $line; [ $line = end ] && exit 6; done"
    window = Window(boxes, "run", "--name", "box", "-it", "--", "sh", "-c", script)
    window.expect("up\r\n")
    window.send("one\r")
    window.expect("got one")
    window.send("\x10\x11")
    assert window.end() == 0
    assert boxes.inspect("box")["status"] == "running"
    again = Window(boxes, "attach", "box")
    wait_until(again.raw)
    again.send("two\r")
    again.expect("got two")
    second = Window(boxes, "attach", "box")
    second.expect("has a window already")
    assert second.end() == 125
    again.send("a\x10b\r")  # half of the keys is a key like any other
    again.expect("got a\x10b")
    again.process.terminate()  # a window that closes ends nothing
    assert again.end() == 0
    last = Window(boxes, "attach", "box")
    wait_until(last.raw)
    last.send("end\r")
    assert last.end() == 6
    windows = [e["type"] for e in read_events(str(boxes.root)) if "tached" in e["type"]]
    assert windows == ["attached", "detached", "attached"]
    assert boxes.inspect("box")["exit_code"] == 6


def test_a_detached_container_keeps_a_terminal_for_whoever_attaches(boxes: Boxes) -> None:
    script = "tty; read line; echo $line; exit 3"
    ran = boxes.cli("run", "-d", "-t", "--name", "box", "--", "sh", "-c", script)
    assert (ran.code, len(ran.out.strip())) == (0, 32), ran.err
    time.sleep(0.3)
    window = Window(boxes, "attach", "box")
    window.expect("/dev/pts/0")  # what it said before is shown
    wait_until(window.raw)
    window.send("hello\r")
    window.expect("hello\r\nhello")
    assert window.end() == 3
    assert [e["type"] for e in read_events(str(boxes.root)) if "tached" in e["type"]] == ["attached"]
    failed = boxes.cli("run", "-d", "-t", "--rm", "--", "no-such-program")
    assert failed.code in (0, 127)  # it may fail before or after its terminal was opened
    refused = boxes.cli("create", "-t", "--", "true")
    assert (refused.code, "remedy:" in refused.err) == (125, True)


def test_a_container_with_a_terminal_is_started_again_and_keeps_a_new_one(boxes: Boxes) -> None:
    window = Window(boxes, "run", "-t", "--name", "job", "--", "sh", "-c", "tty; echo begun; read x; exit 4")
    window.expect("begun")
    assert boxes.cli("stop", "-t", "0", "job").code == 0
    assert window.end() == 137
    before = boxes.inspect("job")["id"]
    assert boxes.cli("start", "job").out.strip() == before
    again = Window(boxes, "attach", "job")
    assert "/dev/pts/0" in again.expect("begun")
    wait_until(again.raw)
    again.send("x\r")
    assert again.end() == 4
    assert boxes.cli("restart", "job").code == 0
    assert boxes.inspect("job")["status"] == "running"
    assert boxes.cli("rm", "-f", "job").code == 0
    reap_orphans()


def test_a_process_that_entered_goes_on_when_its_window_is_left(boxes: Boxes) -> None:
    container = entered(boxes)
    window = Window(
        boxes, "exec", "-it", "box", "--", "sh", "-c", "echo u''p; sleep 1; echo done >/tmp/done; sleep 600"
    )
    window.expect("up\r\n")
    window.send("\x10\x11")
    assert window.end() == 0
    wait_until(lambda: boxes.cli("exec", "box", "--", "cat", "/tmp/done").out == "done\n")
    container.kill()
    container.communicate()


def test_what_a_container_without_a_terminal_prints_can_be_watched(boxes: Boxes) -> None:
    script = "until test -e /tmp/seen; do echo more; sleep 0.02; done; echo after; exit 5"
    assert boxes.cli("run", "-d", "--name", "box", "--", "sh", "-c", script).code == 0
    watching = boxes.cli_process("attach", "box")
    assert watching.stdout is not None and watching.stdout.readline() == "more\n"
    # The end that it brings about may come before its own.
    assert boxes.cli("exec", "box", "--", "touch", "/tmp/seen").code in (0, 137)
    out, _ = watching.communicate(timeout=PATIENCE_S)
    assert (watching.returncode, out.splitlines()[-1:]) == (5, ["after"])
    foreground = entered_as(boxes, "other")
    refused = boxes.cli("attach", "other")
    assert (refused.code, "remedy:" in refused.err) == (125, True)
    foreground.kill()
    foreground.communicate()
