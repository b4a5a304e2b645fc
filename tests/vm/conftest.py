"""Tests whose name says guest belong into the guest; on the host they are not collected.  ✗ no fixtures."""

from __future__ import annotations

import os

if not os.environ.get("NUCLEUS_MUST_RUN", "").startswith("vm-"):
    collect_ignore = ["test_guest_smoke.py"]
