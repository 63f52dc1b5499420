"""The charter that this node follows (docs/charter.md): its acts on disk, and what they come to.

A node follows one charter at a time, or none. It keeps every act of it that its ledger takes, for good. An act is
judged after its signature was checked; one that is refused only for now waits here, and is judged again when more acts
came.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

from banyan_charter.acts import (
    Act,
    CharterId,
    Content,
    EpochCommit,
    EpochVote,
    Founding,
    decode_act,
    encode_act,
    name_of,
)
from banyan_charter.ledger import ActLedger
from banyan_charter.rules import Epoch
from banyan_crdt.errors import Refused, Reject
from banyan_crdt.realm import Realm
from banyan_storage import charter_acts
from banyan_storage.local_tables import FOLLOWED_CHARTER
from banyan_storage.store import Store

WAITING, WAITING_BYTES = 1_024, 4 << 20
"""Acts that were refused for now and wait here; the oldest go first."""
VOTE_BYTES = 720
ROUNDS = 4
"""How often what waits is judged again because something was taken; more wait for the next act."""


class FollowedCharter:
    """tell: adds an event for this node's listeners, behind the commit. changed: another charter is followed, or the
    same was read again."""

    def __init__(self, store: Store, realm: Realm, tell: Callable[..., Any], changed: Callable[[], None]) -> None:
        self._store, self._realm, self._tell, self._changed = store, realm, tell, changed
        self.ledger: ActLedger | None = None
        """Settled. None: this node follows no charter."""
        self.waiting: OrderedDict[bytes, Act] = OrderedDict()
        """By name."""
        self.load()

    def follow(self, founding: bytes) -> None:
        """Follows this charter from the next commit on, instead of another one. Acts of both are kept. Raises Reject,
        or Refused if it is no founding."""
        found = decode_act(self._realm, founding)
        if not isinstance(found, Founding):
            raise Refused("a charter is followed by its founding, and this is another act.")
        charter = CharterId(found.id)
        if self.ledger is None or self.ledger.charter != charter:
            self._store.put_charter_acts(charter, [(found, founding)])
            FOLLOWED_CHARTER.put(self._store, charter)
            self.load()

    def leave(self) -> None:
        """Follows no charter from the next commit on. Its acts are kept."""
        FOLLOWED_CHARTER.put(self._store, None)
        self.load()

    def offer(self, act: bytes) -> str | None:
        """Takes an act that this node's owner brings. Returns None if it is held now, or why it is not; if that may
        change, it waits here until the node stops."""
        if self.ledger is None:
            return "this node follows no charter"
        try:
            found = decode_act(self._realm, act)
        except Reject as why:
            return str(why)
        if isinstance(found, Founding):
            return None if found == self.ledger.founding else "a founding is followed, and not offered"
        self.judge([found])
        return None if self.ledger.holds(found) else self.ledger.why_not(found)

    @property
    def epoch(self) -> Epoch | None:
        """The last one that stands; None: not all founders signed, or this node follows no charter. Any thread."""
        held = self.ledger
        return held.epochs[-1] if held is not None and held.epochs else None

    def judge(self, acts: Sequence[Act]) -> None:
        """Gives the ledger these acts, whose signatures were checked, and those that wait: contents first, because they
        say who may vote for them. What is refused for now waits."""
        held, took = self.ledger, list[Act]()
        if held is None:
            return
        self.waiting |= {name_of(act): act for act in acts if not held.holds(act)}
        for _ in range(ROUNDS):
            before = len(took)
            for kind in (Content, EpochVote | EpochCommit):
                for name, act in [*self.waiting.items()]:
                    if isinstance(act, kind) and held.why_not(act) is None:
                        del self.waiting[name]
                        if held.add(act):
                            took.append(act)
                held.settle()
            if len(took) == before:
                break
        self._bound()
        if took:
            self._store.put_charter_acts(held.charter, [(act, encode_act(act)) for act in took])
            self._tell("charter", epoch=_number(self.epoch), digest=held.digest)

    def _bound(self) -> None:
        """Drops the oldest of what waits beyond the bounds."""
        size = sum(_size(act) for act in self.waiting.values())
        while len(self.waiting) > WAITING or size > WAITING_BYTES:
            size -= _size(self.waiting.popitem(last=False)[1])

    def load(self) -> None:
        """Reads the charter again from the store, whose acts were verified when they came; also after a rollback."""
        self.ledger = None
        self.waiting.clear()
        charter = FOLLOWED_CHARTER.get(self._store)
        found = None if charter is None else charter_acts.founding(self._store.txn, self._realm, charter)
        if found is not None:
            self.ledger = ActLedger(self._realm, found)
            for act in charter_acts.held(self._store.txn, self._realm, CharterId(found.id)):
                self.ledger.add(act)
            self.ledger.settle()
        self._changed()


def _number(epoch: Epoch | None) -> int | None:
    return None if epoch is None else epoch.number


def _size(act: Act) -> int:
    """About the bytes of an act: of votes and commits about the same."""
    return len(encode_act(act)) if isinstance(act, Content) else VOTE_BYTES
