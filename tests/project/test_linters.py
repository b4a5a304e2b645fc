"""The linters are tests as well, and what is generated is fresh."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from source_tree import ROOT

GENERATORS = sorted((ROOT / "tools").glob("gen_*.py"))


def run(*command: str) -> None:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def shell_scripts() -> list[str]:
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.split("\n")
    return [name for name in listed if name and is_shell(ROOT / name)]


def is_shell(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        first = file.readline(100).strip()
    return (first.startswith(b"#!") and first.endswith(b"sh")) or first.startswith(b"# shellcheck shell=")


def test_ruff_finds_nothing() -> None:
    run(sys.executable, "-m", "ruff", "check", "--no-cache", "--quiet", ".")


def test_every_python_file_is_formatted() -> None:
    run(sys.executable, "-m", "ruff", "format", "--no-cache", "--check", "--quiet", ".")


def test_the_types_hold() -> None:
    run(sys.executable, "-m", "mypy", "--no-error-summary")


def test_shellcheck_finds_nothing() -> None:
    scripts = shell_scripts()
    assert "bin/nucleus" in scripts
    run("shellcheck", "--severity=style", "--external-sources", *scripts)


@pytest.mark.parametrize("generator", GENERATORS, ids=lambda path: path.name)
def test_generated_files_are_fresh(generator: Path) -> None:
    run(sys.executable, str(generator), "--check")
