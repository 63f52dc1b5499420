"""The cells of one account, folded from its log: what a collection without a view is read from.

Costs a pass over all that counts of the account. What shows here is what the views show (a test compares), so the views
can be proved against it.
"""

from __future__ import annotations

from itertools import chain
from typing import NamedTuple

from banyan_crdt.cells import Cells, fold
from banyan_crdt.ids import AccountId, Ref
from banyan_crdt.parts import content_of
from banyan_crdt.state import counted_entries

from .reader import StoreReader


class Folded(NamedTuple):
    """`cells` and the contents of their operations are what `banyan_schema.reading` reads collections from."""

    cells: Cells
    reader: StoreReader

    def content_of(self, ref: Ref) -> bytes | None:
        """The content of an operation, if it is held."""
        raw = self.reader.part(ref.entry, ref.op)
        return None if raw is None else content_of(raw)


def folded(reader: StoreReader, account: AccountId) -> Folded:
    """Nothing where the account is not held."""
    grants = reader.grants(account)
    logs = [log for log in reader.logs(account) if log.log] if grants is not None else []
    counted = (counted_entries(grants, log, reader.walk(log)) for log in logs if grants is not None)
    return Folded(fold(chain.from_iterable(counted)), reader)
