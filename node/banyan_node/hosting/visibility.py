"""What an account wants to see, read from the store; what of the posts there that shows it (banyan_reading), why one is
not shown, and what the account is told."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cache
from itertools import islice
from typing import NamedTuple, TypeVar, cast

from banyan_crdt.ids import AccountId, Coll, account_to_text
from banyan_node.hosting.sealed_reader import PrivateData
from banyan_node.operator_errors import not_found
from banyan_reading import identity, labels, relations
from banyan_reading.answers import PostView
from banyan_reading.channels import channel_of, subscriptions
from banyan_reading.events import event_of
from banyan_reading.groups import group_of
from banyan_reading.identity import verified
from banyan_reading.interaction_rules import Act, InteractionRules
from banyan_reading.notifications import Notification
from banyan_reading.polls import all_notices
from banyan_reading.queries import Queries
from banyan_reading.visibility import (
    LabellerWish,
    ListRule,
    PostFacts,
    Verdict,
    Viewer,
    ViewPlace,
    WithheldBy,
    lasts,
    visible,
    word_filters,
)
from banyan_schema.address import Target
from banyan_schema.notices import NOTICES, Notice
from banyan_schema.private_kinds import AccountList, Filter, FollowWish, LabellerChoice, ListMember, Mute
from banyan_schema.social import POST, post_to_text
from banyan_schema.social.label import ALLOW, LabelName, is_whole
from banyan_storage.local_tables import STATED, WITHHELD

T = TypeVar("T")

ELSEWHERE = ViewPlace("elsewhere")
MOST_READ = 10_000
"""Labels of one issuer that are read for a reader who chose it: a quarter of a second, once when something of it came.
Posts that further ones are about are hidden all the same, when they are read."""


class Visibility:
    """What one request sees. viewer: who reads; None: nobody in particular. limited: the accounts that moderators
    limit."""

    def __init__(
        self,
        q: Queries,
        viewer: Viewer | None,
        private: PrivateData,
        limited: Collection[AccountId],
        where: ViewPlace,
        now_ms: int,
    ) -> None:
        self._q, self.viewer, self.rules, self.now_ms = q, viewer, InteractionRules(q), now_ms
        self.reader = None if viewer is None else viewer.account
        self._private, self._limited, self._where = private, limited, where
        self._meant: dict[AccountId, dict[str, LabelName]] = {}

    def of(
        self,
        view: PostView,
        blocked: Collection[AccountId] = (),
        first: Target | None = None,
        quoted: Target | None = None,
    ) -> Verdict:
        """blocked: by who opened the conversation, or wrote what is quoted. first, quoted: see
        `InteractionRules.of`."""
        by, author = None if view.reposted is None else view.reposted.by, view.target.account
        limited = [one for one in (author, by) if one and one in self._limited] if self._limited else ()
        refused = self.rules.of(view, first, quoted)
        post, blocks = view.post, author in blocked
        labelled, label = self._labels(view.target)
        said = post.text, post.warning, post.tags, post.lang, post.audience
        answers = None if post.reply is None else post.reply.parent.account
        facts = PostFacts(author, *said, answers, by, limited, blocks, refused, label=label, labelled=labelled)
        return visible(self.viewer, facts, self._where, self.now_ms)

    def is_labelled(self, post: Target) -> bool:
        """Whether an issuer that the reader chose hides the post of somebody else."""
        return self._labels(post)[0] and self.viewer is not None and post.account != self.viewer.account

    def _labels(self, post: Target) -> tuple[bool, str | None]:
        """Whether an issuer that the reader chose hides the post, and what stands before it."""
        wishes = {} if self.viewer is None else self.viewer.labellers
        refused = [account_to_text(one) for one, wish in wishes.items() if wish == "refuse"]
        own, chosen = self._q.label(post, refused), [one for one, wish in wishes.items() if wish != "refuse"]
        if not chosen:
            return False, own
        found = [one for one in labels.of(self._q, post, chosen) if lasts(one.label.until_ms or None, self.now_ms)]
        if any(one.label.name == ALLOW for one in found):
            return False, own
        hides, said = False, [] if own is None else [own]
        for one in found:
            if one.issuer not in self._meant:
                self._meant[one.issuer] = labels.names_of(self._q, one.issuer)
            names = self._meant[one.issuer]
            severity = labels.severity_of(names, one.label.name)
            hides |= severity == "hide" and wishes[one.issuer] == "hide"
            if severity != "note":
                said.append(labels.words_of(names, one.label))
        return hides, "; ".join(dict.fromkeys(said)) or None

    @property
    def filters(self) -> bool:
        """Whether the reader has any, or chose issuers of labels."""
        return self.viewer is not None and bool(self.viewer.filters or self.viewer.labellers)

    def words(self, view: PostView) -> Verdict:
        """What stands before the post: `label`, and the words of a filter."""
        return self.of(view) if self.filters else Verdict(label=self._q.label(view.target))

    def shows(self, view: PostView, blocked: Collection[AccountId] = (), quoted: Target | None = None) -> bool:
        return self.of(view, blocked, quoted=quoted).why is None

    def hides(self, account: AccountId) -> bool:
        """Whether the reader wants to see nothing of an account."""
        return self.viewer is not None and self.viewer.hides(account, self.now_ms)

    def hidden(self) -> Collection[AccountId]:
        """The accounts of which the reader wants to see nothing."""
        return () if self.viewer is None else self.viewer.hidden(self.now_ms)

    def limits(self, account: AccountId) -> bool:
        """Whether moderators want that the reader sees nothing of an account."""
        if account not in self._limited or account == self.reader:
            return False
        return self.viewer is None or account not in self.viewer.follows

    def sees(self, account: AccountId) -> bool:
        return not self.hides(account) and not self.limits(account)

    def with_list(self, name: bytes, id_: str) -> Visibility:
        """The same, and what the reader wants in one of its lists."""
        assert self.viewer is not None
        found = self._private.get(AccountList(name, ""))
        members = {AccountId(one.account) for one in self._private.all(ListMember) if one.list == name}
        replies, own = None if found is None else found.replies, self.viewer.account
        follows = [one for one in self._q.follows(own) if not self.hides(one)] if replies == "followed" else []
        rule = ListRule.of(own, members, replies, follows)
        viewer = replace(self.viewer, lists={id_: rule})
        return Visibility(self._q, viewer, self._private, self._limited, self._where, self.now_ms)

    def members(self, id_: str) -> Collection[AccountId]:
        """Of a list that was read."""
        return () if self.viewer is None else self.viewer.lists[id_].members

    def keeps(self, post: Target) -> bool:
        """Whether the reader bookmarked the post."""
        return self._private.has("bookmark", post.raw)

    def is_quiet(self, root: Target) -> bool:
        """Whether the reader wants to be told nothing of the conversation that this post opened."""
        return self._private.has("quiet", root.raw)


def read_viewer(q: Queries, account: AccountId, held: PrivateData) -> Viewer:
    """Without lists, and without whom it follows."""
    labellers = labellers_of(held)
    own = {AccountId(one.account): one.until_ms for one in held.all(Mute)} | dict.fromkeys(q.mutes(account))
    return Viewer(
        account,
        blocks=frozenset(q.blocks(account)),
        mutes=_muted_by(q, labellers) | own,
        labellers=labellers,
        apart=on_exclusive_lists(held) - {account},
        wishes={AccountId(one.account): one for one in held.all(FollowWish)},
        filters=word_filters(held.all(Filter)),
    )


def labellers_of(held: PrivateData) -> dict[AccountId, LabellerWish]:
    """The issuers of labels that it chose, and what it wants of them."""
    return {AccountId(one.issuer): cast("LabellerWish", one.wish) for one in held.all(LabellerChoice)}


def _muted_by(q: Queries, issuers: Mapping[AccountId, LabellerWish]) -> dict[AccountId, int | None]:
    """The accounts that these issuers hide, and until when, without those that one of them allows."""
    found, allowed = dict[AccountId, int | None](), set[AccountId]()
    for issuer in (one for one, wish in issuers.items() if wish != "refuse"):
        names = labels.names_of(q, issuer)
        for one in islice(labels.given_by(q, issuer), MOST_READ):
            if is_whole(one.label.about) and one.label.name == ALLOW:
                allowed.add(one.label.about.account)
            hides = issuers[issuer] == "hide" and labels.severity_of(names, one.label.name) == "hide"
            if is_whole(one.label.about) and hides:
                found[one.label.about.account] = one.label.until_ms or None
    return {who: until for who, until in found.items() if who not in allowed}


def on_exclusive_lists(held: PrivateData) -> set[AccountId]:
    """The accounts on lists that keep their posts out of the home timeline."""
    lists = {one.id for one in held.all(AccountList) if one.exclusive}
    return {AccountId(one.account) for one in held.all(ListMember) if one.list in lists} if lists else set()


# Why a post is not shown. Withheld posts are noted by post, in addition to the store's record of each operation: the
# operator can list them, and a thread shows a mark in their place. Releasing the content deletes the note.

UNKNOWN = "not held here: never heard of, or not arrived yet"


class PostAbsence(NamedTuple):
    """word: deleted, withheld, hidden or unknown. sentence: says it of "this post", without a full stop. withheld: by
    which order it is."""

    word: str
    sentence: str
    withheld: WithheldBy | None = None


def why_gone(q: Queries, target: Target) -> PostAbsence:
    """The reason for a post that is not shown."""
    own, said, now_ms = WITHHELD.get(q.reader, target), STATED.get(q.reader, target), time.time_ns() // 1_000_000
    if said is not None and said.until_ms and said.until_ms <= now_ms:
        said = None
    stated = None if said is None or not said.counts else WithheldBy(*said[1:])
    order = stated if own is None else WithheldBy(None, *own)
    cell = q.cell(target.account, POST, target.key)._replace(withheld=order is not None, unknown=True)
    verdict = visible(None, PostFacts(target.account, "", cell=cell, order=order), ELSEWHERE, now_ms)
    if verdict.why == "deleted":
        return PostAbsence("deleted", "deleted by its author")
    if verdict.why == "withheld" and verdict.order is not None:
        return PostAbsence("withheld", verdict.order.sentence, verdict.order)
    if verdict.why == "moderated":
        return PostAbsence("hidden", "hidden by the moderators of this node")
    if said is not None:
        return PostAbsence("unknown", f"{UNKNOWN}; {said.by.hex()[:16]}, whom nobody here named, says: {said.order}")
    return PostAbsence("unknown", UNKNOWN)


def shown(q: Queries, found: T | None, coll: Coll, target: Target, what: str, ended: str) -> T:
    """A group, an event, a channel ... that is shown. found: None: it is not. what: what it is. ended: what its account
    did, if it did. Raises CallError."""
    if found is None:
        why = ended if q.is_dead(target.account, coll, target.key) else UNKNOWN
        raise not_found(f"The {what} {post_to_text(target)} is {why}.")
    return found


# An account is told what somebody said who may, and whom it sees.


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
) -> Iterator[tuple[bytes, Notification | None]]:
    """(place, what is told), the newest first; None in the place of what is not, so that a caller can stop. visibility:
    of the account. trusted: whose word on official channels counts. before: the place of the last one of the page
    before. gone: what it put away."""
    locked, followed, channels = relations.is_locked(q, account), {*q.follows(account)}, {*subscriptions(q, account)}
    makers = {channel.account for channel in channels}
    official = cache(lambda who: bool(verified(q, who, trusted())))

    def told(what: Notice, who: AccountId) -> Notice:
        asks = what == "follow" and locked and not q.follow_answered(account, "accept", who)
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


def _is_quiet(q: Queries, visibility: Visibility, one: Notification) -> bool:
    """Whether it is of a conversation of which the account wants to hear nothing. A poll that ended is told always."""
    for target in (one.post, one.about):
        said = None if target is None or one.what == "poll_ended" else q.post(target)
        if said is not None and visibility.is_quiet(said.target if said.post.reply is None else said.post.reply.root):
            return True
    return False


def _is_refused(rules: InteractionRules, one: Notification) -> bool:
    """Whether it is a quote or a repost that the account does not want. Of an answer its own post says so."""
    acts: dict[Notice, Act] = {"quote": "quotes", "repost": "reposts"}
    act = acts.get(one.what)
    return act is not None and one.about is not None and bool(rules.refuses(act, one.who, [one.about], one.post))


def _may(
    q: Queries,
    account: AccountId,
    one: Notification,
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
        return identity.moved_to(q, one.who) is not None
    if one.what == "follow_accept":
        return relations.is_locked(q, one.who) and q.relates(account, "follow", one.who)
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
