"""How thorough properties are tried: quickly by default, at length with NUCLEUS_THOROUGH=1 (`make fuzz` sets it)."""

from __future__ import annotations

import os

try:
    from hypothesis import settings
except ImportError:  # the guests of the virtual machine bring only what their tests need
    settings = None  # type: ignore[assignment,misc]

if settings is not None:
    settings.register_profile("quick", max_examples=30, deadline=None, database=None)
    settings.register_profile("thorough", max_examples=2000, deadline=None)
    settings.load_profile("thorough" if os.environ.get("NUCLEUS_THOROUGH") else "quick")
