"""The build backend: meson-python, with the wheel's tag corrected.  ✗ builds nothing itself.

meson-python assumes that a file in platlib depends on the interpreter's ABI. The launcher is an executable
that links nothing, so one wheel serves every Python: its tag is py3-none-PLATFORM.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import mesonpy
from mesonpy import (
    build_sdist,
    get_requires_for_build_sdist,
    get_requires_for_build_wheel,
)

__all__ = ["build_sdist", "build_wheel", "get_requires_for_build_sdist", "get_requires_for_build_wheel"]


def build_wheel(
    wheel_directory: str,
    config_settings: dict[str, Any] | None = None,
    metadata_directory: str | None = None,
) -> str:
    """PEP 517: builds the wheel into `wheel_directory` and returns its file name."""
    built = mesonpy.build_wheel(wheel_directory, config_settings, metadata_directory)
    retag = [sys.executable, "-m", "wheel", "tags", "--python-tag", "py3", "--abi-tag", "none", "--remove"]
    done = subprocess.run(
        [*retag, str(Path(wheel_directory, built))], check=True, stdout=subprocess.PIPE, text=True
    )
    return done.stdout.split()[-1]
