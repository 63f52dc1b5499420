"""Connects gossip and store: pushed messages are judged before they are forwarded, and own entries are published.

The gossip carries named bytes and knows nothing of entries. Here they are decoded, checked and judged, and the gossip
gets the verdict: an accepted message is forwarded once it is durable, a rejected one costs its sender points, and one
that cannot be judged yet is forgotten.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from banyan_crdt.codec import encode
from banyan_crdt.errors import Malformed, NotYet, Reject
from banyan_crdt.ids import AccountId, EntryId
from banyan_crdt.realm import Realm
from banyan_crdt.run import encode_run
from banyan_replica.gossip.frames import Delivery, decode_frame
from banyan_replica.gossip.gossip import Gossip
from banyan_replica.gossip.pushes import opened
from banyan_replica.intake.author import Written
from banyan_replica.intake.ingest import Ingest
from banyan_replica.intake.intake import Judged, account_of
from banyan_replica.intake.prepare import Checked, CheckedRun, Verify, check_items
from banyan_replica.peers.ledger import Charge, Offence, charge_of
from banyan_replica.peers.session import PeerSession
from banyan_replica.wire import Item, RunItem, encode_item

Take: TypeAlias = Callable[[PeerSession, Checked, float], Judged]
"""Judges an item and stores it. Raises Reject or NotYet."""


class Spreading:
    """interesting: whether an account is held here. charge: gives points to a peer for a bad push."""

    def __init__(
        self,
        realm: Realm,
        gossip: Gossip,
        ingest: Ingest,
        take: Take,
        interesting: Callable[[AccountId], bool],
        verify: Verify,
        charge: Callable[[PeerSession, Charge, float], None],
    ) -> None:
        self._realm, self._gossip, self._ingest = realm, gossip, ingest
        self._take, self._interesting, self._verify, self._charge = take, interesting, verify, charge
        self._unpushed: dict[EntryId, float] = {}
        """Last entries of our runs that are pushed once they are signed, and when they were written."""

    # -- incoming

    def frame(self, link: PeerSession, frame: list[Any], now: float) -> None:
        try:
            decoded = decode_frame(frame)
        except Malformed as error:
            self._charge(link, Charge(Offence.PUSHED, f"gossip frame: {error}"), now)
            return
        lies: list[Charge] = []
        deliveries = self._gossip.receive(link.peer, decoded, now)
        with self._ingest.batch():
            for delivery, item in zip(deliveries, self._opened(deliveries), strict=True):
                try:
                    self._judge(link, delivery, item, now)
                except Reject as error:  # the other messages of the frame get their own verdicts
                    lies.append(charge_of(error, Offence.PUSHED))
        for lie in lies:
            self._charge(link, lie, now)

    def _opened(self, deliveries: Sequence[Delivery]) -> list[Checked | Reject | None]:
        """The checked items of pushed messages; None for accounts that are not held here."""
        items = [opened(d) for d in deliveries]
        out: list[Checked | Reject | None] = [item if isinstance(item, Reject) else None for item in items]
        wanted = []
        for k, item in enumerate(items):
            if isinstance(item, Reject):
                continue
            try:
                if self._interesting(account_of(item)):
                    wanted.append((k, item))
            except Reject as why:
                out[k] = why
        checked = check_items(self._realm, [item for _, item in wanted], self._verify)
        for (k, _), found in zip(wanted, checked, strict=True):
            out[k] = found
        return out

    def _judge(self, link: PeerSession, d: Delivery, item: Checked | Reject | None, now: float) -> None:
        try:
            if item is None:
                self._gossip.learned(d.mid, now)  # not held here, so not forwarded
                return
            if isinstance(item, Reject):
                raise item
            judged = self._take(link, item, now)
            if d.mid not in (entry[:16] for entry in judged.entries):
                raise Malformed("the gossip's name for a message is not the id of its last entry")
        except NotYet:
            self._gossip.ignored(d.mid, d.peer, now)
        except Reject:
            self._gossip.rejected(d.mid, d.peer, now)
            raise
        else:
            if judged.news:
                also = [mid for e in judged.added if (mid := e.id[:16]) != d.mid]
                stale = len(item.run.entries) - len(judged.added) if isinstance(item, CheckedRun) else 0
                self._gossip.accepted(d, now, also, stale)
            else:  # already held: an old message is not forwarded again
                self._gossip.learned(d.mid, now)

    # -- outgoing

    def waits(self, written: Written, now: float) -> None:
        """Has the run pushed once `hand` gets it signed."""
        self._unpushed[written.entries[-1].id] = now

    def hand(self, written: Sequence[Written]) -> bool:
        """Pushes those of the signed runs that were given to `waits`. Returns whether there were any."""
        pushed = False
        for w in written:
            now = self._unpushed.pop(w.entries[-1].id, None)
            if now is not None:
                self.push(w.entries[-1].id, RunItem(encode_run(w.entries, w.base, w.skips), list(w.contents)), now)
                pushed = True
        return pushed

    def push(self, entry: EntryId, item: Item, now: float) -> None:
        self._gossip.publish(entry[:16], encode(encode_item(item)), now)

    def forget(self) -> None:
        """Forgets unsigned runs, whose entries were rolled back."""
        self._unpushed.clear()
