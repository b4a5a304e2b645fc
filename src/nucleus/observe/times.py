"""Points in time: text ↔ nanoseconds since the epoch.  ✗ clocks: the caller says what time it is."""

from __future__ import annotations

from ..base.errors import SpecError
from ..base.units import parse_duration

SECOND_NS = 1_000_000_000
_REMEDY = "use a time ago such as 90s or 1h30m, seconds since 1970, or 2026-01-31T12:00:00Z"


def parse_time(text: str, now_ns: int) -> int:
    """'42m' (ago), '1767225600.5' (since the epoch), '2026-01-31T12:00:00Z' (RFC 3339; local without a zone)."""
    word = text.strip()
    number, dot, part = word.partition(".")
    # Fewer digits are seconds ago, as everywhere else in nucleus: 9 digits were a time of 1973.
    if number.isascii() and number.isdigit() and len(number) in (10, 11) and (part.isdigit() or not dot):
        return int(number) * SECOND_NS + int((part + "0" * 9)[:9])
    if len(word) >= 8 and word[4:5] == "-":
        return _calendar(word)
    try:
        return now_ns - parse_duration(word) * 1_000_000
    except SpecError:
        raise SpecError(f"'{text}' is no time", remedy=_REMEDY) from None


def _calendar(word: str) -> int:
    from datetime import UTC, datetime, timedelta

    head, _, tail = word.partition(".")
    digits = tail[: len(tail) - len(tail.lstrip("0123456789"))]
    try:
        if "." in tail:
            raise ValueError("two fractions")
        moment = datetime.fromisoformat(head + tail[len(digits) :])
    except ValueError:
        raise SpecError(f"'{word}' is no time", remedy=_REMEDY) from None
    try:
        seconds = (moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1)
    except OverflowError:
        raise SpecError(f"'{word}' is no time", remedy=_REMEDY) from None
    return seconds * SECOND_NS + int((digits + "0" * 9)[:9])


def format_time(time_ns: int) -> str:
    """RFC 3339 in UTC with nanoseconds; `parse_time` reads it back."""
    from time import gmtime

    seconds, rest = divmod(time_ns, SECOND_NS)
    t = gmtime(seconds)
    day = f"{t.tm_year:04}-{t.tm_mon:02}-{t.tm_mday:02}"
    return f"{day}T{t.tm_hour:02}:{t.tm_min:02}:{t.tm_sec:02}.{rest:09}Z"
