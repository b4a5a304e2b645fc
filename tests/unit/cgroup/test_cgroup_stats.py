"""What is read back of a cgroup, and in which order limits of a living one are changed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rows import every_row

from nucleus.base.errors import Conflict, HostUnsupported, SpecError
from nucleus.cgroup import change as changing
from nucleus.cgroup.limits import Limits, plan_limits
from nucleus.cgroup.stats import Cgroups, Held, Usage, held, measure, usage
from nucleus.spec.resources import IoLimit

V2 = {
    "memory.max": "268435456\n", "memory.high": "max\n", "memory.swap.max": "0\n", "cpu.max": "50000 100000\n",
    "cpu.weight": "100\n", "pids.max": "64\n", "memory.current": "1048576\n", "memory.peak": "2097152\n",
    "memory.swap.current": "0\n", "cpu.stat": "usage_usec 1234\nuser_usec 1000\n", "pids.current": "3\n",
    "io.max": "8:0 rbps=1048576 wbps=max riops=max wiops=500\n8:16 rbps=max wbps=max riops=max wiops=max\n",
    "io.stat": "8:0 rbytes=4096 wbytes=8192 rios=1 wios=2\n8:16 rbytes=4 wbytes=0\n",
    "memory.events": "low 0\noom 1\noom_kill 2\n", "pids.events": "max 7\n", "memory.oom.group": "1\n",
}  # fmt: skip
V1 = {
    "memory.limit_in_bytes": "268435456\n", "memory.memsw.limit_in_bytes": "268435456\n",
    "cpu.cfs_quota_us": "-1\n", "cpu.cfs_period_us": "100000\n", "cpu.shares": "1024\n", "pids.max": "max\n",
    "memory.usage_in_bytes": "1048576\n", "memory.memsw.usage_in_bytes": "1052672\n", "pids.current": "3\n",
    "memory.max_usage_in_bytes": "2097152\n", "cpuacct.usage": "1234000\n",
    "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n", "pids.events": "max 0\n",
    "blkio.throttle.read_bps_device": "8:0 1048576\n", "blkio.throttle.write_iops_device": "8:0 500\n",
    "blkio.throttle.io_service_bytes_recursive": "8:0 Read 4100\n8:0 Write 8192\n8:0 Total 12292\nTotal 12292\n",
}  # fmt: skip
DEVICE = IoLimit(major=8, minor=0, rbps=1 << 20, wiops=500)


def test_v2_is_read_back() -> None:
    assert held(V2.get) == Held(
        memory_bytes=256 << 20, swap_bytes=0, cpu_quota_us=50_000, cpu_weight=100, pids=64, io=(DEVICE,)
    )
    assert usage(V2.get) == Usage(
        cpu_us=1234, memory_bytes=1 << 20, memory_peak_bytes=2 << 20, swap_bytes=0, pids=3, io_read_bytes=4100,
        io_write_bytes=8192, oom_kills=2, pids_denied=7,
    )  # fmt: skip


def test_v1_is_read_back_as_the_same_kind_of_numbers() -> None:
    assert held(V1.get) == Held(memory_bytes=256 << 20, swap_bytes=0, cpu_weight=100, io=(DEVICE,))
    assert usage(V1.get) == Usage(
        cpu_us=1234, memory_bytes=1 << 20, memory_peak_bytes=2 << 20, swap_bytes=4096, pids=3,
        io_read_bytes=4100, io_write_bytes=8192, oom_kills=2, pids_denied=0,
    )  # fmt: skip


@pytest.mark.parametrize(
    "files", [{}, {"memory.max": "max\n", "cpu.max": "max 100000\n", "pids.max": "max\n"}]
)
def test_no_limit_is_none(files: dict[str, str]) -> None:
    assert held(files.get) == Held()


def test_v1_without_a_limit_is_none_too() -> None:
    unlimited = {
        "memory.limit_in_bytes": "9223372036854771712\n",
        "memory.memsw.limit_in_bytes": "9223372036854771712\n",
    }
    assert held(unlimited.get) == Held()


@pytest.mark.parametrize("text", ["50000 0\n", "0 100000\n", "50000\n"])
def test_a_period_of_nothing_is_refused(text: str) -> None:
    with pytest.raises(HostUnsupported, match="processor limit"):
        held({"cpu.max": text}.get)


@given(
    memory=st.none() | st.integers(1 << 20, 1 << 40),
    swap=st.none() | st.integers(0, 1 << 40),
    quota=st.none() | st.integers(1000, 10_000_000),
    weight=st.none() | st.integers(1, 10_000),
    pids=st.none() | st.integers(1, 1 << 22),
)
def test_what_is_written_on_v2_is_what_is_read_back(
    memory: int | None, swap: int | None, quota: int | None, weight: int | None, pids: int | None
) -> None:
    wanted = Limits(memory_bytes=memory, swap_bytes=swap, cpu_quota_us=quota, cpu_weight=weight, pids=pids)
    plan = plan_limits(wanted, {"memory": 2, "cpu": 2, "pids": 2})
    files = {w.file: w.value + "\n" for w in plan.writes}
    now = held(files.get)
    assert (now.memory_bytes, now.cpu_quota_us, now.cpu_weight, now.pids) == (memory, quota, weight, pids)
    if memory or swap is not None:
        assert now.swap_bytes == (swap or 0)


# ---- changing ----


class Recorded(Cgroups):
    """A directory of plain files that behaves like the kernel's where the order matters."""

    __slots__ = ("log",)

    def __init__(self, path: Path) -> None:
        super().__init__((str(path),))
        self.log: list[tuple[str, str]] = []

    def write(self, directory: int, file: str, value: str) -> None:
        now = {
            n: int(self.read(n) or 0)
            for n in ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes")
            if self.find(n)
        }
        if file == "memory.reclaim":
            raise BlockingIOError(11, "EAGAIN")
        if file in now:
            after = now | {file: int(value)}
            if after["memory.limit_in_bytes"] > after["memory.memsw.limit_in_bytes"]:
                raise OSError(22, "EINVAL")
            if int(value) < int(self.read("memory.usage_in_bytes") or 0):
                raise OSError(16, "EBUSY")
        self.log.append((file, value))
        fd = os.open(file, os.O_WRONLY | os.O_TRUNC, dir_fd=directory)
        os.write(fd, f"{value}\n".encode())
        os.close(fd)


@pytest.fixture
def group(tmp_path: Path) -> Iterator[tuple[Path, Recorded]]:
    made = Recorded(tmp_path)
    yield tmp_path, made
    made.close()


def fill(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).write_text(text)


@every_row("megabytes", [2, 64, 255, 257, 4096])
@every_row("swap", [None, 0, 1 << 20, 1 << 33])
def test_v1_memory_and_swap_change_in_the_order_that_the_kernel_takes(
    group: tuple[Path, Recorded], megabytes: int, swap: int | None
) -> None:
    folder, groups = group
    fill(folder, V1)
    now = changing.change(groups, Limits(memory_bytes=megabytes << 20, swap_bytes=swap))
    assert (now.memory_bytes, now.swap_bytes) == (megabytes << 20, swap or 0)


@pytest.mark.parametrize("files", [V1, V2], ids=["v1", "v2"])
def test_less_memory_than_is_in_use_is_refused_and_changes_nothing(
    group: tuple[Path, Recorded], files: dict[str, str]
) -> None:
    folder, groups = group
    used = {"memory.usage_in_bytes": "99999999\n", "memory.current": "99999999\n", "memory.reclaim": ""}
    fill(folder, files | {k: v for k, v in used.items() if k in files or k == "memory.reclaim"})
    with pytest.raises(Conflict, match="cannot be reclaimed") as caught:
        changing.change(groups, Limits(memory_bytes=16 << 20, cpu_quota_us=20_000))
    assert caught.value.where == "--memory"
    assert groups.log == [] and held(groups.read) == held(files.get)


def test_what_no_controller_holds_is_refused_by_its_flag(group: tuple[Path, Recorded]) -> None:
    folder, groups = group
    fill(folder, {"pids.max": "512\n"})
    with pytest.raises(SpecError) as caught:
        changing.change(groups, Limits(memory_bytes=16 << 20, cpu_quota_us=20_000))
    assert [p.where for p in caught.value.problems] == ["--memory", "--cpus"]
    assert changing.change(groups, Limits(pids=9)) == Held(pids=9)
    changing.change(groups, Limits(), unlimited_pids=True)
    assert groups.log == [("pids.max", "9"), ("pids.max", "max")]


def test_swap_alone_keeps_the_memory_s_limit(group: tuple[Path, Recorded]) -> None:
    folder, groups = group
    fill(folder, V2)
    assert changing.change(groups, Limits(swap_bytes=1 << 20)).memory_bytes == 256 << 20
    fill(folder, {"memory.max": "max\n"})
    with pytest.raises(SpecError, match="there is none"):
        changing.change(groups, Limits(swap_bytes=1 << 20))


def test_a_container_without_a_cgroup_is_told_as_such(tmp_path: Path) -> None:
    with pytest.raises(HostUnsupported, match="no cgroup"):
        measure((str(tmp_path / "gone"),))
