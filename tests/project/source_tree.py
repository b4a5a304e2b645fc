"""What the project's own tests share: the files of the checkout and their syntax trees.  ✗ judges nothing."""

from __future__ import annotations

import ast
import functools
import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "nucleus"
_SKIPPED = {"__pycache__", "libexec", ".venv", ".git"}


def files(*folders: str, suffixes: tuple[str, ...]) -> list[Path]:
    """Files with one of the suffixes below folders of the checkout, sorted; built ones are left out."""
    found = []
    for folder in folders:
        for parent, children, names in os.walk(ROOT / folder):
            children[:] = [
                child for child in children if child not in _SKIPPED and not child.startswith("build")
            ]
            found += [Path(parent, name) for name in names if Path(name).suffix in suffixes]
    return sorted(found)


def shown(path: Path) -> str:
    """The path as a reader would name it."""
    return str(path.relative_to(ROOT))


@functools.cache
def tree(path: Path) -> ast.Module:
    """The syntax tree of a Python file."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def module_name(path: Path) -> str:
    """src/nucleus/plan/schema.py → nucleus.plan.schema"""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _guarded(node: ast.If) -> bool:
    return isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def runtime_nodes(module: ast.Module) -> list[ast.AST]:
    """Every node that can run: what stands under `if TYPE_CHECKING:` is left out."""
    found: list[ast.AST] = []
    waiting: list[ast.AST] = [module]
    while waiting:
        node = waiting.pop()
        found.append(node)
        if isinstance(node, ast.If) and _guarded(node):
            waiting += node.orelse
        else:
            waiting += ast.iter_child_nodes(node)
    return found


def imports(path: Path, *, types_too: bool) -> set[str]:
    """Absolute names of all modules that a file of the package imports, also inside functions."""
    module = tree(path)
    name = module_name(path)
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    found: set[str] = set()
    for node in ast.walk(module) if types_too else runtime_nodes(module):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*parts, *([node.module] if node.module else [])])
            found |= _targets(base, [alias.name for alias in node.names])
    return found


def _targets(base: str, names: list[str]) -> set[str]:
    """`from base import name` means base.name where that is a module of the package, else base."""
    folder = PACKAGE.parent / Path(*base.split("."))
    return {
        f"{base}.{name}" if (folder / f"{name}.py").exists() or (folder / name).is_dir() else base
        for name in names
    }
