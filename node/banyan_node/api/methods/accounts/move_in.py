"""Moving in: what a person said and whom they follow at another service, written into one account that is hosted here.

Each call may come again: what is here already is answered as such and written once, what was deleted or undone here is
not brought back. So an interrupted move goes on when it is run again, and a newer archive adds what is new.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Literal, TypeAlias

import msgspec
from emoji import purely_emoji
from msgspec import Meta

from banyan_crdt.codec import encode
from banyan_crdt.ids import AccountId, CellKey, H
from banyan_crdt.ops import Add, Put
from banyan_node.api.declare import ActorRequest, MethodTable, Request, Response
from banyan_node.api.json_types import AccountRef, PostUri, uri
from banyan_node.api.methods.people.profiles import picture_draft
from banyan_node.api.methods.people.relations import ending_follow, why_apart
from banyan_node.api.methods.posts.post_writes import MediaItem
from banyan_node.context import Context
from banyan_node.hosting import hosted, sealed_writer
from banyan_node.hosting import move_in as moved
from banyan_node.hosting.entry_writer import packed
from banyan_node.media.intake import item_of
from banyan_node.media.prefetch import look_again_at
from banyan_node.operator_errors import CallError, bad_request
from banyan_reading.answers import PostView
from banyan_reading.queries import Queries
from banyan_schema import social
from banyan_schema.private_kinds import MAX_TITLE, AccountList, Bookmark, ListMember, Mute, said
from banyan_schema.social.post import MAX_MEDIA
from banyan_schema.social.profile import PICTURES
from banyan_storage.local_tables import MOVED_TIES

METHODS = MethodTable()
MOST_POSTS, MOST_TIES = 2_000, 1_000
"""The most in one call."""

Service = Annotated[
    str,
    Meta(min_length=1, max_length=256, description="A name of the service: it is part of the keys of what is brought."),
]
ItemId = Annotated[str, Meta(min_length=1, max_length=1_024, description="The id of an item at its service.")]
Dry = Annotated[bool, Meta(description="Writes nothing, and answers what would be.")]
TieState: TypeAlias = Literal["came", "here", "undone", "missing", "self", "blocked"]


class MovedPost(Request):
    """time_ms: when it was said; one before 1970 or after now is replaced by that of this call. parent, root: the
    items that it answers and that opened its conversation, both of this account. tags: default: those that the text
    names with #. media: what `media.put` stored, in the order in which it is shown; with it, the text may be empty."""

    id: ItemId
    text: str
    time_ms: int | None = None
    parent: ItemId | None = None
    root: ItemId | None = None
    lang: str | None = None
    warning: str | None = None
    audience: social.Audience = "public"
    tags: list[str] | None = None
    media: Annotated[list[MediaItem], Meta(max_length=MAX_MEDIA)] | None = None


class MoveKnown(ActorRequest):
    service: Service
    ids: Annotated[list[ItemId], Meta(max_length=MOST_POSTS)]


class MovePosts(ActorRequest):
    service: Service
    posts: Annotated[list[MovedPost], Meta(max_length=MOST_POSTS)]
    dry: Dry = False


class MovedTie(Request):
    """follow, block, mute: of `account`. member: puts `account` on the list `title`. bookmark, react, repost: of the
    post that `item` of `account` became; account: default: who moves in."""

    kind: Literal["follow", "block", "mute", "member", "bookmark", "react", "repost"]
    account: AccountRef | None = None
    item: ItemId | None = None
    title: str | None = None
    emoji: str | None = None


class MoveTies(ActorRequest):
    service: Service
    ties: Annotated[list[MovedTie], Meta(max_length=MOST_TIES)]
    dry: Dry = False


class MoveProfile(ActorRequest):
    """fields: texts by name. pictures: `avatar` and `banner`, as `media.put` answered them. What the profile has, or
    had, stays as it is."""

    fields: dict[str, str] = msgspec.field(default_factory=dict)
    pictures: dict[str, MediaItem] = msgspec.field(default_factory=dict)
    dry: Dry = False


class MovedKnown(Response):
    """states: of each id in turn: new (not here), here, bare (here without media, and never edited: `move.posts` adds
    those that it is given), or deleted (here, so it stays so)."""

    states: list[Literal["new", "here", "bare", "deleted"]]


class MovedRow(Response):
    """state: came (written now), here (it was), added (it was here without media, and was edited to have them),
    deleted (here, so it stays so), or refused, with why. parts: the posts that it became. dated: whether it has the
    time that was given."""

    id: str
    uri: PostUri
    state: moved.Moved
    parts: int
    dated: bool
    why: str | None


class MovedPosts(Response):
    posts: list[MovedRow]
    entries: int


class MovedTies(Response):
    """states: of each tie in turn: came, here, undone (here, so it stays so), missing (the post is not here), self (an
    account is not tied to itself), or blocked (one of the two blocks the other, so nobody is followed)."""

    states: list[TieState]
    entries: int


class MovedProfile(Response):
    """came: names of the fields and pictures that were written. without: pictures that were never set here."""

    came: list[str]
    without: list[str]
    entries: int


@METHODS.write("move.known", "not_found", "refused")
def known(ctx: Context, ask: MoveKnown, now: float) -> MovedKnown:
    """Tells which posts of another service are here, so that pictures of those are not put again. Writes nothing."""
    account, q = hosted.account_of(ctx, ask.by), ctx.queries()
    salt, states = hosted.salt_of(ctx, account), list[Literal["new", "here", "bare", "deleted"]]()
    for item in ask.ids:
        me = social.Target(account, moved.moved_key(salt, ask.service, item))
        state = _state(q, me, set())
        if state == "here":
            states.append("here" if _bare(q, me) is None else "bare")
        else:
            states.append("deleted" if state == "deleted" else "new")
    return MovedKnown(states)


@METHODS.write("move.posts", "not_found", "refused")
def posts(ctx: Context, ask: MovePosts, now: float) -> MovedPosts:
    """Brings posts of another service into an account, many in one entry. One that is here without media, and was
    never edited here, gets the media that are given; all else of it stays."""
    account, q = hosted.account_of(ctx, ask.by), ctx.queries()
    hosted.writable_log(ctx, account)
    salt, wall_ms = hosted.salt_of(ctx, account), ctx.replica.wall_ms(now)
    rows, drafts, seen = list[MovedRow](), list[social.OpDraft](), set[CellKey]()

    def target(item: str) -> social.Target:
        return social.Target(account, moved.moved_key(salt, ask.service, item))

    for number, post in enumerate(ask.posts):
        me = target(post.id)
        dated = post.time_ms is not None and 0 <= post.time_ms <= wall_ms
        state, why, parts = _state(q, me, seen), None, 0
        if state == "came" and (why := moved.unfit(post.text, alone=not post.media)) is not None:
            state = "refused"
        media = (
            moved.described(item_of(ctx, item.blob, item.description, now) for item in post.media or ())
            if state in ("came", "here")
            else ()
        )
        if state == "here" and media and me.key not in seen and (bare := _bare(q, me)) is not None:
            state = "added"
            live = q.live(account, Put(social.POST, me.key, (), None))
            drafts.append(social.write_post(me.key, replace(bare.post, media=media), live))
            seen.add(me.key)
        if state == "came":
            said_in = moved.split(_clean(post.text)) or [""]
            keys = [moved.moved_key(salt, ask.service, post.id, n) for n in range(len(said_in))]
            reply = (
                None if post.parent is None else social.ReplyTo(target(post.root or post.parent), target(post.parent))
            )
            words = moved.PostSettings(
                post.lang, post.warning, post.audience, None if post.tags is None else tuple(post.tags)
            )
            at = post.time_ms if dated else wall_ms - len(ask.posts) + number  # so they keep their order
            made = moved.posts_of(keys, me, said_in, reply, at, words, media)
            drafts += [social.write_post(key, content) for key, content in made]
            parts = len(made)
            seen.add(me.key)
        rows.append(MovedRow(post.id, uri(me), state, parts, dated, why))
    return MovedPosts(rows, 0 if ask.dry else _publish(ctx, account, drafts, now))


@METHODS.write("move.ties", "not_found", "refused")
def ties(ctx: Context, ask: MoveTies, now: float) -> MovedTies:
    """Brings follows, blocks, mutes, lists, bookmarks, reactions and reposts of an account. A block ends the follow."""
    account = hosted.account_of(ctx, ask.by)
    hosted.writable_log(ctx, account)
    found = _Ties(ctx, account, ask.service)
    blocks_first = sorted(range(len(ask.ties)), key=lambda at: ask.ties[at].kind != "block")
    states = {at: found.add(ask.ties[at]) for at in blocks_first}
    return MovedTies([states[at] for at in range(len(ask.ties))], 0 if ask.dry else found.write(now))


@METHODS.write("move.profile", "not_found", "refused")
def profile(ctx: Context, ask: MoveProfile, now: float) -> MovedProfile:
    """Sets the fields and pictures of a profile that were never set here. Values that are too long are shortened."""
    account, q = hosted.account_of(ctx, ask.by), ctx.queries()
    hosted.writable_log(ctx, account)
    salt, drafts, came = hosted.salt_of(ctx, account), list[social.OpDraft](), list[str]()

    def is_set(draft: social.OpDraft) -> bool:
        assert isinstance(draft.op, Put)
        return bool(q.live(account, draft.op))

    for name, value in ask.fields.items():
        name, value = name.strip(), _clean(value[: social.MAX_VALUE])
        if not name or not value or len(name.encode()) > social.MAX_FIELD or name in PICTURES:
            continue
        draft = social.set_profile(salt, name, moved.shorten(value, social.MAX_VALUE))
        if name not in came and not is_set(draft):
            came.append(name)
            drafts.append(draft)
    for name, item in ask.pictures.items():
        told = MediaItem(item.blob, moved.shorten(_clean(item.description or ""), social.MAX_VALUE))
        draft = picture_draft(ctx, salt, name, told, now)
        if not is_set(draft):
            came.append(name)
            drafts.append(draft)
    without = [name for name in PICTURES if name not in came and not is_set(social.set_profile(salt, name, ""))]
    return MovedProfile(came, without, 0 if ask.dry else _publish(ctx, account, drafts, now))


class _Ties:
    """The ties of one call: first all are judged, then those that are new are written."""

    def __init__(self, ctx: Context, account: AccountId, service: str) -> None:
        self.ctx, self.account, self.service = ctx, account, service
        self._q, self._salt = ctx.queries(), hosted.salt_of(ctx, account)
        self._held = sealed_writer.of(ctx, account)
        self._public: list[social.OpDraft] = []
        self._sealed: list[object] = []
        self._notes: dict[tuple[AccountId, bytes], None] = {}
        self._followed: list[AccountId] = []
        self._blocked: set[AccountId] = set()

    def add(self, tie: MovedTie) -> TieState:
        who = self.account if tie.account is None else hosted.account_of(self.ctx, tie.account)
        if tie.kind in ("follow", "block", "mute", "member"):
            if tie.account is None:
                raise bad_request(f"A {tie.kind} needs 'account'.")
            if who == self.account and tie.kind != "member":
                return "self"
            return self._account_tie(tie, who)
        if tie.item is None:
            raise bad_request(f"A {tie.kind} needs 'item'.")
        post = self._post(who, tie.item)
        if post is None:
            return "missing"
        if tie.kind == "bookmark":
            return self._seal(Bookmark(post))
        emoji = (tie.emoji or "").strip()
        if tie.kind == "react" and not (emoji and purely_emoji(emoji)):
            raise bad_request(f"A reaction needs 'emoji', such as 👍; it got '{emoji[:60]}'.")
        return self._say(
            social.react(self._salt, post, emoji) if tie.kind == "react" else social.repost(self._salt, post)
        )

    def _account_tie(self, tie: MovedTie, who: AccountId) -> TieState:
        if tie.kind == "follow":
            if who in self._blocked or why_apart(self.ctx, self.account, who) is not None:
                return "blocked"
            self._followed.append(who)
            return self._say(social.relate(self._salt, "follow", who))
        if tie.kind == "block":
            state = self._say(social.relate(self._salt, "block", who))
            if state == "came":
                self._blocked.add(who)
                self._public += ending_follow(self.ctx, self.account, who)
            return state
        if tie.kind == "mute":
            return self._seal(Mute(who))
        title = moved.shorten((tie.title or "").strip(), MAX_TITLE)
        if not title:
            raise bad_request("A member needs the 'title' of its list.")
        on = moved.list_id(self.service, title)
        if self._seal(AccountList(on, title)) == "undone":
            return "undone"
        return self._seal(ListMember(on, who))

    def _post(self, who: AccountId, item: str) -> social.Target | None:
        """The post that an item became, if it is held here."""
        try:
            salt = hosted.salt_of(self.ctx, who)
        except CallError:
            return None
        post = social.Target(who, moved.moved_key(salt, self.service, item))
        return post if self._q.post(post) is not None else None

    def _say(self, draft: social.OpDraft) -> Literal["came", "here", "undone"]:
        op = draft.op
        assert isinstance(op, Add)
        state = self._new(op.coll + op.key + op.elem, bool(self._q.live(self.account, op)))
        if state == "came":
            self._public.append(draft)
        return state

    def _seal(self, thing: object) -> Literal["came", "here", "undone"]:
        one = said(thing)
        state = self._new(one.kind.encode() + one.name, self._held.get(thing) is not None)
        if state == "came":
            self._sealed.append(thing)
        return state

    def _new(self, what: bytes, stands: bool) -> Literal["came", "here", "undone"]:
        """Notes what is brought: what was undone here since then is not brought again."""
        note = self.account, H("moved tie", encode([what]))[:16]
        if note in self._notes:
            return "here"
        if MOVED_TIES.has(self.ctx.store, note):
            return "here" if stands else "undone"
        self._notes[note] = None
        return "here" if stands else "came"

    def write(self, now: float) -> int:
        """Writes what is new. Returns the number of entries."""
        if any(isinstance(thing, Mute) for thing in self._sealed):
            sealed_writer.seal_old_mutes(self.ctx, self.account, now)
        sealed = sealed_writer.drafts(self.ctx, self.account, self._sealed, now) if self._sealed else []
        entries = _publish(self.ctx, self.account, self._public, now, sealed)
        for note in self._notes:
            MOVED_TIES.put(self.ctx.store, note, True)
        for followed in self._followed:
            look_again_at(self.ctx, followed)
        return entries


def _publish(
    ctx: Context, account: AccountId, drafts: list[social.OpDraft], now: float, sealed: Sequence[social.OpDraft] = ()
) -> int:
    """Leaves it to reconciliation, because a life in one go would flood the gossip. Returns the number of entries.
    What is sealed comes first: one signature covers all, and a proof has what stands behind the proved entry."""
    entries = [*packed(sealed), *packed(drafts)]
    if entries:
        ctx.replica.writes.publish(hosted.writable_log(ctx, account), ctx.device, entries, now, push=False)
    return len(entries)


def _state(q: Queries, post: social.Target, seen: set[CellKey]) -> moved.Moved:
    """As far as the store tells. seen: keys of this call."""
    if post.key in seen or q.live(post.account, Put(social.POST, post.key, (), None)):
        return "here"
    return "deleted" if q.is_dead(post.account, social.POST, post.key) else "came"


def _bare(q: Queries, post: social.Target) -> PostView | None:
    """A post that is as it was brought, without media; None if it has some, was edited, or its content is gone."""
    view = q.post(post)
    return None if view is None or view.post.media or q.edits([view]) else view


def _clean(text: str) -> str:
    return unicodedata.normalize("NFC", text).strip()
