"""What of all that a store tells an account is told to it: said by somebody who may, and whom the account sees."""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterable, Iterator
from dataclasses import replace
from functools import cache
from typing import NamedTuple

from banyan_crdt.ids import AccountId
from banyan_node.hosting.visibility import Visibility
from banyan_reading import locking, moving
from banyan_reading.ended import all_notices
from banyan_reading.grouped import group_of
from banyan_reading.noticed import Noticed
from banyan_reading.queries import Queries
from banyan_reading.rules import Act, Rules
from banyan_reading.scheduled import event_of
from banyan_reading.series import channel_of, subscriptions
from banyan_reading.verified import verified
from banyan_schema.address import Target
from banyan_schema.notices import NOTICES, Notice


class PutAway(NamedTuple):
    """until: the place up to which all is put away. places: of single ones."""

    until: bytes = b""
    places: frozenset[bytes] = frozenset()


NOTHING = PutAway()


def tellers(q: Queries, account: AccountId) -> set[AccountId]:
    """Who tells it what they tell all: those that it follows, and the makers of channels to which it subscribed."""
    return {*q.follows(account), *(channel.account for channel in subscriptions(q, account))}


def heard(
    q: Queries,
    account: AccountId,
    visibility: Visibility,
    trusted: Callable[[], Iterable[AccountId]],
    before: bytes | None = None,
    kinds: Collection[Notice] = NOTICES,
    gone: PutAway = NOTHING,
) -> Iterator[tuple[bytes, Noticed | None]]:
    """(place, what is told), the newest first; None in the place of what is not, so that a caller can stop. visibility:
    of the account. trusted: whose word on official channels counts. before: the place of the last one of the page
    before. gone: what it put away."""
    locked, followed, channels = locking.is_locked(q, account), {*q.follows(account)}, {*subscriptions(q, account)}
    makers = {channel.account for channel in channels}
    official = cache(lambda who: bool(verified(q, who, trusted())))

    def told(what: Notice, who: AccountId) -> Notice:
        asks = what == "follow" and locked and not locking.answered(q, account, "accept", who)
        return "follow_request" if asks else what

    def wanted(what: Notice, who: AccountId) -> bool:
        of = {"episode": makers, "urgent": followed, "move": followed}.get(what)
        return (of is None or who in of) and visibility.sees(who) and told(what, who) in kinds

    for place, one in all_notices(q, account, before, wanted, followed | makers, visibility.now_ms):
        if place <= gone.until:
            return
        theirs = None if one is None or one.post is None else q.post(one.post)
        shows = theirs is None or visibility.shows(theirs)
        shows = shows and place not in gone.places and not (one is not None and _is_quiet(q, visibility, one))
        shows = shows and not (one is not None and _is_refused(visibility.rules, one))
        if one is not None and shows and _may(q, account, one, official, channels):
            yield place, replace(one, what=told(one.what, one.who))
        else:
            yield place, None


def _is_quiet(q: Queries, visibility: Visibility, one: Noticed) -> bool:
    """Whether it is of a conversation of which the account wants to hear nothing. A poll that ended is told always."""
    for target in (one.post, one.about):
        said = None if target is None or one.what == "poll_ended" else q.post(target)
        if said is not None and visibility.is_quiet(said.target if said.post.reply is None else said.post.reply.root):
            return True
    return False


def _is_refused(rules: Rules, one: Noticed) -> bool:
    """Whether it is a quote or a repost that the account does not want. Of an answer its own post says so."""
    acts: dict[Notice, Act] = {"quote": "quotes", "repost": "reposts"}
    act = acts.get(one.what)
    return act is not None and one.about is not None and bool(rules.refuses(act, one.who, [one.about], one.post))


def _may(
    q: Queries,
    account: AccountId,
    one: Noticed,
    official: Callable[[AccountId], bool],
    channels: Container[Target],
) -> bool:
    """Whether what is told of a group or an event is said by, or concerns, somebody who may speak for it now; and
    whether an account that accepts was asked, both agree to a move, an urgent channel is official, and an episode is of
    one of these channels, to which the account subscribed."""
    if one.channel is not None:
        if one.post is None or not q.is_shown(one.post):
            return False
        return one.channel in channels and one.channel.account == one.who and channel_of(q, one.channel) is not None
    if one.what == "urgent":
        return official(one.who)
    if one.what == "move":
        return moving.moved_to(q, one.who) is not None
    if one.what == "follow_accept":
        return locking.is_locked(q, one.who) and locking.follows(q, account, one.who)
    if one.event is not None:
        return one.who == one.event.account and event_of(q, one.event) is not None
    if one.group is None:
        return True
    group = group_of(q, one.group)
    if group is None:
        return False
    if one.what == "group_request":
        return group.group.kind == "request" and account in group.rulers
    return one.who in group.rulers
