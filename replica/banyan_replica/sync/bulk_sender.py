"""Sends a peer what it asked for, within its credit, and reports progress.

Logs that it asked for by name come first, in that order; then a replay; then a range of accounts, one at a time. Every
answer ends with a message (`answered`, `replayed`, `scanned`). The stream is in order, so the asker knows what it will
not get, without a timeout. Bulk that waits for a peer is bounded by the credit that it gave.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from functools import partial
from math import inf

from banyan_crdt.ids import AccountId, LogId, control_log, is_checkpoint, is_control
from banyan_replica.host import ReplicaHost
from banyan_replica.peers.limits import Limits
from banyan_replica.peers.session import PeerSession
from banyan_replica.sync.item_builder import PIECE_BYTES, checkpoint_item, checkpoint_items, control_items, log_items
from banyan_replica.sync.orders import RangeForPeer, ReplayForPeer
from banyan_replica.sync.send_check import SendCheck
from banyan_replica.wire.data_items import size_of
from banyan_replica.wire.message_table import encode_message
from banyan_replica.wire.messages import (
    CANNOT,
    Answered,
    CheckpointItem,
    DataItems,
    Item,
    Message,
    Replay,
    Scan,
    Scanned,
    Wants,
)
from banyan_storage.reader import ArrivedEntry, StoreReader
from banyan_storage.tables import log_name, log_of_name

_PLACES = struct.Struct(">Qq")
"""Where an answer about a log starts, and the highest pinned entry that its asker named, or -1."""
BLOCK = 1_000
"""Arrivals read at a time."""
SMALL = 32 << 10
"""The usual size of the first frame to a peer. Later ones grow to a whole piece, so the peer soon has work."""
FRAME_DECODED, WORK_DECODED = 2_000, 4_000
"""The most entries that are read whole for one frame, and in one `work`: 20 to 40 ms. A usual run is sent as
it is stored. What stands beside a forked log, and a tied control log, are read whole each time that somebody asks."""
FEW_ITEMS = 16
"""The most items of a frame while own people work: to read a small account takes 0.3 ms, and a call waits for a whole
frame. Always, it would cost those that catch up with many small accounts a quarter of their speed."""
SERVED = 0.5
"""So much of what a peer asked for pays for comparing: it may ask in vain."""
RETOLD_LOGS = 100_000
"""Logs of a replay that are remembered as sent; beyond, some are sent twice."""


class BulkSender:
    """Fills windows one frame at a time, because a whole window at once would block all other work. out: takes the
    frames. pinned: how many counted entries of a log are pinned. reads: whether a range that is read has the log.
    """

    def __init__(
        self,
        store: StoreReader,
        limits: Limits,
        links: dict[str, PeerSession],
        around: ReplicaHost,
        out: list[tuple[str, Message | bytes]],
        pinned: Callable[[LogId], int],
        reads: Callable[[LogId], bool],
    ) -> None:
        self._store, self._limits, self._links, self._out, self._pinned = store, limits, links, out, pinned
        self._due: dict[str, PeerSession] = {}
        self._around, self._reads = around, reads
        self.sound = SendCheck(store)

    @property
    def busy(self) -> bool:
        """Whether a peer has an open window and an open order, so that `work` has something to do."""
        return bool(self._due)

    def work(self) -> None:
        """One frame for each peer that is due, in turn, until that was enough work."""
        began = self._store.decoded
        for link in list(self._due.values()):
            if self._store.decoded - began > WORK_DECODED:
                break
            self._due.pop(link.peer, None)
            self.pump(link)

    def wants(self, link: PeerSession, m: Wants) -> None:
        for want in m.wants:
            if len(link.orders.named) < self._limits.jobs:
                self.sound.asked(link.peer, want)
                start, pin = self.sound.places(want, partial(self._pinned_for, link))
                link.orders.name(log_name(want.log) + _PLACES.pack(start, pin))

    def _pinned_for(self, link: PeerSession, log: LogId) -> int:
        """How many entries of the log are pinned; 0 if the peer had too much read to know that."""
        if link.load.work >= self._limits.work_burst:
            return 0
        began, found = self._store.decoded, self._pinned(log)
        link.load.cost(1 + self._store.decoded - began)
        return found

    def scan(self, link: PeerSession, m: Scan, whole: bool) -> None:
        """Starts reading a range, in place of an earlier one. With the number of the last one only the stop changes; if
        that has ended, the question crossed the word of it.

        whole: False while this node is catching up itself; then it cannot read all that it will hold.
        """
        if m.reading == link.orders.number:
            if link.orders.aloud is not None:
                link.orders.aloud.nearer(m.stop)
        elif whole:
            aloud = link.orders.read(m.reading, m.cursor, m.stop)
            aloud.reads(self._through(link, aloud))
        else:
            self._out.append((link.peer, Scanned(m.reading, m.cursor, CANNOT)))

    def replay(self, link: PeerSession, m: Replay) -> None:
        """Starts a replay of what came after an arrival."""
        retold = link.orders.retell(m.arrival)
        retold.reads(self._since(link, retold))

    def pump(self, link: PeerSession) -> None:
        """Sends the next frame if the peer's window is open; `work` sends the following ones."""
        if self._may_send(link):
            self._frame(link)
        if self._may_send(link):
            self._due[link.peer] = link
        else:
            self._due.pop(link.peer, None)

    def _may_send(self, link: PeerSession) -> bool:
        """Whether the peer wants more and has credit for it; for logs that it asks for by name it has SMALL bytes more.
        While much is under way to all together, each has a little under way, and gets more with its next credit."""
        if link.flow.full(SMALL if link.orders.named else 0) or not link.orders.any:
            return False
        if link.flow.transit < self._limits.piece:
            return True
        return sum(other.flow.transit for other in self._links.values()) < self._limits.outbox_of_all

    def gone(self, link: PeerSession) -> None:
        """The link is down."""
        self._due.pop(link.peer, None)
        link.orders.gone()

    def _frame(self, link: PeerSession) -> None:
        orders, read = link.orders, partial(self._named, link)
        items, size, answered = list[Item](), 0, orders.answered
        aim = SMALL if link.flow.full() else _aim(link)
        most, began, done = min(self._limits.piece, aim), self._store.decoded, False
        few = FEW_ITEMS if self._around.is_busy() else inf
        while size < most and len(items) < few and self._store.decoded - began <= FRAME_DECODED:
            item = orders.next(read)
            if item is None:
                done = True
                break
            items.append(item)
            size += size_of(item)
        if items:
            frame = encode_message(DataItems(items))
            link.flow.sent(len(frame))
            self._out.append((link.peer, frame))
            if not all(isinstance(item, CheckpointItem) for item in items):
                link.course.stuck.news(len(frame) * SERVED)
        if orders.answered != answered:
            self._out.append((link.peer, Answered(orders.answered)))
        word = orders.report(done)
        if word is not None:
            self._out.append((link.peer, word))

    def drop(self, link: PeerSession) -> None:
        """Ends all orders of a peer after a rollback, and tells it so."""
        self._due.pop(link.peer, None)
        for word in link.orders.drop():
            self._out.append((link.peer, word))

    def _named(self, link: PeerSession, asked: bytes) -> Iterator[Item]:
        log, (start, pin) = log_of_name(asked[: -_PLACES.size]), _PLACES.unpack(asked[-_PLACES.size :])
        items: Iterator[Item]
        if is_checkpoint(log):
            items = checkpoint_item(self._store, log)
        elif is_control(log):
            items = control_items(self._store, log.account, start)
        else:
            items = log_items(self._store, log, start, partial(_aim, link), pin=pin)
        return self.sound.items(link.peer, log, items)

    def _since(self, link: PeerSession, retold: ReplayForPeer) -> Iterator[Item | None]:
        """What came after an arrival, by log, in the order of each log's first arrival."""
        sent: dict[LogId, int] = {}
        while rows := self._store.arrivals(retold.at, BLOCK):
            came: dict[LogId, list[ArrivedEntry]] = {}
            for row in rows:
                if row.n > sent.get(row.log, 0):
                    came.setdefault(row.log, []).append(row)
            if len(sent) > RETOLD_LOGS:
                sent.clear()
            for log, some in came.items():
                sent[log] = self._store.last_arrival
                first = min([row.seq for row in some])
                if self._store.loose_rows(log, limit=1):  # some of it may not count
                    counted = [row.seq for row in some if self._store.id_at(log, row.seq) == row.id]
                    first = min(counted, default=self._store.head(log).length)
                if log.log:
                    found = log_items(self._store, log, first, partial(_aim, link), some)
                    yield from self.sound.items(link.peer, log, found)
                else:
                    yield from self._control(link, log.account, first)
            retold.reached(rows[-1].n)
            yield None

    def _through(self, link: PeerSession, aloud: RangeForPeer) -> Iterator[Item | None]:
        """Everything of the range that is held, in account order, control logs first."""
        while True:
            start = AccountId(aloud.at) if aloud.at else None
            ahead = (a for a in self._store.accounts(start) if a > aloud.at and self._reads(control_log(a)))
            account = next(ahead, None)
            if account is None or account > aloud.stop:
                return
            if self._store.head(control_log(account)).length:
                yield from self._control(link, account, 0)
                for log in list(self._store.heads(account)):
                    if log.log and self._reads(log):
                        found = log_items(self._store, log, 0, partial(_aim, link))
                        yield from self.sound.items(link.peer, log, found)
            aloud.reached(account)
            yield None

    def _control(self, link: PeerSession, account: AccountId, first: int) -> Iterator[Item]:
        log = control_log(account)
        yield from self.sound.items(link.peer, log, control_items(self._store, account, first))
        yield from self.sound.items(link.peer, log, checkpoint_items(self._store, account))


def _aim(link: PeerSession) -> int:
    """The usual size of the next frame to the peer. On a slow line it is small: a link that ends loses half of one, and
    news waits until a frame is written."""
    return min(PIECE_BYTES, SMALL + link.flow.gave, link.flow.room // 4)
