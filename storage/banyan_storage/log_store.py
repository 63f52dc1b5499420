"""Writes logs' short numbers and heads.

Heads are written in one place, which also notes them as moved (moves.py). A log without any entries has no row; its
number is never used again.
"""

from __future__ import annotations

from collections.abc import Sequence

from banyan_crdt.ids import AccountId, Head, LogId
from banyan_crdt.logs import NOTHING
from banyan_storage import tables as t
from banyan_storage.engine import Item
from banyan_storage.pending import PendingStore


class LogStore(PendingStore):
    """A layer of `Store`."""

    def _log(self, log: LogId) -> tuple[int, Head]:
        """The log's short number and head; an unknown log gets a number."""
        found = self._find(log)
        if found is None:
            found = self._lids + 1, NOTHING
            self._name_logs([log])
            self._set_head(log, *found)
        return found

    def _name_logs(self, logs: Sequence[LogId]) -> None:
        """Gives each of these new logs the next short number."""
        self._write.put_many(t.LOGS, [(t.u32(lid), t.log_name(log)) for lid, log in enumerate(logs, self._lids + 1)])
        accounts = sorted({log.account for log in logs})
        known = {key for key, _ in self._write.get_many(t.ACCOUNTS, accounts)}
        self._write.put_many(t.ACCOUNTS, [(account, b"") for account in accounts if account not in known])
        self._lids += len(logs)

    def _set_head(self, log: LogId, lid: int, head: Head) -> None:
        self._put_heads([(t.log_name(log), t.head_value(lid, head))])
        self._cache(log, (lid, head))

    def _put_heads(self, rows: Sequence[Item]) -> None:
        """The only way to write heads; also notes them as moved."""
        self._write.put_many(t.HEADS, rows)
        self.moves.take(rows)

    def _unname_empty(self, log: LogId) -> None:
        """Deletes the name of a log without entries (after a cut, or when its account was closed)."""
        lid, head = self._log(log)
        if log.log and head == NOTHING and not any(self._write.prefix(t.LOOSE, t.u32(lid), limit=1)):
            self._unname(log, lid)

    def forget(self, account: AccountId) -> None:
        """Deletes the names of an account and of its logs, if nothing is held in any of them."""
        self.changes += 1
        for log in self.logs(account):
            lid, head = self._log(log)
            if head != NOTHING or any(self._write.prefix(t.LOOSE, t.u32(lid), limit=1)):
                return
        for log in self.logs(account):
            self._unname(log, self._log(log)[0])
        self._write.delete(t.ACCOUNTS, account)

    def _unname(self, log: LogId, lid: int) -> None:
        self._write.delete(t.LOGS, t.u32(lid))
        self._write.delete(t.HEADS, t.log_name(log))
        self._write.put(t.META, t.LIDS_KEY, t.u32(self._lids))
        self._names.pop(lid, None)
        self._cache(log, None)

    def reclaim(self, start: bytes, limit: int) -> bytes | None:
        """Deletes the names of logs without entries, which older programs kept. Reads `limit` logs, starting at name
        `start`. Returns where to continue, or None at the end."""
        rows = list(self._write.scan(t.HEADS, start, limit=limit))
        for key, value in rows:
            lid, head = t.head_of_value(value)
            log = t.log_of_name(key)
            if log.log and head == NOTHING and not any(self._write.prefix(t.LOOSE, t.u32(lid), limit=1)):
                self.changes += 1
                self._unname(log, lid)
        return rows[-1][0] + b"\0" if len(rows) == limit else None
