"""How much the plain `run` path imports: start-up time is import time, so every module has to be wanted.

There are two lists: of a start whose options were asked for before (`container/reuse/again.py`), and of one that is
compiled.  A module that a change adds is added there by hand, with thought.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest
from source_tree import PACKAGE, ROOT

LIMIT, LIMIT_FIRST = 39, 81
# A start → its list, and how long it may be.  They may become shorter, and never longer.
LISTS = {"again": ("import_list.txt", LIMIT), "first": ("import_list_first.txt", LIMIT_FIRST)}
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
def imported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """The modules beyond `python -I -S` of `nucleus run --rm -- true`."""
    # Code that was changed just now is compiled by the first who meets it.
    observed(str(tmp_path_factory.mktemp("another")))
    root = tmp_path_factory.mktemp("state")
    first, deadline = observed(str(root)), time.monotonic() + 60
    while not any(plan.stat().st_size for plan in (root / "plans").iterdir()):
        assert time.monotonic() < deadline
        observed(
            str(root)
        )  # the second start keeps its plan; a later one where the code is not two seconds old
    return {"first": first, "again": observed(str(root))}


def observed(root: str) -> set[str]:
    python = [sys.executable, "-I", "-S"]
    words = [str(PACKAGE / "__main__.py"), "run", "--root", root, "--rm", "--", "/bin/true"]
    for _ in range(50):
        done = subprocess.run([*python, "-c", OBSERVER, *words], capture_output=True, text=True, cwd="/")
        if done.returncode != ASKS:
            break
        # What only a system call tells is asked once per boot and launcher; another checkout's may have been asked since.
        off = {**os.environ, "NUCLEUS_PLAN_CACHE": "0"}
        subprocess.run([*python, *words], capture_output=True, cwd="/", env=off)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def listed(start: str) -> set[str]:
    lines = (ROOT / "tests" / "project" / LISTS[start][0]).read_text(encoding="utf-8").splitlines()
    return {line for line in lines if line and not line.startswith("#")}


@pytest.mark.parametrize("start", LISTS)
def test_the_run_path_imports_no_more_modules_than_it_did(imported: dict[str, set[str]], start: str) -> None:
    assert len(imported[start]) <= LISTS[start][1]
    assert len(listed(start)) <= LISTS[start][1]


@pytest.mark.parametrize("start", LISTS)
def test_the_run_path_imports_nothing_heavy(imported: dict[str, set[str]], start: str) -> None:
    assert imported[start] & HEAVY == set()


@pytest.mark.parametrize("start", LISTS)
def test_every_module_of_the_run_path_is_on_the_committed_list(
    imported: dict[str, set[str]], start: str
) -> None:
    assert imported[start] - listed(start) == set()


@pytest.mark.parametrize("start", LISTS)
def test_the_committed_list_names_no_module_that_went_away(imported: dict[str, set[str]], start: str) -> None:
    own = {name for name in listed(start) if name.partition(".")[0] == "nucleus"}
    assert own - imported[start] == set()
