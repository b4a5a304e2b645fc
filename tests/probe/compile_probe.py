"""Compiles the probe, once: `python3 tests/probe/compile_probe.py` prints its path.  ✗ runs it.

A machine without a compiler takes what is in build/: the virtual machine's runner compiles before it copies.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROBE = HERE / "build" / "probe"
FLAGS = ("-static", "-O1", "-std=gnu11", "-Wall", "-Wextra")


def sources() -> list[Path]:
    """The probe's files."""
    return sorted([*HERE.glob("*.c"), *HERE.glob("*.h")])


def compile_probe() -> Path:
    """The probe's path; compiled anew when a source is younger."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    made = PROBE.stat().st_mtime if PROBE.exists() else 0.0
    if compiler is None and made:
        return PROBE
    if compiler is None:
        raise FileNotFoundError(
            f"neither {PROBE} nor a compiler is here: run {Path(__file__).name} where there is one"
        )
    if made < max(source.stat().st_mtime for source in sources()):
        PROBE.parent.mkdir(exist_ok=True)
        new = PROBE.with_suffix(f".{os.getpid()}")
        words = [compiler, *FLAGS, "-o", str(new), *[str(s) for s in sources() if s.suffix == ".c"]]
        subprocess.run(words, check=True)
        new.chmod(0o755)
        new.replace(PROBE)
    return PROBE


if __name__ == "__main__":
    sys.stdout.write(f"{compile_probe()}\n")
