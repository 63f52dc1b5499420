"""Times of events in the clock of the place where they are."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from banyan_schema.dates import moment
from banyan_web.refusals import Refused

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@lru_cache(512)
def zone_of(name: str) -> ZoneInfo | None:
    """A zone of IANA's list, or None."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def at(ms: int, zone: str) -> datetime:
    """A time in a zone; in UTC if this machine does not know the zone."""
    return moment(ms, zone_of(zone) or UTC)


def in_zone(ms: int, zone: str) -> str:
    return f"{at(ms, zone):%Y-%m-%d %H:%M}"


def for_input(ms: int, zone: str) -> str:
    """As a field for date and time has it."""
    return f"{at(ms, zone):%Y-%m-%dT%H:%M}"


def month(ms: int, zone: str) -> str:
    return f"{at(ms, zone):%m/%Y}"


def day_of_month(ms: int, zone: str) -> str:
    return str(at(ms, zone).day)


def from_input(said: str, zone: str | int) -> int:
    """Milliseconds since 1970 of what a field for date and time says. zone: a name of IANA's list, or minutes that its
    clock is behind UTC, as JavaScript counts. Raises Refused."""
    try:
        moment = datetime.strptime(said[:16], "%Y-%m-%dT%H:%M")
    except ValueError:
        raise Refused(422, f"'{said[:40]}' is no time such as 2031-01-31T08:00.") from None
    if isinstance(zone, int):
        return round((moment.replace(tzinfo=UTC) - _EPOCH).total_seconds() + 60 * zone) * 1000
    known = zone_of(zone)
    if known is None:
        raise Refused(422, f"'{zone[:60]}' is no time zone such as Asia/Ho_Chi_Minh.")
    return round((moment.replace(tzinfo=known) - _EPOCH).total_seconds()) * 1000
