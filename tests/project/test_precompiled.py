"""The command and the one file of its modules, as a whole: a copy of the package is started as bin/nucleus starts it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from source_tree import PACKAGE

from nucleus.imports import FILE

# What the first start needs before the file is there.
OWN_FILES = (("__init__", "pyc"), ("imports", "pyc"), ("nucleus", "modules"), ("precompile", "pyc"))


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A copy of the package without byte code."""
    copy = tmp_path / "lib" / "nucleus"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


def start(package: Path, *arguments: str, flags: str = "-IS", **variables: str) -> str:
    done = subprocess.run(
        [sys.executable, flags, str(package / "__main__.py"), *arguments],
        env={"PATH": "/usr/bin:/bin", **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        cwd="/",
        timeout=60,
    )
    return done.stdout + done.stderr


def change(path: Path, text: str) -> None:
    """Appends to a source, as long ago as an editor's change is when somebody starts the command."""
    path.write_text(path.read_text() + text)
    then = time.time_ns() - 10**9
    os.utime(path, ns=(then, then))


def byte_code(package: Path) -> list[str]:
    return sorted(path.name for path in package.rglob("__pycache__/*"))


def test_the_first_start_writes_one_file_and_no_module_needs_its_own(package: Path) -> None:
    version = start(package, "version")
    assert version.startswith("nucleus ")
    tag = sys.implementation.cache_tag
    expected = [f"{name}.{tag}.{end}" for name, end in OWN_FILES]
    assert byte_code(package) == expected
    written = (package / "__pycache__" / FILE).stat().st_ino
    assert start(package, "version") == version
    assert "run a command" in start(package, "help")
    assert byte_code(package) == expected
    assert (package / "__pycache__" / FILE).stat().st_ino == written


def test_a_command_that_may_write_no_byte_code_starts_without(package: Path) -> None:
    assert start(package, "version", flags="-BIS").startswith("nucleus ")
    assert byte_code(package) == []


def test_a_changed_source_is_what_runs_and_what_a_traceback_shows(package: Path) -> None:
    start(package, "version")
    change(package / "cli" / "ps.py", "\n\ndef main(argv: list[str]) -> int:\n    return int('seven')\n")
    for _ in range(2):
        shown = start(package, "ps", NUCLEUS_DEBUG="1")
        assert "this is a bug: ValueError" in shown
        assert f'File "{package}/cli/ps.py"' in shown and "return int('seven')" in shown
        assert "imports.py" not in shown.partition("cli/main.py")[2]


def test_a_damaged_file_stops_no_command_and_is_mended(package: Path) -> None:
    version = start(package, "version")
    file = package / "__pycache__" / FILE
    whole = file.read_bytes()
    for size in (0, 11, 27, 1000, len(whole) // 2, len(whole) - 1):
        file.write_bytes(whole[:size])
        assert start(package, "version") == version
        assert file.read_bytes() == whole
