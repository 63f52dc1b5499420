"""The store: what was judged to count, and what is held besides, written by one thread and made durable by `commit`.

It decides nothing about validity. The caller says which entries extend chains (`append`, the fast path) or what a log
now consists of (`rewrite`, after a fork, a pin, a cut or new grants); the store keeps entries, indexes, parts and views
in step inside one transaction. Arrival numbers only rise and are never given twice, also when entries go.

After a StorageError what was pending is gone: call `rollback` before going on. (`commit` has done so when it raises.)

The writer has five layers, and each knows only those below: `PendingStore` (the transaction), `LogStore` (numbers and
heads), `ContentStore` (parts), `RewritingStore` (logs that do not simply go on), and `Store`, which is this file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from banyan_crdt.checkpoint import Checkpoint, encode_checkpoint
from banyan_crdt.control import Control
from banyan_crdt.entry import Entry
from banyan_crdt.ids import AccountId, Head, LogId, control_log
from banyan_crdt.ops import Body
from banyan_crdt.state import control_head

from . import due as d
from . import tables as t
from .batch import AppendedRows
from .entry_reader import NOTHING
from .errors import CorruptStore
from .grant_rows import encode_grants
from .pending import snapshot
from .rewriting import RewritingStore
from .viewhook import Append, CountedEntry

__all__ = ["Append", "Store", "snapshot"]


class Store(RewritingStore):
    """The writer. One thread makes it and uses it; others take `snapshot()`."""

    def append(self, batch: Sequence[Append], opened: Sequence[tuple[AccountId, Control]] = ()) -> None:
        """Extend what counts of logs. Several of the batch may continue one log, in their order.

        opened: accounts of which nothing was held. Their control logs are in the batch, whole; no others are.
        Raises ValueError, and has changed nothing, where one does not continue its log.
        """
        rows = AppendedRows(self._last)
        heads: dict[LogId, tuple[int, Head]] = {}
        unnamed: list[LogId] = []
        firsts = []
        for append in batch:
            log, entries, head = append.log, append.entries, append.head
            found = heads.get(log) or self._find(log)
            if found is None:
                unnamed.append(log)
                found = self._lids + len(unnamed), NOTHING
            lid, old = found
            first = entries[0].header
            if first.seq != old.length or first.prev != old.id or head.length != old.length + len(entries):
                raise ValueError(f"entry {first.seq} to head {head.length} does not continue a log of {old.length}")
            heads[log] = lid, head
            firsts.append(rows.last + 1)
            rows.take(lid, append)
        self.changes += 1
        self._last = rows.last
        self._ids.add(rows.ids)
        self._wanted.update(rows.wanted)
        self._recent.update(rows.recent)
        if unnamed:
            self._name_logs(unnamed)
        if opened:
            self._write.put_many(t.ACCOUNTS, sorted([(account, encode_grants(grants)) for account, grants in opened]))
        self._put_heads(sorted([(t.log_name(log), t.head_value(*at)) for log, at in heads.items()]))
        for log, at in heads.items():
            self._cache(log, at)
        rows.places.sort()
        self._write.put_many(t.ENTRIES, rows.records, append=True)
        self._write.put_many(t.CHAIN, rows.places)
        self._write.put_many(t.PARTS, rows.parts, append=True)
        if opened:  # nothing of a control log shows
            firsts = [first for append, first in zip(batch, firsts, strict=True) if append.log.log]
            batch = [append for append in batch if append.log.log]
        self._views.added(self._write, self, batch, firsts)
        if self.any_erased():
            self._erase_again([e for append in batch for e in append.entries])

    def put_control(self, account: AccountId, control: Control, loose: Sequence[Entry], now_s: int) -> None:
        """Replace the control entries that are held, a path and what is `loose` beside it, and what they grant."""
        self._write.put(t.ACCOUNTS, account, encode_grants(control) if control.path else b"")
        self._rewrite(control_log(account), control.path, loose, control_head(control), now_s)

    def put_checkpoint(self, checkpoint: Checkpoint) -> None:
        """The one of its writer that stands from now on."""
        self.changes += 1
        log = checkpoint.log_id
        self._write.put(t.CHECKPOINTS, log.account + log.writer, encode_checkpoint(checkpoint))
        self._set_head(log, self._log(log)[0], checkpoint.head)

    def drop_checkpoint(self, log: LogId) -> None:
        """Its writer may not make one of the account any more."""
        self.changes += 1
        self._write.delete(t.CHECKPOINTS, log.account + log.writer)
        self._set_head(log, self._log(log)[0], NOTHING)

    def rebuild_views(self, account: AccountId, counted: Iterable[tuple[Entry, Body]]) -> None:
        """Fold the account again. `counted`: every entry that counts of its granted logs, with the ops that count.

        Parts of entries that count as no operations are no longer asked for, those of the others are.
        """
        self.changes += 1
        self._views.rebuilt(self._write, self, account, self._wanting(counted))

    def _wanting(self, counted: Iterable[tuple[Entry, Body]]) -> Iterator[CountedEntry]:
        for e, body in counted:
            n = self.number_of(e.id)
            if n is None:
                raise CorruptStore(f"entry {e.id.hex()[:16]} counts, but is not there; run a check")
            if body.void:
                self._unwant(n)
            else:
                self._want(n, body)
            yield CountedEntry(n, e, body)

    # -- what is local

    def set_due(self, work: d.Work, key: bytes, at_ms: int) -> None:
        """That is due then, and at no other time."""
        self.changes += 1
        d.set_due(self._write, work, key, at_ms)

    def postpone(self, work: d.Work, prefix: bytes, at_ms: int) -> None:
        """What begins so and is due sooner is due then."""
        self.changes += 1
        d.postpone(self._write, work, prefix, at_ms)

    def drop_due(self, work: d.Work, key: bytes) -> None:
        self.changes += 1
        d.drop_due(self._write, work, key)

    def put_note(self, key: bytes, value: bytes | None) -> None:
        """Remember something local; None forgets it. Keys have at most 500 bytes."""
        self.changes += 1
        if value is None:
            self._write.delete(t.META, t.NOTE + key)
        else:
            self._write.put(t.META, t.NOTE + key, value)
