"""`python -m bench.memory`: what a live container costs in memory, measured with a hundred of them.

Each runs a static sleeper, started by the command line with all defaults.  Counted is what is there beyond the
same sleeper started bare: the proportional share (Pss) of monitor, init and workload, shared memory, and the
kernel's own memory.  ✗ measures no time.
"""

from __future__ import annotations

import json
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench.budgets import MEMORY_KIB
from bench.contestants import ENVIRONMENT, TOOLS, CannotStart
from bench.own import COMMAND
from bench.workers import scratch_base

SLEEPER = (TOOLS, "sleep", "1000")
COUNT = 100
ROUNDS = 3
# Of /proc/meminfo; KernelStack and PageTables are no slabs, Percpu holds counters of mounts and networks.
KERNEL = ("Slab", "KernelStack", "PageTables", "Percpu")
SHARED = ("Shmem",)


def meminfo() -> dict[str, int]:
    """KiB by name."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    return {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines)}


def pss_kib(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    raise CannotStart(f"no Pss of process {pid}")


def children(pid: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []  # who makes the network ends while the others are just starting


def family(pid: int) -> list[int]:
    """A process and all below it."""
    return [pid, *[below for child in children(pid) for below in family(child)]]


def settle(total: Sequence[subprocess.Popen[bytes]], processes: int) -> list[list[int]]:
    """The process ids of each, once every one has as many processes as it should."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        families = [family(process.pid) for process in total]
        if all(len(one) == processes for one in families) and all(_sleeps(one[-1]) for one in families):
            time.sleep(1)
            return families
        time.sleep(0.1)
    raise CannotStart(f"after a minute not all of {len(total)} containers were running")


def _sleeps(pid: int) -> bool:
    try:
        return b"sleep" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False


def hold(argv: Sequence[str], processes: int) -> dict[str, float]:
    """KiB for each of COUNT such programs while all of them live: by kind of memory."""
    before = meminfo()
    started = [
        subprocess.Popen(argv, env=dict(ENVIRONMENT), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        for _ in range(COUNT)
    ]
    try:
        families = settle(started, processes)
        after = meminfo()
        roles = list(zip(*[[pss_kib(pid) for pid in one] for one in families], strict=True))
    finally:
        for process in started:
            process.send_signal(signal.SIGTERM)
        for process in started:
            process.wait()
    names = ("monitor", "init", "workload")[-processes:]
    found = {f"pss {name}": sum(sizes) / COUNT for name, sizes in zip(names, roles, strict=True)}
    return found | {name: (after[name] - before[name]) / COUNT for name in (*KERNEL, *SHARED, "MemAvailable")}


def overhead(container: dict[str, float], bare: dict[str, float]) -> dict[str, float]:
    """What a container has beyond the bare program, and the sum that the budget is about."""
    beyond = {name: size - bare.get(name, 0.0) for name, size in container.items()}
    counted = [name for name in beyond if name != "MemAvailable"]
    return beyond | {"sum": sum(beyond[name] for name in counted)}


def measure() -> dict[str, float]:
    """Medians over some rounds: other programs of the machine take and give back memory meanwhile."""
    rounds = []
    with tempfile.TemporaryDirectory(prefix="nucleus-bench-", dir=scratch_base()) as state:
        # Run by the shell's own wait, the command is the monitor: it has replaced itself by it.
        argv = [COMMAND, "run", "--rm", "--root", state, "--", *SLEEPER]
        hold(argv, 3)  # caches of the kernel are filled
        for _ in range(ROUNDS):
            bare = hold(SLEEPER, 1)
            rounds.append(overhead(hold(argv, 3), bare))
    return {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}


def main() -> int:
    found = measure()
    if "--json" in sys.argv:
        print(json.dumps(found))
    else:
        for name, size in found.items():
            print(f"{name:<14} {size:8.1f} KiB for each of {COUNT}")
    return 0 if found["sum"] <= MEMORY_KIB else 1


if __name__ == "__main__":
    sys.exit(main())
