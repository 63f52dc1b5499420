"""Machines that hold chosen accounts, as a hobbyist's node does: those of its people, some that they named, and those
within two follows of these.

Which accounts that are finds the node's own `Reach`, at the start and at each look. Such a machine is judged by these
accounts alone, and by those whose entries name its people: of them it must hold what a machine that holds everything
holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from banyan_crdt.ids import AccountId
from banyan_node.hosting.reach import Reach
from banyan_reading.queries import Queries
from banyan_replica.replica import Replica
from banyan_storage.naming import naming

LOOK_S = 5.0
"""So often it looks whom the accounts follow, as a node does."""
HOPS, MOST = 2, 65_536
"""`interest.hops` and `interest.max_accounts` of a node without settings."""


def drawn(seed: int, machines: int) -> int:
    """How many of so many machines hold chosen accounts: half if the seed is odd, none if it is even."""
    return machines // 2 if seed % 2 else 0


class Chosen:
    """The choice of one machine. own: the accounts of its people that are open. named: others that they chose."""

    def __init__(self, own: Callable[[], Sequence[AccountId]], named: Callable[[], Sequence[AccountId]]) -> None:
        self.own, self._named = own, named
        self._told: tuple[AccountId, ...] | None = None

    def begin(self, r: Replica, now: float) -> None:
        """The machine starts, and knows of its choice what its store has."""
        self._reach, self._told = Reach(HOPS, MOST), None
        self.look(r, now)

    def look(self, r: Replica, now: float) -> None:
        """Tells the replica which accounts it holds, if they are others than before."""
        found = self._found(self._reach, r)
        if found is not self._told:
            near = self._reach.near
            r.set_interest(found[:near], now, found[near:])
            self._told = found

    def roots(self) -> list[AccountId]:
        """The accounts that are chosen whomever anybody follows."""
        return sorted({*self.own(), *self._named()})

    def _found(self, reach: Reach, r: Replica) -> tuple[AccountId, ...]:
        return reach.update(self.roots(), list(reach.known), queries(r).follows)

    def wanting(self, r: Replica, whole: Replica) -> Iterator[str]:
        """What the replica of this machine should hold and does not. whole: one that holds everything."""
        held = {*(r.room.interest or ())}
        due = {*self._found(Reach(HOPS, MOST), whole)}
        due.update(one.author for one in naming(whole.store.txn, self.own(), b""))
        for account in sorted(due | held):
            name = account.hex()[:8]
            if account not in held:
                yield f"does not hold the account {name}"
            elif r.store.heads(account) != (heads := whole.store.heads(account)):
                yield f"holds another state of the account {name}: {r.store.heads(account)} and {heads}"
            elif queries(r).views_digest(account) != queries(whole).views_digest(account):
                yield f"shows something else of the account {name}"


def queries(r: Replica) -> Queries:
    return Queries(r.store.txn, r.store, lambda: 0)
