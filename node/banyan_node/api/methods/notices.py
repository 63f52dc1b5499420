"""What an account hears of: replies, quotes, mentions, reactions, reposts, followers, ended polls, what groups say.
Alike things are one row."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from msgspec import Meta

from banyan_node.api.declare import CommitView, Declared, Request, Response
from banyan_node.api.methods.episodes import OfChannel, of_channel
from banyan_node.api.methods.markers import gone, read_until
from banyan_node.api.methods.reading import InGroup, Named, PostRow, PostRows, trusted_by, visibility_of
from banyan_node.api.texts import Milliseconds, Moment, NoticeCursor, Own, PostUri, did, notice_cursor, place_of, uri
from banyan_node.hosting import hosted
from banyan_node.hosting.hearing import heard
from banyan_reading import moving
from banyan_reading.noticed import Noticed
from banyan_reading.queries import Queries
from banyan_reading.scheduled import event_of
from banyan_reading.visibility import Place
from banyan_schema.address import Target
from banyan_schema.notices import NOTICES, Notice
from banyan_storage.naming import PLACE_BYTES

METHODS = Declared()
MOST, NAMED = 200, 8
"""The most rows of a page, and the most accounts that a row names."""
READ, SCANNED = 5, 20_000
"""For each row of a page at most so many things are read; and so many of all, wanted or not, are looked at."""
TOGETHER = frozenset({"reaction", "repost", "follow", "follow_request", "group_request"})
"""What is told once for all who did it to one post or group."""


class NoticesRequest(Request, frozen=True, forbid_unknown_fields=True):
    """of: only what this account did. each: a row for each, although they are alike."""

    by: Own = None
    kinds: Annotated[list[Notice] | None, Meta(description=f"Only these of {', '.join(NOTICES)}; default: all.")] = None
    of: Annotated[str | None, Meta(title="an account", description="A DID, or a name hosted here.")] = None
    each: bool = False
    before: Annotated[
        str | None, Meta(title="a place among notifications", description="`before` of the page above.")
    ] = None
    limit: Annotated[int, Meta(ge=1, le=MOST)] = 40


class ToEvent(Response, frozen=True):
    uri: PostUri
    title: str
    begins: Moment
    zone: str


class NoticeRow(Response, frozen=True):
    """kind: what happened. accounts: who did it, the latest first, at most 8; others: how many more. time_ms: of the
    latest. post: theirs, which answers, quotes or mentions, or the poll that ended. about: the post of one's
    own that it is about. emojis: with which they reacted. edited: the post was edited, which is why it is told.
    at: the place of the latest, for `marker.set`. unread: whether it is newer than what was read last. group:
    that invites or accepted the account, or that they ask to join. event: to which they invite. channel: that
    has a new episode, `post`. to: the account as which one that is followed goes on."""

    kind: Notice
    accounts: list[Named]
    others: int
    time_ms: Milliseconds
    post: PostRow | None
    about: PostUri | None
    emojis: list[str]
    edited: bool
    at: NoticeCursor
    unread: bool
    group: InGroup | None
    event: ToEvent | None
    channel: OfChannel | None
    to: Named | None


class Notices(Response, frozen=True):
    """Newest first, by their arrival at this node. before: give it to get the next page; null on the last page."""

    notices: list[NoticeRow]
    before: NoticeCursor | None


@METHODS.read("notifications", "refused")
def notifications(at: CommitView, ask: NoticesRequest) -> Notices:
    """What an account hears of, without what it does not see of others. Of a page, alike things are one row."""
    account, q = hosted.account_of(at, ask.by), at.queries()
    visibility, place = (
        visibility_of(at, account, Place("notifications")),
        place_of(ask.before, PLACE_BYTES, "among notifications"),
    )
    held = at.private(account)
    found = heard(q, account, visibility, partial(trusted_by, at), place, set(ask.kinds or NOTICES), gone(q, held))
    only = None if ask.of is None else hosted.account_of(at, ask.of)
    groups: dict[object, list[Noticed]] = {}
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
    return Notices(told_of, notice_cursor(last) if last else None)


def _event(q: Queries, target: Target) -> ToEvent | None:
    found = event_of(q, target)
    return None if found is None else ToEvent(uri(target), found.event.title, found.event.begins_ms, found.event.zone)


def _row(q: Queries, rows: PostRows, group: list[Noticed], place: bytes, unread: bool) -> NoticeRow:
    first = group[0]
    who = list(dict.fromkeys(one.who for one in group))
    post = None if first.post is None else rows.of(first.post)
    to = moving.moved_to(q, first.who) if first.what == "move" else None
    return NoticeRow(
        kind=first.what,
        accounts=[Named(did(a), rows.name(a)) for a in who[:NAMED]],
        others=max(0, len(who) - NAMED),
        time_ms=first.time_ms,
        post=post,
        about=None if first.about is None else uri(first.about),
        emojis=sorted({one.emoji for one in group if one.emoji}),
        edited=first.edited,
        at=notice_cursor(place),
        unread=unread,
        group=None if first.group is None else rows.group(first.group),
        event=None if first.event is None else _event(q, first.event),
        channel=None if first.channel is None else of_channel(q, first.channel),
        to=None if to is None else Named(did(to), rows.name(to)),
    )
