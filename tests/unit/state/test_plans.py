"""The files of plans/: how many there may be.  What makes one unbelievable: tests/unit/container/test_again.py."""

from __future__ import annotations

import os
from pathlib import Path

from nucleus.state.plans import Plans


def test_there_are_few_and_small_ones_the_oldest_go(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    plans = Plans(str(tmp_path), make=True)
    plans.keep("used", b"x")
    for number in range(70):
        os.utime(tmp_path / "plans/used", ns=(1 << 62, 1 << 62))
        plans.is_new(f"{number}")
    assert len(os.listdir(tmp_path / "plans")) == 64
    assert plans.load("used") == b"x"
    for number in range(8):
        plans.keep(f"large-{number}", bytes(1 << 20)[200:])
    plans.keep("too large", bytes(1 << 20))
    assert sum(p.stat().st_size for p in (tmp_path / "plans").iterdir()) <= 4 << 20
    assert plans.load("too large") is None
    plans.close()
