"""Builds files of the launcher for tests: hosted, with sanitizers, with other seams.  ✗ asserts nothing."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LAUNCHER = ROOT / "launcher"
WARNINGS = ("-Wall", "-Wextra", "-Werror", "-Wshadow", "-Wconversion", "-Wswitch-enum")
SANITIZED = (
    "-g",
    "-O1",
    "-fno-omit-frame-pointer",
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover=all",
)
FREESTANDING = (
    *("-O2", "-ffreestanding", "-fno-stack-protector", "-fno-pie", "-fno-asynchronous-unwind-tables"),
    *("-U_FORTIFY_SOURCE", "-fno-tree-loop-distribute-patterns", "-nostdlib", "-static", "-no-pie"),
)


def compiler() -> str:
    """gcc where it is installed: any C11 compiler builds the launcher."""
    found = shutil.which("gcc") or shutil.which("cc")
    assert found, "no C compiler: tools/setup-test.sh installs one"
    return found


def build(output: Path, sources: tuple[str, ...], flags: tuple[str, ...]) -> Path:
    """Compiles files of launcher/ into one program or library; the compiler's complaints fail the test."""
    files = [str(LAUNCHER / name) for name in sources]
    command = [compiler(), "-std=gnu11", *WARNINGS, *flags, f"-I{LAUNCHER}", *files, "-o", str(output)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return output
