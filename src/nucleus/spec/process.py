"""Types around the process itself: resource limits, id map lines, signals.  ✗ the host's limits and ids."""

from __future__ import annotations

from ..base.value import Value

INFINITY = (1 << 64) - 1
RLIMITS = (
    "as", "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss",
    "rtprio", "rttime", "sigpending", "stack",
)  # fmt: skip

# The limit holds before Landlock does, whose ruleset and each of whose rules open a file beside those that are there.
LEAST_FILES = 16


class Rlimit(Value):
    """A limit of setrlimit(2); INFINITY is RLIM_INFINITY."""

    name: str
    soft: int
    hard: int


class IdMap(Value):
    """`count` ids from `container` on stand for the host's ids from `host` on."""

    container: int
    host: int
    count: int


# The first 31 signals of x86-64 and aarch64 (signal(7)); 32 and 33 belong to the C library's threads.
SIGNALS = (
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE",
    "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ",
    "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
)  # fmt: skip
SIGNAL_ALIASES = {"IOT": "ABRT", "CLD": "CHLD", "POLL": "IO"}
FIRST_REALTIME, LAST_REALTIME = 34, 64


def signal_number(text: str) -> int:
    """'TERM', 'sigterm', '15', 'RTMIN+1' → the number; 0 for what is no signal."""
    word = text.upper().removeprefix("SIG")
    word = SIGNAL_ALIASES.get(word, word)
    if word in SIGNALS:
        return SIGNALS.index(word) + 1
    if word == "RTMIN" or word.startswith("RTMIN+"):
        offset = word[6:] or "0"
        number = (
            FIRST_REALTIME + int(offset) if offset.isascii() and offset.isdigit() and len(offset) < 3 else 0
        )
    else:
        number = int(word) if word.isascii() and word.isdigit() and len(word) < 3 else 0
    known = 1 <= number <= len(SIGNALS) or FIRST_REALTIME <= number <= LAST_REALTIME
    return number if known else 0


def signal_name(number: int) -> str:
    """15 → 'TERM', 36 → 'RTMIN+2'."""
    if number <= len(SIGNALS):
        return SIGNALS[number - 1]
    return f"RTMIN+{number - FIRST_REALTIME}"
