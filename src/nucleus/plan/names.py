"""The kernel's words for the numbers of a plan: flags, rights, limits, signals, sizes.  ✗ decides nothing."""

from __future__ import annotations

from ..policy import capabilities as capability
from ..policy import landlock
from .limits import INFINITY, RLIMITS
from .schema import NOBODY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

MOUNT_ATTRIBUTES = {0x1: "read-only", 0x2: "nosuid", 0x4: "nodev", 0x8: "noexec", 0x200000: "nosymfollow"}
NAMESPACES = {
    0x10000000: "user", 0x20000000: "pid", 0x20000: "mount", 0x40000000: "network", 0x4000000: "uts",
    0x8000000: "ipc", 0x2000000: "cgroup", 0x80: "time",
}  # fmt: skip

LANDLOCK_FS = {bit: name for name, bit in landlock.RIGHT_NAMES.items()}
LANDLOCK_NET = {landlock.NET_BIND_TCP: "bind_tcp", landlock.NET_CONNECT_TCP: "connect_tcp"}
LANDLOCK_SCOPES = {
    landlock.SCOPE_ABSTRACT_UNIX_SOCKET: "abstract_unix_socket",
    landlock.SCOPE_SIGNAL: "signal",
}

# From 1 on, as of signal(7).
SIGNALS = (
    "",
    *"HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP".split(),
    *"TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS".split(),
)

_RESOURCES = {number: name for name, number in RLIMITS.items()}
_RESOURCES_IN_BYTES = {
    RLIMITS[n] for n in ("fsize", "data", "stack", "core", "rss", "memlock", "as", "msgqueue")
}


def flags(value: int, table: dict[int, str], *, none: str) -> str:
    """Names of the set bits, in the table's order; unknown ones as a number, so that nothing stays unsaid."""
    words = [name for bit, name in table.items() if value & bit]
    rest = value & ~sum(table)
    return ", ".join(words + ([f"{rest:#x}"] if rest else [])) or none


def capabilities(value: int) -> str:
    """CAP_CHOWN, CAP_KILL …, or none."""
    if value & capability.EVERY == capability.EVERY:
        return "all"
    return ", ".join(capability.names_in(value)) or "none"


def size(value: int) -> str:
    """536870912 → 512 MiB; a number that is no whole unit stays one."""
    for shift, unit in ((40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")):
        if value and value % (1 << shift) == 0:
            return f"{value >> shift} {unit}"
    return f"{value} bytes"


def duration(milliseconds: int) -> str:
    """1500 → 1.5 s; 0 means that there is no limit."""
    return f"{milliseconds / 1000:g} s" if milliseconds else "none"


def resource(number: int) -> str:
    """6 → nproc"""
    return _RESOURCES.get(number, f"resource {number}")


def rlimit(number: int, value: int) -> str:
    """The value of a resource limit, in bytes where it counts bytes."""
    if value == INFINITY:
        return "unlimited"
    return size(value) if number in _RESOURCES_IN_BYTES and value else str(value)


def signal(number: int) -> str:
    """15 → SIGTERM"""
    return f"SIG{SIGNALS[number]}" if 0 < number < len(SIGNALS) else str(number)


def owner(number: int) -> str:
    """A uid or gid; the value that chown(2) takes for "leave it" says so."""
    return "unchanged" if number == NOBODY else str(number)


def id_map(text: str) -> str:
    """Lines of /proc/PID/uid_map: `0 524288 65536` → `0-65535 → 524288-589823`."""
    ranges = []
    for line in text.splitlines():
        words = line.split()
        if len(words) != 3 or not all([w.isdecimal() for w in words]):
            ranges.append(printable(line))
            continue
        inside, outside, count = [int(w) for w in words]
        ranges.append(f"{_span(inside, count)} → {_span(outside, count)}")
    return ", ".join(ranges) or "none"


def _span(start: int, count: int) -> str:
    return str(start) if count == 1 else f"{start}-{start + count - 1}"


def printable(text: str) -> str:
    """Text that a terminal may see: control characters, undecodable bytes and backslashes as escapes."""
    if text.isprintable() and "\\" not in text:
        return text
    return "".join([c if c.isprintable() and c != "\\" else _escape(c) for c in text])


def _escape(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # an undecodable byte (surrogateescape)
        return f"\\x{code - 0xDC00:02x}"
    return "\\\\" if character == "\\" else f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def words(entries: Iterable[bytes]) -> str:
    """Entries of a list separated by spaces, quoted where a shell would not take one as it is."""
    shown = []
    for entry in entries:
        text = printable(entry.decode("utf-8", "surrogateescape"))
        plain = text and all([c.isalnum() or c in "%+,-./:=@_" for c in text])
        shown.append(text if plain else "'" + text.replace("'", "'\\''") + "'")
    return " ".join(shown)
