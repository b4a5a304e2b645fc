"""Runs every suite in the identities it is meant for, and fails if one of them could not run.

The table SUITES is the list; a suite that is absent, is empty, skips a test or exceeds its time has failed.
✗ installs nothing (tools/setup-test.sh), knows no test.

    tools/run_tests.py                      all
    tools/run_tests.py --only kernel        suites whose name is, or begins with, kernel
    NUCLEUS_MUST_RUN=root,user,nosub,nested,vm
                                            identities that must be there, or `all`, which is root's default
"""

from __future__ import annotations

import argparse
import os
import platform
import signal
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import IO

from test_identities import ROOT, Absent, Identities, Place
from test_lanes import printed_at_the_end, run_limited, side_by_side

sys.path.insert(0, str(ROOT / "tests" / "project"))

# Everything together, so that it ends within the time that continuous integration gives.
TOTAL_S = 75 * 60
PYTEST = ("-m", "pytest", "-q", "--no-header", "-rfEs", "--durations=5")


@dataclass(frozen=True, kw_only=True)
class Suite:
    """One run: which tests, as whom, and the seconds after which it is stopped.

    budget_s    processor seconds for each of its `workers`: what it takes on a quiet machine, whatever else this one does
    lane        lanes run side by side, the suites of one after another; without one a suite has the machine for itself
    """

    name: str
    identity: str
    paths: tuple[str, ...]
    limit_s: int
    budget_s: int | None = None
    workers: int = 1
    lane: str = ""


@dataclass(kw_only=True)
class Outcome:
    """What one suite came to; `complaints` are reasons beyond failed tests."""

    suite: Suite
    passed: int = 0
    failed: int = 0
    complaints: list[str] = field(default_factory=list)
    absent: bool = False
    seconds: float = 0.0
    processor_s: float = 0.0
    names: set[str] = field(default_factory=set)


SUITES = (
    Suite(
        name="unit",
        identity="caller",
        paths=("tests/unit", "tests/plan"),
        limit_s=240,
        budget_s=12,  # the goal is 10, and it takes 7; a busy machine has been seen to charge 1.6 times as much
        workers=2,
    ),
    Suite(name="launcher", identity="caller", paths=("tests/launcher",), limit_s=900, workers=2, lane="here"),
    Suite(name="project", identity="caller", paths=("tests/project",), limit_s=900, workers=2, lane="here"),
    Suite(name="oracle", identity="caller", paths=("tests/policy_oracle",), limit_s=300, lane="here"),
    Suite(name="kernel-root", identity="root", paths=("tests/kernel",), limit_s=1500, lane="here"),
    Suite(name="kernel-user", identity="user", paths=("tests/kernel",), limit_s=1500, lane="here"),
    Suite(name="kernel-nosub", identity="nosub", paths=("tests/kernel",), limit_s=1500, lane="here"),
    Suite(name="kernel-nested", identity="nested", paths=("tests/kernel",), limit_s=1500, lane="here"),
    Suite(
        name="harness",
        identity="caller",
        paths=("tests/vm/test_harness.py", "tests/bench"),
        limit_s=300,
        lane="guests",
    ),
    Suite(name="vm", identity="vm", paths=("tests/vm/run_kernel_tests.py",), limit_s=4400, lane="guests"),
)


def read_counts(report: Path) -> tuple[int, int, list[str]]:
    """Passed, failed and the names of skipped tests of a JUnit file."""
    passed, failed, skipped = 0, 0, []
    for case in ElementTree.parse(report).getroot().iter("testcase"):
        if case.find("failure") is not None or case.find("error") is not None:
            failed += 1
        elif case.find("skipped") is not None:
            skipped.append(f"{case.get('classname')}::{case.get('name')}")
        else:
            passed += 1
    return passed, failed, skipped


def read_names(report: Path) -> set[str]:
    """The tests of a JUnit file that passed, as FOLDER/FILE.py::FUNCTION below tests/."""
    found = set()
    for case in ElementTree.parse(report).getroot().iter("testcase"):
        if all(case.find(bad) is None for bad in ("failure", "error", "skipped")):
            file = case.get("classname", "").removeprefix("tests.").replace(".", "/")
            found.add(f"{file}.py::{case.get('name', '').partition('[')[0]}")
    return found


def judge_nouns(outcomes: list[Outcome]) -> Outcome:
    """What Nucleus consists of is proven by tests that ran, not by tests that exist."""
    from nouns import nouns, unproven

    left = unproven(set().union(*[o.names for o in outcomes]))
    proven = len(nouns()) - len({line.partition(": ")[0] for line in left})
    suite = Suite(name="nouns", identity="caller", paths=("tests/project/nouns.py",), limit_s=0)
    return Outcome(suite=suite, passed=proven, complaints=[f"did not pass anywhere: {line}" for line in left])


def _collect(outcome: Outcome, reports: list[Path], status: int | None) -> None:
    for report in reports:
        passed, failed, skipped = read_counts(report)
        outcome.passed += passed
        outcome.failed += failed
        outcome.names |= read_names(report)
        outcome.complaints += [f"skipped: {name}" for name in skipped]
    if status is None:
        outcome.complaints.append(f"stopped after {outcome.suite.limit_s} s")
    elif status and not outcome.failed:
        outcome.complaints.append(f"the runner of the tests ended with status {status}")
    if not outcome.passed and not outcome.failed:
        outcome.complaints.append("no test ran")
    budget = outcome.suite.budget_s
    each = outcome.processor_s / outcome.suite.workers
    if budget is not None and each > budget:
        outcome.complaints.append(
            f"took {each:.1f} s of each worker's processor; at most {budget} s are allowed"
        )


def run_pytest(suite: Suite, place: Place, output: IO[bytes] | None) -> Outcome:
    """Runs one suite with pytest as the identity of `place`."""
    outcome = Outcome(suite=suite)
    present = [p for p in suite.paths if (ROOT / p).is_file() or any((ROOT / p).rglob("test_*.py"))]
    if len(present) < len(suite.paths):
        outcome.absent = True
        outcome.complaints.append(f"no tests in {', '.join(sorted({*suite.paths} - {*present}))}")
        return outcome
    print(
        f"\n==> {suite.name}: {' '.join(present)}, as {place.shown}, kernel {platform.release()}", flush=True
    )
    with tempfile.TemporaryDirectory(prefix="nucleus-report-") as folder:
        os.chmod(folder, 0o1777)
        report = Path(folder, "report.xml")
        environment = place.environment | {
            "NUCLEUS_MUST_RUN": suite.identity,
            "NUCLEUS_IDENTITY": suite.identity,
        }
        workers = ["-n", str(suite.workers)] if suite.workers > 1 else []
        started, before = time.monotonic(), os.times()
        status = run_limited(
            [*place.prefix, str(place.python), *PYTEST, *workers, f"--junit-xml={report}", *present],
            limit_s=suite.limit_s,
            cwd=place.folder,
            environment=environment,
            output=output,
        )
        after = os.times()
        outcome.seconds = time.monotonic() - started
        outcome.processor_s = sum(after[2:4]) - sum(before[2:4])
        _collect(outcome, [report] if report.exists() else [], status)
    return outcome


def run_vm(suite: Suite, output: IO[bytes] | None) -> Outcome:
    """The virtual machine has a runner of its own, which writes one report per kernel and identity."""
    outcome = Outcome(suite=suite)
    if not (ROOT / suite.paths[0]).exists():
        outcome.absent = True
        outcome.complaints.append(f"{suite.paths[0]} does not exist")
        return outcome
    print(f"\n==> {suite.name}: {suite.paths[0]}, kernels and identities are printed below", flush=True)
    with tempfile.TemporaryDirectory(prefix="nucleus-report-") as folder:
        started = time.monotonic()
        status = run_limited(
            [sys.executable, "-m", "tests.vm.run_kernel_tests", "--results", f"{folder}/results"],
            limit_s=suite.limit_s,
            cwd=ROOT,
            environment=dict(os.environ),
            output=output,
            yielding=True,  # emulators compute without end, and what runs beside them mostly waits for a wake-up
        )
        outcome.seconds = time.monotonic() - started
        _collect(outcome, sorted(Path(folder).rglob("*.xml")), status)
    return outcome


def run_suite(suite: Suite, identities: Identities, output: IO[bytes] | None) -> Outcome:
    """Runs one suite, or says why it cannot run here."""
    if suite.identity == "vm":
        return run_vm(suite, output)
    try:
        return run_pytest(suite, identities.place(suite.identity), output)
    except Absent as reason:
        return Outcome(suite=suite, absent=True, complaints=[f"not run: {reason}"])


def run_lane(suites: list[Suite], identities: Identities, deadline: float, *, shown: bool) -> list[Outcome]:
    """Runs suites one after the other; none gets more than what is left of the time.

    shown: as they go; else what a suite prints comes when it is over.
    """
    outcomes = []
    for suite in suites:
        left = int(deadline - time.monotonic())
        if left < 1:
            complaint = f"not run: the {TOTAL_S // 60} minutes for all suites are over"
            outcomes.append(Outcome(suite=suite, complaints=[complaint]))
            continue
        limited = replace(suite, limit_s=min(suite.limit_s, left))
        with nullcontext() if shown else printed_at_the_end() as output:
            outcomes.append(run_suite(limited, identities, output))
    return outcomes


def run_all(suites: list[Suite], identities: Identities) -> list[Outcome]:
    """Runs what wants the machine for itself, then the lanes side by side."""
    deadline = time.monotonic() + TOTAL_S
    outcomes = run_lane([s for s in suites if not s.lane], identities, deadline, shown=True)
    lanes = [
        [s for s in suites if s.lane == lane] for lane in dict.fromkeys(s.lane for s in suites if s.lane)
    ]
    work = [
        partial(run_lane, lane, identities, deadline, shown=number == 0) for number, lane in enumerate(lanes)
    ]
    return outcomes + [outcome for lane in side_by_side(work) for outcome in lane]


def must_run(given: str | None, *, root: bool) -> set[str]:
    """The identities whose absence is a failure; the caller's own suites always count."""
    everyone = {suite.identity for suite in SUITES}
    if given == "all" or (given is None and root):
        return everyone
    wanted = {name.strip() for name in (given or "").split(",") if name.strip()}
    if unknown := wanted - everyone:
        raise SystemExit(
            f"NUCLEUS_MUST_RUN: {', '.join(sorted(unknown))} is no identity; known: {sorted(everyone)}"
        )
    return wanted | {"caller"}


def summarise(outcomes: list[Outcome], required: set[str]) -> int:
    """Prints the table and the last line; returns how many failed."""
    heads = f"{'passed':>7} {'failed':>7} {'seconds':>8}"
    print(f"\n{'suite':<15} {'identity':<9} {heads}  kernel {platform.release()}")
    passed = failed = 0
    for outcome in outcomes:
        suite = outcome.suite
        counts = outcome.failed
        if outcome.complaints and (not outcome.absent or suite.identity in required):
            counts += 1
        print(f"{suite.name:<15} {suite.identity:<9} {outcome.passed:>7} {counts:>7} {outcome.seconds:>8.1f}")
        for complaint in outcome.complaints:
            print(f"    {complaint}")
        passed += outcome.passed
        failed += counts
    print(f"\n{passed} passed, {failed} failed")
    return failed


def main() -> int:
    """Exit code 0 only if every required suite ran and every test passed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--only", action="append", help="a suite, or what suites' names begin with; may be repeated"
    )
    chosen = parser.parse_args().only
    required = must_run(os.environ.get("NUCLEUS_MUST_RUN"), root=os.geteuid() == 0)
    suites = [
        s for s in SUITES if not chosen or any(s.name == c or s.name.startswith(f"{c}-") for c in chosen)
    ]
    if not suites:
        parser.error(f"no suite of that name; there are {', '.join(s.name for s in SUITES)}")
    # Asked to end, it ends what it started; tests clean up then.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    identities = Identities()
    try:
        outcomes = run_all(suites, identities)
    finally:
        identities.close()
    if not chosen and not any(outcome.absent for outcome in outcomes):
        outcomes.append(judge_nouns(outcomes))
    return 1 if summarise(outcomes, required) else 0


if __name__ == "__main__":
    sys.exit(main())
