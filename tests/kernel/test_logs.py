"""What a detached container printed: kept in files, whatever happens to the disk, and read back."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.identity("root", "user", "vm-root")
def test_a_full_disk_makes_nobody_wait_and_the_loss_is_counted(tmp_path: Path, identity: str) -> None:
    """A file system in memory, full while the workload prints: what did not fit is told as soon as there is room."""
    script = Path(__file__).with_name("log_disk_full.py")
    own = (
        ["unshare", "--mount"]
        if identity.endswith("root")
        else ["unshare", "--user", "--map-root-user", "--mount"]
    )
    done = subprocess.run(
        [*own, sys.executable, "-I", str(script), str(tmp_path)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["lost"] > 0 and found["kept"] > 0
    assert found["kept"] + found["lost"] == found["written"]
    assert found["told_meanwhile"] == found["lost"]
    assert found["longest"] < 5
    assert found["last"] == "after\n"
