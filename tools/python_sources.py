"""Lists the files of the package for meson, one a line.  ✗ decides nothing else.

Built files (libexec) and byte code are left out; what remains is what a wheel may carry.
"""

from __future__ import annotations

import sys
from pathlib import Path

_SUFFIXES = {".py", ".pyi", ".typed", ".json", ".txt", ".toml"}


def sources(folder: Path) -> list[str]:
    """Paths below `folder`/nucleus that belong into a wheel, sorted."""
    package = folder / "nucleus"
    found = (path for path in package.rglob("*") if path.is_file())
    return sorted(
        str(path.relative_to(folder))
        for path in found
        if (path.suffix in _SUFFIXES or path.name == "py.typed")
        and not {"__pycache__", "libexec"} & set(path.relative_to(package).parts)
    )


if __name__ == "__main__":
    print("\n".join(sources(Path(sys.argv[1]))))
