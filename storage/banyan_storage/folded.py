"""The cells of one account, folded from its log, for collections without a view.

It reads all counted entries of the account. It shows the same as the views (a test compares them).
"""

from __future__ import annotations

from itertools import chain
from typing import NamedTuple

from banyan_crdt.cells import Cells, fold
from banyan_crdt.ids import AccountId, Ref
from banyan_crdt.parts import content_of
from banyan_crdt.state import counted_entries
from banyan_storage.reader import StoreReader


class Folded(NamedTuple):
    """The input from which `banyan_schema.reading` reads collections."""

    cells: Cells
    reader: StoreReader

    def content_of(self, ref: Ref) -> bytes | None:
        """The content of an operation, or None if it is not held."""
        raw = self.reader.part(ref.entry, ref.op)
        return None if raw is None else content_of(raw)


def folded(reader: StoreReader, account: AccountId) -> Folded:
    """The account's cells; empty if the account is not held."""
    grants = reader.grants(account)
    logs = [log for log in reader.logs(account) if log.log] if grants is not None else []
    counted = (counted_entries(grants, log, reader.walk(log)) for log in logs if grants is not None)
    return Folded(fold(chain.from_iterable(counted)), reader)
