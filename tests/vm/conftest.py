"""Makes the harness importable; on the host, the guest's own tests are not collected.  ✗ no fixtures."""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

if not os.environ.get("NUCLEUS_MUST_RUN", "").startswith("vm-"):
    collect_ignore = ["test_guest_smoke.py"]
