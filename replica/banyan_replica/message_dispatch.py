"""Passes each message of a peer to the part of the replica that handles it, and handles the hellos.

The table of the wire (wire/message_table.py) says which messages exist, which may come before the hello, and who may
send which. `_heard` checks this: a message that the peer may not send now is ignored, and costs no points. A first
hello that does not fit is answered with `bye` and a sentence, and costs no points: the sender may be a newer node, a
node of another network, or another implementation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from banyan_crdt.errors import Malformed, NotYet, Reject
from banyan_crdt.realm import Realm
from banyan_replica.gossip.store_bridge import StoreBridge, Take
from banyan_replica.host import PartItem
from banyan_replica.intake.ingest import Ingest
from banyan_replica.intake.prepare import PreparedFrame, named
from banyan_replica.outbox import Outbox
from banyan_replica.peers.ledger import Breach
from banyan_replica.peers.limits import Limits
from banyan_replica.peers.session import PeerSession
from banyan_replica.peers.statements import Witnesses
from banyan_replica.sync.charter_exchange import CharterExchange
from banyan_replica.sync.missing_parts import MissingParts
from banyan_replica.sync.sync import Sync
from banyan_replica.wire.data_items import size_of
from banyan_replica.wire.message_table import Who, before_hello, opens_as, who_says
from banyan_replica.wire.messages import (
    ABILITIES,
    BUSY,
    CHARTER,
    NOTICES,
    READS_AS_IF,
    RELAYS,
    VERSION,
    ActNames,
    Answered,
    Bye,
    CharterActs,
    CharterState,
    Credit,
    DataItems,
    Digests,
    GossipFrame,
    Heads,
    Hello,
    Interest,
    JoinAlliance,
    Joined,
    Message,
    Notices,
    Parts,
    Replay,
    Replayed,
    Root,
    Scan,
    Scanned,
    Shared,
    Sketch,
    SketchCells,
    SketchNames,
    Sums,
    WantActs,
    WantDigests,
    WantNames,
    WantNotices,
    WantParts,
    Wants,
    Witness,
)

WITNESSES = 16
"""The latest statements of platforms that a new neighbour gets."""
ROW_BYTES = 64
"""So many bytes of content in an answer cost a peer as much as a row: a full answer, and a little more, each second."""
MANY = 16
"""For a frame of so many items the store is read in one pass, which saves a 16th of the time."""


@dataclass(frozen=True, slots=True)
class MessageDispatcher:
    """take: judges an item and stores it. parts: the same of content that was asked for. soon: tells neighbours soon
    that heads may have moved without gossip."""

    realm: Realm
    limits: Limits
    ingest: Ingest
    sync: Sync
    spreading: StoreBridge
    missing: MissingParts
    charters: CharterExchange
    witnesses: Witnesses
    out: Outbox
    take: Take
    parts: Callable[[PeerSession, Sequence[PartItem]], bool]
    soon: Callable[[float], None]
    wall_ms: Callable[[float], int]

    def frame(self, link: PeerSession, raw: bytes, frame: PreparedFrame, now: float) -> None:
        """Handles a frame. Raises Reject if the peer must be charged for it.

        A peer that serves wrong entries or content loses its link at once, not only at the ban. An honest peer with a
        damaged disk then checks what it serves (sync/send_check.py), before it has served as much again.
        """
        message = frame.message
        if isinstance(message, Reject):
            if link.hello is None:
                self.out.bye(link, "hello", f"the first frame is no hello of version {VERSION}: {message}")
                if opens_as(raw, Hello):
                    return
            elif opens_as(raw, DataItems, Parts):
                self._wrong(link, message)
            raise message
        if not self._heard(link, message):
            link.load.stopped("state")
            return
        link.course.stuck.passed(message, len(raw))
        try:
            self._message(link, message, frame, now)
        except Reject as why:
            if isinstance(message, DataItems | Parts) and not isinstance(why, Breach):
                self._wrong(link, why)
            raise

    def _wrong(self, link: PeerSession, why: Reject) -> None:
        self.out.bye(link, "points", f"what you serve is not what was written, look at your store: {why}")

    def _heard(self, link: PeerSession, m: Message) -> bool:
        """Whether the peer may send that now."""
        if link.hello is None:
            # Frames name a peer, not a connection. Some may have waited for the peer's disk while the connection was
            # replaced, and arrive before the new hello. An honest node cannot avoid this.
            return before_hello(m)
        match who_says(m):
            case Who.EITHER | Who.CHOSEN:  # a peer that names accounts counts as holding chosen accounts from then on
                return True
            case Who.WHOLE:
                return self.sync.interests.pair(link.peer) is None
            case Who.SHARE:
                return self.sync.interests.pair(link.peer) is not None
            case Who.RECEIVER:
                return link.flow.gave > 0
            case Who.ANSWER:
                return self._asked(link, m)

    def _asked(self, link: PeerSession, m: Message) -> bool:
        """Whether it answers an open question of ours."""
        match m:
            case SketchCells(salt) if salt == ABILITIES:
                return True
            case SketchCells():
                return self.sync.comparing.asks(link.peer, m.salt)
            case Parts():
                return self.missing.asked(link.peer)
            case Notices():
                return self.sync.notices.asked(link.peer)
            case Replayed():
                return link.course.replaying
            case Digests() | ActNames() | CharterActs() | Joined():
                return self.charters.asked(link.peer, m)
            case Scanned():
                return link.owed.ranges.last > 0
            case _:  # `Answered` is checked where it is handled: more answers than questions are malformed
                return True

    def _message(self, link: PeerSession, m: Message, whole: PreparedFrame, now: float) -> None:
        match m:
            case Hello():
                self._hello(link, m, now)
            case GossipFrame(frame):
                self.spreading.frame(link, frame, now, whole.pushed)
            case DataItems():
                self._data(link, whole, now)
            case Credit(more):
                link.flow.granted(more, now)
                self.sync.serving.pump(link)
            case Root(logs, root, arrival):
                self.sync.compare(link, logs, root, arrival, now)
                self.sync.asking.told(link)
                if link.course.live:
                    self.sync.settled(link, now)
            case Shared():
                self.sync.shared(link, m, now)
                self.sync.asking.told(link)
            case Interest():
                self.sync.told(link, m, now)
                self._subscribe(link, now)
            case Sums():
                self.sync.sums(link, m, now)
            case Heads():
                self.sync.heads(link, m, now)
            case Sketch():
                self.sync.comparing.asked(link, m, now)
            case SketchCells(salt, abilities) if salt == ABILITIES:
                link.told.able(abilities)
                self._subscribe(link, now)
                if link.told.reads_charter:
                    self.charters.met(link.peer)
            case CharterState():
                if self.sync.may(link, 1, now):
                    self.charters.stands(link.peer, m, now)
            case WantDigests() | WantNames() | WantActs():
                if self.sync.may(link, 1, now):
                    link.load.cost(self.charters.wanted(link.peer, m))
            case Digests() | ActNames():
                self.charters.answered(m, now)
            case CharterActs():
                self.charters.came(whole.acts, now)
            case JoinAlliance():
                self.charters.asks_to_join(link.peer, m, now)
            case Joined():
                self.charters.joined(link.peer, m)
            case WantNotices():
                self.sync.notices.wanted(link, m, now)
            case Notices():
                self.sync.notices.answered(link, m, now)
            case SketchCells():
                self.sync.comparing.cells(link, m, now)
            case SketchNames():
                self.sync.comparing.names(link, m, now)
            case Replay():
                self.sync.replay(link, m, now)
            case Replayed():
                self.sync.replayed(link, m, now)
            case Wants():
                self.sync.wants(link, m)
            case Scan():
                self.sync.scan(link, m, now)
            case Scanned():
                self.sync.scanned(link, m, now)
            case Answered():
                self.sync.answered(link, m, now)
            case WantParts(wanted):
                if self.sync.may(link, 2 * min(len(wanted), self.limits.parts_asked), now):
                    held, sound = self.missing.answer(wanted), self.sync.serving.sound
                    link.load.cost(sum(len(raw or b"") for _, _, raw, _ in held) // ROW_BYTES)
                    self.out.send(link.peer, Parts(sound.parts(held) if sound.is_doubted(link.peer) else held))
            case Parts():
                self.missing.answered(link, m, now)
                if self.parts(link, [PartItem(e, op, raw) for e, op, raw, _ in m.parts if raw is not None]):
                    self.missing.came(link.peer, now)
            case Witness():
                if self.sync.may(link, 64, now) and self.witnesses.heard(m, self.wall_ms(now)):
                    self.out.spread(m, link.peer)
            case Bye(reason):
                if link.hello is not None:
                    self.sync.serving.sound.doubt(link.peer)
                self.out.hang_up(link, f"the peer says: {reason.decode('utf-8', 'replace')}")

    def _hello(self, link: PeerSession, m: Hello, now: float) -> None:
        if link.hello is not None and m.version == VERSION:
            if link.hello.store_id != m.store_id:
                raise Malformed("a second hello, of another store")
            return  # the hello of the connection before (see `_heard`)
        if m.version != VERSION:
            self.out.bye(link, "hello", f"protocol version {m.version} meets {VERSION}: update the older node")
        elif m.realm != self.realm.id:
            realms = f"realm {m.realm.hex()[:16]} meets realm {self.realm.id.hex()[:16]} ({self.realm.name})"
            self.out.bye(link, "hello", f"{realms}: give both nodes the same node.realm")
        else:
            link.greeted(m)
            self.witnesses.named.said(link.peer, m.operator)
            self.out.tell("peer_up", peer=link.peer, outbound=link.outbound)
            self.introduce(link)
            self.sync.met(link, now)
            self._subscribe(link, now)
            for w in self.witnesses.latest()[:WITNESSES]:
                self.out.send(link.peer, w)

    def introduce(self, link: PeerSession) -> None:
        """Says what this node reads and does beyond the hello."""
        able = READS_AS_IF | CHARTER | (NOTICES if self.ingest.store.has_views else 0)
        able |= RELAYS if self.sync.relays else 0
        self.out.send(link.peer, SketchCells(ABILITIES, able, BUSY, 0, b""))

    def _subscribe(self, link: PeerSession, now: float) -> None:
        """A peer of chosen accounts is pushed what it named, unless it passes on what others want."""
        pair = self.sync.interests.pair(link.peer)
        names = None if pair is None or pair.theirs is None or link.told.relays else pair.theirs.held
        self.spreading.subscribe(link.peer, names, now)

    def _data(self, link: PeerSession, whole: PreparedFrame, now: float) -> None:
        link.flow.received(whole.size)
        try:
            self._items(link, whole, now)
        finally:
            if link.flow.digested(whole.size) >= self.limits.credit:
                self.out.credit(link)

    def _items(self, link: PeerSession, whole: PreparedFrame, now: float) -> None:
        items, news, at = whole.items, 0, (self.ingest.arrived, self.sync.moves)
        self.soon(now)
        if len(items) >= MANY:
            self.ingest.look_up([named(item)[0] for item in items if not isinstance(item, Reject)])
        with self.ingest.batch():
            for k, item in enumerate(items):
                if isinstance(item, Reject):
                    raise item
                log, entries = named(item)
                before, ready, wasted = at, True, 0
                try:
                    self.spreading.learned(self.take(link, item, now), now)
                except NotYet:
                    ready = False
                at = self.ingest.arrived, self.sync.moves
                if at == before and isinstance(whole.message, DataItems):
                    wasted = size_of(whole.message.items[k])
                news += at[0] != before[0]
                self.sync.asking.came(link, log, entries, ready, now, wasted)
        if news:
            link.course.stuck.news(news * whole.size / len(items))
