"""Which layer may import which, and what a pure layer may never import: read from the syntax trees."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest
from source_tree import PACKAGE, files, imports, module_name, shown, tree

PURE = ("base", "spec", "policy", "plan", "host.facts", "host.doctor", "state.record")
EFFECTS = ("launch", "cgroup", "network", "state", "image", "checkpoint", "gvisor", "observe", "host")

# What each room may import besides itself: arrows point downwards; siblings among the effects never meet.
BELOW = ("plan", "policy", "spec", "base", "host.facts")
ALLOWED: dict[str, tuple[str, ...]] = {
    "base": (),
    "host.facts": ("base",),
    "host.doctor": ("host.facts", "base"),
    "spec": ("base",),
    "policy": ("spec", "base"),
    "plan": ("policy", "spec", "base", "host.facts"),
    "state.record": ("base",),
    **{room: BELOW for room in EFFECTS},
    "container": (*EFFECTS, *BELOW),
    "sandbox": ("container", *EFFECTS, *BELOW),
    "aio": ("sandbox", "container", *EFFECTS, *BELOW),
    "topology": ("container", *EFFECTS, *BELOW),
    "oci": ("topology", "container", *EFFECTS, *BELOW),
    "integrations": ("topology", "container", "sandbox", "aio", *EFFECTS, *BELOW),
    "cli": ("topology", "container", "sandbox", *EFFECTS, *BELOW),
    "precompile": ("imports",),
    "imports": ("precompile",),
    "__main__": ("imports", "cli"),
}

# Whatever reads a clock, a file, randomness, the network or another process.
IMPURE = {
    *("asyncio", "ctypes", "fcntl", "glob", "io", "mmap", "multiprocessing", "os", "pathlib", "posix", "pwd"),
    *("grp", "random", "resource", "secrets", "select", "selectors", "shutil", "signal", "socket", "_socket"),
    *("ssl", "subprocess", "tempfile", "termios", "threading", "time", "datetime", "urllib", "uuid"),
}

# Of other people's code: only this, and of it only msgspec, which computes and nothing else, in a pure layer.
THIRD_PARTY = {"msgspec", "rich", "opentelemetry"}

SOURCES = files("src/nucleus", suffixes=(".py",))


def room(module: str) -> str:
    """nucleus.host.facts → host.facts, where the table names it; else the first folder."""
    inner = module.partition(".")[2]
    return inner if inner in ALLOWED else inner.partition(".")[0]


def within(inner: str, rooms: tuple[str, ...]) -> bool:
    return any(inner == name or inner.startswith(f"{name}.") for name in rooms)


def ids(path: Path) -> str:
    return shown(path)


@pytest.mark.parametrize("path", SOURCES, ids=ids)
def test_a_module_imports_only_from_its_own_room_and_below(path: Path) -> None:
    own = room(module_name(path))
    if not own:  # the package itself resolves its public names on demand and may name any layer
        return
    assert own in ALLOWED, f"{own} has no place among the layers"
    for target in imports(path, types_too=True):
        if target == "nucleus" or not target.startswith("nucleus."):
            continue
        inner = target.partition(".")[2]
        allowed = room(target) == own or within(inner, ALLOWED[own]) or room(target) in ALLOWED[own]
        assert allowed, f"{shown(path)} imports {target}; {own} may import {ALLOWED[own]}"


@pytest.mark.parametrize("path", [p for p in SOURCES if within(module_name(p)[8:], PURE)], ids=ids)
def test_a_pure_module_does_no_input_or_output(path: Path) -> None:
    outside = {target.partition(".")[0] for target in imports(path, types_too=False)} - {"nucleus"}
    assert not outside & IMPURE, f"{shown(path)} is pure"
    assert outside <= {*sys.stdlib_module_names, "msgspec"}, f"{shown(path)} needs other people's code"


@pytest.mark.parametrize("path", SOURCES, ids=ids)
def test_a_module_needs_only_the_declared_dependencies(path: Path) -> None:
    outside = {target.partition(".")[0] for target in imports(path, types_too=False)}
    assert outside <= {*sys.stdlib_module_names, *THIRD_PARTY, "nucleus"}


def test_the_package_imports_no_submodule_when_it_is_imported() -> None:
    path = PACKAGE / "__init__.py"
    eager = [node for node in tree(path).body if isinstance(node, ast.Import | ast.ImportFrom)]
    assert all(isinstance(node, ast.ImportFrom) and node.module == "__future__" for node in eager)
