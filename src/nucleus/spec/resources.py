"""Types of the limits that a cgroup holds.  ✗ file names of cgroups."""

from __future__ import annotations

from ..base.value import Value


class IoLimit(Value):
    """Throttling of one block device; 0 leaves that direction alone."""

    major: int
    minor: int
    rbps: int = 0
    wbps: int = 0
    riops: int = 0
    wiops: int = 0
