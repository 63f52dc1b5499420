"""What was judged and waits to be written together: many logs grow by one write of the store.

The invariant: what is answered here of a log is what the store will say once all that waits is written.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager

from banyan_crdt.control import Control
from banyan_crdt.ids import AccountId, EntryId, Head, LogId
from banyan_storage.store import Store
from banyan_storage.viewhook import Append


class Together:
    """Appends that wait. It lives on the thread that owns the store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._appends: list[Append] = []
        self._opened: list[tuple[AccountId, Control]] = []
        """Accounts of which nothing was held, whose control logs are among the appends."""
        self._waiting: dict[AccountId, dict[LogId, list[Append]]] = {}
        self.holding = False
        """Whether runs wait to be written together, until `flush`."""
        self.held = 0
        """Grows with every run that waits to be written."""

    @contextmanager
    def batch(self) -> Iterator[None]:
        """What is written inside waits until its end, or until `flush`."""
        self.holding = True
        try:
            yield
        finally:
            self.holding = False
            self.flush()

    def write(self, append: Append) -> None:
        """At once, or with what else waits."""
        self._appends.append(append)
        self._waiting.setdefault(append.log.account, {}).setdefault(append.log, []).append(append)
        self.held += 1
        if not self.holding:
            self.flush()

    def open(self, account: AccountId, control: Control, append: Append) -> None:
        """The same of the control log of an account of which nothing was held."""
        self._opened.append((account, control))
        self.write(append)

    def flush(self) -> None:
        """Writes what waits."""
        if self._appends:
            batch, self._appends = self._appends, []
            opened, self._opened = self._opened, []
            self._waiting.clear()
            self._store.append(batch, opened)

    def forget(self) -> None:
        """After a rollback nothing waits."""
        self._appends.clear()
        self._opened.clear()
        self._waiting.clear()

    def has(self, account: AccountId) -> bool:
        """Whether anything of the account waits."""
        return account in self._waiting

    def head(self, log: LogId) -> Head:
        """Where the log stands, with what waits."""
        waiting = self._waiting.get(log.account)
        if waiting and log in waiting:
            return waiting[log][-1].head
        return self._store.head(log)

    def id_at(self, log: LogId, seq: int) -> EntryId | None:
        """The id at a place of what counts of a log, also of what waits."""
        waiting = self._waiting.get(log.account, {}).get(log)
        if waiting and seq >= waiting[0].entries[0].header.seq:
            entries = waiting[bisect_right(waiting, seq, key=lambda append: append.entries[0].header.seq) - 1].entries
            at = seq - entries[0].header.seq
            return entries[at].id if at < len(entries) else None
        return self._store.id_at(log, seq)
