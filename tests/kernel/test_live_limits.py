"""Limits of running containers are read back and changed; their processes and counters are shown."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sandboxes import PATIENCE_S, Boxes, wait_until

from nucleus.base.errors import SpecError
from nucleus.container.container import Container

WITH_CGROUPS = pytest.mark.identity("root", "vm-root", "vm-user")
WITHOUT_CGROUPS = pytest.mark.identity("user", "nosub", "nested")
MIB = 1 << 20


def running(boxes: Boxes, name: str, script: str, *flags: str, **options: Any) -> subprocess.Popen[str]:
    """A container whose script has begun."""
    words = ("--name", name, "--workdir", "/tmp", *flags, "--", "sh", "-c", f"echo began; {script}")
    process = boxes.start(*words, **options)
    assert process.stdout is not None and process.stdout.readline() == "began\n"
    return process


@pytest.fixture
def box(boxes: Boxes) -> Iterator[Boxes]:
    """A container `live` with 40 MiB in a file in memory, and limits."""
    script = "head -c 40M /dev/zero >/tmp/big; echo ready; exec sleep 300"
    limits = ("--memory", "128M", "--cpus", "0.5", "--pids", "40")
    process = running(boxes, "live", script, *limits)
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    yield boxes
    boxes.cli("rm", "-f", "live")
    process.wait(timeout=PATIENCE_S)
    process.stdout.close()


def stats(boxes: Boxes) -> dict[str, Any]:
    ran = boxes.cli("stats", "--no-stream", "--format", "json", "live")
    assert ran.code == 0, ran.err
    found: dict[str, Any] = json.loads(ran.out)
    return found


@WITH_CGROUPS
def test_limits_and_counters_are_those_of_the_kernel(box: Boxes) -> None:
    row = stats(box)
    limits = row["limits"]
    assert (limits["memory_bytes"], limits["cpu_quota_us"], limits["pids"]) == (128 * MIB, 50_000, 40)
    assert 40 * MIB <= row["memory_bytes"] <= 60 * MIB
    assert row["pids"] == 2 and row["cpu_us"] is not None
    live = box.inspect("live")["live"]
    assert live.held.memory_bytes == 128 * MIB and live.usage.pids == 2
    table = box.cli("stats", "--no-stream").out.splitlines()
    assert len(table) == 2 and "live" in table[1] and "128M" in table[1] and "2/40" in table[1]


@WITH_CGROUPS
def test_limits_change_while_it_runs_and_are_recorded(box: Boxes) -> None:
    flags = ("--memory", "200M", "--cpus", "1", "--pids", "50", "--cpu-weight", "30")
    assert box.cli("update", *flags, "live").code == 0
    limits = stats(box)["limits"]
    assert (limits["memory_bytes"], limits["cpu_quota_us"], limits["pids"]) == (200 * MIB, 100_000, 50)
    assert limits["cpu_weight"] == 30 and limits["swap_bytes"] in (0, None)
    known = box.inspect("live")
    assert known["limits"] == {"memory_bytes": 200 * MIB, "cpu_quota_us": 100_000, "pids": 50}
    assert (known["spec"]["memory_bytes"], known["spec"]["pids"]) == (200 * MIB, 50)
    assert box.cli("update", "--memory", "100M", "--pids", "0", "live").code == 0
    limits = stats(box)["limits"]
    assert (limits["memory_bytes"], limits["pids"], limits["cpu_quota_us"]) == (100 * MIB, None, 100_000)


@WITH_CGROUPS
def test_the_library_has_the_same(box: Boxes) -> None:
    found = Container.find("live", root=str(box.root))
    assert found.stats().held.pids == 40 and {p.inside for p in found.top()} == {1, 2}
    assert found.update(memory="150M", pids=30).memory_bytes == 150 * MIB
    assert found.stats().held.pids == 30
    with pytest.raises(SpecError, match="cannot be changed"):
        found.update(hostname="x")


@WITH_CGROUPS
@pytest.mark.parametrize("policy", ["no", "always"])
def test_what_starts_once_more_has_the_changed_limits(boxes: Boxes, policy: str) -> None:
    found = Container.run(
        ("sh", "-c", "sleep 600"), root=str(boxes.root), memory="64M", pids=40, restart=policy
    )
    found.update(memory="128M")
    if policy == "no":
        found.restart(grace_s=0)
    else:
        found.kill("TERM")
        wait_until(lambda: boxes.inspect(found.id)["restarts"] == 1 and found.status == "running")
    held = found.stats().held
    assert (held.memory_bytes, held.pids) == (128 * MIB, 40)
    found.remove(force=True)


@WITH_CGROUPS
def test_less_than_is_in_use_is_refused_and_nobody_is_killed(box: Boxes) -> None:
    before = stats(box)["limits"]
    ran = box.cli("update", "--memory", "16M", "live")
    assert ran.code == 125 and "cannot be reclaimed" in ran.err and "--memory" in ran.err
    after = stats(box)
    assert after["limits"] == before and after["oom_kills"] in (0, None)
    assert box.inspect("live")["status"] == "running"


@WITH_CGROUPS
def test_a_changed_limit_holds(boxes: Boxes) -> None:
    # The shell itself makes the processes, one after another, until the kernel refuses.
    script = "read go; for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do sleep 60 & done"
    process = running(boxes, "grows", script, "--pids", "100", stdin=subprocess.PIPE)
    assert boxes.cli("update", "--pids", "8", "grows").code == 0
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write("go\n")
    process.stdin.close()
    assert process.wait(timeout=PATIENCE_S) != 0  # "cannot fork" ends a shell
    process.stdout.close()


def test_top_shows_both_pids_of_every_process(boxes: Boxes) -> None:
    process = running(boxes, "many", "sleep 300 & sleep 301 & exec sleep 302")
    try:

        def top() -> list[dict[str, Any]]:
            return [
                json.loads(line) for line in boxes.cli("top", "--format", "json", "many").out.splitlines()
            ]

        sleeping = {
            "sleep 300",
            "sleep 301",
            "sleep 302",
        }  # none of them is the shell that it will be any more
        wait_until(lambda: sleeping <= {row["command"] for row in top()})
        rows = top()
        inside = {row["inside"]: row for row in rows}
        assert len(rows) == 4 and 1 in inside and inside[2]["command"] == "sleep 302"
        for row in rows:
            words = Path(f"/proc/{row['pid']}/cmdline").read_bytes().rstrip(b"\0").split(b"\0")
            assert row["command"] == b" ".join(words).decode()
        assert len({row["uid"] for row in rows} - {inside[1]["uid"]}) <= 1
    finally:
        boxes.cli("rm", "-f", "many")
        process.wait(timeout=PATIENCE_S)
        assert process.stdout is not None
        process.stdout.close()
    ran = boxes.cli("top", "many")
    assert ran.code == 125


def test_what_has_ended_has_no_processes_and_no_limits(boxes: Boxes) -> None:
    assert boxes.cli("run", "--name", "over", "--", "true").code == 0
    for verb, *flags in (("top",), ("stats", "--no-stream"), ("update", "--pids", "9")):
        ran = boxes.cli(verb, *flags, "over")
        assert (ran.code, "is stopped" in ran.err) == (125, True), ran.err
    assert boxes.inspect("over")["live"] is None


@WITHOUT_CGROUPS
def test_without_a_cgroup_it_is_said_that_nothing_is_counted(boxes: Boxes) -> None:
    process = running(boxes, "bare", "exec sleep 300")
    try:
        for verb, *flags in (("stats", "--no-stream"), ("update", "--pids", "9")):
            ran = boxes.cli(verb, *flags, "bare")
            assert ran.code == 125 and "cgroup" in ran.err and "remedy" in ran.err
        assert boxes.inspect("bare")["live"] is None
    finally:
        boxes.cli("rm", "-f", "bare")
        process.wait(timeout=PATIENCE_S)
        assert process.stdout is not None
        process.stdout.close()
