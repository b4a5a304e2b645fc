"""Builds the launcher with the fault seam, and tells it where to fail.  ✗ no tests.

It is the launcher as it is installed, apart from one file: the freestanding program on the real kernel.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LAUNCHER = Path(__file__).resolve().parents[2] / "launcher"
FLAGS = (
    *("-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-ffreestanding", "-fno-stack-protector", "-fno-pie"),
    *("-U_FORTIFY_SOURCE", "-nostdlib", "-static", "-no-pie", "-Wl,-z,noexecstack", "-Wl,--build-id=none"),
)
OTHER_SEAMS = {
    "log.c",
    "trace.c",
    "trace_attached.c",
    "trace_listener.c",
    "trace_paths.c",
    "sys_record.c",
    "seam_none.c",
    "init_program.c",
    "plan_dump.c",
}
ACTIONS = {
    "error": "e", "kill monitor": "m", "kill init": "i", "kill workload": "w", "kill network": "n", "kill Python": "p",
}  # fmt: skip


def _compile(*words: str) -> None:
    done = subprocess.run(["cc", *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


class FaultLauncher:
    """The program, and the file beside it that says at which step what happens."""

    def __init__(self, folder: Path) -> None:
        self.program = folder / "nucleus-launch"
        self._instruction = folder / "nucleus-launch.fault"
        init = [str(LAUNCHER / name) for name in ("init.c", "init_program.c", "sys_linux.c", "text.c")]
        quiet = "-fno-tree-loop-distribute-patterns"
        _compile(*FLAGS, quiet, "-s", *init, "-o", str(folder / "nucleus-init"))
        _compile("-c", f"-Wa,-I{folder}", str(LAUNCHER / "init_image.S"), "-o", str(folder / "init_image.o"))
        sources = sorted(str(p) for p in LAUNCHER.glob("*.c") if p.name not in OTHER_SEAMS)
        _compile(*FLAGS, quiet, *sources, str(folder / "init_image.o"), "-o", str(self.program))

    @contextmanager
    def fault(self, step: int, action: str) -> Iterator[None]:
        """Within, each launch meets that fault at that step."""
        self._instruction.write_text(f"{step} {ACTIONS[action]}")
        try:
            yield
        finally:
            self._instruction.unlink()
