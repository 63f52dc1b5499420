"""The firehose: everything that arrived at this store, in the order of arrival, a page at a time.

A page ends at a cursor, and the next one begins there; the store keeps the order, so nothing is queued for a reader,
and a reader that was away misses nothing. Filters look at what is read, so a page may be empty although more follows.

A cursor is a place in one store. A frontier cursor (`seen`, made by `firehose.frontier`) says how far each log was
told, and so means the same at every node.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from threading import Lock
from typing import Annotated

from cachetools import LRUCache, cached
from msgspec import Meta

from banyan_crdt.errors import Malformed
from banyan_crdt.frontier import (
    ID_BYTES,
    PREFIX,
    ROW_BYTES,
    CursorRow,
    FrontierCursor,
    decode_frontier_cursor,
    encode_frontier_cursor,
)
from banyan_crdt.ids import AccountId, LogId, is_checkpoint
from banyan_node.api.declare import CommitView, MethodTable, Request, Response
from banyan_node.api.firehose import ArrivalPlace, EventMaker, FirehoseEvent, cursor_text, store_name
from banyan_node.api.json_types import AccountRef, FirehoseCursor
from banyan_node.hosting import hosted
from banyan_node.operator_errors import CallError, bad_request, conflict
from banyan_reading import identity
from banyan_reading.identity import verified
from banyan_schema.registry import SOCIAL
from banyan_storage import acts
from banyan_storage.acts import Act
from banyan_storage.engine import ReadTxn
from banyan_storage.reader import ArrivedEntry, StoreReader

# What a reader of the firehose was told elsewhere, in terms of this store: frontier cursors, read and made.
#
# The invariant: what a cursor covers here was told, or does not count there. So a node that has other entries, in
# another order, misses nothing when it leaves that out; what it cannot judge it tells again, and each event has the
# same name.

RECENT = 8_192
"""The last arrivals, whose logs have more rows than one."""
LOGS_STEP = 4
"""Between the rows of a log, from its end downwards: 1, 4, 16, ... entries. A node that lacks the last `d` tells at
most four times as many again."""
FAR = 1 << 18
"""The most arrivals behind a cursor for which rows are made: all of them are looked at."""
READ = 1_024
CURSORS_BYTES = 64 << 20
"""Memory of cursors that were read lately."""


def remembering(most_bytes: int = CURSORS_BYTES) -> Callable[[str], FrontierCursor]:
    """Reads cursors and remembers them, because every page of a reader names the same one. What was not used for
    longest goes first. Any thread. What it returns raises Malformed."""
    held: LRUCache[bytes, FrontierCursor] = LRUCache(most_bytes, lambda cursor: ROW_BYTES * cursor.count)
    return cached(held, lambda text: sha256(text.encode("utf-8", "surrogatepass")).digest(), Lock())(
        decode_frontier_cursor
    )


remembered = remembering()


class SeenFrontier:
    """One cursor at one commit."""

    def __init__(self, reader: StoreReader, cursor: FrontierCursor) -> None:
        self._reader, self._cursor = reader, cursor
        self._until: dict[LogId, int] = {}

    def until(self, log: LogId) -> int:
        """The seq up to which the log was told; -1: nothing of it."""
        found = self._until.get(log)
        if found is None:
            places = self._cursor.places(log)
            found = self._until[log] = next((seq for seq, id in places if self._is_here(log, seq, id)), -1)
        return found

    def _is_here(self, log: LogId, seq: int, id: bytes) -> bool:
        here = self._reader.id_at(log, seq)
        return here is not None and here[:ID_BYTES] == id

    def begin(self) -> int:
        """The arrival number up to which nothing that counts has to be told."""
        last = self._reader.last_arrival
        for log, head in self._reader.all_heads():
            until = -1 if is_checkpoint(log) else self.until(log)
            if not is_checkpoint(log) and until + 1 < head.length:
                last = min(last, (self._reader.first_arrival(log, until + 1) or 1) - 1)
        return last


def told_until(reader: StoreReader, n: int, wanted: Callable[[LogId], bool]) -> Iterator[CursorRow]:
    """The rows of a reader that was told everything up to arrival `n`, of the logs that it wants. Of a log whose
    entries came in another order than they stand in, less is said than is true."""
    after = _lowest_after(reader, n)
    lately = {row.log for row in reader.arrivals(max(0, n - RECENT), min(n, RECENT))}
    for log, head in reader.all_heads():
        last = min(head.length, after.get(log, head.length)) - 1
        if last < 0 or is_checkpoint(log) or not wanted(log):
            continue
        back = 0
        while back <= last:
            id = reader.id_at(log, last - back)
            if id is not None:
                yield CursorRow(log, last - back, id)
            back = LOGS_STEP * back or 1
            if log not in lately:
                break


def _lowest_after(reader: StoreReader, n: int) -> dict[LogId, int]:
    """The lowest seq of each log that came after an arrival."""
    found = dict[LogId, int]()
    all_count = not reader.any_loose()
    while rows := reader.arrivals(n, READ):
        for row in rows:
            if row.seq < found.get(row.log, row.seq + 1) and (all_count or reader.is_counted(row.id)):
                found[row.log] = row.seq
        n = rows[-1].n
    return found


METHODS = MethodTable()
MOST, LOOKED = 1_000, 4_096
"""Events of a page, and arrivals that are looked at for one."""
STEP = 256
"""Arrivals read at a time."""
PROOF_BYTES = 4 << 20
"""A page with more proof than this ends there: a proof has all entries up to the next signature."""
BEGINNING = "begin"
_CURSOR = re.compile(r"([0-9a-f]{16})-([0-9]{1,15})(?:\.([0-9]{1,6}))?(?:-([0-9]{1,15}))?")
CollectionNames = Annotated[
    list[str] | None, Meta(description="Only of these collections; `account` stands for control logs.")
]
Shards = Annotated[
    list[Annotated[str, Meta(title="a hexadecimal digit", pattern="^[0-9a-f]$")]] | None,
    Meta(description="Only accounts whose ids begin with one of these four bits: hexadecimal digits."),
]
Labels = Annotated[
    list[Annotated[str, Meta(title="a label", pattern="^official:.")]] | None,
    Meta(description="Only accounts with one of these labels: `official:` and the account that says so."),
]
Since = Annotated[
    str | None,
    Meta(title="a place in the firehose", description="A cursor, or `begin`, or a frontier cursor of any node."),
]
SeenText = Annotated[
    str | None,
    Meta(title="a frontier cursor", description="A frontier cursor of any node: what it covers is left out."),
]


class FirehoseRequest(Request):
    """since: a cursor, or `begin` for all that is held; default: from now on, so the page is empty. A frontier cursor
    is as `begin` with `seen`. collections, accounts, shards, platforms, labels: only what fits one of each that is
    given. platforms: accounts whose handle one of these confirms. uncounted: also entries that do not count. proof:
    with what a third party needs to verify each event."""

    since: Since = None
    seen: SeenText = None
    collections: CollectionNames = None
    accounts: list[AccountRef] | None = None
    shards: Shards = None
    platforms: list[AccountRef] | None = None
    labels: Labels = None
    uncounted: bool = False
    proof: bool = False
    limit: Annotated[int, Meta(ge=1, le=MOST)] = 500


class FrontierRequest(Request):
    """since: the cursor up to which a reader was told everything; default: the end. accounts, shards: its filters, so
    that the answer is as short as it can be."""

    since: Annotated[str | None, Meta(title="a place in the firehose", description="A cursor.")] = None
    accounts: list[AccountRef] | None = None
    shards: Shards = None


class FirehoseFrontier(Response):
    """frontier: a frontier cursor (docs/protocol.md, section 9), for `seen` at any node. rows: places that it names."""

    cursor: FirehoseCursor
    frontier: str
    rows: int


class FirehosePage(Response):
    """cursor: for `since` of the next page. more: whether more has arrived already. end: the cursor behind all that
    there was when this was read."""

    events: list[FirehoseEvent]
    cursor: FirehoseCursor
    more: bool
    end: FirehoseCursor


@METHODS.read("firehose", "cursor_gone", "refused", slow=True)
def firehose(at: CommitView, ask: FirehoseRequest) -> FirehosePage:
    """What arrived at this node after a cursor: each operation of each entry, with its content, in order of arrival.

    An entry that does not count when it is read is left out unless `uncounted` is given. Whether it counts can change
    later only together with an event of kind `account`, or by a fork; then read the account anew."""
    store, reader = store_name(at.store), at.store
    wanted = FirehoseFilters(at, ask.collections, ask.accounts, ask.shards, ask.platforms, ask.labels)
    last = reader.last_arrival
    end = cursor_text(store, last, 0, acts.last(reader.txn))
    if ask.since is None:
        return FirehosePage([], end, False, end)
    place, seen = where(at, ask.since, ask.seen, ask.uncounted)
    making = EventMaker(at.queries(), store, ask.proof)
    making.last_act = place.a
    waiting = PendingActs(reader.txn, place.a)
    events, looked, weight = list[FirehoseEvent](), 0, 0

    def act(until: int) -> bool:
        """Tells the acts up to an arrival. Whether there was room."""
        nonlocal place
        while (one := waiting.next(until)) is not None:
            if len(events) == ask.limit:
                return False
            waiting.take()
            making.last_act = one.number
            place = place._replace(a=one.number)
            if wanted.account(one.account) and (one.about == b"" or one.kind == "late" or wanted.collection("post")):
                event = making.act(one, place)
                if event is not None and (event.collection is None or wanted.collection(event.collection)):
                    events.append(event)
        return True

    while looked < LOOKED:
        rows = reader.arrivals(place.n, STEP)
        if not rows:
            more = not act(last)
            return FirehosePage(events, cursor_text(store, *place), more, end)
        looked += len(rows)
        kept = [row for row in rows if wanted.log(row.log) and not _told(reader, seen, row, ask.uncounted)]
        parts = reader.contents([row.n for row in kept]) if kept else {}
        for row in kept:
            if not act(row.n - 1):
                return FirehosePage(events, cursor_text(store, *place), True, end)
            skip = place.k if row.n == place.n + 1 else 0
            for number, (event, name) in enumerate(making.of(row, dict(parts.get(row.n, ())))):
                if number < skip or not (event.counts or ask.uncounted) or not wanted.collection(name):
                    continue
                if len(events) == ask.limit or weight > PROOF_BYTES:
                    return FirehosePage(events, cursor_text(store, row.n - 1, number, making.last_act), True, end)
                events.append(event)
                if event.proof is not None:
                    weight += len(event.proof.run or "")
            place = ArrivalPlace(row.n, 0, making.last_act)
        place = ArrivalPlace(rows[-1].n, 0, making.last_act)
    more = place.n < last or not act(last)
    return FirehosePage(events, cursor_text(store, *place), more, end)


class PendingActs:
    """Acts that are not told yet, in their order."""

    def __init__(self, txn: ReadTxn, told: int) -> None:
        self._acts = acts.after(txn, told)
        self._next = next(self._acts, None)

    def next(self, until: int) -> Act | None:
        """The next one, if it was not after a later arrival than that."""
        return self._next if self._next is not None and self._next.after <= until else None

    def take(self) -> None:
        self._next = next(self._acts, None)


def _told(reader: StoreReader, seen: SeenFrontier | None, row: ArrivedEntry, uncounted: bool) -> bool:
    """Whether the reader was told of the entry elsewhere. A cursor speaks of what counts."""
    if seen is None or row.seq > seen.until(row.log):
        return False
    return not (uncounted and reader.any_loose()) or reader.is_counted(row.id)


@METHODS.read("firehose.frontier", "cursor_gone", "refused", slow=True)
def frontier(at: CommitView, ask: FrontierRequest) -> FirehoseFrontier:
    """How far a reader of the firehose has come, in a form that every node of the network understands."""
    reader, store = at.store, store_name(at.store)
    place = place_of(reader, cursor_text(store, reader.last_arrival) if ask.since is None else ask.since)
    if reader.last_arrival - place.n > FAR:
        why = f"{ask.since} is more than {FAR:,} entries behind the end: read on, and ask later."
        raise conflict(why)
    wanted = FirehoseFilters(at, None, ask.accounts, ask.shards)
    rows = list(told_until(reader, place.n, wanted.log))
    return FirehoseFrontier(cursor_text(store, *place), encode_frontier_cursor(rows), len(rows))


class FirehoseFilters:
    """The filters of a request. None: no limit."""

    def __init__(
        self,
        at: CommitView,
        collections: Sequence[str] | None,
        accounts: Sequence[str] | None,
        shards: Sequence[str] | None,
        platforms: Sequence[str] | None = None,
        labels: Sequence[str] | None = None,
    ) -> None:
        self._at = at
        for name in collections or ():
            if name != "account" and name not in SOCIAL.by_name:
                raise bad_request(f"There is no collection '{name[:60]}' here; `collections` lists them.")
        self._names = None if collections is None else frozenset(collections)
        self._accounts = None if accounts is None else _ids(at, accounts)
        self._shards = None if shards is None else frozenset(int(digit, 16) for digit in shards)
        self._platforms = None if platforms is None else _ids(at, platforms)
        self._labels = None if labels is None else _ids(at, [label.partition(":")[2] for label in labels])
        self._of: dict[AccountId, bool] = {}
        """Whether platforms and labels take the account."""

    def log(self, log: LogId) -> bool:
        """Whether any event of the log may be wanted."""
        return (bool(log.log) or self.collection("account")) and self.account(log.account)

    def account(self, account: AccountId) -> bool:
        if self._accounts is not None and account not in self._accounts:
            return False
        if self._shards is not None and account[0] >> 4 not in self._shards:
            return False
        if self._platforms is None and self._labels is None:
            return True
        if account not in self._of:
            self._of[account] = self._confirmed(account) and self._labelled(account)
        return self._of[account]

    def collection(self, name: str | None) -> bool:
        return self._names is None or name in self._names

    def _confirmed(self, account: AccountId) -> bool:
        if self._platforms is None:
            return True
        handle = identity.handle_of(self._at.queries(), account)
        return handle is not None and not self._platforms.isdisjoint(handle.platforms)

    def _labelled(self, account: AccountId) -> bool:
        return self._labels is None or bool(verified(self._at.queries(), account, self._labels))


def where(at: CommitView, since: str, seen: str | None, uncounted: bool) -> tuple[ArrivalPlace, SeenFrontier | None]:
    """Where a reader goes on, and what it was told elsewhere. Raises CallError."""
    if since.startswith(PREFIX):
        since, seen = BEGINNING, since
    try:
        told = None if seen is None else SeenFrontier(at.store, remembered(seen))
    except Malformed as why:
        raise bad_request(f"`{(seen or '')[:20]}...`: {why}.") from None
    place = place_of(at.store, since)
    if told is not None and not place.n and not uncounted:
        return ArrivalPlace(told.begin()), told
    return place, told


def _ids(at: CommitView, given: Sequence[str]) -> frozenset[AccountId]:
    return frozenset(hosted.account_of(at, one) for one in given)


def place_of(reader: StoreReader, text: str) -> ArrivalPlace:
    """Raises CallError."""
    store, last = store_name(reader), reader.last_arrival
    if text == BEGINNING:
        return ArrivalPlace(0)
    found = _CURSOR.fullmatch(text)
    if found is None:
        why = f"'{text[:60]}' is no cursor: give `cursor` of the last event seen, or `{BEGINNING}`."
        raise bad_request(why)
    if found[1] != store:
        raise _gone(text, "it is of another store")
    place = ArrivalPlace(int(found[2]), int(found[3] or 0), int(found[4] or 0))
    if place.a > acts.last(reader.txn):
        raise _gone(text, f"this store has come to act {acts.last(reader.txn)} only: it was restored")
    if place.a and place.a + 1 < acts.first(reader.txn):
        raise _gone(text, f"more than {acts.KEPT:,} acts of this node are behind it")
    if place.n > last:
        raise _gone(text, f"this store has come to {cursor_text(store, last)} only: it was restored")
    return place


def _gone(cursor: str, why: str) -> CallError:
    message = (
        f"{cursor[:60]}: {why}. Go on with a frontier cursor, which every node understands, or from `{BEGINNING}`; "
        "events that you know have the same `id`."
    )
    return CallError("cursor_gone", message, 410)
