"""A short run of tools/kills.py: whoever takes part in the life of a container is killed.  `make soak` runs it long."""

from __future__ import annotations

import subprocess
import sys

import pytest
from sandboxes import PROJECT


@pytest.mark.identity("root", "user")
@pytest.mark.parametrize("seed", [1, 2])
def test_after_any_kill_the_next_command_tells_the_truth_and_nothing_is_left(seed: int) -> None:
    done = subprocess.run(
        [sys.executable, str(PROJECT / "tools" / "kills.py"), "--seconds", "8", "--seed", str(seed)],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
