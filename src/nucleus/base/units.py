"""Sizes, durations and processor shares: text ↔ whole numbers with the unit in their name.

The only place that knows "512M".  Parsers raise SpecError without a `where`: the caller knows it.
✗ no floating point: what is written is what is meant.
"""

from __future__ import annotations

from .errors import SpecError

MAX_BYTES = (1 << 63) - 1
MAX_DURATION_MS = 3650 * 86_400_000
CPU_PERIOD_US = 100_000
MAX_CPUS = 65_536
_MIN_QUOTA_US = (
    1000  # the kernel refuses less than a millisecond per period (sched/core.c, min_cfs_quota_period)
)

_SIZES = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_DURATIONS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def parse_bytes(text: str) -> int:
    """'512M', '1.5g', '1GiB', '4096' → bytes; K, M, G, T are powers of 1024, in either case."""
    number, suffix = _split(text.strip())
    unit = suffix.lower()
    if unit.endswith("ib") and len(unit) == 3:
        unit = unit[0]
    elif unit.endswith("b"):
        unit = unit[:-1]
    factor = _SIZES.get(unit)
    if factor is None or not _is_number(number):
        raise SpecError(f"'{text}' is not a size", remedy="use bytes or K, M, G, T, such as 512M")
    value = _times(number, factor)
    if value > MAX_BYTES:
        raise SpecError(f"'{text}' is more than a machine can have", remedy="at most 8388607T")
    return value


def format_bytes(value: int) -> str:
    """The shortest exact form: 536870912 → '512M'; `parse_bytes` reads it back."""
    for unit in ("T", "G", "M", "K"):
        if value and value % _SIZES[unit.lower()] == 0:
            return f"{value // _SIZES[unit.lower()]}{unit}"
    return str(value)


def parse_duration(text: str) -> int:
    """'90', '1.5s', '250ms', '1h30m' → milliseconds; a bare number is seconds."""
    rest, total, seen = text.strip(), 0, False
    if _is_number(rest):
        rest += "s"
    last = MAX_DURATION_MS + 1
    while rest:
        number, tail = _split(rest)
        unit = tail[: len(tail) - len(tail.lstrip("abcdefghijklmnopqrstuvwxyz"))]
        factor = _DURATIONS.get(unit, 0)
        if not factor or factor >= last or not _is_number(number):
            seen = False
            break
        total += _times(number, factor)
        rest, last, seen = tail[len(unit) :], factor, True
    if not seen:
        raise SpecError(
            f"'{text}' is not a duration", remedy="use seconds or ms, s, m, h, d, such as 90s or 1h30m"
        )
    if total > MAX_DURATION_MS:
        raise SpecError(f"'{text}' is more than ten years", remedy="leave it away for no limit")
    return total


def format_duration(milliseconds: int) -> str:
    """The shortest exact form: 5400000 → '1h30m'; `parse_duration` reads it back."""
    parts, rest = [], milliseconds
    for unit in ("d", "h", "m", "s", "ms"):
        count, rest = divmod(rest, _DURATIONS[unit])
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def parse_cpus(text: str) -> int:
    """'1.5' processors → 150000 µs of processor time in each period of 100000 µs."""
    number = text.strip()
    if not _is_number(number):
        raise SpecError(f"'{text}' is not a number of processors", remedy="use a number such as 2 or 0.5")
    quota = _times(number, CPU_PERIOD_US)
    if not _MIN_QUOTA_US <= quota <= MAX_CPUS * CPU_PERIOD_US:
        raise SpecError(f"'{text}' is no usable number of processors", remedy=f"from 0.01 to {MAX_CPUS}")
    return quota


def format_cpus(quota_us: int) -> str:
    """150000 → '1.5'; `parse_cpus` reads it back."""
    whole, part = divmod(quota_us, CPU_PERIOD_US)
    return f"{whole}.{part:05d}".rstrip("0").rstrip(".")


def parse_integer(text: str) -> int:
    """Decimal digits only: no sign, no underscore, no other script."""
    digits = text.strip()
    if not (digits.isascii() and digits.isdigit()):
        raise SpecError(f"'{text}' is not a whole number", remedy="use digits, such as 512")
    if len(digits) > 19:  # as many as 64 bits have
        raise SpecError(f"'{text}' is too large a number", remedy="use a smaller one, such as 512")
    return int(digits)


def _split(text: str) -> tuple[str, str]:
    """The leading digits and dots, and the rest."""
    rest = text.lstrip("0123456789.")
    return text[: len(text) - len(rest)], rest


def _is_number(text: str) -> bool:
    """Digits with at most one dot inside; short enough that arithmetic on it stays cheap."""
    whole, dot, part = text.partition(".")
    digits = whole + part
    return (
        digits.isascii()
        and digits.isdigit()
        and whole != ""
        and (part != "" or not dot)
        and len(digits) <= 25
    )


def _times(number: str, factor: int) -> int:
    whole, _, part = number.partition(".")
    return int(whole + part) * factor // int(10 ** len(part))
