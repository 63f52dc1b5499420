"""What an account hears of, alike things as one row, and how far it has read: replies, quotes, mentions, reactions,
reposts, followers, ended polls, what groups say."""

import re
from functools import partial
from itertools import islice
from typing import Annotated, Literal

from msgspec import Meta

from banyan_crdt.ids import AccountId, EntryId
from banyan_node.api import json_types as js
from banyan_node.api.declare import ActorRequest, CommitView, MethodTable, NoResult, Response
from banyan_node.api.methods.places.episodes import OfChannel, of_channel
from banyan_node.api.methods.posts.post_rows import (
    AccountName,
    InGroup,
    PostRow,
    PostRows,
    now_ms,
    trusted_by,
    visibility_of,
)
from banyan_node.context import Context
from banyan_node.hosting import hosted, sealed_writer
from banyan_node.hosting.entry_writer import append_each
from banyan_node.hosting.sealed_reader import PrivateData
from banyan_node.hosting.visibility import PutAway, heard, tellers
from banyan_node.operator_errors import bad_request, not_found
from banyan_reading import identity
from banyan_reading.answers import CURSOR_BYTES
from banyan_reading.events import event_of
from banyan_reading.notifications import Notification
from banyan_reading.polls import all_notices
from banyan_reading.queries import Queries
from banyan_reading.timelines import cursor_ms
from banyan_reading.visibility import ViewPlace
from banyan_schema.address import Target
from banyan_schema.notices import NOTICES, Notice
from banyan_schema.private_kinds import Dismissal, Marker
from banyan_storage.account_references import PLACE_BYTES
from banyan_storage.slots import place_bytes
from banyan_storage.tables import part_place

# How far an account has read is shared by its devices, and nobody else knows. A place among notifications is one of
# this node, because they stand in the order of their arrival. What is kept names the operation instead, which every
# node finds; where it is not held, everything counts as unread.

METHODS = MethodTable()
COUNTED = 100
"""So many unread notifications are counted at most."""
HOME, NOTIFICATIONS, CLEARED = "home", "notifications", "cleared"
AHEAD_MS = 600_000
"""Posts may be so much ahead of this machine's clock."""


class MarkRequest(ActorRequest):
    """timeline: home or notifications. place: of what was read last, `before` or `at` of a page; default: of what is
    newest now."""

    timeline: Literal["home", "notifications"]
    place: Annotated[str | None, Meta(title="a place", description="A place in that timeline.")] = None


class Markers(Response):
    """The places of what was read last; null if none is known here."""

    home: js.FeedCursor | None
    notifications: js.NoticeCursor | None


class Unread(Response):
    """unread: how many notifications are newer than what was read last; 100 means so many or more."""

    unread: int


def read_until(q: Queries, held: PrivateData) -> bytes | None:
    """The place of the notification that was read last, 8 bytes."""
    return furthest(q, held, NOTIFICATIONS)


def furthest(q: Queries, held: PrivateData, timeline: str) -> bytes | None:
    """The place among notifications that is the furthest of all devices, 8 bytes."""
    return max((place for said in _of(held, timeline) if (place := place_here(q, said))), default=None)


def gone(q: Queries, held: PrivateData) -> PutAway:
    """What the account put away."""
    places = frozenset(place for one in held.all(Dismissal) if (place := place_here(q, one.place)))
    return PutAway(furthest(q, held, CLEARED) or b"", places)


def home_read(held: PrivateData) -> bytes | None:
    """The cursor of what was read last at home, 56 bytes."""
    found = [said for said in _of(held, HOME) if re.fullmatch("[0-9a-f]{112}", said)]
    return bytes.fromhex(max(found)) if found else None


def _of(held: PrivateData, timeline: str) -> list[str]:
    """What each device says."""
    return [marker.place for marker in held.all(Marker) if marker.timeline == timeline]


def place_said(q: Queries, place: bytes) -> str:
    """A place among notifications so that every node finds it. Raises CallError."""
    n, op = part_place(place)
    name = q.reader.name_at(n)
    if name is None:
        raise not_found("There is no such place among the notifications of this node.")
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
def markers(at: CommitView, ask: ActorRequest) -> Markers:
    """How far an account has read."""
    account, q = hosted.account_of(at, ask.by), at.queries()
    held = at.private(account)
    home, heard = home_read(held), read_until(q, held)
    return Markers(None if home is None else js.feed_cursor(home), None if heard is None else js.notice_cursor(heard))


@METHODS.read("notifications.unread", "not_found", "refused")
def unread(at: CommitView, ask: ActorRequest) -> Unread:
    """How many notifications an account has not read."""
    account, q = hosted.account_of(at, ask.by), at.queries()
    held, count = at.private(account), 0
    last, visibility = read_until(q, held), visibility_of(at, account, ViewPlace("notifications"))
    for place, one in islice(heard(q, account, visibility, partial(trusted_by, at), gone=gone(q, held)), 20 * COUNTED):
        if count == COUNTED or (last is not None and place <= last):
            break
        count += one is not None
    return Unread(count)


@METHODS.write("marker.set", "not_found", "refused")
def mark(ctx: Context, ask: MarkRequest, now: float) -> NoResult:
    """Notes how far an account has read. A marker goes forward only."""
    account, q = hosted.account_of(ctx, ask.by), ctx.queries()
    held = sealed_writer.of(ctx, account)
    if ask.timeline == HOME:
        place = js.place_of(ask.place, CURSOR_BYTES, "in a feed") or _newest_at_home(q, account)
        before = home_read(held)
        if place is None or (before is not None and before >= place):
            return NoResult()
        if cursor_ms(place) > ctx.replica.wall_ms(now) + AHEAD_MS:
            raise bad_request("That place in the feed is in the future: give one of a page that was read.")
        said = place.hex()
    else:
        place = js.place_of(ask.place, PLACE_BYTES, "among notifications") or newest_heard(q, account)
        last = read_until(q, held)
        if place is None or (last is not None and last >= place):
            return NoResult()
        said = place_said(q, place)
    append_each(
        ctx,
        account,
        sealed_writer.entries(sealed_writer.drafts(ctx, account, [Marker(ask.timeline, said, ctx.device.key)], now)),
        now,
    )
    return NoResult()


def _newest_at_home(q: Queries, account: AccountId) -> bytes | None:
    return next((cursor for cursor, _ in q.timeline([account, *q.follows(account)], None, True)), None)


def newest_heard(q: Queries, account: AccountId) -> bytes | None:
    found = all_notices(q, account, None, lambda what, who: False, tellers(q, account), now_ms())
    return next((place for place, _ in found), None)


# -- what an account hears of

MOST, NAMED = 200, 8
"""The most rows of a page, and the most accounts that a row names."""
READ, SCANNED = 5, 20_000
"""For each row of a page at most so many things are read; and so many of all, wanted or not, are looked at."""
TOGETHER = frozenset({"reaction", "repost", "follow", "follow_request", "group_request"})
"""What is told once for all who did it to one post or group."""


class NoticesRequest(ActorRequest):
    """of: only what this account did. each: a row for each, although they are alike."""

    kinds: Annotated[list[Notice] | None, Meta(description=f"Only these of {', '.join(NOTICES)}; default: all.")] = None
    of: Annotated[str | None, Meta(title="an account", description="A DID, or a name hosted here.")] = None
    each: bool = False
    before: Annotated[
        str | None, Meta(title="a place among notifications", description="`before` of the page above.")
    ] = None
    limit: Annotated[int, Meta(ge=1, le=MOST)] = 40


class ToEvent(Response):
    uri: js.PostUri
    title: str
    begins: js.Moment
    zone: str


class NoticeRow(Response):
    """kind: what happened. accounts: who did it, the latest first, at most 8; others: how many more. time_ms: of the
    latest. post: theirs, which answers, quotes or mentions, or the poll that ended. about: the post of one's
    own that it is about. emojis: with which they reacted. edited: the post was edited, which is why it is told.
    at: the place of the latest, for `marker.set`. unread: whether it is newer than what was read last. group:
    that invites or accepted the account, or that they ask to join. event: to which they invite. channel: that
    has a new episode, `post`. to: the account as which one that is followed goes on."""

    kind: Notice
    accounts: list[AccountName]
    others: int
    time_ms: js.Milliseconds
    post: PostRow | None
    about: js.PostUri | None
    emojis: list[str]
    edited: bool
    at: js.NoticeCursor
    unread: bool
    group: InGroup | None
    event: ToEvent | None
    channel: OfChannel | None
    to: AccountName | None


class NoticesPage(Response):
    """Newest first, by their arrival at this node. before: give it to get the next page; null on the last page."""

    notices: list[NoticeRow]
    before: js.NoticeCursor | None


@METHODS.read("notifications", "refused")
def notifications(at: CommitView, ask: NoticesRequest) -> NoticesPage:
    """What an account hears of, without what it does not see of others. Of a page, alike things are one row."""
    account, q = hosted.account_of(at, ask.by), at.queries()
    visibility, place = (
        visibility_of(at, account, ViewPlace("notifications")),
        js.place_of(ask.before, PLACE_BYTES, "among notifications"),
    )
    held = at.private(account)
    found = heard(q, account, visibility, partial(trusted_by, at), place, set(ask.kinds or NOTICES), gone(q, held))
    only = None if ask.of is None else hosted.account_of(at, ask.of)
    groups: dict[object, list[Notification]] = {}
    places, seen = list[bytes](), read_until(q, held) or b""
    last, looked, read = b"", 0, 0
    for place, one in found:
        if looked == SCANNED or read == READ * ask.limit:
            break
        if one is not None and only in (None, one.who):
            name = (one.what, one.about, one.group) if one.what in TOGETHER and not ask.each else place
            if name not in groups and len(groups) == ask.limit:
                break
            if name not in groups:
                groups[name] = []
                places.append(place)
            groups[name].append(one)
            read += 1
        last, looked = place, looked + 1
    else:
        last = b""
    rows = PostRows(q, at.blobs, visibility)
    told_of = [_row(q, rows, one, at_, at_ > seen) for one, at_ in zip(groups.values(), places, strict=True)]
    return NoticesPage(told_of, js.notice_cursor(last) if last else None)


def _event(q: Queries, target: Target) -> ToEvent | None:
    found = event_of(q, target)
    return (
        None if found is None else ToEvent(js.uri(target), found.event.title, found.event.begins_ms, found.event.zone)
    )


def _row(q: Queries, rows: PostRows, group: list[Notification], place: bytes, unread: bool) -> NoticeRow:
    first = group[0]
    who = list(dict.fromkeys(one.who for one in group))
    post = None if first.post is None else rows.of(first.post)
    to = identity.moved_to(q, first.who) if first.what == "move" else None
    return NoticeRow(
        kind=first.what,
        accounts=[AccountName(js.did(a), rows.name(a)) for a in who[:NAMED]],
        others=max(0, len(who) - NAMED),
        time_ms=first.time_ms,
        post=post,
        about=None if first.about is None else js.uri(first.about),
        emojis=sorted({one.emoji for one in group if one.emoji}),
        edited=first.edited,
        at=js.notice_cursor(place),
        unread=unread,
        group=None if first.group is None else rows.group(first.group),
        event=None if first.event is None else _event(q, first.event),
        channel=None if first.channel is None else of_channel(q, first.channel),
        to=None if to is None else AccountName(js.did(to), rows.name(to)),
    )
