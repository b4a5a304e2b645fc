"""Runs the kernel tests in guests: each kernel × {root, ordinary user}, and a few where the kernel is locked.  ✗ no tests.

One line of result each.

Fails when a run fails, leaves out a test, has none, or when its guest cannot be had.
"""

from __future__ import annotations

import argparse
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

from tests.vm.guest import GuestDied, GuestTimeout, Machine
from tests.vm.images import KERNELS, GuestUnavailable
from tests.vm.session import USERS, Command, run_in_guest
from tests.vm.staging import PROJECT, stage

# The guest as it was handed out first: launches divide the own cgroup, as they may.
TESTS = ("tests/vm/test_guest_smoke.py", "tests/kernel")
# Only their subject differs in a locked kernel.
TESTS_LOCKED = ("tests/kernel/test_locked_kernel.py",)
LOCKED = "lockdown=integrity"
# Debian's interpreter looks here for what did not come from its packages, with and without isolation.
SITE = "mount --bind /project/site /usr/local/lib/python3.11/dist-packages"
# As installed systems have it: only of a journal on disk can a user read what his own units print.
JOURNAL = (
    "mkdir -p /var/log/journal && echo '[Journal]\nStorage=persistent' >/etc/systemd/journald.conf.d/zz-disk.conf"
    " && systemctl restart systemd-journald && journalctl --flush"
)
ENVIRONMENT = (
    "PYTHONDONTWRITEBYTECODE=1",
    "HYPOTHESIS_STORAGE_DIRECTORY=/tmp/hypothesis",
    "LANG=C.UTF-8",
)
# Each run in a scope of its own with the controllers handed down: what a user gets from systemd.
SCOPE = {
    "root": ("systemd-run", "--scope", "-q", "-p", "Delegate=yes", "--"),
    "dev": ("systemd-run", "--user", "--scope", "-q", "-p", "Delegate=yes", "--"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One guest: its kernel, with more parameters for it, and who runs the tests there.

    must_run: the identity by which tests say that they are meant for it.
    """

    name: str
    kernel: str
    user: str
    must_run: str
    tests: tuple[str, ...] = TESTS
    append: str = ""


RUNS = (
    *[
        Run(name=f"vm-{kernel}-{user}", kernel=kernel, user=user, must_run=must_run)
        for kernel in KERNELS
        for user, must_run in (("root", "vm-root"), ("dev", "vm-user"))
    ],
    Run(
        name=f"vm-{KERNELS[-1]}-locked", kernel=KERNELS[-1], user="root", must_run="vm-locked",
        tests=TESTS_LOCKED, append=LOCKED,
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one run came to. problem: why it does not count as passed, empty when it does."""

    name: str
    identity: str
    kernel: str
    cgroup: str
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0.0
    problem: str = ""

    def line(self) -> str:
        verdict = f"FAILED: {self.problem}" if self.problem else "ok"
        return (
            f"{self.name:<14} identity {self.identity:<10} kernel {self.kernel:<28} cgroup {self.cgroup:<4}"
            f" passed {self.passed:>4}  failed {self.failed:>3}  {self.seconds:6.1f} s  {verdict}"
        )


def guest_command(user: str, tests: Iterable[str], pytest_arguments: Iterable[str]) -> tuple[str, ...]:
    """Notes what the guest is, then becomes pytest: an interpreter starts slowly there, so only one does."""
    pytest = [
        "python3",
        "-m",
        "pytest",
        "-q",
        "--durations=8",
        # Of the plugins that pyproject.toml names the guest has none.
        "--override-ini=addopts=--strict-markers --strict-config --disable-plugin-autoload",
        "-p",
        "no:cacheprovider",
        "--junitxml=/out/junit.xml",
    ]
    script = (
        "uname -r >/out/kernel; stat -fc %T /sys/fs/cgroup >/out/cgroup;"
        " echo $(id -un) $(id -u) >/out/identity;"
        f" exec {shlex.join([*pytest, *pytest_arguments, *tests])}"
    )
    return (*SCOPE[user], "sh", "-c", script)


def chosen(given: argparse.Namespace) -> list[Run]:
    """Tests that were named run where all do, unless the locked guest was asked for."""
    return [
        run
        for run in RUNS
        if run.kernel in (given.kernel or KERNELS)
        and run.user in (given.user or USERS)
        and (bool(run.append) if given.locked else not (run.append and given.tests))
    ]


def run_once(run: Run, staged: Path, results: Path, given: argparse.Namespace) -> Outcome:
    """Its guest, its tests, what they came to."""
    folder = results / run.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    command = Command(
        argv=guest_command(run.user, given.tests or run.tests, given.pytest),
        user=run.user,
        share=staged,
        prepare=f"{SITE} && {JOURNAL}",
        env=(*ENVIRONMENT, f"NUCLEUS_MUST_RUN={run.must_run}"),
        collect=folder,
        timeout_s=given.timeout,
    )
    started = time.monotonic()
    status, problem = None, ""
    with (folder / "output").open("wb") as output:
        try:
            status = run_in_guest(
                Machine(kernel=run.kernel, append=run.append), command, out=output.write, err=output.write
            )
        except (GuestUnavailable, GuestDied, GuestTimeout) as failure:
            problem = f"{type(failure).__name__}: {failure}"
    return _outcome(run.name, run.user, folder, status, problem, time.monotonic() - started)


def _outcome(name: str, user: str, folder: Path, status: int | None, problem: str, seconds: float) -> Outcome:
    counts = _counts(folder / "junit.xml")
    failed = counts["failures"] + counts["errors"]
    passed = counts["tests"] - failed - counts["skipped"]
    if not problem:
        problem = _problem(status, passed, failed, counts["skipped"])
    cgroup = _noted(folder, "cgroup")
    return Outcome(
        name=name,
        identity=_noted(folder, "identity") or user,
        kernel=_noted(folder, "kernel") or "?",
        cgroup={"cgroup2fs": "v2", "": "?"}.get(cgroup, cgroup),
        passed=passed,
        failed=failed,
        skipped=counts["skipped"],
        seconds=seconds,
        problem=problem,
    )


def _problem(status: int | None, passed: int, failed: int, skipped: int) -> str:
    if failed:
        return f"{failed} tests failed"
    if skipped:
        return f"{skipped} tests were left out"
    if status:
        return f"pytest ended with {status}"
    return "" if passed else "no test ran"


def _counts(junit: Path) -> dict[str, int]:
    counts = dict.fromkeys(("tests", "failures", "errors", "skipped"), 0)
    if junit.exists():
        for suite in ElementTree.parse(junit).getroot().iter("testsuite"):
            for key in counts:
                counts[key] += int(suite.get(key, "0"))
    return counts


def _noted(folder: Path, name: str) -> str:
    path = folder / name
    return path.read_text().strip() if path.exists() else ""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kernel", action="append", choices=KERNELS, help="only this one; may be repeated")
    parser.add_argument("--user", action="append", choices=USERS, help="only this one; may be repeated")
    parser.add_argument("--locked", action="store_true", help="only the guest whose kernel is locked")
    parser.add_argument(
        "--also", action="append", type=Path, default=[], help="stage this path of the project too"
    )
    parser.add_argument("--results", type=Path, help="keep output and junit files of each run in this folder")
    parser.add_argument("--at-once", type=int, default=2, help="guests that run side by side (default: 2)")
    parser.add_argument("--timeout", type=float, default=2400, help="seconds for each run (default: 2400)")
    parser.add_argument(
        "--pytest", action="append", default=[], metavar="ARG", help="one more argument of pytest"
    )
    parser.add_argument("tests", nargs="*", help=f"test files and folders (default: {' '.join(TESTS)})")
    return parser


def main() -> int:
    given = _parser().parse_args()
    outcomes = []
    with tempfile.TemporaryDirectory(prefix="nucleus-vm-tests-") as name:
        staged, results = Path(name) / "project", given.results or Path(name) / "results"
        staged.mkdir()
        # The guest has no compiler; what lies in tests/probe/build travels with the tests.
        subprocess.run(
            [sys.executable, str(PROJECT / "tests/probe/compile_probe.py")], check=True, stdout=sys.stderr
        )
        stage(staged, given.also)
        results.mkdir(parents=True, exist_ok=True)
        # An emulator takes one processor, as tests run one after the other.
        with ThreadPoolExecutor(given.at_once) as guests:
            for outcome in guests.map(
                partial(run_once, staged=staged, results=results, given=given), chosen(given)
            ):
                outcomes.append(outcome)
                if outcome.problem:
                    sys.stdout.write((results / outcome.name / "output").read_text(errors="replace"))
                print(outcome.line(), flush=True)
    return 1 if not outcomes or any(outcome.problem for outcome in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
