"""Milliseconds as dates. The invariant: no number that anybody wrote makes a conversion fail.

Times are claims of others, up to 2^64 - 1, and a computer's calendar has the years 1 to 9999. A time outside is shown
as the first or the last one inside. Nothing else in the product turns a number into a date.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo

FIRST_MS, LAST_MS = -62_135_596_800_000, 253_402_300_799_999
"""The first and the last millisecond of the years 1 to 9999, which every calendar of a computer can show."""
_DAY_MS = 86_400_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def moment(ms: int, zone: tzinfo | None = UTC) -> datetime:
    """The time in a zone; None: that of this machine. Of a time near the ends of the calendar the zone's clock may be
    beyond them, so that one is shown a day inside."""
    if zone is UTC:
        return _EPOCH + timedelta(milliseconds=min(max(FIRST_MS, ms), LAST_MS))
    return (_EPOCH + timedelta(milliseconds=min(max(FIRST_MS + _DAY_MS, ms), LAST_MS - _DAY_MS))).astimezone(zone)


def iso(ms: int) -> str:
    """`2026-01-31T19:00:00.123Z`, the form of ISO 8601 that JSON, HTML and feeds use."""
    return moment(ms).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def second(ms: int) -> str:
    """`2026-01-31 19:00:00`, UTC."""
    return iso(ms)[:19].replace("T", " ")


def minute(ms: int) -> str:
    """`2026-01-31 19:00`, UTC."""
    return second(ms)[:16]


def day(ms: int) -> str:
    """`2026-01-31`, UTC."""
    return iso(ms)[:10]


def icalendar(ms: int) -> str:
    """`20260131T190000Z`, as calendars read it (RFC 5545)."""
    return iso(ms)[:19].replace("-", "").replace(":", "") + "Z"
