"""Each test that docs/security.md and README.md name exists, and each promise names one."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from source_tree import ROOT, tree

PAGES = ("docs/security.md", "README.md")
NAMED = re.compile(r"`((?:tests/)?[\w/]+\.py)(?:::(\w+))?`")
ROW = re.compile(r"^\| (?!---|Promise|Layer|Aim|Option)(.+) \|$", re.M)
PROMISES = re.compile(r"^## What is promised$(.*?)^## ", re.M | re.S)
AIMS = re.compile(r"^## What the command may want$(.*?)^## ", re.M | re.S)
OPTIONS = re.compile(r"^## Options that take a promise away$(.*?)^## ", re.M | re.S)
LAYERS = re.compile(r"^## What is in force by default$(.*?)^## ", re.M | re.S)


def functions(path: Path) -> set[str]:
    return {node.name for node in ast.walk(tree(path)) if isinstance(node, ast.FunctionDef)}


def named_tests(text: str) -> list[tuple[str, str]]:
    """(file, function or "") of every test that a text names; a bare file lies in tests/kernel."""
    return [
        (file if file.startswith("tests/") else f"tests/kernel/{file}", function)
        for file, function in NAMED.findall(text)
        if file.rpartition("/")[2].startswith("test_")
    ]


def section(page: str, pattern: re.Pattern[str]) -> str:
    found = pattern.search((ROOT / page).read_text(encoding="utf-8"))
    assert found is not None, f"{page} has lost its section"
    return found[1]


@pytest.mark.parametrize("page", PAGES)
def test_every_test_that_a_page_names_exists(page: str) -> None:
    named = named_tests((ROOT / page).read_text(encoding="utf-8"))
    assert named
    missing = [
        f"{file}::{function}"
        for file, function in named
        if not (ROOT / file).is_file() or (function and function not in functions(ROOT / file))
    ]
    assert missing == []


@pytest.mark.parametrize(
    ("page", "pattern"),
    [
        ("docs/security.md", PROMISES),
        ("docs/security.md", AIMS),
        ("docs/security.md", OPTIONS),
        ("README.md", LAYERS),
    ],
)
def test_every_promise_names_its_test(page: str, pattern: re.Pattern[str]) -> None:
    rows = ROW.findall(section(page, pattern))
    assert len(rows) > 5
    assert [row for row in rows if not named_tests(row)] == []
