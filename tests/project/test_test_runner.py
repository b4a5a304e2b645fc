"""The runner of the tests must not report success where a suite was absent, empty or skipped a test."""

from __future__ import annotations

import os
import signal
import sys
import threading
from functools import partial
from pathlib import Path

import pytest
from source_tree import ROOT

sys.path.insert(0, str(ROOT / "tools"))

from run_tests import SUITES, Outcome, Suite, must_run, read_counts, summarise
from test_lanes import printed_at_the_end, run_limited, side_by_side

KERNEL = Suite(name="kernel-root", identity="root", paths=("tests/kernel",), limit_s=5)


def report(folder: Path, *cases: str) -> Path:
    path = folder / "report.xml"
    path.write_text(f"<testsuites><testsuite>{''.join(cases)}</testsuite></testsuites>")
    return path


def case(name: str, inner: str = "") -> str:
    return f'<testcase classname="suite" name="{name}">{inner}</testcase>'


def test_errors_count_as_failures_and_skips_are_named(tmp_path: Path) -> None:
    cases = [case("a"), case("b", "<failure/>"), case("c", "<error/>"), case("d", "<skipped/>")]
    assert read_counts(report(tmp_path, *cases)) == (1, 2, ["suite::d"])


@pytest.mark.parametrize(
    ("outcome", "required", "failed"),
    [
        pytest.param(Outcome(suite=KERNEL, passed=3), {"root"}, 0, id="all passed"),
        pytest.param(Outcome(suite=KERNEL, passed=3, failed=2), set(), 2, id="failures always count"),
        pytest.param(
            Outcome(suite=KERNEL, absent=True, complaints=["x"]), {"root"}, 1, id="absent and listed"
        ),
        pytest.param(Outcome(suite=KERNEL, absent=True, complaints=["x"]), set(), 0, id="absent, not listed"),
        pytest.param(Outcome(suite=KERNEL, passed=1, complaints=["skipped: x"]), set(), 1, id="a skip"),
    ],
)
def test_what_makes_a_run_fail(
    outcome: Outcome, required: set[str], failed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert summarise([outcome], required) == failed
    assert capsys.readouterr().out.splitlines()[-1] == f"{outcome.passed} passed, {failed} failed"


def test_root_must_run_every_identity_and_a_user_only_those_listed() -> None:
    everyone = {suite.identity for suite in SUITES}
    assert must_run(None, root=True) == must_run("all", root=False) == everyone
    assert must_run(None, root=False) == {"caller"}
    assert must_run("root, vm", root=False) == {"caller", "root", "vm"}


def test_an_unknown_identity_is_refused() -> None:
    with pytest.raises(SystemExit, match="rooot"):
        must_run("rooot", root=True)


def test_every_identity_that_is_promised_has_its_suite() -> None:
    assert {"root", "user", "nosub", "nested", "vm"} <= {suite.identity for suite in SUITES}


def test_a_suite_that_does_not_end_is_stopped(tmp_path: Path) -> None:
    assert (
        run_limited(["sleep", "60"], limit_s=1, cwd=tmp_path, environment={"PATH": "/usr/bin:/bin"}) is None
    )


def test_lanes_run_side_by_side_and_their_results_keep_their_order() -> None:
    meet = threading.Barrier(3, timeout=60)

    def lane(name: str) -> str:
        meet.wait()
        return name

    assert side_by_side([partial(lane, name) for name in "abc"]) == ["a", "b", "c"]


def test_a_lane_that_breaks_ends_what_the_others_run(tmp_path: Path) -> None:
    others: list[int | None] = []
    started = tmp_path / "started"
    os.mkfifo(started)

    def waits() -> None:
        command = ["sh", "-c", "echo >started; exec sleep 100"]
        others.append(run_limited(command, limit_s=90, cwd=tmp_path, environment={"PATH": "/usr/bin:/bin"}))

    def breaks() -> None:
        started.read_text()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        side_by_side([breaks, waits])
    assert others == [-signal.SIGTERM]


def test_what_a_lane_prints_comes_in_one_piece(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with printed_at_the_end() as output:
        run_limited(
            ["echo", "guest"], limit_s=9, cwd=tmp_path, environment={"PATH": "/usr/bin:/bin"}, output=output
        )
        print("machine")
    assert capfd.readouterr().out == "machine\nguest\n"
