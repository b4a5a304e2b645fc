"""How much the plain `run` path imports: start-up time is import time, so every module has to be wanted.

The list is tests/project/import_list.txt; a module that a change adds is added there by hand, with thought.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from source_tree import PACKAGE, ROOT

LIST = ROOT / "tests" / "project" / "import_list.txt"
# The goal is 40; many small rooms have brought it to more, and `nucleus.imports` has made each of them cost less.
# It may fall, and never grow.
LIMIT = 72
HEAVY = {
    *(
        "typing",
        "dataclasses",
        "inspect",
        "enum",
        "subprocess",
        "asyncio",
        "json",
        "re",
        "argparse",
        "pathlib",
    ),
    *("collections", "collections.abc", "functools", "contextlib", "tempfile", "shutil", "ctypes", "msgspec"),
    *("site", "socket", "threading", "logging", "importlib.metadata"),
}

# Runs the command as bin/nucleus does, and stops at the moment in which it would become the launcher, or ask it.
ASKS = 75
OBSERVER = """
import sys
before = set(sys.modules)
main, *sys.argv[1:] = sys.argv[1:]
sys.argv[0] = main
def observe(event, arguments):
    if event == "os.posix_spawn":
        raise SystemExit(75)
    if event == "os.exec":
        names = sorted(set(sys.modules) - before)
        sys.stdout.write("".join(name + chr(10) for name in names))
        sys.stdout.flush()
        raise SystemExit(0)
sys.addaudithook(observe)
with open(main) as file:
    code = compile(file.read(), main, "exec")
exec(code, {"__name__": "__main__", "__file__": main, "__package__": None})
"""


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The modules beyond `python -I -S` of `nucleus run --rm -- true`."""
    command = [sys.executable, "-I", "-S", "-c", OBSERVER, str(PACKAGE / "__main__.py")]
    command += ["run", "--root", str(tmp_path_factory.mktemp("state")), "--rm", "--", "/bin/true"]
    for _ in range(50):
        done = subprocess.run(command, capture_output=True, text=True, cwd=Path("/"))
        if done.returncode != ASKS:
            break
        # What only a system call tells is asked once per boot and launcher; another checkout's may have been asked since.
        subprocess.run([*command[:3], *command[5:]], capture_output=True, cwd=Path("/"))
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def listed() -> set[str]:
    lines = LIST.read_text(encoding="utf-8").splitlines()
    return {line for line in lines if line and not line.startswith("#")}


def test_the_run_path_imports_no_more_modules_than_it_did(imported: set[str]) -> None:
    assert len(imported) <= LIMIT


def test_the_run_path_imports_nothing_heavy(imported: set[str]) -> None:
    assert imported & HEAVY == set()


def test_every_module_of_the_run_path_is_on_the_committed_list(imported: set[str]) -> None:
    assert imported - listed() == set()


def test_the_committed_list_names_no_module_that_went_away(imported: set[str]) -> None:
    own = {name for name in listed() if name.partition(".")[0] == "nucleus"}
    assert own - imported == set()
    assert len(listed()) <= LIMIT
