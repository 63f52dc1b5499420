"""Which content readers are given, in whatever way they ask: one rule for every way out of a node.

A way that reads views has it by itself: they show what counts and was not deleted, and `Queries` leaves out what is
hidden here. A way that reads entries (the firehose, archives) asks `GivenOut` of each operation. Content that is
withheld or erased is not in the store. Peers are no readers: they get what is held, because what was deleted by a
thief counts again once the thief is cut.
"""

from __future__ import annotations

from banyan_crdt.ids import AccountId, CellKey, Coll
from banyan_crdt.ops import Add, Count, Op, Put, Text, Tomb
from banyan_reading.queries import Queries
from banyan_schema.social import POST, Target
from banyan_storage.views.large_accounts import waits


class GivenOut:
    """Of one state of the store. Raises ViewBuilding while it is not known what was deleted."""

    def __init__(self, q: Queries) -> None:
        q.need()
        self._q = q
        self._all: dict[AccountId, bool] = {}
        """Whether readers are given all content of an account that counts: usually, and then nothing is looked up."""

    def cell(self, account: AccountId, coll: Coll, key: CellKey) -> bool:
        """Whether readers are given what counts of a cell: it was not deleted, and is not hidden here. Of an account
        that is folded anew it is not known yet what was deleted."""
        if account in self._q.leaving or (coll == POST and self._q.is_hidden(Target(account, key))):
            return False
        return not waits(self._q.reader.txn, account) and not self._q.is_dead(account, coll, key)

    def op(self, account: AccountId, op: Op) -> bool:
        """The same of the content of a counted operation."""
        every = self._all.get(account)
        if every is None:
            txn, tombs = self._q.reader.txn, self._q.has_tombs(account)
            every = self._all[account] = not self._q.hides and not tombs and not waits(txn, account)
        return every or not isinstance(op, Put | Add | Count | Text | Tomb) or self.cell(account, op.coll, op.key)
