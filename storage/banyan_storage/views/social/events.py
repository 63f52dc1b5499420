"""Events by their beginning, those of an account and those of a group; and who answered what, with their numbers."""

from __future__ import annotations

from ...engine import Table
from ..view import Counter, Row, View, by_target

EVENTS = Table("events")
"""account number 4 | begins 8 | event key 16 -> place 8. Begins: see `moment` of banyan_schema.social.event"""
GROUP_EVENTS = Table("group_events")
"""group's digest 8 | begins 8 | account number 4 | event key 16 -> place 8"""
EVENT_REPLIES = Table("event_replies")
"""event account 32 | event key 16 | answer 1 | account number 4 | cell key and element 32 -> nothing"""
EVENT_REPLY_COUNTS = Table("event_reply_counts")
"""event account 32 | event key 16 | answer 1 -> u32: accounts"""


def _own(account: bytes, begins: bytes, event: bytes, place: bytes) -> Row:
    return EVENTS, account + begins + event, place


def _of_group(account: bytes, group_and_begins: bytes, event: bytes, place: bytes) -> Row:
    return GROUP_EVENTS, group_and_begins + account + event, place


def _answer(key: bytes) -> bytes:
    return key[:49]


def _and_account(key: bytes) -> bytes:
    return key[:53]


VIEW = View(
    "events",
    1,
    (EVENTS, GROUP_EVENTS, EVENT_REPLIES),
    {"events": _own, "group_events": _of_group, "event_replies": by_target(EVENT_REPLIES)},
    {EVENTS: 0, GROUP_EVENTS: 16, EVENT_REPLIES: 49},
    (Counter(EVENT_REPLIES, EVENT_REPLY_COUNTS, _answer, _and_account),),
)
