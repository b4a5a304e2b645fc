"""Starts many containers for long, kills some at random moments, and demands that nothing is left over.

    tools/soak.py --seconds 600 --at-once 8 --seed 1

Looked at before and after: own descendants in foreign pid namespaces, mounts, empty cgroups, the state root.
✗ tests no feature: tests/kernel does.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NUCLEUS = str(ROOT / "bin" / "nucleus")
_PR_SET_CHILD_SUBREAPER = 36
PATIENCE_S = 60.0  # what dies on a busy machine takes its time
JOBS = (
    "true",
    "exit 3",
    "sleep 0.2",
    "for i in 1 2 3 4 5; do sleep 0.3 & done; wait",
    "(sleep 30 &) ; exit 0",
    "head -c 4000000 /dev/zero >/tmp/zeros; sleep 1",
)


@dataclass(frozen=True, kw_only=True)
class Traces:
    """What a container can leave on a machine."""

    processes: frozenset[str]
    mounts: frozenset[str]
    cgroups: frozenset[str]

    @staticmethod
    def now() -> Traces:
        """Reads the machine."""
        return Traces(processes=_foreign_processes(), mounts=_mounts(), cgroups=_cgroups())

    def beyond(self, before: Traces) -> list[str]:
        """What is there now and was not before."""
        pairs = (
            ("process", self.processes - before.processes),
            ("mount", self.mounts - before.mounts),
            ("cgroup", self.cgroups - before.cgroups),
        )
        return [f"{kind} left over: {name}" for kind, names in pairs for name in sorted(names)]


@dataclass(kw_only=True)
class Tally:
    """How the containers ended."""

    started: int = 0
    killed: int = 0
    stopped: int = 0
    refused: list[str] = field(default_factory=list)


def adopt_orphans() -> None:
    """What loses its parent becomes a child of this process: others' containers are then told from ours."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")


def reap() -> None:
    """Collects the adopted dead: a zombie that nobody but this process can collect is nothing left over."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return  # there is no child at all


def _descendants() -> set[int]:
    children: dict[int, list[int]] = {}
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            text = Path("/proc", entry, "stat").read_text(errors="replace")
        except OSError:  # ended meanwhile
            continue
        children.setdefault(int(text.rpartition(")")[2].split()[1]), []).append(int(entry))
    found: set[int] = set()
    waiting = [os.getpid()]
    while waiting:
        below = children.get(waiting.pop(), [])
        found.update(below)
        waiting += below
    return found


def _foreign_processes() -> frozenset[str]:
    own = os.readlink("/proc/self/ns/pid")
    found = set()
    for pid in _descendants():
        try:
            namespace = os.readlink(f"/proc/{pid}/ns/pid")
        except OSError:  # ended meanwhile
            continue
        if namespace != own:
            found.add(f"{pid} {namespace}")
    return frozenset(found)


def _mounts() -> frozenset[str]:
    return frozenset(Path("/proc/self/mountinfo").read_text().splitlines())


def _cgroups() -> frozenset[str]:
    """Folders below the own cgroup of every hierarchy, and the place of root's containers on cgroup v2."""
    tops = {Path("/sys/fs/cgroup/nucleus")}
    points = {}
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        left, _, right = line.partition(" - ")
        kind, _, options = right.split(" ", 2)
        if kind in ("cgroup", "cgroup2"):
            names = set(options.rpartition(" ")[2].split(",")) if kind == "cgroup" else {""}
            points.update(dict.fromkeys(names, left.split()[4]))
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        for name in controllers.split(","):
            if name in points:
                tops.add(Path(points[name] + path))
    # Others' folders come and go meanwhile: os.walk passes over what has just gone.
    folders = (Path(at, name) for top in tops for at, names, _ in os.walk(top) for name in names)
    return frozenset(str(folder) for folder in folders if _is_empty(folder))


def _is_empty(folder: Path) -> bool:
    """A cgroup with nobody in it; one with processes is somebody's, or its processes are counted as left over."""
    try:
        return not (folder / "cgroup.procs").read_text()
    except OSError:
        return False


def _end(process: subprocess.Popen[bytes], dice: random.Random, tally: Tally) -> None:
    """Ends one container as chance has it: kill -9, stop signal, or not at all."""
    choice = dice.random()
    if choice < 0.3 and process.poll() is None:
        process.send_signal(signal.SIGKILL)
        tally.killed += 1
    elif choice < 0.5 and process.poll() is None:
        process.send_signal(signal.SIGTERM)
        tally.stopped += 1
    try:
        status = process.wait(timeout=PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        tally.refused.append(f"pid {process.pid} did not end within a minute")
        return
    if status == 125 and process.stderr is not None:
        tally.refused.append(process.stderr.read().decode(errors="replace").strip())


def soak(state: Path, *, seconds: float, at_once: int, seed: int) -> Tally:
    """Keeps `at_once` containers running for so long."""
    dice, tally = random.Random(seed), Tally()
    running: list[subprocess.Popen[bytes]] = []
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline or running:
        if time.monotonic() < deadline and len(running) < at_once:
            command = [NUCLEUS, "run", "--root", str(state), "--rm", "--", "/bin/sh", "-c", dice.choice(JOBS)]
            running.append(
                subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
                )
            )
            tally.started += 1
            time.sleep(dice.random() * 0.05)
            continue
        _end(running.pop(dice.randrange(len(running))), dice, tally)
    return tally


def left_over(state: Path, before: Traces) -> list[str]:
    """What stays, however often a command sweeps: each finds dead owners, and leaves to the next one what is still busy.

    What is not there at every look is another program's, which comes and goes.
    """
    deadline, left = time.monotonic() + PATIENCE_S, None
    while True:
        subprocess.run([NUCLEUS, "run", "--root", str(state), "--rm", "--", "/bin/true"], check=True)
        reap()
        seen = Traces.now().beyond(before)
        left = seen if left is None else [trace for trace in left if trace in seen]
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.1)


def main() -> int:
    """Exit code 0 if every container could start and nothing is left over."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--at-once", type=int, default=8)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    given = parser.parse_args()
    print(f"soak: {given.seconds:g} s, {given.at_once} at once, seed {given.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="nucleus-soak-") as folder:
        state = Path(folder, "state")
        adopt_orphans()
        before = Traces.now()
        tally = soak(state, seconds=given.seconds, at_once=given.at_once, seed=given.seed)
        problems = tally.refused + left_over(state, before)
        listed = subprocess.run(
            [NUCLEUS, "ps", "--root", str(state), "-q"], check=True, stdout=subprocess.PIPE
        )
        problems += [f"still running: {name}" for name in listed.stdout.decode().split()]
    for problem in problems:
        print(problem)
    ends = f"{tally.killed} killed, {tally.stopped} stopped"
    print(f"{tally.started} containers, {ends}, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
