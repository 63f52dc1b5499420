"""The firehose as signed entries: runs and control entries as frames (crdt/banyan_crdt/firehose.py), a page at a time.

Pages are as those of `firehose`: nothing is queued, and a cursor is a place in the order of arrival. An item is a run:
the entries from one arrival on, up to the signature over them. What came in one piece is told in one piece, once. Where
its entries came apart, the later ones are told again with the run that they are signed in: an entry has one id. An act
of this node is an item too; where it gives content out (`late`, `returned`), the run with it stands before it.
"""

from base64 import b64encode
from collections.abc import Iterator, Sequence
from typing import Annotated, NamedTuple

from msgspec import Meta

from banyan_crdt.checkpoint import encode_checkpoint
from banyan_crdt.entry import Entry, encode_header
from banyan_crdt.firehose import ACT, CHECKPOINT, CONTROL, PARTS, RUN, UNPROVED, frame
from banyan_crdt.ids import AccountId, CellKey, EntryId, LogId
from banyan_crdt.ops import Del, Op, Tomb, decode_body
from banyan_crdt.run import MAX_RUN_ENTRIES, encode_control, encode_run, skips_below
from banyan_node.api.declare import AccountRequest, CommitView, MethodTable, Request, Response
from banyan_node.api.firehose import cursor_text, did_text, store_name
from banyan_node.api.json_types import AccountRef, Did, FirehoseCursor
from banyan_node.api.methods.network import firehose
from banyan_node.api.methods.network.firehose import Labels as LabelNames
from banyan_node.hosting import hosted
from banyan_reading.queries import Queries
from banyan_schema.registry import SOCIAL
from banyan_schema.social import POST
from banyan_storage import acts
from banyan_storage.acts import Act, ActKind
from banyan_storage.reader import ArrivedEntry, StoreReader
from banyan_storage.tables import ref_of

METHODS = MethodTable()
PAGE_BYTES = 4 << 20
"""A page with more bytes than this ends there."""
PARTS_BYTES = 1 << 20
"""Of one frame of parts, about."""


class RunsRequest(Request):
    """As of `firehose`. collections: runs with anything of these; control logs are told in any case, because runs are
    judged by them."""

    since: firehose.Since = None
    seen: firehose.SeenText = None
    collections: firehose.CollectionNames = None
    accounts: list[AccountRef] | None = None
    shards: firehose.Shards = None
    platforms: list[AccountRef] | None = None
    labels: LabelNames = None
    limit: Annotated[int, Meta(ge=1, le=firehose.MOST)] = 500


class FirehoseRun(Response):
    """cursor: behind it. account: whose it is. collections: of which it has something; `account`: a control log grew.
    entries: how many. deletes: whether one of them deletes something, or takes it back. act: the kind of what this node
    did itself; null: entries arrived. frames: base64, of the kinds control, run, parts, unproved, act."""

    cursor: FirehoseCursor
    account: Did
    collections: list[str]
    entries: int
    deletes: bool
    act: ActKind | None
    frames: str


class RunsPage(Response):
    """realm: its id. cursor: for `since` of the next page. more: whether more has arrived already. end: as of
    `firehose`."""

    realm: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    items: list[FirehoseRun]
    cursor: FirehoseCursor
    more: bool
    end: FirehoseCursor


class ControlFrames(Response):
    """frames: base64, of the kinds control and checkpoint: all that is held of the account's control log."""

    frames: str


@METHODS.read("firehose.runs", "cursor_gone", "refused", slow=True)
def runs(at: CommitView, ask: RunsRequest) -> RunsPage:
    """What arrived at this node after a cursor, as the signed entries themselves: a reader verifies them without
    trusting this node (docs/protocol.md, section 12). What does not count is left out."""
    store, reader = store_name(at.store), at.store
    wanted = firehose.FirehoseFilters(at, ask.collections, ask.accounts, ask.shards, ask.platforms, ask.labels)
    realm, last = reader.realm.id.hex(), reader.last_arrival
    end = cursor_text(store, last, 0, acts.last(reader.txn))
    if ask.since is None:
        return RunsPage(realm, [], end, False, end)
    place, seen = firehose.where(at, ask.since, ask.seen, False)
    n, looked, making = place.n, 0, _Making(at.queries(), store)
    making.last_act = place.a
    waiting, items = firehose.PendingActs(reader.txn, place.a), list[FirehoseRun]()

    def page(more: bool) -> RunsPage:
        return RunsPage(realm, items, cursor_text(store, n, 0, making.last_act), more, end)

    def is_full() -> bool:
        return making.entries >= ask.limit or making.weight > PAGE_BYTES

    def act(until: int) -> bool:
        """Tells the acts up to an arrival. Whether there was room."""
        while (one := waiting.next(until)) is not None:
            if is_full():
                return False
            waiting.take()
            making.last_act = one.number
            item = making.act(one, n) if wanted.account(one.account) else None
            if item is not None and (not item.collections or any(map(wanted.collection, item.collections))):
                items.append(item)
        return True

    while looked < firehose.LOOKED:
        rows = reader.arrivals(n, firehose.STEP)
        if not rows:
            return page(not act(last))
        looked += len(rows)
        for row in rows:
            if row.n <= n:
                continue
            if is_full() or not act(row.n - 1):
                return page(True)
            is_told = seen is not None and row.seq <= seen.until(row.log)
            if not is_told and wanted.account(row.log.account):
                item, n = making.item(row)
                if item is not None and (not row.log.log or any(map(wanted.collection, item.collections))):
                    items.append(item)
            else:
                n = row.n
    return page(n < last or not act(last))


@METHODS.read("firehose.control", "not_found")
def control(at: CommitView, ask: AccountRequest) -> ControlFrames:
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


class _ArrivalFrames(NamedTuple):
    """The frames of what begins with an arrival. until: the last arrival that they tell. end: the last entry of the log
    that they tell; None: they prove none. names: of the collections. bodies: the operations of each entry of a run."""

    frames: list[bytes]
    until: int
    end: int | None
    names: set[str]
    bodies: Sequence[Sequence[Op]]


class _Making:
    """The items of a page. entries, weight: how many, and their bytes, so far. last_act: the last act that was told."""

    def __init__(self, q: Queries, store: str) -> None:
        self._q, self._reader, self._store = q, q.reader, store
        self._all_count = not q.reader.any_loose()
        self._until: dict[LogId, int] = {}
        """The last entry of each log that is in an item."""
        self.entries = self.weight = self.last_act = 0

    def act(self, act: Act, n: int) -> FirehoseRun | None:
        """An act behind arrival n; None as for events."""
        place = frame(
            ACT,
            act.account,
            cursor_text(self._store, n, 0, act.number).encode(),
            act.number,
            act.kind.encode(),
            act.about,
            act.time_ms,
            [one.encode() for one in act.said],
        )
        if acts.RULES[act.kind].of_account:
            return self._made(act.account, n, set(), [], [place], act.kind)
        if act.kind != "late":
            key = CellKey(act.about)
            shown = next(self._q.items(act.account, SOCIAL.by_id[POST], key), None) if act.kind == "returned" else None
            if act.kind == "returned" and shown is None:
                return None
            again = [] if shown is None or shown.ref is None else self._again(shown.ref.entry)
            return self._made(act.account, n, {"post"}, [], [*again, place], act.kind)
        entry, op = ref_of(act.about)
        found = self._reader.entry(entry)
        ops = () if found is None else decode_body(found.ops).ops
        if op >= len(ops) or not self._q.gives(act.account, ops[op]) or not (again := self._again(entry)):
            return None
        return self._made(act.account, n, _collections([ops[op : op + 1]]), [], [*again, place], act.kind)

    def _again(self, entry: EntryId) -> list[bytes]:
        """The frames of the run of an entry that was told before; none if it does not count."""
        n = self._reader.number_of(entry)
        row = None if n is None else next(iter(self._reader.arrivals(n - 1, 1)), None)
        if row is None or row.n != n or not (self._all_count or self._reader.is_counted(entry)):
            return []
        return self._run(row).frames

    def item(self, row: ArrivedEntry) -> tuple[FirehoseRun | None, int]:
        """The item that begins with an arrival, and the arrival behind it. None: it does not count, or was told."""
        reader, log = self._reader, row.log
        if row.seq <= self._until.get(log, -1) or not (self._all_count or reader.is_counted(row.id)):
            return None, row.n
        found = self._run(row)
        if found.end is not None:
            self._until[log] = found.end
        return self._made(log.account, found.until, found.names, found.bodies, found.frames), found.until

    def _run(self, row: ArrivedEntry) -> _ArrivalFrames:
        reader, log = self._reader, row.log
        entry = reader.at(row.n)
        if not log.log:
            frames = [] if entry is None else [*_control_frames(reader, log.account, [entry])]
            frames += [self._parts(log.account, [] if entry is None else [(row.n, entry, decode_body(entry.ops).ops)])]
            return _ArrivalFrames(frames, row.n, row.seq, {"account"}, [])
        is_signed = entry is not None and entry.sig is not None  # most are, and then nothing is searched for
        end = row.seq if is_signed else reader.next_signed(log, row.seq)
        if end is None or end - row.seq >= MAX_RUN_ENTRIES:
            cursor = cursor_text(self._store, row.n, 0, self.last_act).encode()
            return _ArrivalFrames([frame(UNPROVED, log.account, row.id, cursor)], row.n, None, set(), [])
        entries, numbers = reader.chain(log, row.seq, end + 1) if entry is None or not is_signed else [entry], [row.n]
        if not is_signed:
            numbers = [reader.arrival_at(log, seq) or 0 for seq in range(row.seq, end + 1)]
        together = numbers == list(range(row.n, row.n + len(numbers)))
        until = numbers[-1] if together else row.n
        first = entries[0].header
        parent = None if first.prev is None else reader.entry(first.prev)
        below = [(s, i) for s in skips_below(first.seq, len(entries)) if (i := reader.id_at(log, s)) is not None]
        run = encode_run(entries, parent.header.total if parent else 0, below)
        bodies = [decode_body(one.ops).ops for one in entries]
        frames = [
            frame(RUN, log.account, run),
            self._parts(log.account, list(zip(numbers, entries, bodies, strict=True))),
        ]
        return _ArrivalFrames(frames, until, end, _collections(bodies), bodies)

    def _made(
        self,
        account: AccountId,
        until: int,
        names: set[str],
        bodies: Sequence[Sequence[Op]],
        frames: list[bytes],
        act: ActKind | None = None,
    ) -> FirehoseRun:
        """bodies: the operations of each entry of a run; empty: it is one entry of another kind, or an act."""
        raw, entries = b"".join(frames), len(bodies) or 1
        deletes = any(isinstance(op, Tomb | Del) for ops in bodies for op in ops)
        self.entries += entries
        self.weight += len(raw)
        cursor = cursor_text(self._store, until, 0, self.last_act)
        return FirehoseRun(cursor, did_text(account), sorted(names), entries, deletes, act, b64encode(raw).decode())

    def _parts(self, account: AccountId, arrived: Sequence[tuple[int, Entry, Sequence[Op]]]) -> bytes:
        """Frames of the content of entries that readers are given. arrived: each with its arrival and operations."""
        found = self._reader.contents(sorted(n for n, *_ in arrived))
        out, block, size = list[bytes](), list[list[bytes | int]](), 0
        for n, entry, ops in arrived:
            for at, raw in found.get(n, ()):
                if self._q.gives(account, ops[at]):
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
