"""Judged appends that wait to be written together, in one write of the store.

The invariant: answers about a log are those that the store will give once all appends are written.
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
    """Waiting appends. It lives on the thread that owns the store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._appends: list[Append] = []
        self._opened: list[tuple[AccountId, Control]] = []
        """New accounts, whose control logs are among the appends."""
        self._waiting: dict[AccountId, dict[LogId, list[Append]]] = {}
        self.holding = False
        """Whether runs wait to be written together, until `flush`."""
        self.held = 0
        """Grows with every run that waits to be written."""
        self.entries = 0
        """Entries that wait to be written."""

    @contextmanager
    def batch(self) -> Iterator[None]:
        """Appends made inside wait until its end, or until `flush`."""
        self.holding = True
        try:
            yield
        finally:
            self.holding = False
            self.flush()

    @property
    def waits(self) -> bool:
        """Whether appends wait to be written."""
        return bool(self._appends)

    def write(self, append: Append) -> None:
        """Writes it now, or with the waiting ones while `holding`."""
        self._appends.append(append)
        self._waiting.setdefault(append.log.account, {}).setdefault(append.log, []).append(append)
        self.held += 1
        self.entries += len(append.entries)
        if not self.holding:
            self.flush()

    def open(self, account: AccountId, control: Control, append: Append) -> None:
        """The same for the control log of a new account."""
        self._opened.append((account, control))
        self.write(append)

    def flush(self) -> None:
        """Writes all waiting appends."""
        if self._appends:
            batch, self._appends = self._appends, []
            opened, self._opened = self._opened, []
            self._waiting.clear()
            self.entries = 0
            self._store.append(batch, opened)

    def forget(self) -> None:
        """Drops all waiting appends, after a rollback."""
        self._appends.clear()
        self._opened.clear()
        self._waiting.clear()
        self.entries = 0

    def has(self, account: AccountId) -> bool:
        """Whether an append of the account waits."""
        return account in self._waiting

    def head(self, log: LogId) -> Head:
        """The head of the log, waiting appends included."""
        waiting = self._waiting.get(log.account)
        if waiting and log in waiting:
            return waiting[log][-1].head
        return self._store.head(log)

    def id_at(self, log: LogId, seq: int) -> EntryId | None:
        """The id of the counted entry at place `seq`, waiting appends included."""
        waiting = self._waiting.get(log.account, {}).get(log)
        if waiting and seq >= waiting[0].entries[0].header.seq:
            entries = waiting[bisect_right(waiting, seq, key=lambda append: append.entries[0].header.seq) - 1].entries
            at = seq - entries[0].header.seq
            return entries[at].id if at < len(entries) else None
        return self._store.id_at(log, seq)
