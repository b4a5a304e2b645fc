"""Detached containers under a real service manager: the system's for root, the user's own for others.

Only guests have one, and an interpreter starts slowly there: the library does what the command need not.  How a unit is
asked for is in `test_systemd_units.py`.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from sandboxes import COMMAND, PATIENCE_S, Boxes, wait_until
from test_sd_notify import SAYS

from nucleus.base.errors import LaunchError
from nucleus.container.container import Container
from nucleus.container.running import inventory

pytestmark = pytest.mark.identity("vm-root", "vm-user")

ENDLESS = ("sh", "-c", "trap 'echo asked; exit 9' TERM; echo ready; while :; do sleep 0.05; done")
CGROUPS = Path("/sys/fs/cgroup")
MIB = 1 << 20


def ask(program: str, *words: str) -> str:
    """What the manager of this user says."""
    manager = [] if os.geteuid() == 0 else ["--user"]
    command = [program, *manager, *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 0, (words, done.stderr)
    return done.stdout


def systemctl(*words: str) -> str:
    return ask("systemctl", *words)


def properties(unit: str) -> dict[str, str]:
    lines = systemctl("show", unit).splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)


class Unit:
    """A container that was started in a unit, and what manager and kernel say of it."""

    def __init__(self, boxes: Boxes, command: tuple[str, ...] = ENDLESS, **options: Any) -> None:
        options = {"stop_timeout": "50s", **options}
        self.box = Container.run(command, root=str(boxes.root), detach_with="systemd", **options)
        self.name = f"nucleus-{self.box.id[:12]}.service"
        known = self.box.inspect()
        assert known["detached"] == self.name
        (directory,) = known["cgroups"]
        self.cgroup = Path(directory)

    def await_gone(self) -> None:
        """Its unit is unloaded, and its cgroup removed."""
        wait_until(lambda: properties(self.name)["LoadState"] == "not-found" and not self.cgroup.exists())

    def held(self, *files: str) -> list[str]:
        """What files of the container's own cgroup hold."""
        return [(self.cgroup / name).read_text().strip() for name in files]

    def log(self) -> list[bytes]:
        return [line.data for line in self.box.logs()]

    def await_ready(self, lives: int = 1) -> None:
        """Until the last of so many lives has said so."""
        wait_until(lambda: self.log().count(b"ready\n") == lives)


def test_a_unit_has_the_container_its_limits_and_its_log_until_it_is_removed(boxes: Boxes) -> None:
    words = ("-d", "--detach-with", "systemd", "--name", "web", "--memory", "64M", "--cpus", "0.5")
    ran = boxes.cli("run", *words, "--pids", "30", "--", *ENDLESS)
    assert ran.code == 0, ran.err
    known = boxes.inspect("web")
    unit = properties(f"nucleus-{known['id'][:12]}.service")
    assert (unit["ActiveState"], unit["SubState"], unit["Delegate"]) == ("active", "running", "yes")
    assert "web" in unit["Description"] and int(unit["MainPID"]) != known["pid"]
    directory = Path(known["cgroups"][0])
    assert str(directory.parent) == f"{CGROUPS}{unit['ControlGroup']}"
    held = [(directory / file).read_text().strip() for file in ("memory.max", "cpu.max", "pids.max")]
    assert held == [str(64 * MIB), "50000 100000", "30"]
    assert str(known["pid"]) in (directory / "cgroup.procs").read_text().split()
    assert known["pids_by"] == "cgroup" and known["id"][:12] in boxes.cli("ps").out
    follower = boxes.cli_process("logs", "-f", "web")
    assert follower.stdout is not None and follower.stdout.readline() == "ready\n"
    assert boxes.cli("exec", "web", "--", "sh", "-c", "exit 7").code == 7
    assert boxes.cli("stop", "-t", "50s", "web").code == 0
    assert follower.communicate(timeout=PATIENCE_S)[0] == "asked\n"
    assert boxes.cli("wait", "web").out == "9\n"
    assert "exited 9 (exit)" in boxes.cli("ps", "-a").out
    assert boxes.cli("logs", "--tail", "1", "web").out == "asked\n"
    assert boxes.cli("rm", "web").code == 0


def test_what_the_manager_ends_is_told_as_it_was_and_may_be_started_again(boxes: Boxes) -> None:
    unit = Unit(boxes, name="web", memory="64M")
    kill = ("kill", "--signal=KILL")
    ends = (
        (("stop",), 9, "exit"),
        ((*kill, "--kill-who=main"), 137, "host-kill"),
        ((*kill, "--kill-who=all"), 137, "host-kill"),
    )
    for life, (words, code, reason) in enumerate(ends, 1):
        unit.await_ready(life)
        systemctl(*words, unit.name)
        result = unit.box.wait(timeout_s=PATIENCE_S)
        assert (result.exit_code, result.reason) == (code, reason), words
        (row,) = inventory.list_containers(str(boxes.root))
        assert (row["status"], row["exit_code"], row["reason"]) == ("stopped", code, reason)
        unit.await_gone()
        unit.box.restart()
        assert unit.box.status == "running" and properties(unit.name)["ActiveState"] == "active"
        assert unit.held("memory.max") == [str(64 * MIB)]
    unit.await_ready(4)
    unit.box.kill()
    assert (unit.box.wait().exit_code, unit.box.wait().reason) == (137, "signal")
    unit.await_gone()
    wait_until(lambda: unit.log() == [b"ready\n", b"asked\n", *[b"ready\n"] * 3])


def test_ends_of_their_own_leave_no_unit_and_the_record_that_was_asked_for(boxes: Boxes) -> None:
    # It has ended before the journal could look at the process that wrote.
    three = Unit(boxes, ("sh", "-c", "echo over; exit 3"), name="three")
    assert three.box.wait().exit_code == 3
    three.await_gone()
    wait_until(lambda: three.log() == [b"over\n"])
    gone = Unit(boxes, rm=True)
    gone.await_ready()
    systemctl("stop", gone.name)
    gone.await_gone()
    with pytest.raises(LaunchError) as failed:
        Unit(boxes, ("no-such-program",), rm=True)
    assert failed.value.exit_code == 127 and "no-such-program" in failed.value.message
    assert [row["id"] for row in inventory.list_containers(str(boxes.root))] == [three.box.id]
    listing = ("list-units", "--all", "--plain", "--no-legend", "nucleus-*.service")
    wait_until(lambda: "nucleus-" not in systemctl(*listing))


def test_limits_of_a_unit_change_it_freezes_and_its_oom_has_a_name(boxes: Boxes) -> None:
    device = Path("/sys/block/vda/dev").read_text().strip()
    script = 'echo ready; while ! test -e /tmp/go; do sleep 0.05; done; exec "$@"'
    command = ("sh", "-c", script, "sh", *boxes.probe_words("memory 256"))
    unit = Unit(boxes, command, name="hog", memory="96M", volume=[boxes.probe_flags()[1]])
    # Controllers that no limit needed at first are there for later ones.
    changed = ("--memory", "64M", "--cpus", "0.8", "--pids", "25", "--io-limit", f"{device} wbps=4M")
    ran = boxes.cli("update", *changed, "hog")
    assert ran.code == 0, ran.err
    assert unit.held("memory.max", "cpu.max", "pids.max") == [str(64 * MIB), "80000 100000", "25"]
    assert f"{device} rbps=max wbps={4 * MIB}" in unit.held("io.max")[0]
    live = boxes.inspect("hog")["live"]
    assert live.held.memory_bytes == 64 * MIB and live.usage.pids >= 2 and live.usage.cpu_us > 0
    unit.box.pause()
    freeze, events = unit.held("cgroup.freeze", "cgroup.events")
    assert (freeze, "frozen 1" in events, unit.box.status) == ("1", True, "paused")
    assert properties(unit.name)["ActiveState"] == "active"
    unit.box.unpause()
    assert unit.box.exec(["touch", "/tmp/go"]).exit_code in (0, 137)  # what it brings about may end it first
    result = unit.box.wait(timeout_s=PATIENCE_S)
    assert (result.reason, result.exit_code) == ("oom", 137) and result.oom_kills >= 1
    unit.await_gone()


def test_without_the_manager_the_log_is_in_files_and_the_cgroup_in_the_callers(boxes: Boxes) -> None:
    words = ("--detach-with", "none", "--name", "own", "--memory", "64M", "--time-namespace")
    ran = boxes.cli("run", "-d", *words, "--", *ENDLESS)
    assert ran.code == 0, ran.err
    known = boxes.inspect("own")
    own = Path("/proc/self/cgroup").read_text().rpartition("::")[2].strip().removesuffix("/nucleus.self")
    assert known["detached"] == "none" and known["cgroups"][0].startswith(f"{CGROUPS}{own}/")
    # The child is made in its cgroup (CLONE_INTO_CGROUP), not moved there.
    (spawn,) = [s for s in boxes.explain("-d", *words[:2], *words[4:], "--", "true") if s["step"] == "spawn"]
    assert spawn["fields"]["cgroup"] == 0
    box = Container.find("own", root=str(boxes.root))
    wait_until(lambda: [line.data for line in box.logs(streams=("stdout",))] == [b"ready\n"])
    assert (boxes.root / "containers" / known["id"] / "log").stat().st_size > 0
    entered = box.exec(["readlink", "/proc/self/ns/time"]).out.strip()
    workload = Path("/proc/{0}/task/{0}/children".format(known["pid"])).read_text().split()[0]
    assert entered == os.readlink(f"/proc/{workload}/ns/time") != os.readlink("/proc/self/ns/time")
    box.stop(grace_s=PATIENCE_S)
    assert box.wait().exit_code == 9


def test_a_service_has_started_when_what_runs_in_its_container_says_so(boxes: Boxes) -> None:
    unit = f"web-{os.urandom(4).hex()}.service"
    options = ("--service-type=notify", "-p", "Delegate=yes", "-p", "KillMode=mixed", "-p", "WatchdogSec=300")
    nucleus = (str(COMMAND), "run", "--root", str(boxes.root), "--sd-notify", "--name", "web")
    ask(
        "systemd-run", "--quiet", "--collect", f"--unit={unit}", *options, "--", *nucleus, "--",
        "/usr/bin/python3", "-c", SAYS,
    )  # fmt: skip
    told = properties(unit)
    assert (told["ActiveState"], told["StatusText"]) == ("active", "warm")
    assert int(told["MainPID"]) > 1 and boxes.inspect("web")["status"] == "running"
    systemctl("stop", unit)
    ended = boxes.inspect("web")
    assert (ended["status"], ended["exit_code"], ended["reason"]) == ("stopped", 143, "signal")


def test_a_supervised_container_is_a_unit_whose_main_process_is_its_supervisor(boxes: Boxes) -> None:
    work = boxes.directory("work")
    os.chmod(work, 0o777)
    script = 'echo life | tee -a /workspace/out; test $(wc -l </workspace/out) -ge 2 || exit 7; exec "$@"'
    unit = Unit(
        boxes, ("sh", "-c", script, "sh", *ENDLESS), workspace=str(work), restart="on-failure", memory="64M"
    )  # fmt: skip
    # Of a user who has printed nothing yet there is no journal, and none that he may read.
    wait_until(lambda: unit.box.inspect()["restarts"] == 1 and unit.box.status == "running")
    unit.await_ready()
    assert unit.log().count(b"life\n") == 2
    known, told = unit.box.inspect(), properties(unit.name)
    supervisor = json.loads((boxes.root / "containers" / unit.box.id / "supervisor.json").read_bytes())
    assert (int(told["MainPID"]), told["Restart"]) == (supervisor["pid"], "no")
    assert unit.held("memory.max") == [str(64 * MIB)] and known["status"] == "running"
    systemctl("stop", unit.name)
    ended = unit.box.inspect()
    assert (ended["status"], ended["exit_code"], ended["restarts"]) == ("stopped", 9, 1)
    unit.await_gone()
    unit.box.start()
    unit.await_ready(2)
    systemctl("kill", "--signal=KILL", "--kill-who=main", unit.name)
    wait_until(lambda: unit.box.status == "stopped")
    # The monitor tells of it, unless the manager, which kills the whole unit then, was faster.
    assert unit.box.inspect()["reason"] in ("owner-lost", "host-kill")
    unit.await_gone()
