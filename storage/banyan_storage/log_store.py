"""Logs while a transaction is pending: the short number that each has, and the head at which it stands.

Heads are written in one place, so that what moved is noted with them (moves.py). A log of which nothing is left has no
row; its number is never given again.
"""

from __future__ import annotations

from collections.abc import Sequence

from banyan_crdt.ids import Head, LogId

from . import tables as t
from .engine import Item
from .entry_reader import NOTHING
from .pending import PendingStore


class LogStore(PendingStore):
    """Part of `Store`."""

    def _log(self, log: LogId) -> tuple[int, Head]:
        """The log's short number and head; a log never heard of gets a number."""
        found = self._find(log)
        if found is None:
            found = self._lids + 1, NOTHING
            self._name_logs([log])
            self._set_head(log, *found)
        return found

    def _name_logs(self, logs: Sequence[LogId]) -> None:
        """Give each of these new logs the next short number."""
        self._write.put_many(t.LOGS, [(t.u32(lid), t.log_name(log)) for lid, log in enumerate(logs, self._lids + 1)])
        accounts = sorted({log.account for log in logs})
        known = {key for key, _ in self._write.get_many(t.ACCOUNTS, accounts)}
        self._write.put_many(t.ACCOUNTS, [(account, b"") for account in accounts if account not in known])
        self._lids += len(logs)

    def _set_head(self, log: LogId, lid: int, head: Head) -> None:
        self._put_heads([(t.log_name(log), t.head_value(lid, head))])
        self._cache(log, (lid, head))

    def _put_heads(self, rows: Sequence[Item]) -> None:
        """The only way to write heads: what moved is noted with them."""
        self._write.put_many(t.HEADS, rows)
        self.moves.take(rows)

    def _unname_empty(self, log: LogId) -> None:
        """Of a log of which nothing is left (its writer was cut, its account closed) the name goes, too."""
        lid, head = self._log(log)
        if log.log and head == NOTHING and not any(self._write.prefix(t.LOOSE, t.u32(lid), limit=1)):
            self._unname(log, lid)

    def _unname(self, log: LogId, lid: int) -> None:
        self._write.delete(t.LOGS, t.u32(lid))
        self._write.delete(t.HEADS, t.log_name(log))
        self._write.put(t.META, t.LIDS_KEY, t.u32(self._lids))
        self._names.pop(lid, None)
        self._cache(log, None)

    def reclaim(self, start: bytes, limit: int) -> bytes | None:
        """Take away the names of logs of which nothing is held: older programs kept them. From the log named `start`
        on, `limit` logs at most; where to go on, or None at the end."""
        rows = list(self._write.scan(t.HEADS, start, limit=limit))
        for key, value in rows:
            lid, head = t.head_of_value(value)
            log = t.log_of_name(key)
            if log.log and head == NOTHING and not any(self._write.prefix(t.LOOSE, t.u32(lid), limit=1)):
                self.changes += 1
                self._unname(log, lid)
        return rows[-1][0] + b"\0" if len(rows) == limit else None
