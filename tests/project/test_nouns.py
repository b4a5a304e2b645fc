"""One test per noun: what Nucleus consists of is proven somewhere, and the proofs that belong to no other room."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from nouns import functions, nouns, unproven
from source_tree import ROOT

from nucleus.cli.main import VERBS
from nucleus.spec.options import OPTIONS


@pytest.mark.parametrize("noun", nouns())
def test_a_noun_has_a_test(noun: str) -> None:
    tests = nouns()[noun]
    assert tests
    missing = [t for t in tests if t.partition("::")[2] not in functions(t.partition("::")[0])]
    assert missing == []


def test_no_option_and_no_verb_is_without_a_row() -> None:
    rows = set(nouns())
    assert {f"option {o.flag}" for o in OPTIONS} - rows == set()
    assert {f"verb {v}" for v in VERBS} - rows == set()
    gone = {f"option {o.flag}" for o in OPTIONS} | {f"verb {v}" for v in VERBS}
    assert {r for r in rows if r.startswith(("option ", "verb "))} - gone == set()


def test_a_noun_whose_test_did_not_pass_is_unproven() -> None:
    everything = {t for tests in nouns().values() for t in tests}
    assert unproven(everything) == []
    one = "kernel/test_life.py::test_exit_codes"
    assert {line.partition(": ")[0] for line in unproven(everything - {one})} == {
        "verb run", "exit codes 124, 125, 126, 127, 128+n",
    }  # fmt: skip


# ---- proofs of the repository's own nouns --------------------------------------------------------


def test_the_demo_prints_its_result_and_the_isolation_that_was_in_force(tmp_path: Path) -> None:
    environment = os.environ | {"NUCLEUS_STATE_DIR": str(tmp_path / "state")}
    done = subprocess.run(
        [ROOT / "demo" / "run"], env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = done.stdout + done.stderr
    assert "OK" in said.splitlines(), "the demo project's own tests passed"
    for word in ("capabilit", "no_new_privs", "seccomp", "launch plan"):
        assert word in said.lower(), word


def test_the_setup_asks_before_it_changes_the_machine() -> None:
    script = '. tools/lib-setup.sh; confirm "Install something?"; echo went on'
    environment = {k: v for k, v in os.environ.items() if k != "ASSUME_YES"}
    refused = subprocess.run(
        ["bash", "-c", script], cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert refused.returncode and "ASSUME_YES=1" in refused.stderr and "went on" not in refused.stdout
    agreed = subprocess.run(
        ["bash", "-c", script], cwd=ROOT, env=environment | {"ASSUME_YES": "1"}, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert agreed.stdout == "went on\n"


def test_continuous_integration_runs_check_and_test(tmp_path: Path) -> None:
    make = tmp_path / "make"
    make.write_text(f'#!/bin/sh\necho "$* $ASSUME_YES $NUCLEUS_MUST_RUN" >>{tmp_path}/calls\n')
    make.chmod(0o755)
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    subprocess.run([ROOT / ".ci" / "run"], env=environment, capture_output=True, timeout=60, check=True)
    assert (tmp_path / "calls").read_text() == "check 1 all\ntest 1 all\n"


def test_a_short_soak_leaves_nothing_over() -> None:
    done = subprocess.run(
        [sys.executable, "tools/soak.py", "--seconds", "2", "--at-once", "2", "--seed", "1"], cwd=ROOT,
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
