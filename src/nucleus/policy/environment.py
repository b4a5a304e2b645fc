"""What a workload's environment starts from, and what may be laid over it.

The environment of the host is never inherited.  Names are checked where they are read (spec/environment).
✗ reads no environment, no file.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def base(*, home: str, terminal: str = "xterm") -> dict[str, str]:
    """What every workload gets.  LANG, because without it Python, perl and sort read files as ASCII."""
    return {"PATH": PATH, "TERM": terminal, "HOME": home, "LANG": "C.UTF-8"}


def may_enter(name: str) -> bool:
    """False for the variables that make the dynamic loader run or read something before the program does."""
    from ..spec.environment import REFUSED

    return name not in REFUSED


def merge(given: Mapping[str, str], *, home: str, terminal: str = "xterm") -> dict[str, str]:
    """The base, overlaid with what was given.  Last line of defence: what may not enter is left out."""
    return {**base(home=home, terminal=terminal), **{k: v for k, v in given.items() if may_enter(k)}}
