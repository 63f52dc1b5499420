"""Events by their beginning, those of an account and those of a group; and who answered what, with their numbers."""

from __future__ import annotations

from operator import itemgetter

from banyan_storage.engine import Table
from banyan_storage.tables import RowLayout
from banyan_storage.views.view import Counter, Row, View, by_target

EVENTS = Table("events")
"""EVENT_ROW -> place 8. begins: see `moment` of banyan_schema.social.event"""
GROUP_EVENTS = Table("group_events")
"""group's digest 8 | BY_TIME, of when they begin -> place 8"""
EVENT_REPLIES = Table("event_replies")
"""EVENT_REPLY -> nothing"""
EVENT_REPLY_COUNTS = Table("event_reply_counts")
"""event 48 | answer 1 -> u32: accounts"""
EVENT_ROW = RowLayout("account 4 | begins 8 | key 16")
EVENT_REPLY = RowLayout(
    "event 48 | answer 1 | account 4 | key 16 | element 16", said="event answer", by="event account"
)


def _own(account: bytes, begins: bytes, event: bytes, place: bytes) -> Row:
    return EVENTS, account + begins + event, place


def _of_group(account: bytes, group_and_begins: bytes, event: bytes, place: bytes) -> Row:
    return GROUP_EVENTS, group_and_begins + account + event, place


VIEW = View(
    "events",
    1,
    (EVENTS, GROUP_EVENTS, EVENT_REPLIES),
    {"events": _own, "group_events": _of_group, "event_replies": by_target(EVENT_REPLIES)},
    {EVENTS: 0, GROUP_EVENTS: 16, EVENT_REPLIES: 49},
    (Counter(EVENT_REPLIES, EVENT_REPLY_COUNTS, itemgetter(EVENT_REPLY.said), itemgetter(EVENT_REPLY.by)),),
)
