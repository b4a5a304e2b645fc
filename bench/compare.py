"""`python -m bench.compare`: start times of all contestants, as a table and as JSON.  ✗ starts no sandbox.

A shared machine is noisy over minutes, not over milliseconds: every round runs each contestant, in changing order, and
contestants are compared by the median of the ratios within rounds.

A contestant has its turn for several starts in a row. What a sandbox leaves to the kernel (namespaces and cgroups are
taken down after its end, in the background) would otherwise be paid by the one whose turn comes next. For the same reason
there is a rest before each turn. The first start of a turn, which finds everybody else's caches, is told apart.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench import report
from bench.contestants import CannotStart, Contestant, end_all
from bench.own import OWN
from bench.peers import PEERS, PROGRAMS, version
from bench.proof import prove
from bench.workers import Worker

Times = dict[str, list[int]]
CONTESTANTS: tuple[Contestant, ...] = (*OWN, *PEERS)
SETTLE, IN_A_ROW = 2, 10  # starts of a turn: those that meet what others left, and those whose median counts
REST_S = 0.15  # before a turn: several of the kernel's grace periods
ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One contestant's figures. ratio: to the baseline, the median over rounds; times in milliseconds, of turns' medians."""

    name: str
    isolation: str
    median_ms: float
    fastest_ms: float
    p95_ms: float
    ratio: float


def start_workers(
    contestants: Sequence[Contestant], stack: contextlib.ExitStack
) -> tuple[list[Worker], dict[str, str]]:
    """The workers that came up, and why the others did not."""
    workers, absent = [], {}
    for contestant in contestants:
        try:
            workers.append(stack.enter_context(Worker(contestant)))
        except CannotStart as why:
            absent[contestant.name] = str(why)
    return workers, absent


def interleave(workers: Sequence[Worker], rounds: int, order: random.Random) -> tuple[Times, Times]:
    """Nanoseconds by contestant, of starts in a row and of a first start; index i of every list comes from round i."""
    steady: Times = {worker.contestant.name: [] for worker in workers}
    first: Times = {name: [] for name in steady}
    for _ in range(rounds):
        for worker in order.sample(list(workers), len(workers)):
            time.sleep(REST_S)
            turn = [worker.run() for _ in range(SETTLE + IN_A_ROW)]
            first[worker.contestant.name].append(turn[0])
            steady[worker.contestant.name].append(round(statistics.median(turn[SETTLE:])))
    return steady, first


def median_ratio(times: Sequence[int], baseline: Sequence[int]) -> float:
    return statistics.median(mine / base for mine, base in zip(times, baseline, strict=True))


def rows_of(contestants: Sequence[Contestant], times: Times, baseline: str) -> list[Row]:
    rows = []
    for contestant in contestants:
        if (mine := times.get(contestant.name)) is None:
            continue
        ordered = sorted(mine)
        rows.append(
            Row(
                name=contestant.name,
                isolation=contestant.isolation,
                median_ms=statistics.median(mine) / 1e6,
                fastest_ms=ordered[0] / 1e6,
                p95_ms=ordered[int(len(ordered) * 0.95)] / 1e6,
                ratio=median_ratio(mine, times[baseline]),
            )
        )
    return rows


def table(rows: Sequence[Row], baseline: str) -> str:
    lines = [
        f"| Contestant | Median ms | Fastest ms | 95 % ms | × {baseline} | Isolation |",
        "| --- | ---: | ---: | ---: | ---: | --- |",
    ]
    lines += [
        f"| {row.name} | {row.median_ms:.2f} | {row.fastest_ms:.2f} | {row.p95_ms:.2f} | {row.ratio:.2f}"
        f" | {row.isolation} |"
        for row in rows
    ]
    return "\n".join(lines)


def versions() -> dict[str, str]:
    # Of the kernel the part that says something; what a distribution appends is nobody's business.
    found = {"Linux": platform.release().partition("-")[0], "Python": platform.python_version()}
    found |= {"CPUs": str(os.cpu_count()), "load average": f"{os.getloadavg()[0]:.1f}"}
    for name in PROGRAMS:
        with contextlib.suppress(CannotStart):
            found[name] = version(name)
    return found


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=100, help="turns of each contestant (default: 100)")
    parser.add_argument("--memory", action="store_true", help="also the memory of a hundred containers")
    parser.add_argument("--page", type=Path, metavar="FOLDER", help="write benchmarks.md and its plot there")
    parser.add_argument("--enforce", action="store_true", help="1 when a budget is not kept")
    parser.add_argument("--only", action="append", metavar="NAME", help="this contestant; may be repeated")
    parser.add_argument("--baseline", default="bwrap", metavar="NAME", help="compared with (default: bwrap)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the times of all turns there")
    parser.add_argument(
        "--check", action="store_true", help="run each once and say which start; 1 when any does not"
    )
    return parser


def check(contestants: Sequence[Contestant]) -> int:
    with contextlib.ExitStack() as stack:
        workers, absent = start_workers(contestants, stack)
        for worker in workers:
            print(f"{worker.contestant.name:<16} starts")
    for name, why in absent.items():
        print(f"{name:<16} does not start: {why}")
    return 1 if absent else 0


def main(arguments: list[str] | None = None) -> int:
    given = (parser := _parser()).parse_args(arguments)
    if given.rounds < 2:
        parser.error("--rounds: at least 2, for there to be quartiles")
    if given.page and given.baseline != report.BASELINE:
        parser.error(f"--page compares with {report.BASELINE}: leave --baseline away")
    wanted = [c for c in CONTESTANTS if not given.only or c.name in (*given.only, given.baseline)]
    if given.check:
        return check(wanted)
    conditions = versions()
    with contextlib.ExitStack() as stack:
        workers, absent = start_workers(wanted, stack)
        for name, why in absent.items():
            print(f"left out: {name}: {why}", file=sys.stderr)
        if given.baseline not in {worker.contestant.name for worker in workers}:
            print(f"the baseline {given.baseline} does not start here", file=sys.stderr)
            return 1
        times, first = interleave(workers, given.rounds, random.Random(0))
    rows = rows_of(wanted, times, given.baseline)
    print(table(rows, given.baseline))
    if given.json:
        record = {"versions": conditions, "baseline": given.baseline, "absent": absent}
        record |= {"rows": [asdict(row) for row in rows], "nanoseconds": times, "first": first}
        given.json.write_text(json.dumps(record, indent=1) + "\n")
    proof = proven(times)
    figures = report.Figures(
        contestants=wanted, times=times, first=first, absent=absent, versions=conditions, proof=proof,
        memory=memory() if given.memory else {},
    )  # fmt: skip
    print("\n".join(["", *proof, "", *(lines := report.budget_lines(figures))]))
    if given.page:
        report.write(figures, given.page, report.Turn(rest_s=REST_S, settle=SETTLE, in_a_row=IN_A_ROW))
    return 1 if given.enforce and any("over" in line for line in lines) else 0


def proven(times: Times) -> list[str]:
    """What the timed sandboxes of Nucleus are made of; raises CannotStart when one is not hardened."""
    names = [contestant.name for contestant in OWN if contestant.name in times]
    if not names:
        return []
    with tempfile.TemporaryDirectory(prefix="nucleus-bench-") as scratch:
        try:
            return prove(names, Path(scratch))
        finally:
            end_all()


def memory() -> dict[str, float]:
    """In a process of its own, whose memory is nobody's share."""
    argv = [sys.executable, "-m", "bench.memory", "--json"]
    done = subprocess.run(argv, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    return dict(json.loads(done.stdout))


if __name__ == "__main__":
    sys.exit(main())
