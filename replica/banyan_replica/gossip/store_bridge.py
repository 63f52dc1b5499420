"""Connects gossip and store: pushed messages are judged before they are forwarded, and own entries are published.

The gossip carries named bytes and knows nothing of entries. Here they are decoded, checked and judged, and the gossip
gets the verdict: an accepted message is forwarded once it is durable, a rejected one costs its sender points, and one
that cannot be judged yet is forgotten. One that came without content that it names is stored and not forwarded: the
gossip takes it as not received, so that a neighbour that has the content sends it too.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

from banyan_crdt.codec import encode
from banyan_crdt.errors import BadSignature, Malformed, NotYet, Reject
from banyan_crdt.ids import AccountId, EntryId
from banyan_crdt.realm import Realm
from banyan_crdt.run import encode_run
from banyan_crdt.signing import SignatureClaim
from banyan_replica.gossip.frames import DeliverMessage, decode_frame
from banyan_replica.gossip.gossip import Gossip
from banyan_replica.gossip.pushes import opened
from banyan_replica.intake.author import Written
from banyan_replica.intake.ingest import Ingest
from banyan_replica.intake.intake import IntakeResult, account_of
from banyan_replica.intake.prepare import Checked, CheckedLater, CheckedRun, Verify, check_items, ids_of, named
from banyan_replica.peers.ledger import Charge, Offence, charge_of
from banyan_replica.peers.session import PeerSession
from banyan_replica.wire.data_items import encode_item
from banyan_replica.wire.messages import NAME_BYTES, Item, RunItem

BARE = 4_096
"""Messages that came without content and are remembered, so that they are passed on once it came."""
_NOTHING: Mapping[bytes, Checked | Reject] = MappingProxyType({})
Take: TypeAlias = Callable[[PeerSession, Checked, float], IntakeResult]
"""Judges an item and stores it. Raises Reject or NotYet."""


def _unsigned(realm: Realm, signatures: Sequence[SignatureClaim]) -> list[BadSignature | None]:
    """Checks no signature: an id does not cover it, and the item is not kept."""
    return [None] * len(signatures)


class _Opened(NamedTuple):
    """A pushed message, read. held: whether its account is held here; if not, its signatures were not checked."""

    item: Checked | Reject
    held: bool


class StoreBridge:
    """wanted(peer, account): whether what the peer pushes of the account is judged. charge: gives points to a peer for
    a bad push."""

    def __init__(
        self,
        realm: Realm,
        gossip: Gossip,
        ingest: Ingest,
        take: Take,
        wanted: Callable[[str, AccountId], bool],
        verify: Verify,
        charge: Callable[[PeerSession, Charge, float], None],
    ) -> None:
        self._realm, self._gossip, self._ingest = realm, gossip, ingest
        self._take, self._wanted, self._verify, self._charge = take, wanted, verify, charge
        self._unpushed: dict[EntryId, float] = {}
        """Last entries of our runs that are pushed once they are signed, and when they were written."""
        self._bare: dict[bytes, None] = {}
        """Messages that came without content; the oldest are forgotten first."""

    # -- incoming

    def frame(
        self, link: PeerSession, frame: list[Any], now: float, read: Mapping[bytes, Checked | Reject] = _NOTHING
    ) -> None:
        """read: messages of it that were read already, by their bytes."""
        try:
            decoded = decode_frame(frame)
        except Malformed as error:
            self._charge(link, Charge(Offence.PUSHED, f"gossip frame: {error}"), now)
            return
        lies: list[Charge] = []
        deliveries = self._gossip.receive(link.peer, decoded, now)
        with self._ingest.batch():
            for delivery, pushed in zip(deliveries, self._opened(deliveries, read), strict=True):
                try:
                    self._judge(link, delivery, pushed, now)
                except Reject as error:  # the other messages of the frame get their own verdicts
                    lies.append(charge_of(error, Offence.PUSHED))
        for lie in lies:
            self._charge(link, lie, now)

    def _opened(self, deliveries: Sequence[DeliverMessage], read: Mapping[bytes, Checked | Reject]) -> list[_Opened]:
        out = [_Opened(Malformed("not read yet"), False)] * len(deliveries)
        items: dict[bool, list[tuple[int, Item]]] = {True: [], False: []}
        for k, delivery in enumerate(deliveries):
            ready = read.get(delivery.payload)
            try:
                if ready is not None and not isinstance(ready, Reject):
                    out[k] = _Opened(ready, self._wanted(delivery.peer, named(ready)[0].account))
                    continue
                # a wrong signature matters only if the account is held here
                item = opened(delivery) if ready is None or isinstance(ready, BadSignature) else ready
                if isinstance(item, Reject):
                    raise item
                items[self._wanted(delivery.peer, account_of(item))].append((k, item))
            except Reject as why:
                out[k] = _Opened(why, False)
        for held, verify in ((True, self._verify), (False, _unsigned)):
            checked = check_items(self._realm, [item for _, item in items[held]], verify)
            for (k, _), found in zip(items[held], checked, strict=True):
                out[k] = _Opened(found, held)
        return out

    def _judge(self, link: PeerSession, d: DeliverMessage, pushed: _Opened, now: float) -> None:
        item = pushed.item
        try:
            if isinstance(item, Reject):
                raise item
            if not pushed.held:
                self._pass_over(d, item, now)
                return
            judged = self._take(link, item, now)
            _check_name(d, judged.entries)
        except NotYet:
            self._gossip.ignored(d.mid, d.peer, now)
        except Reject:
            self._gossip.rejected(d.mid, d.peer, now)
            raise
        else:
            if judged.lacking:
                self._note(d.mid)
                self._gossip.bare(d.mid, d.peer, now)
            elif judged.news or d.mid in self._bare:
                self._bare.pop(d.mid, None)
                also = [mid for e in judged.added if (mid := e.id[:16]) != d.mid]
                stale = len(item.run.entries) - len(judged.added) if isinstance(item, CheckedRun) else 0
                self._gossip.accepted(d, now, also, stale, _topic(item))
            else:  # already held: an old message is not forwarded again
                self._gossip.learned(d.mid, now, _topic(item))

    def _note(self, mid: bytes) -> None:
        """It came without its content."""
        self._bare[mid] = None
        if len(self._bare) > BARE:
            del self._bare[next(iter(self._bare))]

    def learned(self, judged: IntakeResult, now: float) -> None:
        """An item came by reconciliation."""
        for entry in judged.entries[-1:]:
            if judged.lacking:
                self._note(entry[:16])
            else:
                self._gossip.learned(entry[:16], now, judged.log.account[:NAME_BYTES])

    def _pass_over(self, d: DeliverMessage, item: Checked, now: float) -> None:
        """A message of an account that is not held here is not stored and not forwarded. Raises Malformed.

        It is marked seen only under its own name: under another one it would hide an honest message.
        """
        if isinstance(item, CheckedLater):
            self._gossip.ignored(d.mid, d.peer, now)
            return
        _check_name(d, ids_of(item))
        self._gossip.learned(d.mid, now, _topic(item))

    # -- outgoing

    def subscribe(self, peer: str, names: Container[bytes] | None, now: float) -> None:
        """names: the accounts whose messages go to the peer, each by its first 16 bytes; None: all."""
        self._gossip.subscribe(peer, names, now)

    def waits(self, written: Written, now: float) -> None:
        """Has the run pushed once `hand` gets it signed."""
        self._unpushed[written.entries[-1].id] = now

    def hand(self, written: Sequence[Written]) -> bool:
        """Pushes those of the signed runs that were given to `waits`. Returns whether there were any."""
        pushed = False
        for w in written:
            now = self._unpushed.pop(w.entries[-1].id, None)
            if now is not None:
                run = RunItem(encode_run(w.entries, w.base, w.skips), list(w.contents))
                self.push(w.entries[-1].id, w.entries[-1].account, run, now)
                pushed = True
        return pushed

    def push(self, entry: EntryId, account: AccountId, item: Item, now: float) -> None:
        self._gossip.publish(entry[:16], encode(encode_item(item)), now, account[:NAME_BYTES])

    def forget(self) -> None:
        """Forgets unsigned runs, whose entries were rolled back."""
        self._unpushed.clear()


def _topic(item: Checked) -> bytes:
    """By what the gossip tells which messages a leaf wants: the name of the account in `interest`."""
    return named(item)[0].account[:NAME_BYTES]


def _check_name(d: DeliverMessage, entries: Sequence[EntryId]) -> None:
    if d.mid not in (entry[:16] for entry in entries):
        raise Malformed("the gossip's name for a message is not the id of its last entry")
