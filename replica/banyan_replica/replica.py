"""The replica: bytes and the time go in, effects come out. No method waits.

It combines the gossip (speed), the reconciliation (truth) and the ingest (the only way into the store). The trio node
and the simulator both drive these methods. State that is not in the store may be lost at any moment: a restarted
replica sends the same messages, later.

The invariant: `next_effect` returns `Commit` before any effect that followed a write, so nothing is acknowledged,
forwarded or announced before it is durable.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

from banyan_crdt.errors import Reject
from banyan_crdt.ids import AccountId, is_checkpoint, is_control
from banyan_crdt.realm import Realm
from banyan_crdt.signing import Signer, sign_all, verify_all
from banyan_replica.frontier.index import FrontierIndex
from banyan_replica.frontier.persistence import RowPersistence, RowStore
from banyan_replica.gossip.gossip import Gossip
from banyan_replica.gossip.pushes import Fetch, joined
from banyan_replica.gossip.settings import GossipSettings, Rng
from banyan_replica.gossip.store_bridge import StoreBridge
from banyan_replica.host import ALONE, ReplicaHost
from banyan_replica.intake.author import Author, Sign
from banyan_replica.intake.ingest import Ingest
from banyan_replica.intake.intake import Intake, IntakeResult
from banyan_replica.intake.prepare import Checked, PreparedFrame, Verify, prepare
from banyan_replica.intake.untrusted import AccountFilter, UntrustedUsage
from banyan_replica.message_dispatch import MessageDispatcher
from banyan_replica.outbox import Commit, Effect, Outbox
from banyan_replica.peers.ledger import Ledger, charge_of
from banyan_replica.peers.limits import Limits
from banyan_replica.peers.operator_trust import OperatorTrust
from banyan_replica.peers.peers import Peers
from banyan_replica.peers.session import PeerSession
from banyan_replica.peers.statements import Witnesses
from banyan_replica.status import ReplicaStatus
from banyan_replica.sync.charter_exchange import CharterExchange
from banyan_replica.sync.missing_parts import MissingParts
from banyan_replica.sync.sync import Sync
from banyan_replica.wire.messages import VERSION, Hello
from banyan_replica.writes import WriteSession
from banyan_storage.errors import StorageError
from banyan_storage.local_tables import BANNED
from banyan_storage.store import Store


@dataclass(frozen=True, slots=True)
class PeerIdentity:
    """The identity that peers see. operator: the key with which a platform signs its statements, or empty."""

    peer: str
    addrs: tuple[str, ...] = ()
    operator: bytes = b""


class Replica:
    """random_bytes(n): for salts. rng: for random choices. Both are seeded in the simulator. witness: a platform's
    signer. verify, sign: check and make batches of signatures, perhaps on other threads. named: by the operator."""

    def __init__(
        self,
        store: Store,
        realm: Realm,
        me: PeerIdentity,
        rng: Rng,
        random_bytes: Callable[[int], bytes],
        limits: Limits | None = None,
        gossip: GossipSettings | None = None,
        witness: Signer | None = None,
        verify: Verify = verify_all,
        sign: Sign = sign_all,
        row_store: RowStore | None = None,
        named: OperatorTrust | None = None,
        around: ReplicaHost = ALONE,
    ) -> None:
        self.store, self.realm, self.me, self._verify, self._around = store, realm, me, verify, around
        self.limits = limits or Limits()
        keeping = None if row_store is None else RowPersistence(row_store, store.moves, store.store_id)
        self._store_id = store.store_id  # a peer takes one for a connection, also if the store becomes another
        self.tree = FrontierIndex(store, realm.id, keeping)
        self.ingest = Ingest(store, realm, lambda log, old, new: self.sync.moved(log, old, new), around)
        self.author = Author(self.ingest, realm, random_bytes, sign)
        self._fetch = Fetch(store)
        self.ledger = Ledger(self.limits.scale)
        for peer, why in BANNED.rows(store):
            self.ledger.ban(peer, why)
        named = named or OperatorTrust()
        held, settings = self._fetch, gossip or GossipSettings()
        self.gossip = Gossip(
            me.peer, settings, rng, held, me.addrs, joined, self.ledger, lambda p: self.sync.asking.between(p), named
        )
        self.links: dict[str, PeerSession] = {}
        self.stops: Counter[tuple[str, str]] = Counter()
        """See `Load`. The driver empties it."""
        self.strangers = UntrustedUsage(store, named.peers.__contains__, around)
        self.room = AccountFilter(self.strangers, around, self._anew)
        self.sync = Sync(
            self.ingest,
            self.tree,
            self.limits,
            self.links,
            self.room,
            around,
            lambda peer: peer in named.peers or self.gossip.is_neighbour(peer),
            rng,
            random_bytes,
        )
        self.missing = MissingParts(store, self.limits, rng, self.room.why_not, around)
        self.witnesses = Witnesses(realm, witness, named)
        self.intake = Intake(realm, self.ingest, self.sync, self.limits)
        self._out = Outbox(self.links, self.sync, self.gossip)
        self.peers = Peers(
            store=store,
            links=self.links,
            named=named,
            ledger=self.ledger,
            sync=self.sync,
            missing=self.missing,
            gossip=self.gossip,
            out=self._out,
            clock=self._clock,
        )
        self.spreading = StoreBridge(
            realm, self.gossip, self.ingest, self._take_item, self.room.wanted, verify, self.peers.charge
        )
        self.charters = CharterExchange(store, realm, self._out, around, named)
        self.charter = self.charters.followed
        self._receiving = MessageDispatcher(
            realm=realm,
            limits=self.limits,
            ingest=self.ingest,
            sync=self.sync,
            spreading=self.spreading,
            missing=self.missing,
            charters=self.charters,
            witnesses=self.witnesses,
            out=self._out,
            take=self._take_item,
            parts=self.intake.parts,
            soon=self._tell_soon,
            wall_ms=self.wall_ms,
        )
        self.writes = WriteSession(
            author=self.author,
            ingest=self.ingest,
            fetch=self._fetch,
            spreading=self.spreading,
            out=self._out,
            clock=self._clock,
            wall_ms=self.wall_ms,
            moved=self._differ,
            soon=self._tell_soon,
        )
        self.status = ReplicaStatus(
            links=self.links,
            ledger=self.ledger,
            gossip=self.gossip,
            sync=self.sync,
            tree=self.tree,
            intake=self.intake,
            strangers=self.strangers,
            witnesses=self.witnesses,
            out=self._out,
            wall_ms=self.wall_ms,
        )
        self._tell_at: float | None = None
        self._tick_at: float | None = None
        self._ahead_s = 0.0

    # -- events

    def set_clock(self, ahead_s: float) -> None:
        """How far the wall clock is ahead of `now`. A driver whose `now` is monotonic says it, so that a clock that is
        set back does not stop the timers."""
        self._ahead_s = ahead_s

    def peer_up(
        self, peer: str, *, group: str, outbound: bool, addrs: tuple[str, ...], now: float, address: str = ""
    ) -> PeerSession | None:
        """An authenticated connection was made. addrs: where the peer can be dialled; address: where it is now.
        Returns the session, for `peer_down`; None: it is refused."""
        why = self.ledger.banned(peer, now)
        if why is not None:
            self.stops["ban", peer] += 1
            self._out.refuse(peer, f"banned: {why}")
            return None
        self._clock(now)
        self.links[peer] = PeerSession(peer, outbound, now, address, self.limits.outbox, self.stops)
        self.gossip.peer_up(peer, group=group, outbound=outbound, addrs=addrs, now=now)
        hello = Hello(
            VERSION,
            self.realm.id,
            self._store_id,
            self.sync.interests.logs(self.tree.count),
            self.tree.root,
            self.store.last_arrival,
            self.me.operator,
            int(self.sync.interest is not None),
        )
        self._out.send(peer, hello)
        return self.links[peer]

    def peer_down(self, peer: str, now: float, parted: bool = False, session: PeerSession | None = None) -> None:
        """The connection ended. parted: this node ended it with a goodbye, which tells it from one that began since.
        session: so does the session that it was."""
        self._clock(now)
        link = self.links.get(peer)
        if link is not None and (link.closing or not parted) and session in (None, link):
            del self.links[peer]
            self.sync.gone(link, now)
            self.missing.gone(peer)
            self.charters.gone(peer)
            self._out.gone(peer)
            self.gossip.peer_down(peer, now)
            self._out.tell("peer_down", peer=peer)

    def receive(self, peer: str, data: bytes, now: float, ahead: PreparedFrame | None = None) -> None:
        """One frame of a peer that is up. ahead: the result of `prepare` for it, if the driver has called that."""
        self._clock(now)
        link = self.links.get(peer)
        if link is None or link.closing:
            return
        before = self.ingest.arrived
        try:
            self._receiving.frame(link, data, ahead or prepare(self.realm, data, self._verify), now)
        except Reject as error:
            self.peers.charge(link, charge_of(error), now)
        if self.ingest.arrived > before:
            self.store.arrived.came(before + 1, self.ingest.arrived, peer)
        self._out.collect()
        self.peers.note_slights(now)

    def handle_timer(self, now: float) -> str:
        """Does what is due. Returns the peer whose share was read, or an empty string: who is to pay for it."""
        self._clock(now)
        self.gossip.handle_timer(now)
        if self._tell_at is not None and self._tell_at <= now:
            self._tell_at = None
            for link in self.links.values():
                if link.hello is not None and self.sync.news(link):
                    self.sync.root(link, now)
        ticks = self._tick_at is not None and self._tick_at <= now
        if ticks:
            self._tick_at = now + 1.0
            self._tick(now)
        if ticks or self.missing.is_due(now):
            for peer, question in self.missing.ask(list(self.links.values()), now):
                self._out.send(peer, question)
        if self.sync.busy:
            self.sync.work(now)
        self.sync.serving.work()
        self._out.collect()
        self.peers.note_slights(now)
        return self.sync.interests.reader()

    def get_timer(self) -> float | None:
        """When to call `handle_timer` next."""
        if self.sync.busy or self.sync.serving.busy:
            return 0.0  # as soon as there is no other work
        times = self.gossip.get_timer(), self._tell_at, self._tick_at, self.missing.try_at
        return min([at for at in times if at is not None], default=None)

    def next_effect(self) -> Effect | None:
        """The next effect, or None. After None there are no more until the next event."""
        if self.ingest.together.holding:
            self.writes.settle()
        if self.store.pending:
            self.strangers.note()
            self.tree.note()
            return Commit()
        self.sync.durable()
        self.gossip.durable()
        return self._out.next()

    def tell(self, name: str, **fields: Any) -> None:
        """Adds an event for this node's listeners, behind the commit of what is pending."""
        self._out.tell(name, **fields)

    def commit(self) -> None:
        """Makes what is pending durable now, between effects. Raises StorageError; what depended on it is forgotten."""
        try:
            self.strangers.note()
            self.tree.note()
            self.store.commit()
        except StorageError:
            self.commit_failed(None)
            raise
        self.sync.durable()

    def close(self) -> None:
        """Its last notes, which the caller commits."""
        self.tree.close()

    def commit_failed(self, why: str | None) -> None:
        """Pending writes were rolled back: forgets all that depended on them. why: the fault to report, or None."""
        self._out.taken_back()
        if why is not None:
            self._out.tell("storage", error=why)
            self.sync.asking.rest()
        self.gossip.forget_messages()
        self.ingest.together.holding = False
        self.ingest.forget()
        self.strangers.forget()
        self.author.forget()
        self.spreading.forget()
        self.sync.rolled_back()
        self.charter.load()
        for link in self.links.values():
            self.sync.lost(link)
            link.owed.logs.excuse()
        self.sync.asking.readers.restore()
        self.sync.notices.restore()
        self._out.collect()

    def set_interest(
        self,
        accounts: Collection[AccountId] | None,
        now: float,
        far: Collection[AccountId] = (),
        control_only: AbstractSet[AccountId] = frozenset(),
        read_to: bool = False,
    ) -> None:
        """Holds only these accounts; None: all. Call it before peers connect. A change asks them for new accounts.

        The most important come first: a peer compares as many of the first ones as it has room for. far: those that
        come after whoever names this node's own accounts. control_only: those of which no other logs are held. read_to:
        while this node holds little, peers of chosen accounts that hold many times as much read all of it to it,
        because only from that it knows which accounts it holds."""
        more, self.room.control_only = self.room.control_only - control_only, control_only
        relayed = self.sync.relays
        self.sync.limit(accounts, now, far, read_to)
        self.gossip.become_leaf(not self.sync.relays, now)
        if relayed != self.sync.relays:
            for link in self.links.values():
                if link.hello is not None:
                    self._receiving.introduce(link)
        if more:
            self.sync.compare_again(now)
        self._out.collect()

    # -- inside

    def _take_item(self, link: PeerSession, item: Checked, now: float) -> IntakeResult:
        judged = self.intake.item(link, item, now, self.wall_ms(now))
        if judged.added:
            link.load.served(now)
            self.gossip.brought(link.peer, now)
            self._out.counted(judged.log, judged.added)
            if self._around.came(judged.log.account, judged.added):
                return judged._replace(news=False, lacking=False)  # it is not passed on
        elif judged.news and is_checkpoint(judged.log):
            self._fetch.remember(judged.entries[0], judged.log)
        elif judged.news and is_control(judged.log):
            self._out.tell("control", account=judged.log.account)
        return judged

    def _tick(self, now: float) -> None:
        for link in self.links.values():
            if link.hello is not None and self.sync.due(link, now):
                self.sync.root(link, now)
            if link.flow.uncredited:
                self._out.credit(link)
        self.strangers.review()
        self.sync.asking.tick(now)
        self.sync.comparing.tick(now)
        self.sync.notices.tick(now)
        self.charters.tick(now)
        self.tree.tick()
        made = self.witnesses.due(self.wall_ms(now), self.tree.root, self.limits.witness_s)
        if made is not None:
            self._out.spread(made, "")

    def _tell_soon(self, now: float) -> None:
        """Tells neighbours our root within half a second, because heads moved without gossip."""
        self._differ()
        if self._tell_at is None:
            self._tell_at = now + 0.5

    def _anew(self) -> None:
        for link in self.links.values():
            link.course.anew()

    def _differ(self) -> None:
        for link in self.links.values():
            if link.course.live:
                link.course.moved()

    def wall_ms(self, now: float) -> int:
        """The wall clock at the driver's `now`, in milliseconds; entries are dated with it."""
        return int((now + self._ahead_s) * 1000)

    def _clock(self, now: float) -> None:
        self.store.arrived.time_ms = max(0, self.wall_ms(now))
        if self._tick_at is None:
            self._tick_at = now + 1.0
