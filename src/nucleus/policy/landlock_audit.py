"""What Landlock refused, from the machine's audit log: since ABI 7 the kernel writes it there, where the machine audits.

    type=LANDLOCK_ACCESS msg=audit(1729738800.268:30): domain=195ba459b blockers=fs.refer path="/usr/bin" dev="vda2" ino=351
    type=LANDLOCK_DOMAIN msg=audit(1729738800.268:30): domain=195ba459b status=allocated mode=enforcing pid=286 uid=0 exe="…"

A domain is known by the user who made it, and when: containers of root have ids of their own.  ✗ opens no file.
"""

from __future__ import annotations

from .refusals import LANDLOCK, Denial

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

# By name, or by number where the log's daemon is older than the kernel.
_ACCESS = ("LANDLOCK_ACCESS", "UNKNOWN[1423]")
_DOMAIN = ("LANDLOCK_DOMAIN", "UNKNOWN[1424]")


def of_audit(text: str, is_own: Callable[[int], bool], since_s: float, until_s: float) -> tuple[Denial, ...]:
    """is_own: whether a uid of the host is one of the container's."""
    rows = [
        row
        for line in text.splitlines()
        if "landlock" in line.lower() or "UNKNOWN[142" in line
        for row in (_row(line),)
    ]
    domains = {
        row["domain"]
        for row in rows
        if row["type"] in _DOMAIN and row.get("uid", "").isdecimal() and is_own(int(row["uid"]))
        and since_s <= _seconds(row) <= until_s
    }  # fmt: skip
    found: dict[str, Denial] = {}
    for row in rows:
        if row["type"] not in _ACCESS or row.get("domain") not in domains:
            continue
        blockers = row.get("blockers", "")
        what = f"{blockers} of {_text(row['path'])}" if "path" in row else f"{blockers}{_port(row)}"
        known = found.get(what)
        found[what] = Denial(
            layer=LANDLOCK, what=what, rule=f"no rule gives {blockers}; the machine's audit log has it",
            remedy="what is mounted there decides; with --landlock-policy, a [[rules]] entry",
            count=1 + (known.count if known else 0),
        )  # fmt: skip
    return tuple(found.values())


def _row(line: str) -> dict[str, str]:
    found = {"type": "", "domain": ""}
    for word in line.split(" "):
        key, equals, value = word.partition("=")
        if equals:
            found.setdefault(key, value)
            if not found[key]:
                found[key] = value
    return found


def _seconds(row: dict[str, str]) -> float:
    stamp = row.get("msg", "").removeprefix("audit(").partition(":")[0]
    try:
        return float(stamp)
    except ValueError:
        return 0.0


def _text(value: str) -> str:
    """A name is in quotes, or, where it holds what would end it, hexadecimal."""
    if value.startswith('"'):
        return value.strip('"')
    try:
        return bytes.fromhex(value).decode("utf-8", "replace")
    except ValueError:
        return value


def _port(row: dict[str, str]) -> str:
    return next((f" of port {row[key]}" for key in ("dest", "src") if key in row), "")
