"""The firehose as signed entries: runs and control entries as frames (crdt/banyan_crdt/firehose.py), a page at a time.

Pages are as those of `firehose`: nothing is queued, and a cursor is a place in the order of arrival. An item is a run:
the entries from one arrival on, up to the signature over them. What came in one piece is told in one piece, once. Where
its entries came apart, the later ones are told again with the run that they are signed in: an entry has one id.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Sequence
from typing import Annotated

from msgspec import Meta

from banyan_crdt.checkpoint import encode_checkpoint
from banyan_crdt.entry import Entry, encode_header
from banyan_crdt.firehose import CHECKPOINT, CONTROL, PARTS, RUN, UNPROVED, frame
from banyan_crdt.ids import AccountId, LogId
from banyan_crdt.ops import Del, Op, Tomb, decode_body
from banyan_crdt.run import MAX_RUN_ENTRIES, encode_control, encode_run, skips_below
from banyan_node.api.declare import CommitView, Declared, Request, Response
from banyan_node.api.firehose import cursor_text, did_text, store_name
from banyan_node.api.methods.firehose import LOOKED, MOST, STEP, CollectionNames, SeenText, Shards, Since, Wanted, where
from banyan_node.api.methods.firehose import Labels as LabelNames
from banyan_node.api.texts import AccountRef, Did, FirehoseCursor
from banyan_node.hosting import hosted
from banyan_schema.registry import SOCIAL
from banyan_storage import acts
from banyan_storage.given_out import GivenOut
from banyan_storage.queries import Queries
from banyan_storage.reader import Arrival, StoreReader

METHODS = Declared()
PAGE_BYTES = 4 << 20
"""A page with more bytes than this ends there."""
PARTS_BYTES = 1 << 20
"""Of one frame of parts, about."""


class RunsRequest(Request, frozen=True, forbid_unknown_fields=True):
    """As of `firehose`. collections: runs with anything of these; control logs are told in any case, because runs are
    judged by them."""

    since: Since = None
    seen: SeenText = None
    collections: CollectionNames = None
    accounts: list[AccountRef] | None = None
    shards: Shards = None
    platforms: list[AccountRef] | None = None
    labels: LabelNames = None
    limit: Annotated[int, Meta(ge=1, le=MOST)] = 500


class RunItem(Response, frozen=True):
    """cursor: behind it. account: whose it is. collections: of which it has something; `account`: a control log grew.
    entries: how many. deletes: whether one of them deletes something, or takes it back. frames: base64, of the kinds
    control, run, parts, unproved."""

    cursor: FirehoseCursor
    account: Did
    collections: list[str]
    entries: int
    deletes: bool
    frames: str


class RunsPage(Response, frozen=True):
    """realm: its id. cursor: for `since` of the next page. more: whether more has arrived already. end: as of
    `firehose`."""

    realm: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    items: list[RunItem]
    cursor: FirehoseCursor
    more: bool
    end: FirehoseCursor


class ControlRequest(Request, frozen=True, forbid_unknown_fields=True):
    account: AccountRef


class ControlFrames(Response, frozen=True):
    """frames: base64, of the kinds control and checkpoint: all that is held of the account's control log."""

    frames: str


@METHODS.read("firehose.runs", "cursor_gone", "refused", slow=True)
def runs(at: CommitView, ask: RunsRequest) -> RunsPage:
    """What arrived at this node after a cursor, as the signed entries themselves: a reader verifies them without
    trusting this node (docs/protocol.md, section 12). What does not count is left out."""
    store, reader = store_name(at.store), at.store
    wanted = Wanted(at, ask.collections, ask.accounts, ask.shards, ask.platforms, ask.labels)
    realm, last = reader.realm.id.hex(), reader.last_arrival
    end = cursor_text(store, last, 0, acts.last(reader.txn))
    if ask.since is None:
        return RunsPage(realm, [], cursor_text(store, last), False, end)
    place, seen = where(at, ask.since, ask.seen, False)
    n, looked, making = place.n, 0, _Making(at.queries(), store)
    items = list[RunItem]()
    while looked < LOOKED:
        rows = reader.arrivals(n, STEP)
        if not rows:
            return RunsPage(realm, items, cursor_text(store, n), False, end)
        looked += len(rows)
        for row in rows:
            if row.n <= n:
                continue
            is_told = seen is not None and row.seq <= seen.until(row.log)
            if not is_told and wanted.account(row.log.account):
                item, until = making.item(row)
                if item is not None and (not row.log.log or any(map(wanted.collection, item.collections))):
                    items.append(item)
                n = until
            else:
                n = row.n
            if making.entries >= ask.limit or making.weight > PAGE_BYTES:
                return RunsPage(realm, items, cursor_text(store, n), n < last, end)
    return RunsPage(realm, items, cursor_text(store, n), n < last, end)


@METHODS.read("firehose.control", "not_found")
def control(at: CommitView, ask: ControlRequest) -> ControlFrames:
    """The control log and the checkpoints of an account as frames of the firehose: by these its runs are judged."""
    account = hosted.account_of(at, ask.account)
    found = b"".join(_control_frames(at.store, account, at.store.control(account)))
    checkpoints = at.store.checkpoints(account)
    found += b"".join(frame(CHECKPOINT, account, encode_checkpoint(one)) for one in checkpoints)
    return ControlFrames(b64encode(found).decode())


def _control_frames(reader: StoreReader, account: AccountId, entries: Sequence[Entry]) -> Iterator[bytes]:
    for entry in entries:
        if entry.sig is not None:
            yield frame(CONTROL, account, [encode_control(entry, encode_header(entry.header))])


class _Making:
    """The items of a page. entries, weight: how many, and their bytes, so far."""

    def __init__(self, q: Queries, store: str) -> None:
        self._reader, self._store, self._given = q.reader, store, GivenOut(q)
        self._all_count = not q.reader.any_loose()
        self._until: dict[LogId, int] = {}
        """The last entry of each log that is in an item."""
        self.entries = self.weight = 0

    def item(self, row: Arrival) -> tuple[RunItem | None, int]:
        """The item that begins with an arrival, and the arrival behind it. None: it does not count, or was told."""
        reader, log = self._reader, row.log
        if row.seq <= self._until.get(log, -1) or not (self._all_count or reader.is_counted(row.id)):
            return None, row.n
        entry = reader.at(row.n)
        if not log.log:
            self._until[log] = row.seq
            frames = [] if entry is None else [*_control_frames(reader, log.account, [entry])]
            frames += [self._parts(log.account, [] if entry is None else [(row.n, entry, decode_body(entry.ops).ops)])]
            return self._made(row, row.n, {"account"}, [], frames), row.n
        is_signed = entry is not None and entry.sig is not None  # most are, and then nothing is searched for
        end = row.seq if is_signed else reader.next_signed(log, row.seq)
        if end is None or end - row.seq >= MAX_RUN_ENTRIES:
            cursor = cursor_text(self._store, row.n).encode()
            return self._made(row, row.n, set(), [], [frame(UNPROVED, log.account, row.id, cursor)]), row.n
        entries, numbers = reader.chain(log, row.seq, end + 1) if entry is None or not is_signed else [entry], [row.n]
        if not is_signed:
            numbers = [reader.arrival_at(log, seq) or 0 for seq in range(row.seq, end + 1)]
        together = numbers == list(range(row.n, row.n + len(numbers)))
        until = numbers[-1] if together else row.n
        self._until[log] = end
        first = entries[0].header
        parent = None if first.prev is None else reader.entry(first.prev)
        below = [(s, i) for s in skips_below(first.seq, len(entries)) if (i := reader.id_at(log, s)) is not None]
        run = encode_run(entries, parent.header.total if parent else 0, below)
        bodies = [decode_body(one.ops).ops for one in entries]
        frames = [
            frame(RUN, log.account, run),
            self._parts(log.account, list(zip(numbers, entries, bodies, strict=True))),
        ]
        return self._made(row, until, _collections(bodies), bodies, frames), until

    def _made(
        self, row: Arrival, until: int, names: set[str], bodies: Sequence[Sequence[Op]], frames: list[bytes]
    ) -> RunItem:
        """bodies: the operations of each entry of a run; empty: it is one entry of another kind."""
        raw, entries = b"".join(frames), len(bodies) or 1
        deletes = any(isinstance(op, Tomb | Del) for ops in bodies for op in ops)
        self.entries += entries
        self.weight += len(raw)
        cursor = cursor_text(self._store, until)
        return RunItem(cursor, did_text(row.log.account), sorted(names), entries, deletes, b64encode(raw).decode())

    def _parts(self, account: AccountId, arrived: Sequence[tuple[int, Entry, Sequence[Op]]]) -> bytes:
        """Frames of the content of entries that readers are given. arrived: each with its arrival and operations."""
        found = self._reader.contents(sorted(n for n, *_ in arrived))
        out, block, size = list[bytes](), list[list[bytes | int]](), 0
        for n, entry, ops in arrived:
            for at, raw in found.get(n, ()):
                if self._given.op(account, ops[at]):
                    block.append([entry.id, at, raw])
                    size += len(raw)
            if size > PARTS_BYTES:
                out.append(frame(PARTS, account, block))
                block, size = [], 0
        if block:
            out.append(frame(PARTS, account, block))
        return b"".join(out)


def _collections(bodies: Sequence[Sequence[Op]]) -> set[str]:
    """The names of the collections of which entries say anything."""
    ids = {getattr(op, "coll", None) for ops in bodies for op in ops}
    known = (SOCIAL.by_id.get(id) for id in ids if id is not None)
    return {one.name for one in known if one is not None}
