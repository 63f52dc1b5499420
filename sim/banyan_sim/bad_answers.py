"""Machines that serve badly: too slowly, nothing, too much, or other things than they were asked for.

Each runs the honest software and holds what honest machines hold. `spare`: how much it serves well before it turns bad.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterable

import numpy as np

from banyan_crdt.errors import Reject
from banyan_crdt.ids import LogId, key_digest
from banyan_crdt.realm import TEST
from banyan_crdt.signing import Signer
from banyan_replica.frontier.sketch import CELL_BYTES, CELLS, P, add_one, pack, unpack, walk
from banyan_replica.intake.author import Author, EntryDraft, grant_to
from banyan_replica.intake.ingest import Ingest
from banyan_replica.peers.flow import OVERSHOOT, WINDOW
from banyan_replica.sync.exchange import PROBE_BYTES
from banyan_replica.sync.item_builder import run_item
from banyan_replica.wire.message_table import decode_message, encode_message, is_bulk, opens_as
from banyan_replica.wire.messages import (
    HERE,
    LAST,
    TOO_MANY,
    Answered,
    DataItems,
    Hello,
    Message,
    Root,
    RunItem,
    Scan,
    Scanned,
    Sketch,
    SketchCells,
    SketchNames,
    Wants,
)
from banyan_schema.social import Post, post_key, write_post
from banyan_sim.byzantine import Liar
from banyan_sim.machine import TABLES, Machine
from banyan_storage.memory_engine import MemoryEngine
from banyan_storage.store import Store
from banyan_storage.viewhook import NoViews

OWED = (DataItems, Scanned, Answered)
"""The messages that a peer owes after it was asked."""


def _heard(data: bytes) -> Message | None:
    """The message, or None if it is malformed: other machines lie too."""
    try:
        return decode_message(data)
    except Reject:
        return None


class Staller(Liar):
    """Serves some, then nothing more: neither what it was asked for nor the message that ends an answer."""

    def __init__(self, node: Machine, rng: random.Random) -> None:
        super().__init__(node, rng)
        self.spare = rng.randint(0, 3)

    def outgoing(self, peer: str, data: bytes) -> Iterable[bytes]:
        if is_bulk(data) and self.spare > 0:
            self.spare -= 1
            return (data,)
        return () if opens_as(data, *OWED) and self.spare <= 0 else (data,)


class Crawler(Liar):
    """Serves one item every few seconds."""

    def __init__(self, node: Machine, rng: random.Random) -> None:
        super().__init__(node, rng)
        self.later: dict[str, deque[bytes]] = {}

    def outgoing(self, peer: str, data: bytes) -> Iterable[bytes]:
        if not opens_as(data, *OWED):
            return (data,)
        message = decode_message(data)
        one_by_one = [DataItems([item]) for item in message.items] if isinstance(message, DataItems) else [message]
        self.later.setdefault(peer, deque(maxlen=10_000)).extend(encode_message(m) for m in one_by_one)
        return ()

    def act(self) -> None:
        for peer, frames in self.later.items():
            if frames and self.rng.random() < 0.3:
                self.say(peer, frames.popleft())


class Braggart(Liar):
    """Claims to hold a thousand times more than it does. When asked for it, it says at once that it has sent all."""

    def __init__(self, node: Machine, rng: random.Random) -> None:
        super().__init__(node, rng)
        self.stops: dict[tuple[str, int], bytes] = {}

    def heard(self, peer: str, data: bytes) -> bool:
        message = _heard(data)
        if isinstance(message, Scan):
            self.stops[peer, message.reading] = message.stop
        return True

    def outgoing(self, peer: str, data: bytes) -> Iterable[bytes]:
        message = decode_message(data)
        if isinstance(message, Hello | Root):
            return (encode_message(message._replace(logs=1_000 * message.logs + 100_000)),)
        if isinstance(message, Scanned):
            return (encode_message(Scanned(message.reading, self.stops[peer, message.reading], 1)),)
        return () if isinstance(message, DataItems) else (data,)


class Strayer(Liar):
    """When asked for a span of accounts it serves all accounts, and says truly how far it is."""

    def heard(self, peer: str, data: bytes) -> bool:
        message = _heard(data)
        if not isinstance(message, Scan) or (message.cursor, message.stop) == (b"", LAST):
            return True
        wide = encode_message(Scan(message.reading, b"", LAST))
        self.node.feed(lambda r, now: r.receive(peer, wide, now))
        return False


class Spammer(Liar):
    """Sends one neighbour what it did not ask for and holds already, over and over."""

    def act(self) -> None:
        peer = next(iter(self.peers()), None)
        store = self.node.replica.store
        known = [log for log, head in store.all_heads() if log.log and head.length]
        if peer is None or not known:
            return
        log = known[self.rng.randrange(len(known))]
        chain = store.chain(log)
        signed = next(k + 1 for k, entry in enumerate(chain) if entry.sig is not None)
        item = run_item(store, log, chain[:signed])
        self.say(peer, DataItems([item] * 800))


class Gusher(Liar):
    """Sends far more than it has credit for: an account's large posts, again and again."""

    def __init__(self, node: Machine, rng: random.Random) -> None:
        super().__init__(node, rng)
        self.gushes = 12

    def act(self) -> None:
        peer = self.someone()
        if peer is None or not self.gushes:
            return
        self.gushes -= 1
        frame = encode_message(DataItems([self._large()]))
        for _ in range(2 + (WINDOW + OVERSHOOT) // len(frame)):
            self.say(peer, frame)

    def _large(self) -> RunItem:
        """Posts of an account that no other machine was told of."""
        store = Store(MemoryEngine(TABLES), TEST, new_store_id=bytes(16), views=NoViews())
        author = Author(Ingest(store, TEST), TEST, self.rng.randbytes)
        root, later, device = (Signer(TEST, self.rng.randbytes(32)) for _ in range(3))
        now = self.node.wall_ms()
        account, _ = author.open_account([(root, key_digest(later.key))], bytes(16), [grant_to(device.key)], now)
        posts = [write_post(post_key(bytes(16), bytes((k,))), Post("large " * 5_000)) for k in range(60)]
        written = author.append(
            LogId(account, device.key, 1), device, [EntryDraft((d.op,), (d.content,)) for d in posts], now
        )[0]
        return run_item(store, written.log, written.entries)


class Forgetter(Liar):
    """Says that everything asked for by name was answered, and sends none of it."""

    def __init__(self, node: Machine, rng: random.Random) -> None:
        super().__init__(node, rng)
        self.asked: dict[str, int] = {}

    def heard(self, peer: str, data: bytes) -> bool:
        message = _heard(data)
        if not isinstance(message, Wants):
            return True
        self.asked[peer] = self.asked.get(peer, 0) + len(message.wants)
        self.say(peer, Answered(self.asked[peer]))
        return False


# Machines that are hostile when frontiers are compared: cells that never decode or contradict each other, places
# without a log, a new salt every second. None of this is malformed, so no machine may charge for it. It must not keep
# honest machines from finding what differs, and must cost them only a bounded time.


class Sketcher(Liar):
    """Answers with invented cells, and asks without end."""

    def act(self) -> None:
        peer = self.someone()
        if peer is None:
            return
        salt = self.rng.choice((b"", self.rng.randbytes(16)))
        self.say(peer, Sketch(salt, 0, 0, 0, self.rng.randbytes(PROBE_BYTES)))
        self.say(peer, Sketch(b"", 1, CELLS - 1, 0, b""))
        self.say(peer, SketchNames(b"", self.rng.randbytes(8 * self.rng.randint(1, 50))))
        self.say(peer, SketchCells(salt, 0, HERE, 7, self._thin_air(3)))

    def outgoing(self, peer: str, data: bytes) -> Iterable[bytes]:
        if not opens_as(data, SketchCells):
            return (data,)
        m = decode_message(data)
        assert isinstance(m, SketchCells)
        if m.state != HERE:
            return (data,)
        made = self.rng.randrange(4)
        if made == 0:
            return (encode_message(m._replace(cells=self._thin_air(len(m.cells) // CELL_BYTES))),)
        if made == 1:
            return (encode_message(m._replace(cells=self._contradicting(m.cells))),)
        if made == 2:
            return (encode_message(m._replace(cells=self._with_places_of_nobody(m.cells))),)
        return (encode_message(m._replace(state=TOO_MANY, cells=b"")),)

    def _thin_air(self, cells: int) -> bytes:
        rows = [[self.rng.randrange(P) for _ in range(3)] for _ in range(cells)]
        return pack(np.array(rows, np.uint64).reshape(-1, 3))

    def _contradicting(self, raw: bytes) -> bytes:
        """Adds to each cell an invented item, whose walk visits that cell, but which is in no other cell."""
        cells = unpack(raw)
        for i in range(min(len(cells), 40)):
            h = self.rng.randrange(P)
            while i not in walk(h, i + 1):
                h = self.rng.randrange(P)
            only = np.zeros_like(cells)
            add_one(only, h, self.rng.randrange(1, P))
            cells[i] = (cells[i] + only[i]) % np.uint64(P)
        return pack(cells)

    def _with_places_of_nobody(self, raw: bytes) -> bytes:
        cells = unpack(raw)
        for _ in range(self.rng.randint(1, 5)):
            add_one(cells, self.rng.randrange(P), self.rng.randrange(1, P))
        return pack(cells)
