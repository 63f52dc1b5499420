"""The store: counted entries and other held data, written by one thread and made durable by `commit`.

It decides nothing about validity. The caller says which entries extend chains (`append`, the fast path) or which
entries a log now has (`rewrite`, after a fork, a pin, a cut or new grants). The store updates entries, indexes, parts
and views in one transaction. Arrival numbers only rise and are never used twice, even when entries are dropped.

After a StorageError pending writes are lost: call `rollback` before continuing. (A failed `commit` has done so.)

The writer has five layers, and each knows only those below: `PendingStore` (the transaction), `LogStore` (numbers and
heads), `ContentStore` (parts), `RewritingStore` (changes other than growth), and `Store`, which is this file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from banyan_charter.acts import Act, CharterId, Founding
from banyan_crdt.checkpoint import Checkpoint, encode_checkpoint
from banyan_crdt.control import Control
from banyan_crdt.entry import Entry
from banyan_crdt.ids import AccountId, Head, LogId, control_log
from banyan_crdt.logs import NOTHING
from banyan_crdt.ops import Body
from banyan_crdt.state import control_head
from banyan_storage import blob_names, charter_acts
from banyan_storage import due as d
from banyan_storage import tables as t
from banyan_storage.batch import AppendedRows
from banyan_storage.entry_records import encode_grants
from banyan_storage.errors import CorruptStore
from banyan_storage.local_state import write_row
from banyan_storage.local_tables import LEAVING, TWICE
from banyan_storage.log_rewrites import RewritingStore
from banyan_storage.transaction import snapshot
from banyan_storage.viewhook import Append, CountedEntry

__all__ = ["Append", "Store", "snapshot"]


class Store(RewritingStore):
    """The writer. One thread makes it and uses it; others take `snapshot()`."""

    def append(self, batch: Sequence[Append], opened: Sequence[tuple[AccountId, Control]] = ()) -> None:
        """Extends logs. Several appends of the batch may continue one log, in their order.

        opened: new accounts. Their whole control logs are in the batch, and no other control logs are.
        Raises ValueError, and changes nothing, if an append does not continue its log.
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
        blob_names.name(self._write, rows.media())
        if opened:  # views show nothing of control logs
            firsts = [first for append, first in zip(batch, firsts, strict=True) if append.log.log]
            batch = [append for append in batch if append.log.log]
        self._views.added(self._write, self, batch, firsts)
        if self.any_erased():
            self._erase_again([e for append in batch for e in append.entries])

    def put_control(self, account: AccountId, control: Control, loose: Sequence[Entry], now_s: int) -> None:
        """Replaces the held control entries (the path and the `loose` ones beside it) and the account's grants."""
        self._write.put(t.ACCOUNTS, account, encode_grants(control) if control.path else b"")
        self._rewrite(control_log(account), control.path, loose, control_head(control), now_s)

    def put_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Stores a checkpoint in place of its writer's earlier one."""
        self.changes += 1
        log = checkpoint.log_id
        self._write.put(t.CHECKPOINTS, log.account + log.writer, encode_checkpoint(checkpoint))
        self._set_head(log, self._log(log)[0], checkpoint.head)

    def drop_checkpoint(self, log: LogId) -> None:
        """Drops a checkpoint, whose writer may no longer make one."""
        self.changes += 1
        self._write.delete(t.CHECKPOINTS, log.account + log.writer)
        self._set_head(log, self._log(log)[0], NOTHING)

    def rebuild_views(self, account: AccountId, counted: Iterable[tuple[Entry, Body]]) -> None:
        """Folds the account again. counted: every counted entry of its granted logs, with the ops that count.

        Parts of void entries are no longer asked for; those of the others are.
        """
        self.changes += 1
        self._views.rebuilt(self._write, self, account, self._wanting(counted))

    def rebuild_views_later(self, account: AccountId, at_once: int) -> bool:
        """The same in steps, if more than `at_once` operations of the account count: then call `fold_again` while there
        is more. False: nothing was done; call `rebuild_views`."""
        if self.operations(account, at_once) <= at_once or not self._views.put_off(self._write, account):
            return False
        self.changes += 1
        return True

    def fold_again(self, size: int, of: AccountId | None = None) -> bool:
        """One step, of about `size` operations, of what `rebuild_views_later` or a long run began, for this account, or
        for any. Returns whether more is left of it."""
        self.changes += 1
        return self._views.fold_again(self._write, self, size, self._wanting, of)

    def set_leaving(self, account: AccountId, why: bytes | None) -> None:
        """Readers are shown nothing of the account from the commit on, because it is erased in steps. why: for the
        caller, who finds it in `leaving`; None: it is shown."""
        LEAVING.put(self, account, why)

    def unshow(self, account: AccountId, size: int) -> bool:
        """One step of clearing what a leaving account shows: about `size` rows. Returns whether more is left."""
        self.changes += 1
        return self._views.cleared(self._write, account, size)

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

    # -- local data

    def put_charter_acts(self, charter: CharterId, acts: Iterable[tuple[Act | Founding, bytes]]) -> None:
        """Acts of a charter with their bytes (charter_acts.py), whose signatures were checked."""
        self.changes += 1
        charter_acts.put(self._write, charter, acts)

    def set_due(self, work: d.Work, key: bytes, at_ms: int) -> None:
        """Makes the key due at that time only."""
        self.changes += 1
        d.set_due(self._write, work, key, at_ms)

    def postpone(self, work: d.Work, prefix: bytes, at_ms: int) -> None:
        """Moves keys with this prefix that are due earlier to that time."""
        self.changes += 1
        d.postpone(self._write, work, prefix, at_ms)

    def drop_due(self, work: d.Work, key: bytes) -> None:
        self.changes += 1
        d.drop_due(self._write, work, key)

    def become_another(self, store_id: bytes) -> None:
        """Takes another id: an older copy was put back, so arrivals get numbers again that cursors of readers and peers
        know for other entries."""
        self.changes += 1
        self._write.put(t.META, t.STORE_ID_KEY, store_id)

    def put_note(self, key: bytes, value: bytes | None) -> None:
        """Writes the bytes of a row of local state (local_state.py); None deletes it. Keys have at most 500 bytes."""
        self.changes += 1
        for prefix in [prefix for prefix in self._few if key.startswith(prefix)]:
            del self._few[prefix]
        write_row(self._write, key, value, TWICE)
