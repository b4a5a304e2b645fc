"""Supervised containers: health, readiness, restarts, pid files, and what is told when the supervisor itself is killed."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from sandboxes import PATIENCE_S, Boxes, reap_orphans, wait_until

import nucleus
from nucleus import Container
from nucleus.base.errors import Conflict, LaunchError, SpecError
from nucleus.container.supervision import supervised
from nucleus.observe.events import read_events

# Guests are too slow for what is timed here, and have neither PostgreSQL nor a compiler.
pytestmark = pytest.mark.identity("root", "user", "nosub", "nested")
ENDLESS = ("sh", "-c", "trap 'exit 9' TERM; echo ready; while :; do sleep 0.02; done")
SERVER = "python3 -m http.server 8000 --bind 127.0.0.1 >/dev/null 2>&1 & echo $! >/tmp/server; echo served; wait; sleep 60"
ASK = "python3 -c 'import urllib.request as u; u.urlopen(\"http://127.0.0.1:8000\", timeout=50)'"
POSTGRES = """
PATH=$(echo /usr/lib/postgresql/*/bin):$PATH; export LC_ALL=C
initdb --pgdata=/tmp/data --username=tester --auth=trust --no-sync --locale=C >/dev/null || exit 1
pg_ctl --pgdata=/tmp/data --wait --silent --log=/tmp/log \
    --options='-k /tmp -c listen_addresses= -c fsync=off' start || { cat /tmp/log; exit 1; }
echo served; tail -f /tmp/log
"""
PG_BIN = "PATH=$(echo /usr/lib/postgresql/*/bin):$PATH"
# A check may take as long as it does on a busy machine; one that fails says so at once.
QUICK = {
    "health_interval": "200ms",
    "health_retries": 2,
    "health_start_period": "10m",
    "health_timeout": "60s",
}


def running(boxes: Boxes, *command: str, **options: object) -> Container:
    return Container.run(command, root=str(boxes.root), **options)


def told(boxes: Boxes, container: Container) -> dict[str, Any]:
    return boxes.inspect(container.id)


def supervisor_record(boxes: Boxes, container: Container) -> dict[str, Any]:
    file = boxes.root / "containers" / container.id / "supervisor.json"
    record: dict[str, Any] = json.loads(file.read_bytes())
    return record


def supervisor_of(boxes: Boxes, container: Container) -> int:
    return int(supervisor_record(boxes, container)["pid"])


def is_gone(pid: int) -> bool:
    reap_orphans()
    return not os.path.exists(f"/proc/{pid}")


def stop_in_a_pause(boxes: Boxes, container: Container) -> int:
    """The supervisor of a container that ends at once, stopped (SIGSTOP) between two lives: the next one waits."""
    supervisor = supervisor_of(boxes, container)

    def stopped() -> bool:
        os.kill(supervisor, signal.SIGSTOP)
        stat = Path(f"/proc/{supervisor}/stat")
        wait_until(lambda: stat.read_text().rpartition(")")[2].split()[0] == "T")
        if container.status == "restarting":
            return True
        os.kill(supervisor, signal.SIGCONT)
        return False

    wait_until(stopped)
    return supervisor


def killed_before_its_next_start(boxes: Boxes, container: Container) -> bool:
    """Whether a kill in a long pause came to its end before the pause; where the machine was too slow it runs again."""
    left_ns = 2_000_000_000
    wait_until(lambda: supervisor_record(boxes, container)["next_start_ns"] > time.time_ns() + left_ns)
    container.kill()  # there is nobody to signal, so it is a stop
    if time.time_ns() < supervisor_record(boxes, container)["next_start_ns"]:
        return True
    container.restart()
    return False


@pytest.mark.parametrize(
    ("command", "check", "kill"),
    [
        pytest.param(SERVER, ASK, "kill -9 $(cat /tmp/server)", id="web server"),
        pytest.param(
            POSTGRES,
            f"{PG_BIN}; psql -h /tmp -U tester -Atc 'SELECT 1' postgres >/dev/null",
            f"{PG_BIN}; pg_ctl --pgdata=/tmp/data stop --mode=immediate --silent",
            id="postgresql",
        ),
    ],
)
def test_a_server_that_was_killed_inside_is_unhealthy_and_restarted(
    boxes: Boxes, command: str, check: str, kill: str
) -> None:
    container = running(
        boxes, "sh", "-c", command, name="db", health_cmd=check, restart="on-failure", stop_timeout="1s", **QUICK
    )  # fmt: skip
    wait_until(lambda: told(boxes, container)["health"] == "healthy")
    assert "running (healthy)" in boxes.cli("ps").out
    first = told(boxes, container)["pid"]
    assert boxes.cli("exec", "db", "sh", "-c", kill).code == 0
    wait_until(lambda: told(boxes, container)["restarts"] == 1)
    wait_until(lambda: told(boxes, container)["health"] == "healthy")
    known = told(boxes, container)
    assert known["status"] == "running" and known["pid"] != first
    (end,) = known["ends"]
    assert end["reason"] == "health" and end["error"].startswith("exit code"), end
    # A server may answer before the shell that started it says so.
    wait_until(lambda: boxes.cli("logs", "db").out.count("served") == 2)
    container.stop()
    known = told(boxes, container)
    assert (known["status"], len(known["ends"])) == ("stopped", 2), known["ends"]
    assert boxes.cli("logs", "db").out.count("served") == 2
    happened = [line.split()[4] for line in boxes.cli("events", "--filter", "name=db").out.splitlines()]
    for before, after in (("healthy", "unhealthy"), ("unhealthy", "stopped"), ("stopped", "restarted")):
        assert happened.index(before) < happened.index(after), happened
    assert happened.count("exec") == 1, "the kill: checks are noted by what comes of them"
    container.remove()


@pytest.mark.parametrize("action", ["kill", "restart", "none"])
def test_what_happens_to_an_unhealthy_container_is_chosen(boxes: Boxes, action: str) -> None:
    container = running(
        boxes,
        *ENDLESS,
        health_cmd="test ! -e /tmp/ill",
        health_on_failure=action,
        stop_timeout="50s",
        **QUICK,
    )
    wait_until(lambda: told(boxes, container)["health"] == "healthy")
    boxes.cli("exec", container.id, "touch", "/tmp/ill")
    if action == "kill":
        ended = container.wait(timeout_s=PATIENCE_S)
        assert (ended.exit_code, ended.reason) == (9, "health"), "the stop signal was heeded"
        known = told(boxes, container)
        assert (known["reason"], known["health"], known["health_failures"]) == ("health", "unhealthy", 2)
        assert "exited 9 (health)" in boxes.cli("ps", "-a").out
    elif action == "restart":
        wait_until(lambda: told(boxes, container)["restarts"] == 1)
        wait_until(lambda: told(boxes, container)["health"] == "healthy")
    else:
        wait_until(lambda: told(boxes, container)["health"] == "unhealthy")
        boxes.cli("exec", container.id, "rm", "/tmp/ill")
        wait_until(lambda: told(boxes, container)["health"] == "healthy")
        assert told(boxes, container)["restarts"] == 0
    container.remove(force=True)


def test_a_check_that_cannot_be_executed_acts_at_once(boxes: Boxes) -> None:
    container = running(
        boxes, *ENDLESS, health_cmd="no-such-program", health_interval="100ms", health_retries=1000
    )
    assert container.wait(timeout_s=PATIENCE_S).exit_code in (9, 143), "its trap may not be set yet"
    known = told(boxes, container)
    assert known["reason"] == "health" and "no-such-program" in known["health_error"], known["health_error"]
    container.remove()


def test_a_check_that_hangs_fails_and_leaves_no_process(boxes: Boxes) -> None:
    container = running(
        boxes, *ENDLESS, health_cmd="sleep 77", health_timeout="100ms", health_on_failure="none",
        health_interval="100ms", health_retries=2, health_start_period="1ms",
    )  # fmt: skip
    wait_until(lambda: told(boxes, container)["health"] == "unhealthy")
    assert told(boxes, container)["health_error"] == "it took longer than 0.1 s"
    wait_until(lambda: told(boxes, container)["health_failures"] >= 6)
    # The shell and its child, once: those before have ended, or will as soon as a processor is free.
    wait_until(lambda: boxes.cli("top", container.id).out.count(" sleep 77") <= 2)
    container.remove(force=True)


def test_readiness_by_a_port_of_its_own_network(boxes: Boxes) -> None:
    late = "sleep 0.5; exec python3 -m http.server 8000 --bind 127.0.0.1"
    container = running(boxes, "sh", "-c", late, readiness_tcp=8000)
    assert told(boxes, container)["ready"] is True
    answer = boxes.cli("exec", container.id, "sh", "-c", ASK)
    assert answer.code == 0, answer.err
    container.remove(force=True)


def test_what_does_not_become_ready_is_removed(boxes: Boxes) -> None:
    ran = boxes.cli("run", "-d", "--name", "web", "--readiness-exec", "no-such-program", "--", *ENDLESS)
    assert ran.code == 125 and "did not become ready" in ran.err and "no-such-program" in ran.err
    here = boxes.cli("run", "--name", "web", "--readiness-exec", "no-such-program", "--", *ENDLESS)
    assert here.code == 125 and "did not become ready" in here.err, here.err
    assert boxes.cli("ps", "-aq").out == ""
    with pytest.raises(LaunchError):
        running(boxes, *ENDLESS, readiness_exec="no-such-program")


def test_a_start_that_fails_is_no_reason_to_start_again(boxes: Boxes) -> None:
    ran = boxes.cli("run", "-d", "--restart", "always", "--name", "x", "--", "no-such-program")
    assert ran.code == 127 and "no-such-program" in ran.err, ran.err
    assert boxes.inspect("x")["status"] == "stopped"
    made = boxes.cli("run", "-d", "--restart", "always", "--io-limit", "4000:4000 rbps=1", "--", "true")
    assert made.code == 125 and "remedy" in made.err


def test_restarts_end_with_their_number_with_success_and_with_kill(boxes: Boxes) -> None:
    ran = boxes.cli("run", "--restart", "on-failure:2", "--name", "few", "--", "sh", "-c", "echo x; exit 3")
    assert (ran.code, ran.out) == (3, "x\nx\nx\n"), ran.err
    assert [end["exit_code"] for end in boxes.inspect("few")["ends"]] == [3, 3, 3]
    gone = boxes.cli("run", "--rm", "--health-cmd", "true", "--", "sh", "-c", "exit 5")
    assert (gone.code, gone.err) == (5, ""), "its records went before its supervisor"
    good = running(boxes, "true", restart="on-failure")
    assert good.wait(timeout_s=PATIENCE_S).exit_code == 0 and told(boxes, good)["restarts"] == 0
    ever = running(boxes, "sh", "-c", "exit 5", restart="always", name="ever")
    supervisor = stop_in_a_pause(boxes, ever)
    assert "restarting" in boxes.cli("ps", "-a").out
    with pytest.raises(Conflict, match="restarting"):
        ever.kill("TERM")
    os.kill(supervisor, signal.SIGCONT)
    assert any(killed_before_its_next_start(boxes, ever) for _ in range(4)), "the pause is not waited for"
    count = told(boxes, ever)["restarts"]
    time.sleep(0.5)
    assert (told(boxes, ever)["restarts"], ever.status) == (count, "stopped")
    ever.restart()
    wait_until(lambda: told(boxes, ever)["restarts"] >= 1)
    ever.remove(force=True)


def test_when_the_supervisor_is_killed_the_container_ends_and_the_truth_is_told(boxes: Boxes) -> None:
    running_one = running(boxes, *ENDLESS, restart="always", name="one")
    pid = told(boxes, running_one)["pid"]
    waiting = Container.create(ENDLESS, root=str(boxes.root), restart="always", name="two")
    pausing = running(boxes, "sh", "-c", "exit 4", restart="always", name="three")
    supervisors = [supervisor_of(boxes, container) for container in (pausing, running_one, waiting)]
    stop_in_a_pause(boxes, pausing)
    for supervisor in supervisors:
        os.kill(supervisor, signal.SIGKILL)
    wait_until(lambda: running_one.status == "stopped")
    wait_until(lambda: is_gone(pid))
    known = told(boxes, running_one)
    assert known["reason"] in ("owner-lost", "host-kill"), known["reason"]
    wait_until(lambda: waiting.status == "stopped")
    wait_until(lambda: pausing.status == "stopped")
    assert told(boxes, pausing)["exit_code"] == 4
    running_one.restart()
    assert running_one.status == "running" and told(boxes, running_one)["restarts"] == 0
    for container in (running_one, waiting, pausing):
        container.remove(force=True)


def test_a_restart_policy_is_given_to_what_runs_already_and_taken_back(boxes: Boxes) -> None:
    container = running(boxes, *ENDLESS)

    def await_life(number: int) -> None:
        wait_until(lambda: len([*container.logs()]) == number)  # its trap is set

    await_life(1)
    container.restart()  # what was stopped before is not stopped for ever
    assert boxes.cli("update", "--restart", "on-failure", container.id).code == 0
    await_life(2)
    container.kill("TERM")
    wait_until(lambda: told(boxes, container)["restarts"] == 1 and container.status == "running")
    assert container.update(restart="no") is None
    await_life(3)
    container.kill("TERM")
    wait_until(lambda: len(told(boxes, container)["ends"]) == 2)  # its supervisor has the last word
    known = told(boxes, container)
    assert (known["status"], known["exit_code"], known["restarts"]) == ("stopped", 9, 1)
    policies = [e["restart"] for e in read_events(str(boxes.root)) if e["type"] == "updated"]
    assert policies == ["on-failure", "no"]
    container.remove()


def test_a_loop_of_restarts_ends_when_its_policy_is_taken_back(boxes: Boxes) -> None:
    container = running(boxes, "sh", "-c", "exit 4", restart="always")
    wait_until(lambda: container.status == "restarting")
    container.update(restart="no")
    wait_until(lambda: container.status == "stopped")
    assert told(boxes, container)["exit_code"] == 4
    container.remove()


def test_what_got_a_restart_policy_stays_stopped_and_may_lose_its_supervisor(boxes: Boxes) -> None:
    stopped, left = running(boxes, *ENDLESS), running(boxes, *ENDLESS)
    for container in (stopped, left):
        container.update(restart="always")
    stopped.stop()
    assert (stopped.status, told(boxes, stopped)["restarts"]) == ("stopped", 0)
    killed = supervisor_of(boxes, left)
    os.kill(killed, signal.SIGKILL)  # the container began without one
    wait_until(lambda: is_gone(killed))
    assert left.status == "running"
    left.update(restart="always")
    assert supervisor_of(boxes, left) != killed  # who is dead starts nothing again
    left.remove(force=True)
    stopped.remove()


def test_a_restart_policy_for_what_cannot_start_again_is_refused(boxes: Boxes) -> None:
    temporary = running(boxes, *ENDLESS, rm=True)
    assert "--rm" in boxes.cli("update", "--restart", "always", temporary.id).err
    process = boxes.start("--name", "here", "--", *ENDLESS)
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    refused = boxes.cli("update", "--restart", "always", "here")
    assert (refused.code, "foreground" in refused.err) == (125, True)
    assert boxes.inspect("here")["spec"]["restart"] == "no"
    process.terminate()
    process.wait(timeout=PATIENCE_S)
    process.stdout.close()
    temporary.remove(force=True)


def test_a_paused_container_is_neither_well_nor_ill(boxes: Boxes) -> None:
    # One check that is late ends it: late is what a check in a frozen container would be, and on a busy machine may be.
    assert any(stays_well_while_paused(boxes, seconds) for seconds in (2, 8, 30))


def stays_well_while_paused(boxes: Boxes, timeout_s: int) -> bool:
    container = running(
        boxes, *ENDLESS, health_cmd="true", health_interval="100ms", health_timeout=f"{timeout_s}s", health_retries=1
    )  # fmt: skip
    wait_until(lambda: container.status != "running" or told(boxes, container)["health"] == "healthy")
    paused = boxes.cli("pause", container.id)
    if not paused.code:
        time.sleep(timeout_s + 1)
        boxes.cli("unpause", container.id)
    known = told(boxes, container)
    # Without a cgroup nothing can be frozen.
    assert not paused.code or not known["cgroups"] or known["status"] != "running", paused.err
    container.remove(force=True)
    return (known["status"], known["health"]) == ("running", "healthy")


def test_signals_to_the_foreground_reach_the_command_and_end_its_restarts(boxes: Boxes) -> None:
    process = boxes.start("--restart", "always", "--name", "here", "--", *ENDLESS)
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=PATIENCE_S) == 9
    process.stdout.close()
    if process.stderr is not None:
        process.stderr.close()
    assert boxes.inspect("here")["restarts"] == 0


@pytest.mark.parametrize(
    "words", [("-d",), ("-d", "--restart", "always"), ()], ids=["detached", "supervised", "here"]
)
def test_pid_and_id_are_in_the_files_that_were_named(boxes: Boxes, words: tuple[str, ...]) -> None:
    pid_file, cid_file = boxes.folder / "web.pid", boxes.folder / "web.cid"
    flags = (*words, "--pid-file", str(pid_file), "--cidfile", str(cid_file), "--name", "web")
    process = boxes.start(*flags, "--", *ENDLESS)
    wait_until(lambda: pid_file.exists())
    wait_until(lambda: boxes.inspect("web")["status"] == "running")
    known = boxes.inspect("web")
    assert int(pid_file.read_text()) == known["pid"] and cid_file.read_text() == known["id"]
    again = boxes.cli("run", "--cidfile", str(cid_file), "--", "true")
    assert again.code == 125 and "exists" in again.err
    assert boxes.cli("stop", "web").code == 0
    process.communicate(timeout=PATIENCE_S)


def test_values_by_descriptor_are_there_in_every_life(boxes: Boxes, tmp_path: Path) -> None:
    values = tmp_path / "values"
    values.write_text("TOKEN=never-written\n")
    with values.open("rb") as file:
        done = subprocess.run(
            [str(Path(nucleus.__file__).parents[2] / "bin/nucleus"), "run", "-d", "--root", str(boxes.root),
             "--env-fd", str(file.fileno()), "--restart", "on-failure:1", "--name", "v", "--",
             "sh", "-c", "echo $TOKEN; exit 1"],
            pass_fds=(file.fileno(),), capture_output=True, check=False, env=boxes.environment, timeout=60,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    boxes.cli("wait", "v")
    wait_until(lambda: boxes.cli("logs", "v").out == "never-written\nnever-written\n")
    assert b"never-written" not in b"".join(
        p.read_bytes() for p in (boxes.root / "containers").rglob("*.json")
    )


def test_a_call_that_waits_itself_refuses_what_nobody_would_do(boxes: Boxes) -> None:
    for options in ({"restart": "always"}, {"health_cmd": "true"}, {"pid_file": "x"}, {"cidfile": "x"}):
        with pytest.raises(SpecError, match="Container.run"):
            nucleus.run(["true"], root=str(boxes.root), **options)  # type: ignore[arg-type]


@pytest.mark.identity("root", "user", "nosub")  # inside a user namespace the folders above belong to nobody
def test_hooks_run_at_their_points_with_the_state(boxes: Boxes) -> None:
    folder = boxes.directory("hooks")
    folder.chmod(0o755)
    script, told_by, file = folder / "hook", folder / "told", folder / "hooks.json"
    script.write_text('#!/bin/sh\nprintf "%s " "$1" >>"$TOLD"; cat >>"$TOLD"; echo >>"$TOLD"; exit "$CODE"\n')
    script.chmod(0o755)

    def points(code: int) -> None:
        names = ("prestart", "poststart", "poststop")
        entry = {"path": str(script), "env": [f"TOLD={told_by}", f"CODE={code}", "PATH=/usr/bin:/bin"]}
        file.write_text(json.dumps({name: [{**entry, "args": ["hook", name]}] for name in names}))
        file.chmod(0o600)

    points(0)
    ran = boxes.cli("run", "--hooks", str(file), "--name", "hooked", "--", "true")
    assert ran.code == 0, ran.err
    lines = [line.partition(" ") for line in told_by.read_text().splitlines()]
    assert [name for name, _, _ in lines] == ["prestart", "poststart", "poststop"]
    states = [json.loads(text) for _, _, text in lines]
    assert [state["status"] for state in states] == ["creating", "running", "stopped"]
    assert states[0]["pid"] == states[1]["pid"] > 0 and "pid" not in states[2]
    points(1)
    refused = boxes.cli("run", "-d", "--hooks", str(file), "--name", "other", "--", "true")
    assert refused.code == 125 and "createRuntime hook" in refused.err, refused.err
    assert "other" not in boxes.cli("ps", "-a").out
    assert boxes.cli("rm", "hooked").code == 0


def test_a_container_whose_creator_has_gone_before_he_heard_of_it_leaves_nothing(
    boxes: Boxes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(ours: socket.socket) -> str:
        ours.close()
        return ""

    monkeypatch.setattr(supervised, "_answer", gone)
    Container.create(["sleep", "60"], root=str(boxes.root), name="unheard", health_cmd="true")
    wait_until((boxes.root / "events.jsonl").exists)
    wait_until(lambda: any(e["type"] == "stopped" for e in read_events(str(boxes.root))))
    wait_until(lambda: not os.listdir(boxes.root / "containers") and not os.listdir(boxes.root / "names"))
