"""Every number is a date for people and for programs, and dates.py alone makes it."""

from __future__ import annotations

import ast
from datetime import UTC, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

import pytest

from banyan_schema import dates
from tests.rooms import PACKAGES, ROOT

EXTREMES = (0, 1, 1 << 31, 1 << 53, 1 << 63, (1 << 64) - 1, -1, -(1 << 63), dates.FIRST_MS, dates.LAST_MS)
CONVERSIONS = {
    *("fromtimestamp", "utcfromtimestamp", "gmtime", "localtime", "ctime", "asctime", "formatdate", "strftime"),
    *("timedelta", "fromordinal"),
}


@pytest.mark.parametrize("ms", EXTREMES)
def test_no_number_is_out_of_range(ms: int) -> None:
    ends = (timezone(timedelta(hours=23, minutes=59)), timezone(-timedelta(hours=23, minutes=59)))
    zones: list[tzinfo | None] = [UTC, None, *map(ZoneInfo, ("Asia/Ho_Chi_Minh", "Pacific/Apia")), *ends]
    assert all(1 <= dates.moment(ms, zone).year <= 9999 for zone in zones)
    assert len(dates.iso(ms)) == len("2026-01-31T19:00:00.123Z")
    assert len(dates.icalendar(ms)) == len("20260131T190000Z")


def test_a_time_is_written_in_every_form_as_it_is() -> None:
    ms = 1_769_886_000_123
    assert (dates.iso(ms), dates.second(ms)) == ("2026-01-31T19:00:00.123Z", "2026-01-31 19:00:00")
    assert (dates.minute(ms), dates.day(ms)) == ("2026-01-31 19:00", "2026-01-31")
    assert dates.icalendar(ms) == "20260131T190000Z"
    assert f"{dates.moment(ms, ZoneInfo('Asia/Ho_Chi_Minh')):%d %H:%M}" == "01 02:00"
    assert dates.iso((1 << 64) - 1) == "9999-12-31T23:59:59.999Z"


def test_nothing_else_makes_dates_of_numbers() -> None:
    files = [file for room in PACKAGES for file in room.rglob("*.py") if file.name != "dates.py"]
    assert len(files) > 500
    found = [
        f"{file.relative_to(ROOT)}:{node.lineno} {name}"
        for file in files
        if CONVERSIONS & set(file.read_text("utf-8").replace("(", " ").replace(".", " ").replace(",", " ").split())
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.Attribute | ast.Name)
        if (name := node.attr if isinstance(node, ast.Attribute) else node.id) in CONVERSIONS
    ]
    assert not found, f"use banyan_schema/dates.py, which takes any number: {found}"
