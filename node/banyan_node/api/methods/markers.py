"""How far an account has read its home timeline and its notifications. Its devices share that, and nobody else knows.

A place among notifications is one of this node, because they stand in the order of their arrival. What is kept names
the operation instead, which every node finds; where it is not held, everything counts as unread.
"""

from __future__ import annotations

import re
from functools import partial
from itertools import islice
from typing import Annotated, Literal

from msgspec import Meta

from banyan_crdt.ids import AccountId, EntryId
from banyan_node.api.declare import CommitView, Declared, NoResult, Request, Response
from banyan_node.api.methods.private import OneReader
from banyan_node.api.methods.reading import CURSOR_BYTES, now_ms, trusted_by, visibility_of
from banyan_node.api.texts import FeedCursor, NoticeCursor, Own, feed_cursor, notice_cursor, place_of
from banyan_node.context import Context
from banyan_node.hosting import hosted, private
from banyan_node.hosting.hearing import PutAway, heard, tellers
from banyan_node.hosting.vault import Private
from banyan_node.hosting.writing import append_each
from banyan_node.operator_errors import CallError
from banyan_reading.ended import all_notices
from banyan_reading.places import cursor_ms
from banyan_reading.queries import Queries
from banyan_reading.visibility import Place
from banyan_schema.privately import Dismissed, Marker
from banyan_storage.naming import PLACE_BYTES
from banyan_storage.tables import part_place
from banyan_storage.view_rows import place_bytes

METHODS = Declared()
COUNTED = 100
"""So many unread notifications are counted at most."""
HOME, NOTIFICATIONS, CLEARED = "home", "notifications", "cleared"
AHEAD_MS = 600_000
"""Posts may be so much ahead of this machine's clock."""


class MarkRequest(Request, frozen=True, forbid_unknown_fields=True):
    """timeline: home or notifications. place: of what was read last, `before` or `at` of a page; default: of what is
    newest now."""

    timeline: Literal["home", "notifications"]
    place: Annotated[str | None, Meta(title="a place", description="A place in that timeline.")] = None
    by: Own = None


class Markers(Response, frozen=True):
    """The places of what was read last; null if none is known here."""

    home: FeedCursor | None
    notifications: NoticeCursor | None


class Unread(Response, frozen=True):
    """unread: how many notifications are newer than what was read last; 100 means so many or more."""

    unread: int


def read_until(q: Queries, held: Private) -> bytes | None:
    """The place of the notification that was read last, 8 bytes."""
    return furthest(q, held, NOTIFICATIONS)


def furthest(q: Queries, held: Private, timeline: str) -> bytes | None:
    """The place among notifications that is the furthest of all devices, 8 bytes."""
    return max((place for said in _of(held, timeline) if (place := place_here(q, said))), default=None)


def gone(q: Queries, held: Private) -> PutAway:
    """What the account put away."""
    places = frozenset(place for one in held.all(Dismissed) if (place := place_here(q, one.place)))
    return PutAway(furthest(q, held, CLEARED) or b"", places)


def home_read(held: Private) -> bytes | None:
    """The cursor of what was read last at home, 56 bytes."""
    found = [said for said in _of(held, HOME) if re.fullmatch("[0-9a-f]{112}", said)]
    return bytes.fromhex(max(found)) if found else None


def _of(held: Private, timeline: str) -> list[str]:
    """What each device says."""
    return [marker.place for marker in held.all(Marker) if marker.timeline == timeline]


def place_said(q: Queries, place: bytes) -> str:
    """A place among notifications so that every node finds it. Raises CallError."""
    n, op = part_place(place)
    name = q.reader.name_at(n)
    if name is None:
        raise CallError("not_found", "There is no such place among the notifications of this node.", 404)
    return f"{name[0].hex()}.{op}"


def place_here(q: Queries, said: str) -> bytes | None:
    """The inverse; None if it is not held here."""
    entry, dot, op = said.partition(".")
    try:
        number = q.reader.number_of(EntryId(bytes.fromhex(entry))) if dot and len(entry) == 64 else None
        return None if number is None else place_bytes(number, int(op))
    except (ValueError, OverflowError):
        return None


@METHODS.read("markers", "not_found", "refused")
def markers(at: CommitView, ask: OneReader) -> Markers:
    """How far an account has read."""
    account, q = hosted.account_of(at, ask.by), at.queries()
    held = at.private(account)
    home, heard = home_read(held), read_until(q, held)
    return Markers(
        None if home is None else feed_cursor(home),
        None if heard is None else notice_cursor(heard),
    )


@METHODS.read("notifications.unread", "not_found", "refused")
def unread(at: CommitView, ask: OneReader) -> Unread:
    """How many notifications an account has not read."""
    account, q = hosted.account_of(at, ask.by), at.queries()
    held, count = at.private(account), 0
    last, visibility = read_until(q, held), visibility_of(at, account, Place("notifications"))
    for place, one in islice(heard(q, account, visibility, partial(trusted_by, at), gone=gone(q, held)), 20 * COUNTED):
        if count == COUNTED or (last is not None and place <= last):
            break
        count += one is not None
    return Unread(count)


@METHODS.write("marker.set", "not_found", "refused")
def mark(ctx: Context, ask: MarkRequest, now: float) -> NoResult:
    """Notes how far an account has read. A marker goes forward only."""
    account, q = hosted.account_of(ctx, ask.by), ctx.queries()
    held = private.of(ctx, account)
    if ask.timeline == HOME:
        place = place_of(ask.place, CURSOR_BYTES, "in a feed") or _newest_at_home(q, account)
        before = home_read(held)
        if place is None or (before is not None and before >= place):
            return NoResult()
        if cursor_ms(place) > ctx.replica.wall_ms(now) + AHEAD_MS:
            raise CallError("bad_request", "That place in the feed is in the future: give one of a page that was read.")
        said = place.hex()
    else:
        place = place_of(ask.place, PLACE_BYTES, "among notifications") or newest_heard(q, account)
        last = read_until(q, held)
        if place is None or (last is not None and last >= place):
            return NoResult()
        said = place_said(q, place)
    append_each(
        ctx,
        account,
        private.entries(private.drafts(ctx, account, [Marker(ask.timeline, said, ctx.device.key)], now)),
        now,
    )
    return NoResult()


def _newest_at_home(q: Queries, account: AccountId) -> bytes | None:
    return next((cursor for cursor, _ in q.timeline([account, *q.follows(account)], None, True)), None)


def newest_heard(q: Queries, account: AccountId) -> bytes | None:
    found = all_notices(q, account, None, lambda what, who: False, tellers(q, account), now_ms())
    return next((place for place, _ in found), None)
