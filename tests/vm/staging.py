"""The project as the guest gets it: sources, launcher, tests, the Python packages they need.  ✗ runs nothing.

The guest has no network and no compiler, so all it needs travels on the project disk, byte code included: to
compile it again in an emulator would cost more than the tests.
"""

from __future__ import annotations

import compileall
import importlib.metadata
import py_compile
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from packaging.requirements import Requirement

PROJECT = Path(__file__).resolve().parents[2]
STAGED = ("src", "tests", "bin", "demo", "pyproject.toml")
NEVER_STAGED = shutil.ignore_patterns(
    "__pycache__", ".git", ".venv", ".*_cache", ".hypothesis", "*.egg-info", "*.o"
)
PACKAGES = ("pytest", "hypothesis", "msgspec")
# Bookworm's interpreter, which compiled modules must fit.
GUEST_PYTHON = (3, 11)


def stage(into: Path, also: Iterable[Path] = ()) -> None:
    """Fills the folder `into`; `also`: more files or folders of the project, e.g. probes built elsewhere."""
    for name in STAGED:
        if (PROJECT / name).exists():
            _copy(PROJECT / name, into / name)
    for path in also:
        _copy(path.resolve(), into / path.resolve().relative_to(PROJECT))
    site = into / "site"
    site.mkdir()
    if sys.version_info[:2] == GUEST_PYTHON:
        for distribution in _closure(PACKAGES):
            _copy_distribution(distribution, site)
        # Without regard to times: the guest's clock and the disk's stamps need not agree.
        unchecked = py_compile.PycInvalidationMode.UNCHECKED_HASH
        compileall.compile_dir(
            into, quiet=2, stripdir=into, prependdir=Path("/project"), invalidation_mode=unchecked
        )
    else:
        _download(site)


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True, ignore=NEVER_STAGED, dirs_exist_ok=True)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)


def _closure(names: Iterable[str]) -> list[importlib.metadata.Distribution]:
    """The installed distributions of these names, and of all they require here."""
    found: dict[str, importlib.metadata.Distribution] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found[name] = importlib.metadata.distribution(name)
        for text in found[name].requires or ():
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting.append(requirement.name.lower())
    return list(found.values())


def _copy_distribution(distribution: importlib.metadata.Distribution, site: Path) -> None:
    for file in distribution.files or ():
        if ".." in file.parts or "__pycache__" in file.parts:  # commands in bin/, byte code of another path
            continue
        target = site / file
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(str(distribution.locate_file(file)), target)


def _download(site: Path) -> None:
    """For an interpreter whose compiled modules do not fit the guest's."""
    version = "{}.{}".format(*GUEST_PYTHON)
    fitting = ["--only-binary=:all:", "--python-version", version, "--platform", "manylinux2014_x86_64"]
    wanted = [f"{name}=={importlib.metadata.version(name)}" for name in PACKAGES]
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(site)]
    subprocess.run([*pip, *fitting, *wanted], check=True)
