"""The size and the manners of source files: lengths, docstrings, names, unfinished work."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from source_tree import ROOT, files, shown, tree

PYTHON = files("src", "tools", "tests", "demo", "bench", suffixes=(".py",))
PACKAGE = files("src", suffixes=(".py",))
C = files("launcher", "tests", suffixes=(".c", ".h"))
MAX_FILE, MAX_FUNCTION = 500, 60

# Tables: data with one line per entry may be longer than code may.
TABLES = {
    "src/nucleus/policy/syscall_tables.py",
    "src/nucleus/policy/seccomp_prebuilt.py",
}

# Written so that this file does not contain the words that it looks for.
UNFINISHED = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X|HA" + r"CK|NotImplemented" + r"Error)\b")
BANNED_NAMES = {"utils.py", "helpers.py", "misc.py", "common.py", "util.py"}


def ids(path: Path) -> str:
    return shown(path)


def c_functions(text: str) -> list[tuple[str, int]]:
    """Name and length in lines of each function: a body opens and closes with a brace in the first column."""
    found, start, name = [], 0, ""
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("{") or (line.rstrip().endswith("{") and re.match(r"[A-Za-z_].*\(", line)):
            start = number
            name = line if not line.startswith("{") else text.splitlines()[number - 2]
        elif line.startswith("}") and start:
            if not line.startswith("};"):
                found.append((name.strip(), number - start + 1))
            start = 0
    return found


@pytest.mark.parametrize("path", PYTHON + C, ids=ids)
def test_a_file_has_at_most_500_lines(path: Path) -> None:
    if shown(path) not in TABLES:
        assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_FILE


@pytest.mark.parametrize("path", PYTHON, ids=ids)
def test_a_python_function_has_at_most_60_lines(path: Path) -> None:
    functions = (n for n in ast.walk(tree(path)) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))
    lengths = {node.name: (node.end_lineno or 0) - node.lineno + 1 for node in functions}
    assert {name: n for name, n in lengths.items() if n > MAX_FUNCTION} == {}


@pytest.mark.parametrize("path", C, ids=ids)
def test_a_c_function_has_at_most_60_lines(path: Path) -> None:
    long = [entry for entry in c_functions(path.read_text(encoding="utf-8")) if entry[1] > MAX_FUNCTION]
    assert long == []


@pytest.mark.parametrize("path", PACKAGE, ids=ids)
def test_a_module_says_what_lives_there_and_what_must_not(path: Path) -> None:
    docstring = ast.get_docstring(tree(path)) or ""
    assert docstring, "no docstring"
    assert path.name == "__init__.py" or "✗" in docstring, (
        "the docstring does not say what must not live here"
    )


@pytest.mark.parametrize("path", C, ids=ids)
def test_a_c_file_begins_by_saying_what_it_holds(path: Path) -> None:
    assert path.read_text(encoding="utf-8").startswith("/*")


@pytest.mark.parametrize("path", PYTHON + C, ids=ids)
def test_nothing_unfinished_is_left(path: Path) -> None:
    assert UNFINISHED.findall(path.read_text(encoding="utf-8")) == []


def test_no_file_has_a_name_that_says_nothing() -> None:
    assert [shown(path) for path in PYTHON if path.name in BANNED_NAMES] == []


@pytest.mark.parametrize("path", PYTHON, ids=ids)
def test_no_error_is_swallowed_whole(path: Path) -> None:
    swallowed = [
        node.lineno
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ExceptHandler)
        and all(isinstance(statement, ast.Pass) for statement in node.body)
        and (node.type is None or (isinstance(node.type, ast.Name) and node.type.id.endswith("Exception")))
    ]
    assert swallowed == []


@pytest.mark.parametrize(
    ("name", "says"),
    [
        pytest.param("LICENSE", "Apache License", id="licence"),
        pytest.param("README.md", "make demo", id="readme"),
        pytest.param("CHANGELOG.md", "## Unreleased", id="changelog"),
        pytest.param("CONTRIBUTING.md", "make check", id="contributing"),
        pytest.param("SECURITY.md", "Reporting", id="security"),
    ],
)
def test_the_pages_that_a_newcomer_looks_for_are_there(name: str, says: str) -> None:
    assert says in (ROOT / name).read_text(encoding="utf-8")


def test_the_two_commands_stand_on_the_first_screen_of_the_readme() -> None:
    first_screen = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()[:24]
    assert [line.split()[1] for line in first_screen if line.startswith("    make ")] == ["demo", "test"]
