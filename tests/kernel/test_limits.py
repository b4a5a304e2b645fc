"""Limits hold: memory, processes, processor, rlimits, sizes of file systems; going over has a name."""

from __future__ import annotations

import os
import platform
import time

import pytest
from sandboxes import Boxes

WITH_CGROUPS = pytest.mark.identity("root", "vm-root", "vm-user")
WITHOUT_CGROUPS = pytest.mark.identity("user", "nosub", "nested")
MIB = 1 << 20


def limit_of(boxes: Boxes, name: str, *flags: str) -> tuple[int, int]:
    lines = boxes.probe("limits", flags=flags)[0]
    found = {words[0]: (int(words[1]), int(words[2])) for words in (line.split() for line in lines)}
    return found[name]


@WITH_CGROUPS
def test_memory_beyond_the_limit_is_an_oom_by_name(boxes: Boxes) -> None:
    result = boxes.run("--memory", "64M", *boxes.probe_flags(), "--", *boxes.probe_words("memory 256"))
    assert (result.reason, result.exit_code, result.signal) == ("oom", 137, 9)
    assert result.oom_kills >= 1
    reached = [int(line.split()[1]) for line in boxes.answers(result.out, 1)[0]]
    assert 16 <= max(reached) < 64


@WITH_CGROUPS
def test_inspect_names_the_oom_too(boxes: Boxes) -> None:
    flags = ("--name", "hog", "--memory", "48M", *boxes.probe_flags())
    ran = boxes.cli("run", *flags, "--", *boxes.probe_words("memory 256"))
    known = boxes.inspect("hog")
    assert ran.code == 137
    assert (known["reason"], known["exit_code"], known["status"]) == ("oom", 137, "stopped")
    assert known["oom_kills"] >= 1


@WITH_CGROUPS
def test_memory_within_the_limit_is_no_oom_and_the_peak_is_counted(boxes: Boxes) -> None:
    result = boxes.run("--memory", "128M", *boxes.probe_flags(), "--", *boxes.probe_words("memory 32"))
    assert (result.reason, result.exit_code, result.oom_kills) == ("exit", 0, 0)
    # memory.peak came with Linux 5.19, and cgroup v1 has always counted it.
    assert 32 * MIB <= result.memory_peak_bytes <= 128 * MIB


@WITH_CGROUPS
def test_files_in_memory_count_too(boxes: Boxes) -> None:
    result = boxes.run("--memory", "48M", "--", "sh", "-c", "head -c 200M /dev/zero >/tmp/big || exit 9")
    # On v2 all processes end, on v1 the one that wrote: either way it is an OOM by name.
    assert (result.reason, result.exit_code in (9, 137)) == ("oom", True)
    assert result.oom_kills >= 1


@pytest.mark.identity("vm-root", "vm-user")
def test_on_v2_the_whole_container_is_killed(boxes: Boxes) -> None:
    hog = boxes.probe_words("memory 256")
    result = boxes.run(
        "--memory", "64M", *boxes.probe_flags(), "--", "sh", "-c", '"$@"; echo survived', "sh", *hog
    )
    assert result.reason == "oom"
    assert "survived" not in result.out


@WITH_CGROUPS
@pytest.mark.parametrize("wanted", [16, 64])
def test_no_more_processes_than_were_allowed(boxes: Boxes, wanted: int) -> None:
    (line,) = boxes.probe(f"processes {wanted + 200}", flags=("--pids", str(wanted)))[0]
    made, why = line.split()
    assert why == "EAGAIN"
    assert int(made) == wanted - 2  # init and the probe itself


@WITH_CGROUPS
def test_init_and_the_command_are_all_that_is_needed(boxes: Boxes) -> None:
    """What makes the network is another process, for a moment; its number is not the command's."""
    ran = boxes.cli("run", "--pids", "2", "--", "/bin/sh", "-c", "echo $$")
    assert (ran.code, ran.out) == (0, "2\n"), ran.err
    assert "--pids to 2 or more" in boxes.cli("run", "--pids", "1", "--", "true").err


@WITHOUT_CGROUPS
def test_a_limit_on_processes_may_be_left_to_the_rlimit_by_name(boxes: Boxes) -> None:
    flags = ("--pids", "16", "--allow-degraded-security=cgroup")
    assert limit_of(boxes, "nproc", *flags) == (16, 16)
    (line,) = boxes.probe("processes 200", flags=flags)[0]
    assert line.split()[1] == "EAGAIN"


def test_processes_are_limited_when_nobody_asked(boxes: Boxes) -> None:
    (line,) = boxes.probe("processes 900")[0]
    made, why = line.split()
    assert (why, 500 <= int(made) < 512) == ("EAGAIN", True)


@WITHOUT_CGROUPS
def test_where_no_cgroup_can_be_had_the_result_says_what_holds_the_processes(boxes: Boxes) -> None:
    assert boxes.run("--", "true").pids_by == "rlimit"


@WITH_CGROUPS
def test_a_cgroup_holds_the_processes(boxes: Boxes) -> None:
    assert boxes.run("--", "true").pids_by == "cgroup"


@WITHOUT_CGROUPS
@pytest.mark.parametrize("flags", [("--memory", "64M"), ("--cpus", "1"), ("--pids", "9")], ids=str)
def test_a_limit_that_cannot_hold_stops_the_launch(boxes: Boxes, flags: tuple[str, ...]) -> None:
    ran = boxes.cli("run", *flags, "--", "true")
    assert ran.code == 125
    assert flags[0] in ran.err and "remedy" in ran.err


@WITHOUT_CGROUPS
def test_a_limit_given_up_by_name_is_named_in_the_result(boxes: Boxes) -> None:
    result = boxes.run("--memory", "64M", "--allow-degraded-security=cgroup", "--", "true")
    assert (result.exit_code, result.degraded) == (0, ("cgroup",))


@WITH_CGROUPS
def test_half_a_processor_is_half_a_processor(boxes: Boxes) -> None:
    seconds = 2.0
    (line,) = boxes.probe(f"burn {seconds}", flags=("--cpus", "0.5"))[0]
    used, wall = (float(word) for word in line.split())
    # At the start a period's share may be used at once; a busy machine stays below the limit.
    assert used <= 0.5 * wall + 0.15


@pytest.mark.identity("root", "vm-root")
def test_a_limit_of_a_device_that_is_not_there_says_so(boxes: Boxes) -> None:
    refused = boxes.cli("run", "--io-limit", "4000:4000 rbps=1M", "--", "true")
    assert refused.code == 125 and "--io-limit: there is no such device here: 4000:4000" in refused.err
    assert "lsblk" in refused.err


@WITH_CGROUPS
def test_processor_time_is_counted(boxes: Boxes) -> None:
    """By the cgroup as by the process itself, however busy the machine is meanwhile; starting counts too."""
    begun = time.monotonic()
    result = boxes.run(*boxes.probe_flags(), "--", *boxes.probe_words("burn 0.3"))
    available = (time.monotonic() - begun) * (os.cpu_count() or 1)
    used = float(boxes.answers(result.out, 1)[0][0].split()[0])
    assert 0 < used - 0.005 <= result.cpu_s <= available


@pytest.mark.parametrize(
    ("flags", "name", "expected"),
    [
        pytest.param(("--ulimit", "nofile=100:200"), "nofile", (100, 200), id="soft and hard"),
        pytest.param(("--ulimit", "fsize=1048576"), "fsize", (MIB, MIB), id="one value"),
        pytest.param(("--memlock", "64K"), "memlock", (65536, 65536), id="memlock"),
        pytest.param((), "core", (0, 0), id="no core dumps"),
    ],
)
def test_rlimits_are_those_asked_for(
    boxes: Boxes, flags: tuple[str, ...], name: str, expected: tuple[int, int]
) -> None:
    assert limit_of(boxes, name, *flags) == expected


@pytest.mark.parametrize(
    ("flags", "path", "size"),
    [
        pytest.param(("--shm-size", "8M"), "/dev/shm", 8, id="shm"),
        pytest.param(("--tmpfs", "/scratch:4M"), "/scratch", 4, id="tmpfs"),
        pytest.param(("--tmpfs", "/scratch"), "/scratch", 64, id="tmpfs by default"),
        pytest.param((), "/home/agent", 256, id="home"),
        pytest.param((), "/tmp", 1024, id="tmp"),
    ],
)
def test_file_systems_in_memory_have_their_size(
    boxes: Boxes, flags: tuple[str, ...], path: str, size: int
) -> None:
    result = boxes.run(*flags, "--", "stat", "-f", "-c", "%b %S", path)
    blocks, block = (int(word) for word in result.out.split())
    assert blocks * block == size * MIB


def test_a_full_tmpfs_is_full(boxes: Boxes) -> None:
    result = boxes.run("--tmpfs", "/scratch:1M", "--", "sh", "-c", "head -c 2M /dev/zero >/scratch/big")
    assert result.exit_code != 0
    assert "No space left" in result.err


def test_files_in_memory_are_bounded_in_number(boxes: Boxes) -> None:
    script = "i=0; while [ $i -lt 3000 ]; do : >/scratch/$i || exit 9; i=$((i+1)); done"
    result = boxes.run("--tmpfs", "/scratch:1M", "--", "sh", "-c", script)
    assert result.exit_code != 0


@WITH_CGROUPS
def test_the_limits_are_in_the_record(boxes: Boxes) -> None:
    boxes.cli("run", "--name", "limits", "--memory", "64M", "--cpus", "0.5", "--pids", "50", "--", "true")
    limits = boxes.inspect("limits")["limits"]
    assert (limits["memory_bytes"], limits["cpu_quota_us"], limits["pids"]) == (64 * MIB, 50_000, 50)


@pytest.mark.identity("root")
def test_on_v1_what_has_no_counterpart_is_refused_by_name(boxes: Boxes) -> None:
    if os.path.exists("/sys/fs/cgroup/cgroup.controllers"):
        assert boxes.run("--memory", "64M", "--memory-high", "32M", "--", "true").exit_code == 0
        return
    ran = boxes.cli("run", "--memory", "64M", "--memory-high", "32M", "--", "true")
    assert ran.code == 125
    assert "--memory-high" in ran.err or "memory_high" in ran.err, platform.release()
