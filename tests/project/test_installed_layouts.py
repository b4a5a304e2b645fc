"""The command finds its package and interpreter in every layout in which installers put them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from source_tree import ROOT

OWN = f"python{sys.version_info.major}.{sys.version_info.minor}"
NONE = "python3.99"
REPORT = "import sys\nprint(sys.flags.isolated, sys.flags.no_site, __file__, *sys.argv[1:], sep='|')\n"


def install(prefix: Path, library: str) -> Path:
    """The command in bin and a package that tells how it was started."""
    package = prefix / library / "nucleus"
    package.mkdir(parents=True)
    (package / "__main__.py").write_text(REPORT)
    (prefix / "bin").mkdir(exist_ok=True)
    shutil.copy(ROOT / "bin" / "nucleus", prefix / "bin" / "nucleus")
    return prefix / "bin" / "nucleus"


def run(command: Path, *arguments: str, path: str = "/nonexistent") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(command), *arguments], env={"PATH": path}, capture_output=True, text=True, cwd="/", timeout=60
    )


@pytest.mark.parametrize(
    "library",
    [
        pytest.param(f"lib/{OWN}/site-packages", id="virtual environment, user site"),
        pytest.param(f"lib/{OWN}/dist-packages", id="pip of Debian's root, in /usr/local"),
        pytest.param(f"local/lib/{OWN}/dist-packages", id="pip of Debian's root, in /usr"),
        pytest.param("lib/python3/dist-packages", id="a Debian package"),
        pytest.param("src", id="a checkout"),
    ],
)
def test_the_command_starts_the_package_isolated(tmp_path: Path, library: str) -> None:
    command = install(tmp_path, library)
    (tmp_path / "bin" / OWN).symlink_to(sys.executable)
    done = run(command, "run", "--", "two words", "")
    assert done.stderr == ""
    isolated, no_site, started, *arguments = done.stdout.rstrip("\n").split("|")
    assert (isolated, no_site) == ("1", "1")
    assert Path(started).samefile(tmp_path / library / "nucleus" / "__main__.py")
    assert arguments == ["run", "--", "two words", ""]


def test_the_search_path_chooses_no_interpreter_for_root(tmp_path: Path) -> None:
    command = install(tmp_path, f"lib/{NONE}/site-packages")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / NONE).symlink_to(sys.executable)
    done = run(command, "--version", path=str(elsewhere))
    if os.geteuid() == 0:
        assert done.returncode == 125
        assert "remedy:" in done.stderr
    else:
        assert done.stdout.startswith("1|1|")


def test_a_missing_package_and_a_missing_interpreter_are_named_with_a_remedy(tmp_path: Path) -> None:
    command = install(tmp_path, f"lib/{NONE}/site-packages")
    no_interpreter = run(command)
    shutil.rmtree(tmp_path / "lib")
    no_package = run(command)
    for done, word in ((no_interpreter, "interpreter"), (no_package, "package")):
        assert done.returncode == 125
        assert word in done.stderr
        assert "remedy:" in done.stderr
