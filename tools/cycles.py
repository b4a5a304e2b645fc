"""Whole lives of containers, many at once: create, start, exec, stop, remove.  Nothing may be left, and no state unreadable.

    tools/cycles.py --count 2000 --by-command 100 --at-once 16 --seed 1

Most by the library, in threads of this process, some by the command line; all the while another thread lists containers.
Looked at before and after: processes, mounts, cgroups, descriptors of this process, the state root.
✗ tests no feature: tests/kernel does.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tools")]

from soak import NUCLEUS, PATIENCE_S, Traces, adopt_orphans, reap  # noqa: E402

from nucleus.container.container import Container  # noqa: E402
from nucleus.container.reuse.warm import KINDS  # noqa: E402
from nucleus.container.running.inventory import list_containers  # noqa: E402
from nucleus.container.running.lifecycle import STATES  # noqa: E402

COMMAND = ("sleep", "600")


class Cycles:
    """The lives of one run: how many are left to begin, and what went wrong."""

    def __init__(self, root: str, *, count: int, by_command: int, seed: int) -> None:
        dice = random.Random(seed)
        self.root = root
        self.numbers = list(range(count))
        self.by_command = set(dice.sample(range(count), by_command))
        self.removed_at_end = {n for n in range(count) if dice.random() < 0.25}
        self.problems: list[str] = []
        self.listed = 0
        self.over = threading.Event()
        self._lock = threading.Lock()

    def work(self) -> None:
        """One life after another until none is left."""
        while True:
            with self._lock:
                if not self.numbers:
                    return
                number = self.numbers.pop()
            try:
                (self.command_line if number in self.by_command else self.library)(number)
            except Exception as error:  # noqa: BLE001 - told at the end, with all others
                self.problems.append(f"life {number}: {type(error).__name__}: {error}")

    def library(self, number: int) -> None:
        """By `nucleus.Container`."""
        rm = number in self.removed_at_end
        container = Container.create(list(COMMAND), root=self.root, name=f"life-{number}", rm=rm)
        container.start()
        container.exec(["true"], check=True)
        container.stop(grace_s=0)
        if not rm:
            container.remove()

    def command_line(self, number: int) -> None:
        """By the command, as a user types it."""
        name, rm = f"life-{number}", number in self.removed_at_end
        self._run("create", "--name", name, *(["--rm"] if rm else []), "--", *COMMAND)
        self._run("start", name)
        self._run("exec", name, "--", "true")
        self._run("stop", "-t", "0", name)
        if not rm:
            self._run("rm", name)

    def _run(self, verb: str, *words: str) -> None:
        command = [NUCLEUS, verb, "--root", self.root, *words]
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False
        )
        if done.returncode:
            raise RuntimeError(f"{verb}: {done.returncode}: {done.stderr.strip()}")

    def look(self) -> None:
        """What `ps` does, again and again: every state can be read and has a name."""
        while not self.over.is_set():
            try:
                strange = [row for row in list_containers(self.root) if row["status"] not in STATES]
                self.problems += [f"a state without a name: {row}" for row in strange]
            except Exception as error:  # noqa: BLE001 - told at the end, with all others
                self.problems.append(f"ps: {type(error).__name__}: {error}")
            self.listed += 1
            self.over.wait(0.02)


def run(cycles: Cycles, at_once: int) -> None:
    """All lives, `at_once` of them at a time, under the eyes of somebody who lists."""
    workers = [threading.Thread(target=cycles.work) for _ in range(at_once)]
    looker = threading.Thread(target=cycles.look)
    for thread in (looker, *workers):
        thread.start()
    for worker in workers:
        worker.join()
    cycles.over.set()
    looker.join()


KEPT = "/memfd:nucleus-environment"  # of which a program has one for each kind


def descriptors() -> list[str]:
    """What this process has open, but for the variables of the kinds that it keeps between launches."""
    found = []
    for fd in os.listdir("/proc/self/fd"):
        try:
            found.append(os.readlink(f"/proc/self/fd/{fd}"))
        except OSError:
            continue  # that of the listing itself
    kept = [name for name in found if name.startswith(KEPT)]
    return sorted([name for name in found if name not in kept] + kept[KINDS:])


def left_over(root: str, before: Traces, open_before: int) -> list[str]:
    """What stays of what was not there before; what is not there at every look is another program's."""
    deadline, left = time.monotonic() + PATIENCE_S, None
    while True:
        reap()
        found = Traces.now().beyond(before)
        for folder in ("containers", "names"):
            found += [f"{folder} left over: {name}" for name in os.listdir(f"{root}/{folder}")]
        now = descriptors()
        if len(now) > open_before:
            found.append(f"{len(now) - open_before} descriptors left over: {now}")
        left = found if left is None else [trace for trace in left if trace in found]
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.1)


def main() -> int:
    """Exit code 0 if every life went as it should and nothing is left over."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--by-command", type=int, default=100)
    parser.add_argument("--at-once", type=int, default=16)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    given = parser.parse_args()
    print(f"cycles: {given.count} lives, {given.at_once} at once, seed {given.seed}", flush=True)
    adopt_orphans()
    with tempfile.TemporaryDirectory(prefix="nucleus-cycles-") as folder:
        root = f"{folder}/state"
        Container.create(["true"], root=root).remove(force=True)  # what is kept for the next ones is open now
        reap()
        before, open_before = Traces.now(), len(descriptors())
        cycles = Cycles(root, count=given.count, by_command=given.by_command, seed=given.seed)
        begun = time.monotonic()
        run(cycles, given.at_once)
        seconds = time.monotonic() - begun
        problems = cycles.problems + left_over(root, before, open_before)
    for problem in problems[:50]:
        print(problem)
    print(f"{given.count} lives in {seconds:.0f} s, listed {cycles.listed} times, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
