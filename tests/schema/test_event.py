"""Events: their content keeps the laws, times before 1970 are in order, and a zone is only looked at by its form."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from banyan_crdt.codec import decode, encode
from banyan_crdt.ids import AccountId, CellKey
from banyan_schema.address import Target
from banyan_schema.dates import FIRST_MS, LAST_MS
from banyan_schema.social.event import (
    ANSWERS,
    COLLECTIONS,
    LATITUDE,
    LONGITUDE,
    EventInvite,
    EventReply,
    SocialEvent,
    answer_event,
    invite_to_event,
    moment,
    write_event,
)
from tests.schema.laws import accounts, cell_of, element_of, keeps_the_laws, read_alike, targets, texts

SALT = b"s" * 32
HERE = Target(AccountId(b"o" * 32), CellKey(b"e" * 16))
EVENTS, REPLIES, INVITES = COLLECTIONS
PLAIN = SocialEvent("Tết", "", 0, None, "UTC")
times = st.integers(FIRST_MS, LAST_MS) | st.sampled_from([FIRST_MS, -1, 0, 1, LAST_MS])
events = st.builds(
    SocialEvent,
    texts,
    texts,
    times,
    st.none() | times,
    st.sampled_from(["UTC", "Asia/Ho_Chi_Minh", "America/Argentina/Buenos_Aires", "Etc/GMT+12", "Y" * 64]),
    st.none() | texts,
    st.none() | st.integers(-LATITUDE, LATITUDE),
    st.none() | st.integers(-LONGITUDE, LONGITUDE),
    st.none() | targets,
)


def test_an_event_keeps_the_laws() -> None:
    keeps_the_laws(EVENTS, events, lambda said: write_event(HERE.key, said))


def test_an_answer_keeps_the_laws() -> None:
    answers = st.builds(EventReply, targets, st.sampled_from(ANSWERS))
    keeps_the_laws(REPLIES, answers, lambda said: answer_event(SALT, said))


def test_an_invitation_keeps_the_laws() -> None:
    invites = st.builds(EventInvite, st.just(HERE), accounts)
    keeps_the_laws(INVITES, invites, lambda said: invite_to_event(SALT, said))


@given(times, times)
def test_moments_are_in_the_order_of_time_before_1970_too(one: int, other: int) -> None:
    assert (moment(one) < moment(other)) == (one < other)
    assert (moment(one) == moment(other)) == (one == other)


def test_another_answer_is_the_same_element() -> None:
    yes, no = (answer_event(SALT, EventReply(HERE, answer)).op for answer in ("yes", "no"))
    assert (cell_of(yes), element_of(yes)) == (cell_of(no), element_of(no))


@pytest.mark.parametrize(
    "change",
    [
        {"begins_ms": FIRST_MS - 1},
        {"begins_ms": LAST_MS + 1},
        {"ends_ms": LAST_MS + 1},
        {"latitude": LATITUDE + 1},
        {"longitude": -LONGITUDE - 1},
        {"zone": ""},
        {"zone": "Asia/"},
        {"zone": "../etc/passwd"},
        {"zone": "Asia//Hanoi"},
        {"zone": "Asia/Hà_Nội"},
    ],
    ids=str,
)
def test_what_is_out_of_its_bounds_is_neither_written_nor_read(change: dict[str, Any]) -> None:
    bad = replace(PLAIN, **change)
    with pytest.raises(ValueError, match=r"must be from|has the form of"):
        EVENTS.encode(bad)
    fields = decode(EVENTS.encode(PLAIN))
    for name, value in change.items():
        at = ("title", "text", "begins_ms", "ends_ms", "zone", "place", "latitude", "longitude").index(name)
        plain = (value << 1 if value >= 0 else (-value << 1) - 1) if isinstance(value, int) else str(value).encode()
        raw = encode([*fields[:at], plain, *fields[at + 1 :]])
        assert EVENTS.decode(raw) is None
        read_alike(EVENTS, raw)


def test_an_end_before_the_beginning_says_nothing() -> None:
    assert replace(PLAIN, begins_ms=5, ends_ms=3).over_ms == 5
    assert replace(PLAIN, begins_ms=5, ends_ms=9).over_ms == 9
