"""What of the host's files comes in, and where: volumes, tmpfs, secrets as written.

✗ existence, ✗ canonical paths: those are looked up by `container/`.
"""

from __future__ import annotations

from ..base.value import Value

DEFAULT_TMPFS_BYTES = 64 << 20
SECRETS = "/run/secrets"


class Volume(Value):
    """A file or directory of the host at a path inside."""

    source: str
    target: str
    read_only: bool = False


class Tmpfs(Value):
    """An empty file system in memory."""

    target: str
    size_bytes: int = DEFAULT_TMPFS_BYTES
    read_only: bool = False


class Secret(Value):
    """A file of the host whose content appears at `target`, below /run/secrets."""

    source: str
    target: str
