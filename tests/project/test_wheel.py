"""The built wheel: what it carries, and that it installs and runs on a machine without a compiler."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from source_tree import ROOT, files

LEFT_OUT = shutil.ignore_patterns(".git", ".venv", "build", "dist", "__pycache__", ".*_cache", "libexec")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, as a fresh clone would build it, with the tools of this environment."""
    folder = tmp_path_factory.mktemp("wheel")
    shutil.copytree(ROOT, folder / "source", ignore=LEFT_OUT, symlinks=True)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    tools = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        [*command, "--wheel-dir", str(folder), str(folder / "source")],
        env=os.environ | {"PATH": tools, "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel, made while no compiler can be found."""
    folder = tmp_path_factory.mktemp("installed")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    (folder / "empty").mkdir()
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin/python3"), "install", "--quiet"]
    done = subprocess.run(
        [*pip, "--no-index", "--no-deps", "--only-binary=:all:", str(wheel)],
        env={"PATH": str(folder / "empty"), "PIP_DISABLE_PIP_VERSION_CHECK": "1", "HOME": str(folder)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_one_wheel_serves_every_python(wheel: Path) -> None:
    assert wheel.name.split("-")[2:4] == ["py3", "none"]
    assert "linux" in wheel.name


def test_the_wheel_holds_the_whole_package_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    expected = {str(path.relative_to(ROOT / "src")) for path in files("src/nucleus", suffixes=(".py",))}
    (scripts,) = {name for name in names if ".data/scripts/" in name}
    assert scripts.endswith("/nucleus")
    assert (
        expected
        | {"nucleus/libexec/nucleus-launch", "nucleus/libexec/nucleus-log", "nucleus/libexec/nucleus-trace"}
        <= names
    )
    assert {
        name for name in names if "__pycache__" in name or name.endswith((".pyc", ".c", ".orig"))
    } == set()


def test_manual_pages_and_completions_lie_where_programs_look_for_them(installed: Path) -> None:
    share = installed / "share"
    pages = {path.name for path in (share / "man").rglob("nucleus*")}
    assert pages == {path.name for path in (ROOT / "man").iterdir()}
    assert (share / "man" / "man5" / "nucleus-launch-document.5").is_file()
    for name in (
        "bash-completion/completions/nucleus", "zsh/site-functions/_nucleus", "fish/vendor_completions.d/nucleus.fish",
    ):  # fmt: skip
        assert (share / name).read_text() == (ROOT / "completions" / Path(name).name).read_text()


def test_the_installed_programs_are_executable(installed: Path) -> None:
    programs = list(installed.glob("lib/python3*/site-packages/nucleus/libexec/nucleus-*"))
    assert {p.name: p.stat().st_mode & 0o777 for p in programs} == {
        "nucleus-launch": 0o755,
        "nucleus-log": 0o755,
        "nucleus-trace": 0o755,
    }


def test_the_installed_command_runs(installed: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [str(installed / "bin" / "nucleus"), "--version"],
        cwd=tmp_path,
        env={"PATH": "/nonexistent"},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("nucleus ")
