"""Every example of the pages runs, and prints what the page shows.

The examples of one page share a directory with copies of `demo` and `examples`, and run in order.  Those that
say what they need (`root`, `user`, `cgroup`) run where that is there; as root, `user` means nucleus-test.
"""

from __future__ import annotations

import functools
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from doc_blocks import CONDITIONS, FILES, RUN, Block, blocks_of, expected
from source_tree import ROOT, shown

PAGES = [
    page
    for page in sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
    if any(block.language in (*RUN, *FILES) for block in blocks_of(page))
]
TEST_USER = "nucleus-test"
LIMIT_S = 240  # several commands, on a machine that may be busy


class Shelf:
    """A directory for the examples of one page and one identity."""

    def __init__(self, *, as_user: bool) -> None:
        # The state lies beside the examples: a workspace must not hold it.
        self.top = Path(tempfile.mkdtemp(prefix="nucleus-docs-"))
        self.folder = self.top / "examples"
        self.folder.mkdir()
        self.prefix: tuple[str, ...] = ()
        shutil.copytree(ROOT / "demo", self.folder / "demo", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copytree(ROOT / "examples", self.folder / "examples")
        (self.top / "home").mkdir()
        if as_user and os.geteuid() == 0:
            self.prefix = user_prefix()
            account = pwd.getpwnam(TEST_USER)
            for path in (self.top, *self.top.rglob("*")):
                os.chown(path, account.pw_uid, account.pw_gid)

    def run(self, block: Block) -> subprocess.CompletedProcess[str]:
        """Runs an example; the streams come together, as on a terminal."""
        command = ("sh", "-ec") if block.language == "sh" else (sys.executable, "-c")
        return subprocess.run(
            (*self.prefix, *command, block.text),
            cwd=self.folder, env=self._environment(), text=True, errors="replace", timeout=LIMIT_S,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": f"{ROOT / 'bin'}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
            "PYTHONPATH": str(ROOT / "src"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "HOME": str(self.top / "home"),
            "NUCLEUS_STATE_DIR": str(self.top / "state"),
            "LANG": "C.UTF-8",
        }


def user_prefix() -> tuple[str, ...]:
    """The command that makes root that ordinary user."""
    account = pwd.getpwnam(TEST_USER)
    become = ("setpriv", f"--reuid={TEST_USER}", f"--regid={account.pw_gid}", "--init-groups")
    return (*become, "--inh-caps=-all", "env", f"USER={TEST_USER}")


@functools.cache
def holds(condition: str) -> bool:
    """Whether what an example needs is there."""
    nucleus = (str(ROOT / "bin" / "nucleus"),)
    if condition == "root":
        return os.geteuid() == 0
    if condition == "user":
        if os.geteuid():
            return True
        try:
            return subprocess.run((*user_prefix(), *nucleus, "version"), capture_output=True).returncode == 0
        except KeyError:
            return False
    asked = (*nucleus, "run", "--rm", "--memory", "64M", "--cpus", "1", "--pids", "64", "--", "true")
    return subprocess.run(asked, capture_output=True, stdin=subprocess.DEVNULL).returncode == 0


@pytest.fixture
def shelves() -> Iterator[dict[bool, Shelf]]:
    made: dict[bool, Shelf] = {}
    yield made
    for shelf in made.values():
        shutil.rmtree(shelf.top)


@pytest.mark.parametrize("page", PAGES, ids=shown)
def test_the_examples_of_a_page_run_and_print_what_it_shows(page: Path, shelves: dict[bool, Shelf]) -> None:
    for block in blocks_of(page):
        where = f"{shown(page)}:{block.line}"
        if not all(holds(word) for word in block.words if word in CONDITIONS):
            continue
        as_user = "user" in block.words
        shelf = (
            shelves.setdefault(as_user, Shelf(as_user=as_user))
            if as_user not in shelves
            else shelves[as_user]
        )
        if block.language in FILES and block.words:
            (shelf.folder / block.words[0]).write_text(block.text, encoding="utf-8")
        elif block.language in RUN:
            done = shelf.run(block)
            assert done.returncode == 0, f"{where}: exit code {done.returncode}\n{done.stdout}"
            shown_output = block.output
            if shown_output is not None:
                assert expected(shown_output).match(done.stdout), f"{where} printed\n{done.stdout}"


@pytest.mark.parametrize("page", PAGES, ids=shown)
def test_an_example_says_what_it_is(page: Path) -> None:
    for block in blocks_of(page):
        where = f"{shown(page)}:{block.line}"
        assert block.language in (*RUN, *FILES), f"{where}: ```{block.language} is neither run nor a file"
        if block.language in FILES:
            assert len(block.words) == 1, f"{where}: name the file: ```{block.language} NAME.{block.language}"
        else:
            assert set(block.words) <= set(CONDITIONS), f"{where}: unknown words {block.words}"
