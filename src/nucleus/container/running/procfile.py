"""Small files of /proc and of cgroups as text, without the layers of a text file: verbs read a dozen.  ✗ parses."""

from __future__ import annotations

import os

_CHUNK = 1 << 12  # most are shorter; a larger buffer costs more than reading twice


def text(path: str) -> str:
    """All of it; bytes beyond ASCII are replaced.  Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        parts = []
        while part := os.read(fd, _CHUNK):
            parts.append(part)
    finally:
        os.close(fd)
    return b"".join(parts).decode("ascii", "replace")
