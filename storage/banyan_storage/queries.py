"""What a person asks of the views: a profile, a feed, a conversation, who follows whom, and whether two nodes agree.

All answers come from one committed snapshot and name accounts by their ids, in an order that depends on nothing local:
two nodes that hold the same entries and the same content give the same answers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from heapq import merge
from itertools import islice

from banyan_crdt.ids import AccountId, CellKey, Coll, Ref
from banyan_crdt.ops import Add, Put, decode_body
from banyan_crdt.parts import content_of
from banyan_crdt.realm import Realm
from banyan_schema.social import POST, PROFILE, Post, ProfileField, Target

from .engine import Engine, ReadTxn, Table, after_prefix
from .errors import CorruptStore
from .id_index import Offer, nothing
from .reader import StoreReader
from .slots import in_order, live_in, shown_at, stamp_of
from .tables import PARTS, part_place
from .view_rows import (
    BLOCKS,
    FOLLOWERS,
    FOLLOWS,
    MUTES,
    NUMBERED,
    NUMBERS,
    REACTIONS,
    REPLIES,
    REPOSTS,
    SHOWN,
    TIMELINE,
    TOMBS,
    read_content,
    register_slot,
    slot_of,
    slot_size,
    target_bytes,
)

MAX_ANCESTORS = 64


@dataclass(frozen=True, slots=True)
class ProfileView:
    """`fields`: by name, ascending."""

    account: AccountId
    fields: tuple[ProfileField, ...]


@dataclass(frozen=True, slots=True)
class PostView:
    """`time_ms`: where it stands in a timeline. `ref`: the write that shows. `cursor`: for `feed(before=...)`."""

    target: Target
    time_ms: int
    ref: Ref
    post: Post
    cursor: bytes


@dataclass(frozen=True, slots=True)
class ThreadPost:
    """`depth`: 1 for an answer to the post asked for, 2 for an answer to that."""

    view: PostView
    depth: int


@dataclass(frozen=True, slots=True)
class ThreadView:
    """`ancestors`: the oldest first. `missing`: the ancestor above them that is not held. `replies`: each followed by
    the answers to it. `complete`: whether all replies that are held are there."""

    ancestors: tuple[PostView, ...]
    missing: Target | None
    post: PostView | None
    replies: tuple[ThreadPost, ...]
    complete: bool


@dataclass(frozen=True, slots=True)
class ReactionCount:
    """`accounts`: how many accounts reacted with the emoji."""

    emoji: str
    accounts: int


@dataclass(frozen=True, slots=True)
class GraphStats:
    """`stored_bytes`: taken by the store. `digest`: over the frontier; equal digests are equal states."""

    accounts: int
    follows: int
    posts: int
    replies: int
    reactions: int
    reposts: int
    entries: int
    stored_bytes: int
    digest: bytes


@contextmanager
def queries(engine: Engine, realm: Realm, late_ids: Offer = nothing) -> Iterator[Queries]:
    """Over the last commit, for any thread. Hold it briefly. late_ids: the writer's, where there is one beside it."""
    with engine.read() as txn:
        yield Queries(txn, StoreReader(txn, realm, late_ids), lambda: engine.sizes().used)


class Queries:
    """Reads of one state of the views, on the thread that opened it. `used`: bytes that the store takes."""

    def __init__(self, txn: ReadTxn, reader: StoreReader, used: Callable[[], int]) -> None:
        self._txn = txn
        self._reader = reader
        self._used = used

    @property
    def reader(self) -> StoreReader:
        """The store itself, in the same state."""
        return self._reader

    @property
    def used(self) -> int:
        """Bytes that the store takes."""
        return self._used()

    # -- accounts

    def _number(self, account: AccountId) -> bytes | None:
        return self._txn.get(NUMBERS, account)

    def _account(self, number: bytes) -> AccountId:
        account = self._txn.get(NUMBERED, number)
        assert account is not None, f"account number {number.hex()} has rows but no name; rebuild the views"
        return AccountId(account)

    def profile(self, account: AccountId) -> ProfileView:
        """Where two cells claim one field, the later write shows."""
        found: list[tuple[bytes, ProfileField]] = []
        number = self._number(account)
        for slot, place in self._shown(number, PROFILE) if number else ():
            content = self._content(slot, place)
            if isinstance(content, ProfileField):
                found.append((stamp_of(self._reader, place), content))
        order = in_order(self._reader, [stamp for stamp, _ in found])
        fields = {content.field: content for _, content in sorted(found, key=lambda pair: order.index(pair[0]))}
        return ProfileView(account, tuple(fields[name] for name in sorted(fields)))

    def follows(self, account: AccountId, after: AccountId | None = None, limit: int | None = None) -> list[AccountId]:
        """Whom the account follows, by id; `after`: the last of the page before."""
        return self._related(FOLLOWS, account, after, limit)

    def blocks(self, account: AccountId, after: AccountId | None = None, limit: int | None = None) -> list[AccountId]:
        return self._related(BLOCKS, account, after, limit)

    def mutes(self, account: AccountId, after: AccountId | None = None, limit: int | None = None) -> list[AccountId]:
        return self._related(MUTES, account, after, limit)

    def _related(self, table: Table, account: AccountId, after: AccountId | None, limit: int | None) -> list[AccountId]:
        number = self._number(account)
        if number is None:
            return []
        start = number if after is None else after_prefix(number + after) or number
        rows = self._txn.scan(table, start, after_prefix(number))
        return list(islice(_distinct(AccountId(key[4:36]) for key, _ in rows), limit))

    def followers(self, account: AccountId) -> list[AccountId]:
        """Who follows the account, as far as this node knows, by id."""
        return self._by(FOLLOWERS, account)

    def reposters(self, target: Target) -> list[AccountId]:
        return self._by(REPOSTS, target_bytes(target))

    def _by(self, table: Table, prefix: bytes) -> list[AccountId]:
        at = len(prefix)
        numbers = {key[at : at + 4] for key, _ in self._txn.prefix(table, prefix)}
        return sorted(self._account(number) for number in numbers)

    def live(self, account: AccountId, op: Put | Add) -> tuple[Ref, ...]:
        """The live operations of the register or element that `op` writes, oldest first: what an edit replaces, and
        what an undo covers."""
        number = self._number(account)
        live = live_in(self._txn, self._reader, slot_of(number, op)) if number else ()
        return tuple(self._ref(stamp[8:]) for stamp in live)

    # -- posts

    def _shown(self, number: bytes, coll: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """(slot, place) of what the account shows, of one collection or of all, in the order of slots."""
        for value in self._txn.dups(SHOWN, number, coll, after_prefix(coll)):
            size = slot_size(number + value) - 4
            yield number + value[:size], value[size : size + 8]

    def _ref(self, place: bytes) -> Ref:
        n, op = part_place(place)
        name = self._reader.name_at(n)
        if name is None:
            raise CorruptStore(f"the views name arrival {n}, which is not there; run a check")
        return Ref(name[0], op)

    def _content(self, slot: bytes, place: bytes) -> object:
        raw = self._txn.get(PARTS, place)
        return None if raw is None else read_content(slot, content_of(raw))

    def _view(self, number: bytes, account: AccountId, key: bytes, time: bytes, place: bytes) -> PostView | None:
        post = self._content(register_slot(number, POST, CellKey(key)), place)
        if not isinstance(post, Post):
            return None
        target = Target(account, CellKey(key))
        return PostView(target, int.from_bytes(time[:6], "big"), self._ref(place), post, time + account + key)

    def post(self, target: Target) -> PostView | None:
        """None where it is unknown, deleted, or its content is not held."""
        number = self._number(target.account)
        shown = number and shown_at(self._txn, register_slot(number, POST, target.key))
        if not number or not shown:
            return None
        return self._view(number, target.account, target.key, shown[8:16], shown[:8])

    def feed(self, accounts: Iterable[AccountId], before: bytes | None = None, limit: int = 50) -> list[PostView]:
        """The accounts' posts, newest first. `before`: the cursor of the last post of the page before."""
        lines = [self._timeline(account, before) for account in sorted(set(accounts))]
        views = (self._view(*row) for _, row in merge(*lines, key=_first, reverse=True))
        return list(islice((view for view in views if view is not None), limit))

    def _timeline(self, account: AccountId, before: bytes | None) -> Iterator[_Line]:
        number = self._number(account)
        if number is None:
            return
        stop: bytes | None = None
        if before is not None:
            time, author, key = before[:8], before[8:40], before[40:]
            if account == author:
                stop = time + key
            elif account < author:
                stop = after_prefix(time)
            else:
                stop = time
        for row in self._txn.dups(TIMELINE, number, b"", stop, reverse=True):
            time, key, place = row[:8], row[8:24], row[24:]
            yield time + account + key, (number, account, key, time, place)

    def replies(self, target: Target, limit: int | None = None) -> Iterator[PostView]:
        """Direct answers, oldest first; of the same instant by account."""
        rows = [
            (key[48:56] + self._account(key[56:60]) + key[60:], key[56:60], place)
            for key, place in self._txn.prefix(REPLIES, target_bytes(target))
        ]
        views = (
            self._view(number, AccountId(cursor[8:40]), cursor[40:], cursor[:8], place)
            for cursor, number, place in sorted(rows)
        )
        return islice((view for view in views if view is not None), limit)

    def reply_count(self, target: Target) -> int:
        """Direct answers, without reading them."""
        return sum(1 for _ in self._txn.prefix(REPLIES, target_bytes(target)))

    def post_count(self, account: AccountId) -> int:
        number = self._number(account)
        return sum(1 for _ in self._txn.dups(TIMELINE, number)) if number else 0

    def has_tombs(self, account: AccountId) -> bool:
        """Whether anything of the account was deleted for good."""
        number = self._number(account)
        return number is not None and self._txn.get(TOMBS, number) is not None

    def is_dead(self, account: AccountId, coll: Coll, key: CellKey) -> bool:
        """Whether a tombstone that counts ended the cell."""
        number, cell = self._number(account), coll + key
        return number is not None and next(self._txn.dups(TOMBS, number, cell, cell + b"\0"), None) is not None

    def edited(self, view: PostView) -> bool:
        """Whether what shows replaced an earlier write."""
        entry = self._reader.entry(view.ref.entry)
        op = decode_body(entry.ops).ops[view.ref.op] if entry else None
        return isinstance(op, Put) and bool(op.refs)

    def thread(self, target: Target, limit: int = 200) -> ThreadView:
        """The post, what it answers up to the root (at most 64), and at most `limit` answers, depth first."""
        post = self.post(target)
        seen = {target}
        ancestors: list[PostView] = []
        up, missing = post, None
        while up is not None and up.post.reply is not None and len(ancestors) < MAX_ANCESTORS:
            parent = up.post.reply.parent
            if parent in seen:  # a lie: nobody can answer what answers them
                break
            seen.add(parent)
            up = self.post(parent)
            if up is None:
                missing = parent
            else:
                ancestors.append(up)
        replies: list[ThreadPost] = []
        open_posts = [self.replies(target)]
        while open_posts and len(replies) <= limit:
            view = next(open_posts[-1], None)
            if view is None:
                open_posts.pop()
            elif view.target not in seen:
                seen.add(view.target)
                replies.append(ThreadPost(view, len(open_posts)))
                open_posts.append(self.replies(view.target))
        return ThreadView(tuple(ancestors[::-1]), missing, post, tuple(replies[:limit]), len(replies) <= limit)

    def reactions(self, target: Target) -> tuple[ReactionCount, ...]:
        """The most frequent first, then by emoji."""
        who: dict[str, set[bytes]] = {}
        for key, _ in self._txn.prefix(REACTIONS, target_bytes(target)):
            end = 49 + key[48]
            who.setdefault(key[49:end].decode(), set()).add(key[end : end + 4])
        counts = [ReactionCount(emoji, len(numbers)) for emoji, numbers in who.items()]
        return tuple(sorted(counts, key=lambda c: (-c.accounts, c.emoji)))

    # -- the whole

    def graph_stats(self) -> GraphStats:
        """Costs one pass over the heads, for the digest; everything else is kept by the engine."""
        rows, counts = self._txn.count, self._reader.counts()
        return GraphStats(
            accounts=counts.accounts,
            follows=rows(FOLLOWS),
            posts=rows(TIMELINE),
            replies=rows(REPLIES),
            reactions=rows(REACTIONS),
            reposts=rows(REPOSTS),
            entries=counts.entries,
            stored_bytes=self._used(),
            digest=self._reader.digest(),
        )

    def lacking_parts(self) -> int:
        return self._reader.counts().lacking

    def views_digest(self) -> bytes:
        """SHA-256 over all that is shown, content included: equal on any two nodes with the same entries and content.

        For each account in order, for each slot that shows something in order: account, slot, time, length, content.
        """
        digest = hashlib.sha256(b"banyan/1/views\0")
        for account in self._reader.accounts():
            number = self._number(account)
            for slot, place in self._shown(number) if number else ():
                raw = self._txn.get(PARTS, place)
                content = b"" if raw is None else content_of(raw)
                time = stamp_of(self._reader, place)[:8]
                digest.update(account + slot[4:] + time + len(content).to_bytes(4, "big") + content)
        return digest.digest()


_Line = tuple[bytes, tuple[bytes, AccountId, bytes, bytes, bytes]]
"""A cursor, and what `Queries._view` needs."""


def _first(pair: tuple[bytes, object]) -> bytes:
    return pair[0]


def _distinct(accounts: Iterator[AccountId]) -> Iterator[AccountId]:
    """Without neighbours that are equal."""
    last = None
    for account in accounts:
        if account != last:
            yield account
        last = account
