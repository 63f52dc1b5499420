"""What people read: profiles, feeds and conversations."""

from __future__ import annotations

import time
from typing import Annotated

from msgspec import Meta, structs

from banyan_crdt.ids import AccountId
from banyan_node.api.declare import CommitView, Declared, Request, Response
from banyan_node.api.methods.social import missing
from banyan_node.api.texts import (
    Did,
    FeedCursor,
    Milliseconds,
    Own,
    PostRef,
    PostUri,
    ThingRef,
    did,
    feed_cursor,
    key_of,
    place_of,
    target_of,
    uri,
)
from banyan_node.hosting import hosted
from banyan_node.hosting.gone import why_gone
from banyan_node.hosting.lens import Lens
from banyan_node.hosting.vault import Private
from banyan_node.operator_errors import CallError
from banyan_schema.privately import AccountList, Member
from banyan_schema.social import Audience, Post, Target
from banyan_storage import locking, moving, named
from banyan_storage.errors import ViewBuilding
from banyan_storage.grouped import group_of
from banyan_storage.queries import PostView, Queries
from banyan_storage.verified import verified

METHODS = Declared()
FEED_MOST = 1_000
LOOKED = 20
"""For each post of a page at most so many are looked at: a page of which most is hidden may be short."""
FOLLOWING_SHOWN = 50
HIDDEN = "by somebody whom the reader blocks or mutes"
CURSOR_BYTES = 56
"""Time, account and key of the last post of a page."""


class ProfileOf(Request, frozen=True, forbid_unknown_fields=True):
    account: Own = None


class FeedRequest(Request, frozen=True, forbid_unknown_fields=True):
    """account: only its posts. all: the public posts of all accounts held here. in_list: of those on a list of the
    reader's. Default: of the account that reads and those it follows. by: the account that reads. replies: whether to
    include replies. langs: only posts in these languages, and those that name none."""

    by: Own = None
    in_list: ThingRef | None = None
    replies: bool = True
    langs: Annotated[list[str] | None, Meta(description="Such as vi and en.")] = None
    account: Annotated[str | None, Meta(title="an account", description="A DID, or a name hosted here.")] = None
    all: bool = False
    before: Annotated[str | None, Meta(title="a place in a feed", description="`before` of the page above.")] = None
    limit: Annotated[int, Meta(ge=0, le=FEED_MOST)] = 20


class ThreadRequest(Request, frozen=True, forbid_unknown_fields=True):
    """by: the account that reads."""

    uri: PostRef
    by: Own = None


class Named(Response, frozen=True):
    account: Did
    name: str


class HandleOf(Response, frozen=True):
    """handle: as the account claims it. platforms: the accounts that claim its domain and confirm it; without one it is
    only claimed. Whose the domain is, only DNS or its web server can prove."""

    handle: str
    platforms: list[Named]


class OfficialAs(Response, frozen=True):
    """platform: that verified it. title: what it speaks for."""

    platform: Named
    title: str


class Profile(Response, frozen=True):
    """follows, followers, posts: how many; followers of a locked account (its field `locked` is `yes`) are those whom
    it accepted. following: the first 50 accounts that it follows, by id. moved_to: as which account it goes on, and
    also_was: which ones went on as this one; both say so. official: what platforms verified that it speaks for: this
    node's own account, and those that it follows and that claim a domain."""

    account: Did
    name: str
    fields: dict[str, str]
    follows: int
    followers: int
    posts: int
    following: list[Named]
    handle: HandleOf | None
    moved_to: Named | None
    also_was: list[Named]
    official: list[OfficialAs]


class Quoted(Response, frozen=True):
    """name, text: null if the quoted post is not held here, or is of one that the reader blocks or mutes. warning: of
    the post, or the words of the reader's filter against it."""

    uri: PostUri
    name: str | None
    text: str | None
    warning: str | None


class InGroup(Response, frozen=True):
    """name: empty if the group is not held here."""

    uri: PostUri
    name: str


class PostRow(Response, frozen=True):
    """A post as people read it. reactions: the number of accounts, by emoji. warning: to be shown instead of the text
    until the reader asks for it. filtered: the words of the reader's filter that wants that too. mentions: whom it
    wants to notice it. group: in which it was said, as its author claims: `group.feed` has what counts there."""

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
    replies: int
    reactions: dict[str, int]
    reposts: int
    group: InGroup | None


class ThreadRow(PostRow, frozen=True):
    """depth: 0 for the first held post of the conversation, 1 for a reply to it, and so on."""

    depth: int


class Feed(Response, frozen=True):
    """Newest first. before: give it to get the next page; null on the last page."""

    posts: list[PostRow]
    before: FeedCursor | None


class GonePost(Response, frozen=True):
    """word: deleted, withheld, unknown, or hidden from this reader. sentence: says it of "this post", without a full
    stop."""

    word: str
    sentence: str


class Thread(Response, frozen=True):
    """missing: a post that is not shown: the one asked for, or else the one above the first. gone: why. complete:
    whether all held replies are in the answer."""

    posts: list[ThreadRow]
    missing: PostUri | None
    gone: GonePost | None
    complete: bool


def name_of(q: Queries, account: AccountId) -> str:
    """The name of an account. Also empty while the view is being built: a list without names is useful."""
    try:
        return next((f.value for f in q.profile(account).fields if f.field == "name"), "")
    except ViewBuilding:
        return ""


def handle_of(q: Queries, account: AccountId) -> HandleOf | None:
    """The handle that an account claims, and who confirms it."""
    found = named.handle_of(q, account)
    if found is None:
        return None
    return HandleOf(found.handle, [Named(did(a), name_of(q, a)) for a in found.platforms])


@METHODS.read("profile.get", "refused")
def profile_get(at: CommitView, ask: ProfileOf) -> Profile:
    """The profile of an account, and how many follow it."""
    account, q = hosted.account_of(at, ask.account), at.queries()
    fields = {f.field: f.value for f in q.profile(account).fields}
    following, to = q.follows(account, limit=FOLLOWING_SHOWN), moving.moved_to(q, account)
    return Profile(
        account=did(account),
        name=fields.get("name", ""),
        fields=fields,
        follows=q.follow_count(account),
        followers=locking.count(q, account),
        posts=q.post_count(account),
        following=[Named(did(a), name_of(q, a)) for a in following],
        handle=handle_of(q, account),
        moved_to=None if to is None else Named(did(to), name_of(q, to)),
        also_was=[Named(did(a), name_of(q, a)) for a in moving.also_was(q, account)],
        official=[
            OfficialAs(Named(did(one.platform), name_of(q, one.platform)), one.title)
            for one in verified(q, account, trusted_by(at))
        ],
    )


class PostRows:
    """Makes rows of posts, and caches names."""

    def __init__(self, q: Queries, lens: Lens | None = None) -> None:
        self._q = q
        self._lens = lens
        self._names: dict[AccountId, str] = {}
        self._groups: dict[Target, InGroup] = {}

    def group(self, target: Target) -> InGroup:
        if target not in self._groups:
            found = group_of(self._q, target)
            self._groups[target] = InGroup(uri(target), found.group.name if found else "")
        return self._groups[target]

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

    def row(self, view: PostView) -> PostRow:
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
            replies=q.reply_count(view.target),
            reactions={r.emoji: r.accounts for r in q.reactions(view.target)},
            reposts=q.repost_count(view.target),
            group=None if said.group is None else self.group(said.group),
        )

    def of(self, target: Target) -> PostRow | None:
        """None if the post is not shown here."""
        view = self._q.post(target)
        return None if view is None else self.row(view)

    def at(self, depth: int, view: PostView) -> ThreadRow:
        return ThreadRow(**structs.asdict(self.row(view)), depth=depth)


def trusted_by(at: CommitView) -> list[AccountId]:
    """The accounts whose word on official channels counts at this node: its own, and those that this one follows."""
    own = hosted.me(at)
    return [] if own is None else [own, *at.queries().follows(own)]


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
    """Posts, newest first, without those of accounts that the reading account blocks or mutes."""
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
        accounts, public = [a for a in (own, *locking.followed(q, own, q.follows(own))) if lens.sees(a)], False
    views, last, before = list[PostView](), None, None
    place = place_of(ask.before, CURSOR_BYTES, "in a feed")
    for n, view in enumerate(q.timeline(accounts, place) if ask.limit else ()):
        if len(views) == ask.limit or n == LOOKED * ask.limit:
            before = last
            break
        last = feed_cursor(view.cursor)
        if _wanted(ask, view.post, public) and (ask.account or lens.shows(view.target.account, view.post)):
            views.append(view)
    rows = PostRows(q, lens)
    return Feed([rows.row(v) for v in views], before)


def _listed(at: CommitView, ask: FeedRequest) -> list[Member]:
    held, name = at.private(hosted.account_of(at, ask.by)), key_of(ask.in_list or "")
    if held.get(AccountList(name, "")) is None:
        raise CallError("not_found", f"There is no list {ask.in_list}.", 404)
    return [member for member in held.all(Member) if member.list == name]


def _wanted(ask: FeedRequest, post: Post, public: bool) -> bool:
    if public and post.audience != "public":
        return False
    if not ask.replies and post.reply is not None:
        return False
    return not ask.langs or post.lang is None or post.lang.split("-")[0] in ask.langs or post.lang in ask.langs


@METHODS.read("thread", "not_found")
def thread(at: CommitView, ask: ThreadRequest) -> Thread:
    """A conversation: a post with the posts above it up to the first, and its replies, each followed by its own.
    Without replies of those that the reader blocks or mutes, and of those that the author of the first post blocks.

    Replies to a deleted or withheld post are shown, because they belong to their own authors.
    """
    q, target = at.queries(), target_of(ask.uri)
    found = q.thread(target)
    if found.post is None and not found.replies:
        raise missing(q, target)
    lens = lens_of(at, reader_of(at, ask.by))
    hidden = next((v.target for v in reversed(found.ancestors) if not lens.sees(v.target.account)), None)
    above = found.ancestors
    if hidden is not None:  # what stands below it is shown
        above = above[1 + next(k for k, v in enumerate(above) if v.target == hidden) :]
    rows, base = PostRows(q, lens), len(above)
    blocked = set(q.blocks(found.ancestors[0].target.account if found.ancestors else target.account))
    posts = [rows.at(k, v) for k, v in enumerate(above)]
    if found.post is not None:
        posts.append(rows.at(base, found.post))
    for reply in found.replies:
        author = reply.view.target.account
        if author not in blocked and lens.shows(author, reply.view.post):
            posts.append(rows.at(base + reply.depth, reply.view))
    if hidden is not None:
        return Thread(posts, uri(hidden), GonePost("hidden", HIDDEN), found.complete)
    lacking = target if found.post is None else found.missing
    if lacking is None:
        return Thread(posts, None, None, found.complete)
    return Thread(posts, uri(lacking), GonePost(*why_gone(q, lacking)), found.complete)
