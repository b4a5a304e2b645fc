"""Entering a running container: who comes in is what the workload is, and brings nothing of the host along."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from filtered_child import run_without
from sandboxes import COMMAND, PATIENCE_S, Boxes, Ran, python, wait_until
from test_refused_calls import REFUSED, SOCKETS

from nucleus.base.errors import Conflict, NotFound
from nucleus.container.container import Container
from nucleus.container.running.inside import run_inside, wish_of

NOT_IN_GUESTS = pytest.mark.identity("root", "user", "nosub", "nested")
NAMESPACES = ("cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts")
STATUS = (
    "Uid", "Gid", "Groups", "NoNewPrivs", "Seccomp", "Seccomp_filters", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb",
)  # fmt: skip


class Running:
    """A container in the background, by name."""

    def __init__(self, boxes: Boxes, name: str, *words: str, ready: str = "ready") -> None:
        self.boxes, self.name = boxes, name
        self.process = boxes.start("--name", name, *words)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.strip() == ready, (line, self.process.poll())

    def cli(self, *words: str, **options: object) -> Ran:
        """`nucleus exec FLAGS… NAME -- COMMAND…`: flags before "--"."""
        at = words.index("--")
        return self.boxes.cli("exec", *words[:at], self.name, *words[at:], **options)

    def start(self, *words: str) -> subprocess.Popen[str]:
        """The same in the background."""
        command = [str(COMMAND), "exec", "--root", str(self.boxes.root), self.name, *words]
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, env=self.boxes.environment
        )

    def workload(self) -> int:
        """The workload's pid here."""
        children = Path(f"/proc/{self.init()}/task/{self.init()}/children").read_text().split()
        return int(children[0])

    def init(self) -> int:
        return int(self.boxes.inspect(self.name)["pid"])

    def stop(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=PATIENCE_S)


@pytest.fixture
def box(boxes: Boxes) -> Iterator[Running]:
    """A container that waits, with variables from the command line and from a descriptor."""
    read, write = os.pipe()
    os.write(write, b"SECRET=only in memory\n")
    os.close(write)
    words = (
        "-e",
        "COLOUR=blue",
        "--env-fd",
        str(read),
        *boxes.probe_flags(),
        "--ulimit",
        "fsize=1000000:2000000",
        "--time-namespace",
    )
    command = ("--", "sh", "-c", "echo ready; exec sleep 600")
    process = boxes.start
    boxes.start = lambda *w, **o: process(*w, pass_fds=(read,), **o)  # type: ignore[method-assign]
    try:
        running = Running(boxes, "box", *words, *command)
    finally:
        boxes.start = process  # type: ignore[method-assign]
        os.close(read)
    yield running
    running.stop()


def child_of(process: subprocess.Popen[str]) -> int:
    """The process inside, which its monitor has started."""
    path = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    return int(wait_until(lambda: [p for p in path.read_text().split() if _executed(p)])[0])


def _executed(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/comm").read_text() == "sleep\n"
    except OSError:
        return False


def _status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    found = {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}
    return {key: found[key] for key in STATUS if key in found}


def test_who_enters_is_confined_as_the_workload_is(box: Running) -> None:
    process = box.start("--", "sleep", "600")
    inside, workload = child_of(process), box.workload()
    try:
        assert _status(inside) == _status(workload)
        for kind in NAMESPACES:
            links = {os.readlink(f"/proc/{pid}/ns/{kind}") for pid in (inside, workload)}
            assert len(links) == 1, kind
        for file in ("cgroup", "limits", "uid_map", "gid_map"):
            assert (
                Path(f"/proc/{inside}/{file}").read_text() == Path(f"/proc/{workload}/{file}").read_text()
            ), file
        assert _environment(inside) == _environment(workload)
        assert os.readlink(f"/proc/{inside}/cwd") == os.readlink(f"/proc/{workload}/cwd")
        # Its loader still has a library open, perhaps.
        wait_until(lambda: sorted(os.listdir(f"/proc/{inside}/fd")) == ["0", "1", "2"])
        assert os.getpgid(inside) == inside  # kill(0) reaches nothing of the caller
    finally:
        process.kill()
        process.communicate()
    wait_until(lambda: not Path(f"/proc/{inside}").exists() or _gone(inside))


def test_nobody_enters_where_a_namespace_cannot_be_joined(box: Running) -> None:
    command = [str(COMMAND), "exec", "--root", str(box.boxes.root), box.name, "--", "touch", "/tmp/came"]
    code, said = run_without("setns", command, box.boxes.environment)
    assert code == 125 and "namespace" in said and "operation not permitted" in said, said
    assert box.cli("--", "test", "-e", "/tmp/came").code == 1


def _environment(pid: int) -> set[bytes]:
    """Without what a shell adds of its own."""
    return {v for v in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0") if not v.startswith(b"PWD=")}


def _gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


def test_the_filter_and_the_files_are_those_of_the_workload(box: Running) -> None:
    ran = box.cli("--", *box.boxes.probe_words(f"try {' '.join(REFUSED)}", "families"))
    assert ran.code == 0, ran.err
    calls, sockets = box.boxes.answers(ran.out, 2)
    assert dict(line.split(" ", 1) for line in calls) == dict.fromkeys(REFUSED, "EPERM")
    assert dict(line.split() for line in sockets) == SOCKETS
    written = box.cli("--", "sh", "-c", "echo x >/usr/x; echo y >/etc/x; echo z >/tmp/z; cat /tmp/z")
    assert written.out == "z\n"
    # Another layer than the mounts: what the policy names for nobody is closed although its mode is open.
    assert box.cli("--", "cat", "/proc/2/environ").code != 0


def test_the_environment_is_the_workloads_and_may_be_added_to(box: Running) -> None:
    script = 'echo "$COLOUR $SECRET $MORE"; pwd; id -u'
    plain = box.cli("--", "sh", "-c", script)
    assert plain.out.splitlines() == ["blue only in memory ", "/home/agent", "1000"]
    other = box.cli("-e", "COLOUR=red", "-e", "MORE=1", "-w", "/tmp", "--", "sh", "-c", script)
    assert other.out.splitlines() == ["red only in memory 1", "/tmp", "1000"]
    assert box.cli("-e", "LD_PRELOAD=/tmp/x.so", "--", "true").code == 125
    state = b"".join(p.read_bytes() for p in box.boxes.root.rglob("*") if p.is_file())
    assert b"only in memory" not in state and b"blue" not in state


@pytest.mark.identity("root", "user", "vm-root", "vm-user")
def test_another_user_of_the_container_enters_with_no_more_rights(box: Running) -> None:
    ran = box.cli(
        "-u", "root:7", "--", "sh", "-c", "id -u; id -g; grep ^Cap /proc/self/status; echo x >/usr/x"
    )
    assert ran.out.splitlines()[:2] == ["0", "7"]
    assert {line.split()[1] for line in ran.out.splitlines()[2:7]} == {"0" * 16}
    assert "Read-only file system" in ran.err or "Permission denied" in ran.err


def test_a_user_who_is_not_mapped_is_refused(box: Running) -> None:
    ran = box.cli("-u", "70000", "--", "true")
    assert (ran.code, "is not mapped" in ran.err, "remedy:" in ran.err) == (125, True, True)


@NOT_IN_GUESTS
def test_exit_codes_of_what_ran_inside(box: Running) -> None:
    cases = [
        ((), ("true",), 0), ((), ("sh", "-c", "exit 3"), 3), ((), ("no-such-program",), 127),
        ((), ("/etc/hosts",), 126), ((), ("sh", "-c", "kill -TERM $$"), 143), (("-w", "/nowhere"), ("true",), 125),
        (("--timeout", "300ms"), ("sleep", "600"), 124), (("--memory", "1G"), ("true",), 125),
    ]  # fmt: skip
    for flags, command, code in cases:
        ran = box.cli(*flags, "--", *command)
        assert ran.code == code, (command, ran.err)
        assert ("remedy:" in ran.err) == (code in (124, 125, 126, 127)), ran.err


def test_the_standard_input_is_passed_on_where_it_is_asked_for(box: Running, tmp_path: Path) -> None:
    (tmp_path / "in").write_text("from outside\n")
    for flags, text in (((), ""), (("-i",), "from outside\n")):
        with open(tmp_path / "in") as file:
            assert box.cli(*flags, "--", "cat", stdin=file).out == text


@pytest.mark.parametrize("name", ["TERM", "INT", "HUP", "USR1"])
def test_signals_to_the_command_reach_the_process_inside(box: Running, name: str) -> None:
    process = box.start(
        "--", "sh", "-c", f"trap 'echo got {name}; exit 7' {name}; echo up; while :; do sleep 0.05; done"
    )
    assert process.stdout is not None and process.stdout.readline() == "up\n"
    process.send_signal(getattr(signal, f"SIG{name}"))
    out, _ = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, out) == (7, f"got {name}\n")


def test_a_process_inside_may_signal_the_workload(box: Running) -> None:
    ran = box.cli("--", "sh", "-c", "kill -TERM 2")
    assert (ran.code in (0, 137), ran.err) == (True, "")  # the end of the container may overtake its own
    box.process.communicate(timeout=PATIENCE_S)
    assert box.process.returncode == 143


def test_the_end_of_the_container_ends_who_has_entered(box: Running) -> None:
    process = box.start("--", "sleep", "600")
    inside = child_of(process)
    box.process.terminate()
    process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 137
    assert not Path(f"/proc/{inside}").exists()
    box.process.communicate(timeout=PATIENCE_S)
    refused = box.cli("--", "true")
    assert (refused.code, "is stopped" in refused.err) == (125, True), refused.err


def test_the_death_of_the_command_ends_the_process_inside(box: Running) -> None:
    process = box.start("--", "sleep", "600")
    inside = child_of(process)
    process.kill()
    process.communicate()
    wait_until(lambda: _gone(inside))


def test_the_library_enters_too(box: Running) -> None:
    root = str(box.boxes.root)
    result = run_inside(root, "box", wish_of(["sh", "-c", "cat; echo $COLOUR >&2; exit 4"]), stdin=b"in")
    assert (result.exit_code, result.out, result.err, result.reason) == (4, "in", "blue\n", "exit")
    late = run_inside(root, "box", wish_of(["sleep", "600"], timeout="200ms"))
    assert (late.exit_code, late.reason) == (124, "timeout")
    box.stop()
    with pytest.raises(Conflict, match="is dead|is stopped"):
        run_inside(root, "box", wish_of(["true"]))


def test_who_entered_before_still_sees_what_became_of_it(box: Running) -> None:
    """It is entered again without a look at its records, which may say something else by now."""
    entered = Container.find("box", root=str(box.boxes.root))
    assert entered.exec(["true"]).ok
    entered.rename("chest")
    assert entered.exec(["true"]).ok
    told = box.boxes.cli("events", "--filter", "type=exec", "--format", "json").out
    assert [json.loads(line)["name"] for line in told.splitlines()] == ["box", "chest"]
    box.stop()
    with pytest.raises(Conflict, match="is dead|is stopped"):
        entered.exec(["true"])
    entered.remove()
    with pytest.raises(NotFound):
        entered.exec(["true"])


def test_who_entered_before_enters_nothing_that_is_not_found(
    box: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relative state root is another one in another directory: no event would tell of it."""
    monkeypatch.chdir(box.boxes.root.parent)
    root = box.boxes.root.name
    entered = Container.find("box", root=root)
    assert entered.exec(["true"]).ok
    assert entered.exec(["true"]).ok
    monkeypatch.chdir(box.boxes.directory("elsewhere"))
    with pytest.raises(NotFound):
        entered.exec(["true"])


def test_a_command_may_go_on_by_itself_and_ends_with_the_container(box: Running) -> None:
    ran = box.cli("-d", "--", "sh", "-c", "echo lost; echo $$ >/tmp/pid; exec sleep 600")
    assert (ran.code, ran.out, ran.err) == (0, "", "")
    wait_until(lambda: box.cli("--", "sh", "-c", "cat /proc/$(cat /tmp/pid)/comm").out == "sleep\n")
    (monitor,) = _monitors_of(box)
    assert os.getsid(monitor) == monitor
    box.stop()
    wait_until(lambda: _gone(monitor))


def test_what_goes_on_by_itself_tells_first_that_it_cannot_be_executed(box: Running) -> None:
    ran = box.cli("-d", "--", "no-such-program")
    assert ran.code == 127 and "no-such-program" in ran.err
    assert box.cli("-d", "--", "true").code == 0
    assert box.cli("-d", "--timeout", "200ms", "--", "sleep", "600").code == 0
    wait_until(lambda: not _monitors_of(box))
    for flag in ("-i", "-t"):
        both = box.cli("-d", flag, "--", "true")
        assert both.code == 125 and "--detach" in both.err


def _monitors_of(box: Running) -> list[int]:
    """Who watches over what goes on by itself in the container."""
    found = []
    for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
        try:
            words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
            if words[:2] == ["nucleus-launch", "detach"] and words[4] == box.boxes.inspect(box.name)["id"]:
                found.append(pid)
        except (OSError, IndexError):
            continue
    return found


def test_nobody_enters_before_the_hosts_tree_is_out_of_reach(boxes: Boxes) -> None:
    """A container's mount namespace begins as a copy of the host's."""
    marker = boxes.directory("marker") / "host-file"
    marker.write_text("x")
    seen = []
    for turn in range(4):
        process = boxes.start("--rm", "--name", f"race{turn}", "--", "sleep", "600")
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            try:
                look = wish_of(["sh", "-c", f"cat {marker}; ls /proc/1/root /root; echo in"])
                result = run_inside(str(boxes.root), f"race{turn}", look)
                break
            except Exception as error:  # noqa: BLE001 - not there yet, in one of several ways
                assert "Traceback" not in str(error)
                assert process.poll() is None
        seen.append(result.out)
        process.kill()
        process.communicate()
    assert seen == ["in\n"] * 4


# ---- attacks by the workload on who enters ----

WATCHER = r"""
import os
seen, shown, known = set(), set(), set(os.listdir("/proc"))
print("ready", flush=True)
while not os.path.exists("/tmp/over"):
    for pid in [p for p in os.listdir("/proc") if p.isdigit() and p not in known]:
        for what in ("exe", "cwd", "root", "ns/user"):
            try:
                shown.add(os.readlink(f"/proc/{pid}/{what}"))
            except OSError as error:
                seen.add(error.strerror)
        try:
            for fd in os.listdir(f"/proc/{pid}/fd"):
                shown.add(f"{fd} " + os.readlink(f"/proc/{pid}/fd/{fd}"))
        except OSError:
            pass
        if any(line.endswith("/sleep") for line in shown) and "Permission denied" in seen:
            open("/tmp/enough", "w").close()
        for what in ("mem", "environ", "maps"):
            try:
                with open(f"/proc/{pid}/{what}", "rb") as file:
                    data = file.read(1 << 16)
                if b"nucleus" in data:
                    shown.add(f"{what} tells of nucleus")
            except (OSError, ValueError):
                pass
print("\n".join(sorted(shown)))
print("refused:", *sorted(seen))
"""


@NOT_IN_GUESTS
def test_a_workload_that_watches_for_newcomers_catches_nothing_of_the_host(boxes: Boxes) -> None:
    """Without Landlock, which would hide newcomers altogether: what they hold until they execute is closed by itself."""
    words = ("--allow-degraded-security=landlock", "--", python(), "-c", WATCHER)
    box = Running(boxes, "watcher", *words)
    begun = time.monotonic()
    while time.monotonic() < begun + 3 or box.cli("--", "test", "-e", "/tmp/enough").code:
        assert box.cli("--", "sleep", "0.03").code == 0
        assert time.monotonic() < begun + PATIENCE_S, "it caught nobody: the test shows nothing"
    assert box.cli("--", "touch", "/tmp/over").code in (0, 137)  # what it ends may end it first
    out, _ = box.process.communicate(timeout=PATIENCE_S)
    shown, _, refused = out.rpartition("refused:")
    lines = shown.splitlines()
    assert any(line.endswith("/sleep") for line in lines)
    assert "Permission denied" in refused, "it never looked at one that had not executed yet"
    host = ("nucleus", "memfd", "cgroup", str(boxes.root), "pidfd", "socket", "/sys/")
    assert [line for line in lines if any(word in line for word in host)] == []


@NOT_IN_GUESTS
def test_a_program_that_names_its_executor_gets_nothing_to_execute(boxes: Boxes) -> None:
    """The first line of a script may name /proc/self/exe: in a newcomer that is the host's launcher."""
    work = boxes.directory("work")
    (work / "tool").write_text("#!/proc/self/exe\n")
    (work / "tool").chmod(0o755)
    work.chmod(0o777)
    box = Running(boxes, "trap", "--workspace", str(work), "--", "sh", "-c", "echo ready; exec sleep 600")
    ran = box.cli("--", "/workspace/tool", "probe")
    assert (ran.code, "landlock" in ran.out) == (126, False), ran
    box.stop()


@pytest.mark.identity("root")
def test_newcomers_are_counted_by_the_containers_limits(boxes: Boxes) -> None:
    box = Running(boxes, "few", "--pids", "6", "--", "sh", "-c", "echo ready; exec sleep 600")
    ran = box.cli("--", "sh", "-c", "for i in 1 2 3 4 5 6 7 8; do sleep 600 >/dev/null 2>&1 & done; echo all")
    assert ran.code != 0 and "all" not in ran.out
    box.stop()


@NOT_IN_GUESTS
def test_many_enter_at_once_and_all_leave(boxes: Boxes) -> None:
    box = Running(boxes, "many", "--", "sh", "-c", "echo ready; exec sleep 600")
    codes: list[int] = []
    threads = [
        threading.Thread(target=lambda n=n: codes.append(box.cli("--", "sh", "-c", f"exit {n}").code))
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(codes) == list(range(8))
    inside = Path(f"/proc/{box.init()}/task/{box.init()}/children").read_text().split()
    assert len(inside) == 1
    box.stop()
