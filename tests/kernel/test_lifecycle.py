"""Containers that outlive their command: create, start, stop, kill, wait, pause, rename, remove.

✗ once more: `test_restart.py`.
"""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest
from sandboxes import COMMAND, PATIENCE_S, PROJECT, Boxes, reap_orphans, wait_until

from nucleus.base.errors import Conflict, LaunchError, NotFound
from nucleus.container.container import Container, with_handle
from nucleus.container.running import ending
from nucleus.container.running.handle import Handle
from nucleus.launch.report import ExitRecord

ENDLESS = ("sh", "-c", "trap 'exit 9' TERM; echo ready; while :; do sleep 0.02; done")
STUBBORN = ("sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.02; done")
NOT_IN_GUESTS = pytest.mark.identity("root", "user", "nosub", "nested")
ROOT_ALONE = pytest.mark.identity("root", "vm-root")
PATIENCE = "50s"  # for a workload that is asked to end; the command itself has a little more


def created(boxes: Boxes, *command: str, **options: object) -> Container:
    return Container.create(command, root=str(boxes.root), **options)


def running(boxes: Boxes, *command: str, **options: object) -> Container:
    return Container.run(command, root=str(boxes.root), **options)


def ready(boxes: Boxes, reference: str) -> None:
    """Waits until its first line is in its log: then the traps are set."""
    wait_until(lambda: "ready" in boxes.cli("logs", reference).out)


def init_pid(boxes: Boxes, container: Container) -> int:
    return int(boxes.inspect(container.id)["pid"])


def test_from_created_to_gone_by_the_command_line(boxes: Boxes) -> None:
    made = boxes.cli("create", "--name", "web", "--label", "team=a", "--", *ENDLESS)
    assert made.code == 0, made.err
    container_id = made.out.strip()
    assert boxes.cli("ps", "-q").out == "" and boxes.cli("ps", "-aq").out.strip() == container_id
    known = boxes.inspect("web")
    assert (known["id"], known["status"], known["labels"]) == (container_id, "created", {"team": "a"})
    assert boxes.cli("start", container_id[:8]).out.strip() == container_id
    assert boxes.inspect("web")["status"] == "running"
    assert boxes.cli("start", "web").code == 125, "it runs already"
    ready(boxes, "web")
    assert "running" in boxes.cli("rm", "web").err
    stopped = boxes.cli("stop", "-t", PATIENCE, "web")
    assert (stopped.code, stopped.out.strip()) == (0, container_id), stopped.err
    known = boxes.inspect("web")
    assert (known["status"], known["exit_code"], known["reason"]) == ("stopped", 9, "exit")
    assert boxes.cli("stop", "web").code == 0, "what has ended has ended"
    assert boxes.cli("wait", "web").out == "9\n"
    assert "exited 9 (exit)" in boxes.cli("ps", "-a").out
    assert boxes.cli("rm", "web").out.strip() == container_id
    assert boxes.cli("inspect", "web").code == 125


def test_run_detached_returns_once_the_command_was_executed(boxes: Boxes) -> None:
    ran = boxes.cli("run", "-d", "--name", "web", "--", *ENDLESS)
    assert ran.code == 0, ran.err
    known = boxes.inspect("web")
    assert (known["id"], known["status"]) == (ran.out.strip(), "running")
    assert os.getsid(known["pid"]) != os.getsid(0)
    ready(boxes, "web")
    assert boxes.cli("kill", "-s", "TERM", "web").code == 0
    assert boxes.cli("wait", "web").out == "9\n"
    assert boxes.cli("kill", "web").code == 125, "there is nobody to signal any more"


@NOT_IN_GUESTS
@pytest.mark.parametrize(
    ("command", "code"), [(("no-such-program",), 127), (("/etc/hosts",), 126), (("sh", "-c", "exit 3"), 0)]
)
def test_a_start_that_fails_says_why_with_the_code_of_run(
    boxes: Boxes, command: tuple[str, ...], code: int
) -> None:
    kept = boxes.cli("run", "-d", "--name", "kept", "--", *command)
    gone = boxes.cli("run", "-d", "--rm", "--", *command)
    assert (kept.code, gone.code) == (code, code), (kept.err, gone.err)
    if not code:
        return
    assert command[0] in kept.err and "remedy:" in kept.err and kept.err == gone.err
    known = boxes.inspect("kept")
    assert (known["reason"], known["exit_code"]) == ("failed", code) and command[0] in known["failure"]
    made = created(boxes, *command)
    with pytest.raises(LaunchError) as caught:
        made.start()
    assert caught.value.exit_code == code and command[0] in caught.value.message


@pytest.mark.identity("root")
def test_what_cannot_be_created_leaves_nothing(boxes: Boxes) -> None:
    with pytest.raises(LaunchError) as caught:
        created(boxes, "true", name="web", io_limit=["4000:4000 rbps=1M"])
    assert "4000:4000" in caught.value.message
    created(boxes, "true", name="web").remove(force=True)


def test_stop_kills_what_does_not_end_and_returns_when_it_has_ended(boxes: Boxes) -> None:
    container = running(boxes, *STUBBORN)
    pid = init_pid(boxes, container)
    ready(boxes, container.id)
    container.stop(grace_s=0.2)
    reap_orphans()
    assert not os.path.exists(f"/proc/{pid}")
    result = container.wait()
    assert (result.exit_code, result.reason) == (137, "signal")


@NOT_IN_GUESTS
def test_the_containers_own_signal_and_grace_hold(boxes: Boxes, monkeypatch: pytest.MonkeyPatch) -> None:
    script = "trap 'exit 4' INT; trap '' TERM; echo ready; while :; do sleep 0.02; done"
    container = running(boxes, "sh", "-c", script, stop_signal="INT", stop_timeout="60s")
    ready(boxes, container.id)
    container.stop()
    assert container.wait().exit_code == 4
    stubborn = running(boxes, *STUBBORN, stop_timeout="100ms")
    ready(boxes, stubborn.id)
    left: list[float] = []
    await_end = ending._await_end

    def noting(handle: Handle, deadline: float | None) -> ExitRecord | None:
        left.append((deadline or math.inf) - time.monotonic())
        return await_end(handle, deadline)

    monkeypatch.setattr(ending, "_await_end", noting)
    stubborn.stop()
    assert left[0] <= 0.1 and stubborn.wait().exit_code == 137


@NOT_IN_GUESTS
def test_what_waits_at_the_gate_can_be_stopped_killed_and_removed(boxes: Boxes) -> None:
    one, two, three = (created(boxes, "true") for _ in range(3))
    one.stop()
    two.kill()
    assert {one.wait().reason, two.wait().reason} == {"host-kill"}
    with pytest.raises(Conflict):
        one.start()  # a kill and a start of the same moment: the kill stays
    with pytest.raises(Conflict, match="kill: container .* is created"):
        three.kill("USR1")
    with pytest.raises(Conflict):
        three.remove()
    three.remove(force=True)
    with pytest.raises(NotFound):
        three.inspect()


@NOT_IN_GUESTS
def test_a_kill_in_the_moment_of_the_start_is_never_lost(boxes: Boxes) -> None:
    """Either it is heard at the gate, or it reaches the command: whoever killed has nothing to repeat."""

    def start(container: Container) -> None:
        with contextlib.suppress(
            Conflict, LaunchError, NotFound
        ):  # it may have been killed, and gone, before
            container.start()

    for number in range(40):
        container = created(boxes, "sleep", "600", rm=number % 2 == 1)
        starter = threading.Thread(target=start, args=(container,))
        starter.start()
        time.sleep(number % 20 * 0.0004)
        container.kill("TERM" if number % 3 else "KILL")
        with contextlib.suppress(NotFound):  # with rm nothing is left of it
            assert container.wait(timeout_s=PATIENCE_S).exit_code in (137, 143)
        starter.join(PATIENCE_S)
        assert not starter.is_alive()


def test_what_fails_inside_is_told_by_create_and_leaves_nothing(boxes: Boxes) -> None:
    refused = boxes.cli("create", "--name", "limited", "--ulimit", "nofile=4000000000", "--", "true")
    assert refused.code == 125 and "--ulimit" in refused.err, refused.err
    assert os.listdir(boxes.root / "containers") == os.listdir(boxes.root / "names") == []


@ROOT_ALONE
def test_a_created_container_is_built_but_for_its_command(boxes: Boxes) -> None:
    workspace = boxes.directory("workspace")
    for _ in range(5):
        container = created(boxes, "true", workspace=str(workspace))
        pid = init_pid(boxes, container)
        mounts = Path(f"/proc/{pid}/mountinfo").read_text().splitlines()
        (root,) = [m for m in mounts if m.split()[4] == "/"]
        assert "ro," in root.split()[5] and any(m.split()[4] == "/workspace" for m in mounts)
        (workload,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        status = Path(f"/proc/{workload}/status").read_text()
        assert "Seccomp:\t2\n" in status and "CapPrm:\t0000000000000000\n" in status
        container.remove(force=True)


def waiters_of(boxes: Boxes, container: Container) -> int:
    """How many wait for its end, each with a lock on a file of its directory."""
    file = boxes.root / "containers" / container.id / "watch.lock"
    if not file.exists():
        return 0
    end = f":{file.stat().st_ino}"
    locks = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
    return sum([words[1] == "FLOCK" and words[5].endswith(end) for words in locks])


def test_wait_tells_the_exit_code_of_a_container_that_is_removed_at_its_end(boxes: Boxes) -> None:
    codes: list[int] = []
    for code in range(3):
        container = created(boxes, "sh", "-c", f"exit {code}", rm=True, name="same")
        waiters = [
            threading.Thread(target=lambda c=container: codes.append(c.wait().exit_code)) for _ in range(3)
        ]
        for waiter in waiters:
            waiter.start()
        wait_until(lambda c=container: waiters_of(boxes, c) == 3)
        container.start()
        for waiter in waiters:
            waiter.join(PATIENCE_S)
        with pytest.raises(NotFound):
            container.inspect()
    assert codes == [code for code in range(3) for _ in range(3)]
    assert os.listdir(boxes.root / "containers") == []


@NOT_IN_GUESTS
def test_wait_gives_up_at_its_timeout(boxes: Boxes) -> None:
    container = running(boxes, "sleep", "60")
    with pytest.raises(Conflict):
        container.wait(timeout_s=0.1)
    assert boxes.cli("wait", "--timeout", "100ms", container.id).code == 125
    container.remove(force=True)


@ROOT_ALONE
def test_a_paused_container_does_nothing_until_it_goes_on(boxes: Boxes) -> None:
    work = boxes.directory("work")
    container = running(
        boxes, "sh", "-c", "while :; do echo . >>/workspace/out; sleep 0.01; done", workspace=str(work)
    )
    wait_until(lambda: (work / "out").exists())
    assert container.exec(["true"]).ok
    container.pause()
    assert container.status == "paused"
    with pytest.raises(Conflict, match="is paused"):
        container.exec(["true"])  # also by who entered it before
    size = (work / "out").stat().st_size
    time.sleep(0.1)
    assert (work / "out").stat().st_size == size
    with pytest.raises(Conflict):
        container.pause()
    container.unpause()
    wait_until(lambda: (work / "out").stat().st_size > size)
    container.pause()
    container.stop(grace_s=5)
    assert container.wait().reason == "signal", "a paused container ends, too"


@pytest.mark.identity("user", "nosub")
def test_without_a_cgroup_pause_says_what_is_missing(boxes: Boxes) -> None:
    container = running(boxes, "sleep", "60")
    refused = boxes.cli("pause", container.id)
    if boxes.inspect(container.id)["cgroups"]:
        assert refused.code == 0
    else:
        assert refused.code == 125 and "cgroup" in refused.err and "doctor" in refused.err
    container.remove(force=True)


@NOT_IN_GUESTS
def test_a_new_name_is_the_only_one(boxes: Boxes) -> None:
    container = created(boxes, "true", name="old")
    other = created(boxes, "true", name="taken")
    assert boxes.cli("rename", "old", "new").code == 0
    assert container.name == "new" and boxes.cli("inspect", "old").code == 125
    for name in ("taken", "-x", "a/b", ""):
        assert boxes.cli("rename", "new", name).code == 125
    container.rename("new")
    for one in (container, other):
        one.remove(force=True)
    assert os.listdir(boxes.root / "names") == []


@NOT_IN_GUESTS
def test_each_target_that_fails_is_told_and_the_others_are_done(boxes: Boxes) -> None:
    one, two = running(boxes, "sleep", "60", name="one"), running(boxes, "sleep", "60", name="two")
    done = boxes.cli("stop", "-t", "0", "one", "nobody", "two")
    assert done.code == 125 and done.out.split() == [one.id, two.id] and done.err.count("nobody") == 1
    listed = boxes.cli("ps", "-a", "--format", "{{.name}} {{.status}}", "--filter", "status=exited")
    assert listed.out == "one stopped\ntwo stopped\n"
    pruned = boxes.cli("prune", "--filter", "name=one")
    assert pruned.out.split() == [one.id]
    assert boxes.cli("prune").out.split() == [two.id]


def kill_and_look(boxes: Boxes, container: Container, which: str) -> None:
    """kill -9 of one of the container's own processes; the next command tells the truth and nothing lives on."""
    pids = with_handle(
        container.id, str(boxes.root), lambda h: (h.init.monitor_pid, h.init.init_pid) if h.init else ()
    )
    os.kill(pids[0] if which == "monitor" else pids[1], signal.SIGKILL)
    known = wait_until(lambda: (k := boxes.inspect(container.id))["status"] == "stopped" and k)
    assert known["reason"] in ("host-kill", "failed") and known["exit_code"] in (125, 137), known
    wait_until(lambda: (reap_orphans(), not any(os.path.exists(f"/proc/{pid}") for pid in pids))[1])


@pytest.mark.identity("root", "user", "vm-root", "vm-user")
@pytest.mark.parametrize("which", ["monitor", "init"])
@pytest.mark.parametrize("state", ["created", "running"])
def test_whoever_of_it_is_killed_the_next_command_tells_the_truth(
    boxes: Boxes, which: str, state: str
) -> None:
    container = created(boxes, "sleep", "600")
    if state == "running":
        container.start()
    kill_and_look(boxes, container, which)


@pytest.mark.identity("root")
def test_strangers_with_the_pids_of_a_killed_container_are_never_signalled(boxes: Boxes) -> None:
    done = subprocess.run(
        ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", sys.executable,
         str(PROJECT / "tests/kernel/recycled_pids.py"), str(boxes.root)],
        env=boxes.environment | {"PYTHONPATH": str(PROJECT / "src")}, capture_output=True, text=True,
        timeout=3 * PATIENCE_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@NOT_IN_GUESTS
def test_a_command_that_is_killed_while_it_creates_or_starts_leaves_a_state_that_is_true(
    boxes: Boxes,
) -> None:
    for n in range(12):
        process = subprocess.Popen(
            [COMMAND, "run", "--root", str(boxes.root), "-d", "--", "sleep", "600"], env=boxes.environment,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        time.sleep(0.02 + 0.012 * n)
        process.kill()
        process.wait()
    states = {
        row.split()[1] for row in boxes.cli("ps", "-a", "--format", "{{.id}} {{.status}}").out.splitlines()
    }
    assert states <= {"created", "running", "stopped", "creating"}
    wait_until(lambda: "creating" not in boxes.cli("ps", "-a").out)
    for container_id in boxes.cli("ps", "-aq").out.split():
        assert boxes.cli("rm", "-f", container_id).code == 0


@pytest.mark.identity("root", "user")
def test_two_hundred_lives_sixteen_at_a_time_leave_nothing(boxes: Boxes) -> None:
    done = subprocess.run(
        [sys.executable, str(PROJECT / "tools/cycles.py"), "--count", "200", "--by-command", "10", "--seed", "1"],
        env=boxes.environment, capture_output=True, text=True, timeout=10 * PATIENCE_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.identity("root", "user", "nested")
def test_many_lives_at_once_while_others_look(boxes: Boxes) -> None:
    """40 lives, 4 at a time, from create to removed, while `ps` and `inspect` never meet a state that cannot be read."""
    looking = threading.Event()
    wrong: list[object] = []

    def look() -> None:
        while not looking.is_set():
            listed = boxes.cli("ps", "-a", "--format", "json")
            if listed.code:
                wrong.append(listed.err)

    def live(n: int) -> None:
        try:
            for turn in range(10):
                container = created(boxes, "sleep", "60", name=f"box-{n}", rm=turn % 2 == 0)
                container.start()
                if turn % 3:
                    container.stop(grace_s=0)
                if turn % 2 or turn % 3 == 0:
                    container.remove(force=True)
        except Exception as error:  # noqa: BLE001 - told by the test's own thread
            wrong.append(error)

    threads = [threading.Thread(target=live, args=(n,)) for n in range(4)]
    watcher = threading.Thread(target=look)
    watcher.start()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10 * PATIENCE_S)
    looking.set()
    watcher.join(PATIENCE_S)
    assert wrong == []
    assert boxes.cli("ps", "-aq").out == ""


@pytest.mark.identity("root")
def test_root_acts_on_the_containers_of_a_user_as_that_user(boxes: Boxes) -> None:
    """What a user recorded must lead root nowhere else: here, to the cgroup and to a process of root's container."""
    victim = running(boxes, "sleep", "600")
    known = boxes.inspect(victim.id)
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        os.chmod(folder, 0o711)
        theirs = Path(folder, "state")
        shutil.copytree(boxes.root, theirs, ignore=lambda _, names: {n for n in names if n == "start"})
        for path in (theirs, *theirs.rglob("*")):
            os.chown(path, 12345, 12345, follow_symlinks=False)
        listed = subprocess.run(
            [COMMAND, "ps", "-aq", "--root", str(theirs)], capture_output=True, text=True, check=False,
            env=boxes.environment,
        )  # fmt: skip
        assert listed.returncode == 0 and victim.id in listed.stdout, listed.stderr
        subprocess.run(
            [COMMAND, "rm", "-f", "--root", str(theirs), victim.id], env=boxes.environment, check=False
        )
    assert boxes.inspect(victim.id)["status"] == "running" == known["status"]
    victim.remove(force=True)
