"""The command must not import or read anything that the working directory or the environment offers."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from source_tree import ROOT

COMMAND = ROOT / "bin" / "nucleus"
HOSTILE = "import os\nos.write(2, b'HOSTILE CODE RAN\\n')\nos._exit(66)\n"
NAMES = ("msgspec", "nucleus", "sitecustomize", "usercustomize", "os", "json", "encodings", "struct")


def run(
    *arguments: str, cwd: Path, command: Path = COMMAND, **variables: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(command), *arguments],
        cwd=cwd,
        env={"PATH": "/usr/bin:/bin", **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.fixture
def trap(tmp_path: Path) -> Path:
    """A folder full of modules that tell when they are imported."""
    for name in NAMES:
        (tmp_path / f"{name}.py").write_text(HOSTILE)
    package = tmp_path / "hostile" / "nucleus"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(HOSTILE)
    (tmp_path / "pyvenv.cfg").write_text(f"home = {tmp_path}\n")
    (tmp_path / "python3").write_text("#!/bin/sh\necho HOSTILE CODE RAN >&2\nexit 66\n")
    (tmp_path / "python3").chmod(0o755)
    for version in range(11, 15):
        os.link(tmp_path / "python3", tmp_path / f"python3.{version}")
    return tmp_path


def assert_harmless(done: subprocess.CompletedProcess[str]) -> None:
    assert "HOSTILE" not in done.stderr + done.stdout
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("nucleus ")


def test_modules_in_the_working_directory_are_not_imported(trap: Path) -> None:
    assert_harmless(run("--version", cwd=trap))


@pytest.mark.parametrize(
    "variable",
    [
        "PYTHONPATH",
        "PYTHONSTARTUP",
        "PYTHONHOME",
        "PYTHONUSERBASE",
        "PYTHONPLATLIBDIR",
        "PYTHONEXECUTABLE",
        "PATH",
    ],
)
def test_variables_that_steer_the_interpreter_are_ignored(trap: Path, variable: str) -> None:
    value = str(trap / "os.py") if variable == "PYTHONSTARTUP" else f"{trap}:{trap}/hostile"
    assert_harmless(run("--version", cwd=trap, **{variable: value}))


@pytest.mark.parametrize("variable", ["PYTHONINSPECT", "PYTHONDEBUG", "PYTHONVERBOSE", "PYTHONWARNINGS"])
def test_variables_that_make_the_interpreter_talk_are_ignored(trap: Path, variable: str) -> None:
    done = run("--version", cwd=trap, **{variable: "1"})
    assert_harmless(done)
    assert done.stderr == ""


def test_the_command_works_through_a_symbolic_link_and_by_a_relative_path(trap: Path) -> None:
    link = trap / "somewhere"
    link.symlink_to(COMMAND)
    assert_harmless(run("--version", cwd=trap, command=link))
    assert_harmless(run("--version", cwd=COMMAND.parent, command=Path("../bin/nucleus")))


def test_a_document_is_decoded_without_a_hostile_msgspec(trap: Path) -> None:
    (trap / "launch.toml").write_text('no-such-key = "1"\n')
    done = run("explain", "run", "--config", "launch.toml", "--", "true", cwd=trap)
    assert "HOSTILE" not in done.stderr + done.stdout
    assert done.returncode == 125
    assert "no-such-key" in done.stderr
    assert "Traceback" not in done.stderr
