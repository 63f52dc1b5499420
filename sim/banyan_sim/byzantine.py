"""Machines that lie. Each runs the honest software, so that others accept it, and changes what this software sends.

They continue to the end, after all faults have healed: honest replicas must converge nevertheless.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterable
from typing import TypeAlias

from banyan_crdt.codec import decode, encode
from banyan_crdt.errors import BanyanError
from banyan_crdt.ids import AccountId, EntryId, Head, LogId, WriterKey, key_digest
from banyan_crdt.realm import TEST
from banyan_crdt.run import decode_run
from banyan_crdt.signing import Signer
from banyan_replica.gossip import frames as gossip
from banyan_replica.intake.author import Author, EntryDraft, Written, grant_to
from banyan_replica.intake.ingest import Ingest
from banyan_replica.replica import Replica
from banyan_replica.sync.exchange import PROBE_BYTES
from banyan_replica.sync.item_builder import control_item, run_item
from banyan_replica.wire.data_items import decode_item, encode_item
from banyan_replica.wire.message_table import decode_message, encode_message, is_bulk
from banyan_replica.wire.messages import (
    LAST,
    ControlItem,
    Credit,
    DataItems,
    GossipFrame,
    Heads,
    Hello,
    Item,
    Message,
    Parts,
    Root,
    RunItem,
    Scan,
    Sketch,
    Sums,
    Want,
    Wants,
)
from banyan_schema.social import Post, post_key, write_post
from banyan_sim.machine import TABLES, Machine
from banyan_storage.memory_engine import MemoryEngine
from banyan_storage.store import Store
from banyan_storage.viewhook import NoViews


class Liar:
    """The base class, which is honest; subclasses change methods. `act` is called about once a second, `heal` when
    faults end."""

    def __init__(self, node: Machine, rng: random.Random) -> None:
        self.node, self.rng = node, rng
        self.quiet = False

    def outgoing(self, peer: str, data: bytes) -> Iterable[bytes]:
        return (data,)

    def heard(self, peer: str, data: bytes) -> bool:
        return True

    def act(self) -> None:
        return

    def heal(self) -> None:
        self.quiet = True

    def peers(self) -> list[str]:
        return self.node.replica.peers.greeted()

    def say(self, peer: str, message: Message | bytes) -> None:
        data = message if isinstance(message, bytes) else encode_message(message)
        self.node.world.send(self.node.name, peer, data)

    def push(self, peer: str, mid: bytes, item: ControlItem | RunItem) -> None:
        """One message by gossip."""
        frame = gossip.PushFrame((gossip.Push(mid, 0, encode(encode_item(item))),))
        self.say(peer, GossipFrame(gossip.encode_frame(frame)))

    def someone(self) -> str | None:
        peers = self.peers()
        return peers[self.rng.randrange(len(peers))] if peers else None


class Forker(Liar):
    """Writes two histories of one log and tells each to different peers."""

    def __init__(self, node: Machine, rng: random.Random) -> None:
        super().__init__(node, rng)
        self.root, self.device = (Signer(TEST, rng.randbytes(32)) for _ in range(2))
        self.salt = rng.randbytes(16)
        self.worlds: list[Author] = []
        self.account: AccountId | None = None
        self.forks = 6

    def act(self) -> None:
        if self.quiet or not self.forks or self.rng.random() < 0.7:
            return
        self.forks -= 1
        peers = self.peers()
        if not self.worlds:
            self._open()
        for k, author in enumerate(self.worlds):
            written = self._write(author, self.rng.randint(1, 3))
            for peer in peers[k :: len(self.worlds)]:
                self._tell(peer, author, written)

    def _open(self) -> None:
        slots = [(self.root, key_digest(Signer(TEST, self.rng.randbytes(32)).key))]
        state = self.rng.getstate()
        for _ in range(2):
            self.rng.setstate(state)  # the same account twice
            store = Store(MemoryEngine(TABLES), TEST, new_store_id=bytes(16), views=NoViews())
            author = Author(Ingest(store, TEST), TEST, self.rng.randbytes)
            now = self.node.wall_ms()
            self.account, _ = author.open_account(slots, self.salt, [grant_to(self.device.key)], now)
            self.worlds.append(author)
        for author in self.worlds:
            author.random = random.Random(self.rng.random()).randbytes
        self._write(self.worlds[0], 1)

    def _write(self, author: Author, entries: int) -> list[Written]:
        assert self.account is not None
        log = LogId(self.account, self.device.key, 1)
        drafts = [write_post(post_key(self.salt, author.random(16)), Post("either or")) for _ in range(entries)]
        return author.append(log, self.device, [EntryDraft((d.op,), (d.content,)) for d in drafts], self.node.wall_ms())

    def _tell(self, peer: str, author: Author, written: list[Written]) -> None:
        assert self.account is not None
        control = author.store.control(self.account)
        item = control_item(author.store, self.account)
        if item is not None:
            self.push(peer, control[-1].id[:16], item)
        for w in written:
            self.push(peer, w.entries[-1].id[:16], run_item(author.store, w.log, w.entries))


class Garbage(Liar):
    """Sends noise, and honest frames with a byte changed."""

    def outgoing(self, peer: str, data: bytes) -> Iterable[bytes]:
        if self.rng.random() < 0.1:
            at = self.rng.randrange(len(data))
            data = data[:at] + bytes((data[at] ^ 1 << self.rng.randrange(8),)) + data[at + 1 :]
        return (data,)

    def act(self) -> None:
        peer = self.someone()
        if peer is not None:
            self.say(peer, self.rng.randbytes(self.rng.randint(0, 300)))


class Withholder(Liar):
    """Passes on the structure and never the content."""

    def outgoing(self, peer: str, data: bytes) -> Iterable[bytes]:
        message = decode_message(data)
        if isinstance(message, DataItems):
            return (encode_message(DataItems([_bare(item) for item in message.items])),)
        if isinstance(message, Parts):
            return (encode_message(Parts([])),)
        if isinstance(message, GossipFrame):
            frame = gossip.decode_frame(message.frame)
            if isinstance(frame, gossip.PushFrame) and frame.items:
                items = tuple(
                    i._replace(payload=encode(encode_item(_bare(decode_item(decode(i.payload, 8))))))
                    for i in frame.items
                )
                return (encode_message(GossipFrame(gossip.encode_frame(frame._replace(items=items)))),)
        return (data,)


class Refuser(Liar):
    """Receives and never sends: no data, no parts, no pushes. It does not send what it announced."""

    def outgoing(self, peer: str, data: bytes) -> Iterable[bytes]:
        message = decode_message(data)
        if isinstance(message, DataItems | Parts):
            return ()
        if isinstance(message, GossipFrame):
            frame = gossip.decode_frame(message.frame)
            if isinstance(frame, gossip.PushFrame):
                told = tuple(i.mid for i in frame.items) + frame.ihaves
                return (encode_message(GossipFrame(gossip.encode_frame(gossip.PushFrame(ihaves=told)))),)
        return (data,)


class Replayer(Liar):
    """Repeats to anybody what it heard from anybody."""

    def __init__(self, node: Machine, rng: random.Random) -> None:
        super().__init__(node, rng)
        self.tape: deque[bytes] = deque(maxlen=500)

    def heard(self, peer: str, data: bytes) -> bool:
        self.tape.append(data)
        return True

    def act(self) -> None:
        for _ in range(5):
            peer = self.someone()
            if peer is not None and self.tape:
                self.say(peer, self.tape[self.rng.randrange(len(self.tape))])


class Flooder(Liar):
    """Asks for everything, all the time, discards it and gives credit for more."""

    def heard(self, peer: str, data: bytes) -> bool:
        if not is_bulk(data):
            return True
        self.say(peer, Credit(len(data)))
        return False

    def act(self) -> None:
        peer = self.someone()
        if peer is None:
            return
        r = self.node.replica
        logs = [log for log, _ in r.store.all_heads()]
        for _ in range(3):
            self.say(peer, Wants([Want(log, []) for log in logs[:20]]))
            self.say(peer, Sums(b"", b"", r.tree.children(b"", b"") or []))
            self.say(peer, Sketch(self.rng.randbytes(16), 0, 0, 0, self.rng.randbytes(PROBE_BYTES)))
            self.say(peer, Scan(self.rng.randrange(1 << 20), b"", LAST))


class Futurist(Liar):
    """Its clock is an hour ahead, or just beyond the five minutes allowed: its entries are *not yet*, or only later."""

    def __init__(self, node: Machine, rng: random.Random) -> None:
        super().__init__(node, rng)
        self.device, self.salt = Signer(TEST, rng.randbytes(32)), rng.randbytes(16)
        self.account: AccountId | None = None

    def act(self) -> None:
        if not self.quiet and self.rng.random() < 0.3:
            self.node.feed(self._write)

    def _write(self, r: Replica, now: float) -> None:
        if self.account is None or r.ingest.control_of(self.account) is None:
            root = Signer(TEST, self.rng.randbytes(32))
            slots = [(root, key_digest(Signer(TEST, self.rng.randbytes(32)).key))]
            self.account, _ = r.author.open_account(slots, self.salt, [grant_to(self.device.key)], self.node.wall_ms())
            r.writes.publish_control(self.account, now)
            self.node.skew = self.rng.choice((300.0 + 20.0 * self.rng.random(), 3_600.0))
            return
        r.set_clock(self.node.skew)
        draft = write_post(post_key(self.salt, self.rng.randbytes(16)), Post("news of tomorrow"))
        r.writes.publish(
            LogId(self.account, self.device.key, 1), self.device, [EntryDraft((draft.op,), (draft.content,))], now
        )


class Boaster(Liar):
    """Claims heads and roots that no machine has."""

    def act(self) -> None:
        peer = self.someone()
        if peer is None:
            return
        known = [log for log, _ in self.node.replica.store.all_heads() if log.log]
        made_up = LogId(AccountId(self.rng.randbytes(32)), WriterKey(self.rng.randbytes(32)), 1)
        claims = [made_up, *self.rng.sample(known, min(3, len(known)))]
        heads = sorted((log, Head(self.rng.randint(1, 500), EntryId(self.rng.randbytes(32)), 0)) for log in claims)
        self.say(peer, Root(len(known) + 1, self.rng.randbytes(32), self.rng.randrange(1 << 20)))
        self.say(peer, Heads(b"", 0, heads))

    def outgoing(self, peer: str, data: bytes) -> Iterable[bytes]:
        message = decode_message(data)
        if isinstance(message, Hello | Root):
            return (encode_message(message._replace(root=self.rng.randbytes(32))),)
        return (data,)


class Impostor(Liar):
    """Rewrites the runs of others and signs them with a key of its own, or with noise."""

    def __init__(self, node: Machine, rng: random.Random) -> None:
        super().__init__(node, rng)
        self.signer = Signer(TEST, rng.randbytes(32))

    def act(self) -> None:
        peer = self.someone()
        store = self.node.replica.store
        known = [log for log, head in store.all_heads() if log.log and head.length]
        if peer is None or not known:
            return
        log = known[self.rng.randrange(len(known))]
        chain = store.chain(log)
        last = chain[-1]._replace(sig=self.rng.choice((self.signer.sign(chain[-1].id), self.rng.randbytes(64))))
        item = run_item(store, log, [*chain[:-1], last][-3:])
        try:
            mid = decode_run(TEST, item.run).entries[-1].id[:16]
        except BanyanError:
            return
        if self.rng.random() < 0.5:
            self.push(peer, mid, item)
        else:
            self.say(peer, DataItems([item]))


Kind: TypeAlias = Callable[[Machine, random.Random], Liar]


def _bare(item: Item) -> Item:
    return item._replace(contents=[]) if isinstance(item, RunItem) else item
