"""What people read: profiles and feeds."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Annotated

from msgspec import Meta

from banyan_crdt.ids import AccountId
from banyan_node.api.declare import CommitView, Declared, Request, Response
from banyan_node.api.methods.polls import PollRow, poll_row
from banyan_node.api.texts import (
    Did,
    FeedCursor,
    Milliseconds,
    Own,
    PostUri,
    ThingRef,
    did,
    feed_cursor,
    key_of,
    place_of,
    uri,
)
from banyan_node.hosting import hosted
from banyan_node.hosting.lens import Lens
from banyan_node.hosting.vault import Private
from banyan_node.operator_errors import CallError
from banyan_schema.privately import AccountList, Member
from banyan_schema.social import Audience, Target
from banyan_storage.answers import Reposted
from banyan_storage.errors import ViewBuilding
from banyan_storage.queries import PostView, Queries

METHODS = Declared()
FEED_MOST = 1_000
LOOKED = 20
"""For each post of a page at most so many are looked at: a page of which most is hidden may be short."""
FOLLOWING_SHOWN = 50
CURSOR_BYTES = 56
"""Time, account and key of the last post of a page."""


class ProfileOf(Request, frozen=True, forbid_unknown_fields=True):
    account: Own = None


class FeedRequest(Request, frozen=True, forbid_unknown_fields=True):
    """account: only its posts. all: the public posts of all accounts held here. in_list: of those on a list of the
    reader's. Default: of the account that reads and those it follows. by: the account that reads. replies: whether to
    include replies. reposts: whether to include what these accounts reposted. langs: only posts in these languages,
    and those that name none."""

    by: Own = None
    in_list: ThingRef | None = None
    replies: bool = True
    reposts: bool = True
    langs: Annotated[list[str] | None, Meta(description="Such as vi and en.")] = None
    account: Annotated[str | None, Meta(title="an account", description="A DID, or a name hosted here.")] = None
    all: bool = False
    before: Annotated[str | None, Meta(title="a place in a feed", description="`before` of the page above.")] = None
    limit: Annotated[int, Meta(ge=0, le=FEED_MOST)] = 20


class Named(Response, frozen=True):
    account: Did
    name: str


class Profile(Response, frozen=True):
    """follows, followers, posts: how many. following: the first 50 accounts that it follows, by id."""

    account: Did
    name: str
    fields: dict[str, str]
    follows: int
    followers: int
    posts: int
    following: list[Named]


class Quoted(Response, frozen=True):
    """name, text: null if the quoted post is not held here, or is of one that the reader blocks or mutes. warning: of
    the post, or the words of the reader's filter against it."""

    uri: PostUri
    name: str | None
    text: str | None
    warning: str | None


class Reposter(Named, frozen=True):
    time_ms: Milliseconds


class PostRow(Response, frozen=True):
    """A post as people read it. reactions: the number of accounts, by emoji. warning: to be shown instead of the text
    until the reader asks for it. filtered: the words of the reader's filter that wants that too. mentions: whom it
    wants to notice it. reposted: who reposted it, where it stands in a feed because of that; the latest first."""

    uri: PostUri
    account: Did
    name: str
    text: str
    time_ms: Milliseconds
    edited: bool
    lang: str | None
    warning: str | None
    filtered: str | None
    audience: Audience
    tags: list[str]
    mentions: list[Named]
    reply_to: PostUri | None
    root: PostUri | None
    reply_name: str | None
    quote: Quoted | None
    poll: PollRow | None
    replies: int
    reactions: dict[str, int]
    reposts: int
    reposted: list[Reposter]


class Feed(Response, frozen=True):
    """Newest first. before: give it to get the next page; null on the last page."""

    posts: list[PostRow]
    before: FeedCursor | None


def name_of(q: Queries, account: AccountId) -> str:
    """The name of an account. Also empty while the view is being built: a list without names is useful."""
    try:
        return next((f.value for f in q.profile(account).fields if f.field == "name"), "")
    except ViewBuilding:
        return ""


@METHODS.read("profile.get", "refused")
def profile_get(at: CommitView, ask: ProfileOf) -> Profile:
    """The profile of an account, and how many follow it."""
    account, q = hosted.account_of(at, ask.account), at.queries()
    fields = {f.field: f.value for f in q.profile(account).fields}
    following = q.follows(account, limit=FOLLOWING_SHOWN)
    return Profile(
        account=did(account),
        name=fields.get("name", ""),
        fields=fields,
        follows=q.follow_count(account),
        followers=q.follower_count(account),
        posts=q.post_count(account),
        following=[Named(did(a), name_of(q, a)) for a in following],
    )


class PostRows:
    """Makes rows of posts, and caches names."""

    def __init__(self, q: Queries, lens: Lens | None = None) -> None:
        self._q = q
        self._lens = lens
        self._reader = None if lens is None else lens.reader
        self._names: dict[AccountId, str] = {}

    def name(self, account: AccountId) -> str:
        if account not in self._names:
            self._names[account] = name_of(self._q, account)
        return self._names[account]

    def _quoted(self, target: Target) -> Quoted:
        original = self._q.post(target)
        hidden = self._lens is not None and not self._lens.sees(target.account)
        if original is None or hidden:
            return Quoted(uri(target), None, None, None)
        said = original.post
        filtered = None if self._lens is None else self._lens.warns(target.account, said)
        return Quoted(uri(target), self.name(target.account), said.text, said.warning or filtered)

    def row(self, view: PostView, reposted: Iterable[Reposted] = ()) -> PostRow:
        q, said, answered = self._q, view.post, view.post.reply
        return PostRow(
            uri=uri(view.target),
            account=did(view.target.account),
            name=self.name(view.target.account),
            text=said.text,
            time_ms=view.time_ms,
            edited=q.edited(view),
            lang=said.lang,
            warning=said.warning,
            filtered=None if self._lens is None else self._lens.warns(view.target.account, said),
            audience=said.audience,
            tags=list(said.tags),
            mentions=[Named(did(a), self.name(a)) for a in said.mentions],
            reply_to=uri(answered.parent) if answered else None,
            root=uri(answered.root) if answered else None,
            reply_name=self.name(answered.parent.account) or None if answered else None,
            quote=self._quoted(said.quote) if said.quote else None,
            poll=poll_row(q, view.target, said.poll, self._reader, now_ms()) if said.poll else None,
            replies=q.reply_count(view.target),
            reactions={r.emoji: r.accounts for r in q.reactions(view.target)},
            reposts=q.repost_count(view.target),
            reposted=[Reposter(did(r.by), self.name(r.by), r.time_ms) for r in reposted],
        )

    def of(self, target: Target) -> PostRow | None:
        """None if the post is not shown here."""
        view = self._q.post(target)
        return None if view is None else self.row(view)


def lens_of(at: CommitView, reader: AccountId | None) -> Lens:
    """How an account sees the others."""
    private = Private() if reader is None else at.private(reader)
    return Lens(at.queries(), private, reader, now_ms())


def now_ms() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def reader_of(at: CommitView, by: str | None) -> AccountId | None:
    """The account that reads: the one named, or this node's own if it has one."""
    return hosted.me(at) if by is None else hosted.account_of(at, by)


@METHODS.read("feed", "refused")
def feed(at: CommitView, ask: FeedRequest) -> Feed:
    """Posts, newest first, without those of accounts that the reading account blocks or mutes.

    Of a page, a post that several reposted is one row, where the latest of them stands."""
    q, reader = at.queries(), reader_of(at, ask.by)
    lens = lens_of(at, reader)
    if ask.account:
        accounts, public = [hosted.account_of(at, ask.account)], False
    elif ask.in_list:
        accounts, public = [AccountId(m.account) for m in _listed(at, ask)], False
    elif ask.all:
        accounts, public = [a for a in at.store.accounts() if lens.sees(a)], True
    else:
        own = reader or hosted.my_account(at)
        accounts, public = [a for a in (own, *q.follows(own)) if lens.sees(a)], False
    page, last, before = dict[Target, tuple[PostView, list[Reposted]]](), None, None
    place = place_of(ask.before, CURSOR_BYTES, "in a feed")
    found = q.timeline(accounts, place, ask.reposts and not ask.all) if ask.limit else ()
    for n, (cursor, view) in enumerate(found):
        if len(page) == ask.limit or n == LOOKED * ask.limit:
            before = last
            break
        last = feed_cursor(cursor)
        if view is None or not _wanted(ask, view, public):
            continue
        if (ask.account and view.reposted is None) or lens.shows(view.target.account, view.post):
            _, reposted = page.setdefault(view.target, (view, []))
            reposted += [view.reposted] if view.reposted and page[view.target][0].reposted else []
    rows = PostRows(q, lens)
    return Feed([rows.row(*one) for one in page.values()], before)


def _listed(at: CommitView, ask: FeedRequest) -> list[Member]:
    held, name = at.private(hosted.account_of(at, ask.by)), key_of(ask.in_list or "")
    if held.get(AccountList(name, "")) is None:
        raise CallError("not_found", f"There is no list {ask.in_list}.", 404)
    return [member for member in held.all(Member) if member.list == name]


def _wanted(ask: FeedRequest, view: PostView, public: bool) -> bool:
    post = view.post
    if public and post.audience != "public":
        return False
    if not ask.replies and post.reply is not None and view.reposted is None:
        return False
    return not ask.langs or post.lang is None or post.lang.split("-")[0] in ask.langs or post.lang in ask.langs
