"""Reads the views in one state of the store: what an account, a slot, a post shows there.

queries.py answers from it what pages ask.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from functools import cached_property
from itertools import islice
from typing import Any, cast

from banyan_crdt.ids import AccountId, CellKey, Coll, Ref
from banyan_crdt.ops import Add, Count, Op, Put, Text, Tomb
from banyan_crdt.parts import content_of
from banyan_reading.answers import CURSOR, GraphTotals, PostView, ReactionCount, RepostView, ShownItem, TimelineLine
from banyan_reading.items import items_of
from banyan_reading.visibility import CellFacts, kept_back
from banyan_schema.collection import Collection
from banyan_schema.social import POST, REPOST, Post, Repost, Target
from banyan_schema.social.post import parent_in, time_in
from banyan_storage.engine import ReadTxn, Table, after_prefix
from banyan_storage.errors import CorruptStore
from banyan_storage.local_tables import HIDDEN, LABELLED, WITHHELD
from banyan_storage.reader import StoreReader
from banyan_storage.slots import (
    ELEMENT,
    NUMBERED,
    NUMBERS,
    POSTS,
    SHOW,
    SLOT,
    STAMP,
    TIMELINE,
    TOMBS,
    all_shown,
    live_in,
    ms_of,
    read_content,
    register_slot,
    shown_at,
    shown_in,
    slot_of,
    time_at,
)
from banyan_storage.tables import ENTRIES, PARTS, part_place
from banyan_storage.views.large_accounts import waits
from banyan_storage.views.registry import NAMES, SHOWN_NAME, ViewProgress, cursors, need, standings
from banyan_storage.views.social.relations import BLOCKS, FOLLOWS, MUTES, RELATION
from banyan_storage.views.social.responses import REACTIONS, REPLIES, REPOSTS, kinds_of


class ViewReader:
    """Reads one state of the views, on the thread that opened it. used: returns the bytes of the store."""

    def __init__(self, txn: ReadTxn, reader: StoreReader, used: Callable[[], int]) -> None:
        self._txn = txn
        self._reader = reader
        self._used = used
        self._records: dict[bytes, bytes] = {}
        self._accounts: dict[bytes, AccountId] = {}
        self._numbers: dict[AccountId, bytes] = {}
        """Those that were asked for: a page asks for each of its authors several times."""
        self._gives: dict[AccountId, bool] = {}
        """Whether readers are given all content of an account that counts: usually, and then nothing is looked up."""

    # Few readers need all of these, so each is read when it is asked for.

    @cached_property
    def _building(self) -> Mapping[str, bytes]:
        return cursors(self._txn)

    @cached_property
    def _withholds(self) -> bool:
        return WITHHELD.any(self._reader)

    @cached_property
    def _moderates(self) -> bool:
        return HIDDEN.any(self._reader)

    @cached_property
    def _labels(self) -> bool:
        return LABELLED.any(self._reader)

    @cached_property
    def leaving(self) -> Mapping[AccountId, bytes]:
        """Accounts that are erased in steps: nothing of them is shown."""
        return self._reader.leaving()

    @cached_property
    def hides(self) -> bool:
        """Whether any post is hidden or withheld here."""
        return bool(self._withholds or self._moderates or self.leaving)

    def need(self, *views: str) -> None:
        """Raises ViewBuilding if one of these is being built."""
        if self._building:
            need(self._building, SHOWN_NAME, *views)

    @property
    def whole(self) -> bool:
        """Whether all views are built."""
        return not self._building

    def standings(self) -> list[ViewProgress]:
        """How far each view is built."""
        return standings(self._txn)

    @property
    def reader(self) -> StoreReader:
        """The store itself, in the same state."""
        return self._reader

    @property
    def used(self) -> int:
        """Bytes of the store."""
        return self._used()

    # -- accounts

    def number(self, account: AccountId) -> bytes | None:
        """The account's number in this store, which slots begin with; None if nothing of it shows."""
        found = self._numbers.get(account)
        if found is None and account not in self.leaving and (found := self._txn.get(NUMBERS, account)) is not None:
            self._numbers[account] = found
        return found

    def numbers(self, accounts: Iterable[AccountId]) -> dict[AccountId, bytes]:
        """The same of many, without those of which nothing shows."""
        wanted = sorted({*accounts} - self.leaving.keys())
        unread = [account for account in wanted if account not in self._numbers]
        self._numbers.update(cast("Iterable[tuple[AccountId, bytes]]", self._txn.get_many(NUMBERS, unread)))
        return {account: self._numbers[account] for account in wanted if account in self._numbers}

    def account(self, number: bytes) -> AccountId:
        """Whose number it is. It is read once, and the number of the account need not be read then."""
        found = self._accounts.get(number)
        if found is None:
            named = self._txn.get(NUMBERED, number)
            if named is None:
                raise CorruptStore(f"account number {number.hex()} has rows but no name; rebuild the views")
            found = self._accounts[number] = AccountId(named)
            if found not in self.leaving:
                self._numbers[found] = number
        return found

    def follows(self, account: AccountId, after: AccountId | None = None, limit: int | None = None) -> list[AccountId]:
        return self._related(FOLLOWS, account, after, limit)

    def blocks(self, account: AccountId, after: AccountId | None = None, limit: int | None = None) -> list[AccountId]:
        return self._related(BLOCKS, account, after, limit)

    def mutes(self, account: AccountId, after: AccountId | None = None, limit: int | None = None) -> list[AccountId]:
        return self._related(MUTES, account, after, limit)

    def _related(self, table: Table, account: AccountId, after: AccountId | None, limit: int | None) -> list[AccountId]:
        self.need("relations")
        number = self.number(account)
        if number is None:
            return []
        start = number if after is None else after_prefix(number + after) or number
        rows = self._txn.scan(table, start, after_prefix(number))
        if limit is None:
            return list(dict.fromkeys([AccountId(key[RELATION.other]) for key, _ in rows]))
        return list(islice(_distinct(AccountId(key[RELATION.other]) for key, _ in rows), limit))

    def live(self, account: AccountId, op: Put | Add) -> tuple[Ref, ...]:
        self.need()
        number = self.number(account)
        live = live_in(self._txn, self._reader, slot_of(number, op)) if number else ()
        return tuple(self.ref(stamp[STAMP.place]) for stamp in live)

    def items(
        self, account: AccountId, of: Collection[Any], prefix: bytes = b"", after: bytes = b""
    ) -> Iterator[ShownItem]:
        self.need()
        number = self.number(account)
        found = items_of(self._txn, self._reader, number, of, prefix, after) if number else ()
        if of.id == POST and self.hides:
            found = (one for one in found if not self.is_hidden(Target(account, one[1])))
        return (ShownItem(key, elem, ms, values, self.ref(place)) for place, key, elem, ms, values in found)

    # -- posts

    def shown(self, number: bytes, coll: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        for slot, place, _ in all_shown(self._txn, number, coll, after_prefix(coll)):
            yield slot, place

    def ref(self, place: bytes) -> Ref:
        """The operation at a place."""
        n, op = part_place(place)
        name = self._reader.name_at(n)
        if name is None:
            raise CorruptStore(f"the views name arrival {n}, which is not there; run a check")
        return Ref(name[0], op)

    def records(self, arrivals: Iterable[bytes]) -> dict[bytes, bytes]:
        """The records of these entries, and of others, by arrival number, 6 bytes. Each is read once: a page needs
        those of its posts twice."""
        self._records.update(self._txn.get_many(ENTRIES, sorted({*arrivals} - self._records.keys())))
        return self._records

    def content(self, slot: bytes, place: bytes) -> object:
        """What the operation at a place says, by the schema of its slot; None if it is not held or not readable."""
        raw = self._txn.get(PARTS, place)
        return None if raw is None else read_content(slot[SLOT.of], content_of(raw))

    def contents(self, kind: bytes, places: Iterable[bytes]) -> dict[bytes, object]:
        """The same of many operations in slots of one collection and kind, by place, without what is not held."""
        rows = self._txn.get_many(PARTS, sorted(places))
        return {place: read_content(kind, content_of(raw)) for place, raw in rows}

    def register(self, named: Target, coll: Coll) -> tuple[object, bytes]:
        """What a register shows, or None, and its seed."""
        slot, shown = self._shown_in(named, coll)
        return (self.content(slot, shown[SHOW.place]) if shown else None), shown[SHOW.seed]

    def seed(self, named: Target, coll: Coll) -> bytes:
        """The seed of what a register shows, or empty."""
        return self._shown_in(named, coll)[1][SHOW.seed]

    def _shown_in(self, named: Target, coll: Coll) -> tuple[bytes, bytes]:
        self.need()
        number = self.number(named.account)
        slot = register_slot(number or b"", coll, named.key)
        return slot, shown_at(self._txn, slot) if number else b""

    def _here(self, target: Target) -> CellFacts:
        """What this node does to a post."""
        return CellFacts(
            erased=target.account in self.leaving,
            withheld=self._withholds and WITHHELD.has(self._reader, target),
            moderated=self._moderates and HIDDEN.has(self._reader, target),
        )

    def is_hidden(self, target: Target) -> bool:
        """Whether this node hides or withholds the post, or all of its author."""
        return kept_back(self._here(target)) is not None

    def cell(self, account: AccountId, coll: Coll, key: CellKey) -> CellFacts:
        """Whether readers are given what counts of a cell: see `kept_back`. Raises ViewBuilding."""
        here = self._here(Target(account, key)) if coll == POST else CellFacts(account in self.leaving)
        return here._replace(deleted=self.is_dead(account, coll, key), building=waits(self._txn, account))

    def gives(self, account: AccountId, op: Op) -> bool:
        """Whether readers are given the content of a counted operation. Raises ViewBuilding."""
        every = self._gives.get(account)
        if every is None:
            every = not (self.hides or self.has_tombs(account) or waits(self._txn, account))
            self._gives[account] = every
        cell = None if every or not isinstance(op, Put | Add | Count | Text | Tomb) else (account, op.coll, op.key)
        return cell is None or kept_back(self.cell(*cell)) is None

    def label(self, target: Target, refused: Container[str] = ()) -> str | None:
        """What this node says before a post. refused: labellers, DIDs, of which the reader wants to hear nothing."""
        found = LABELLED.get(self._reader, target) if self._labels else None
        return None if found is None or (found.issuer and found.issuer in refused) else found.text

    def _views(self, shown: Mapping[Target, tuple[bytes, ...]], hidden: bool = False) -> dict[Target, PostView]:
        """shown: the place of the write that each post shows, and its seed, or the time with which that begins."""
        said, found = self.contents(POSTS, [place for place, _ in shown.values()]), dict[Target, PostView]()
        hides = self.hides and not hidden
        for target, (place, seed) in shown.items():
            post = said.get(place)
            if isinstance(post, Post) and not (hides and self.is_hidden(target)):
                time = time_in(seed)
                found[target] = PostView(target, ms_of(time), post, time + target.account + target.key, place)
        return found

    def post(self, target: Target, hidden: bool = False) -> PostView | None:
        return self._views(self._shown([target]), hidden).get(target)

    def posts(self, targets: Iterable[Target]) -> dict[Target, PostView]:
        return self._views(self._shown(targets))

    def _shown(self, targets: Iterable[Target]) -> dict[Target, tuple[bytes, ...]]:
        """Place and seed of what these posts show."""
        self.need()
        wanted = [*targets]
        numbers = self.numbers([target.account for target in wanted])
        slots = {register_slot(numbers[t.account], POST, t.key): t for t in wanted if t.account in numbers}
        return {slots[slot]: SHOW.unpack(show) for slot, show in shown_in(self._txn, slots)}

    def posts_at(self, lines: Iterable[TimelineLine]) -> dict[TimelineLine, PostView]:
        own, reposted = dict[TimelineLine, Target](), dict[bytes, TimelineLine]()
        for line in lines:
            if line.is_post:
                own[line] = line.post
            else:
                reposted[line.write] = line
        reposts = {reposted[write]: said.target for write, said in self.reposts(reposted).items()} if reposted else {}
        shown = {target: (line.write, line.cursor[CURSOR.time]) for line, target in own.items()}
        views = self._views(self._shown(reposts.values()) | shown)
        found = {line: views[target] for line, target in own.items() if target in views}
        for line, target in reposts.items():
            if (view := views.get(target)) is not None:
                by = RepostView(line.account, line.ms)
                found[line] = PostView(target, view.time_ms, view.post, line.cursor, view.write, by)
        return found

    def reposts(self, writes: Iterable[bytes]) -> dict[bytes, Repost]:
        """What these writes of reposts say, those that are held."""
        said = self.contents(REPOST + ELEMENT, writes)
        return {write: one for write, one in said.items() if isinstance(one, Repost)}

    def parent(self, target: Target) -> Target | None:
        return parent_in(self.seed(target, POST))

    def is_shown(self, target: Target) -> bool:
        return self._shown_in(target, POST)[1] != b"" and not self.is_hidden(target)

    def post_count(self, account: AccountId | None) -> int:
        self.need()
        if account is None:
            return self._txn.count(TIMELINE)
        number = self.number(account)
        return self._txn.dup_count(TIMELINE, number) if number else 0

    def has_tombs(self, account: AccountId) -> bool:
        """Whether anything of the account was deleted."""
        self.need()
        number = self.number(account)
        return number is not None and self._txn.get(TOMBS, number) is not None

    def is_dead(self, account: AccountId, coll: Coll, key: CellKey) -> bool:
        """Whether a counted tombstone deletes the cell."""
        self.need()
        number, cell = self.number(account), coll + key
        return number is not None and next(self._txn.dups(TOMBS, number, cell, cell + b"\0"), None) is not None

    def reactions(self, targets: Iterable[Target]) -> dict[Target, tuple[ReactionCount, ...]]:
        self.need("reactions")
        names = {target.raw: target for target in targets}
        found: dict[Target, tuple[ReactionCount, ...]] = dict.fromkeys(names.values(), ())
        for raw, kinds in kinds_of(self._txn, names).items():
            counts = [ReactionCount(*kind) for kind in kinds.items()]
            found[names[raw]] = tuple(sorted(counts, key=lambda c: (-c.accounts, c.emoji)))
        return found

    # -- the whole

    def graph_stats(self, digest: bool = False) -> GraphTotals:
        """digest: with that of all logs, which costs one pass over the heads; the engine knows all other numbers."""
        self.need(*NAMES)
        rows, counts = self._txn.count, self._reader.counts()
        return GraphTotals(
            accounts=counts.accounts,
            follows=rows(FOLLOWS),
            posts=rows(TIMELINE),
            replies=rows(REPLIES),
            reactions=rows(REACTIONS),
            reposts=rows(REPOSTS),
            entries=counts.entries,
            stored_bytes=self._used(),
            digest=self._reader.digest() if digest else None,
        )

    def lacking_parts(self) -> int:
        return self._reader.counts().lacking

    def views_digest(self, only: AccountId | None = None) -> bytes:
        """SHA-256 over all that is shown with its content: equal on two nodes with the same entries and content. only:
        of one account.

        For each account in order, for each slot that shows something, in order: account, slot, time, length, content.
        """
        self.need()
        digest = hashlib.sha256(b"banyan/1/views\0")
        for account in self._reader.accounts() if only is None else [only]:
            number = self.number(account)
            for slot, place in self.shown(number) if number else ():
                raw = self._txn.get(PARTS, place)
                content = b"" if raw is None else content_of(raw)
                time = time_at(self._reader, place)
                digest.update(account + slot[SLOT.own] + time + len(content).to_bytes(4, "big") + content)
        return digest.digest()


def _distinct(accounts: Iterator[AccountId]) -> Iterator[AccountId]:
    """Without equal neighbours."""
    last = None
    for account in accounts:
        if account != last:
            yield account
        last = account
