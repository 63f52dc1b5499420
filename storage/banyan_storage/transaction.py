"""The pending transaction of a store: writes that wait in memory until `commit`, reads that see them, and logs' short
numbers and heads.

Heads are written in one place, which also notes them as moved (head_moves.py). A log without any entries has no row;
its number is never used again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import islice

from banyan_crdt.entry import Entry
from banyan_crdt.ids import AccountId, EntryId, Head, LogId
from banyan_crdt.logs import NOTHING, Grants
from banyan_crdt.ops import Body
from banyan_crdt.realm import Realm
from banyan_storage import acts, blob_names, local_state
from banyan_storage import tables as t
from banyan_storage.acts import JUDGED, ActKind
from banyan_storage.arrivals import ArrivalLog
from banyan_storage.engine import Engine, Item
from banyan_storage.entry_records import decode_grants
from banyan_storage.errors import StorageError
from banyan_storage.head_moves import HeadMoves
from banyan_storage.id_index import IdIndex, Late, Offer, nothing
from banyan_storage.local_tables import LOCAL, RETIRED, TWICE
from banyan_storage.reader import Lack, StoreReader, StoreTotals
from banyan_storage.upgrade import refuse_other, refuse_realm, schema_of
from banyan_storage.viewhook import CountedEntry, NoViews, ViewHooks

# New lacking parts wait in memory and are written sorted; ids wait longer (id_index.py). Heads of logs are cached, also
# for logs that are not held.

CACHED_LOGS = 40_000
"""Logs whose heads are cached, about 0.4 kB each."""
FEW = 64
"""The keys of a kind of local state that are cached, if there are no more."""


@contextmanager
def snapshot(engine: Engine, realm: Realm, late_ids: Offer = nothing) -> Iterator[StoreReader]:
    """A reader of the last commit, for any thread, or for a process that opened the engine read-only. Hold it briefly.

    late_ids: those of the writer, if it is in this process; otherwise they are read when needed.
    """
    with engine.read() as txn:
        yield StoreReader(txn, realm, late_ids)


class PendingStore(StoreReader):
    """The lowest layer of `Store`. One thread makes it and uses it; others take `snapshot()`.

    new_store_id: 16 random bytes, the id of the store if it is empty; then `fresh` is True.
    """

    def __init__(self, engine: Engine, realm: Realm, *, new_store_id: bytes, views: ViewHooks) -> None:
        super().__init__(engine.write(), realm)
        self._engine = engine
        self._write = engine.write()
        self._views = views
        self._logs: dict[LogId, tuple[int, Head] | None] = {}
        self._few: dict[bytes, frozenset[bytes] | None] = {}
        self._any_loose: bool | None = None
        self._any_erased: bool | None = None
        self._wanted: dict[bytes, bytes] = {}
        self._recent: dict[int, tuple[Entry, Body]] = {}
        self._last = self._noted = self._lids = self._last_act = 0
        self.changes = 0
        """Grows with every call that may write."""
        self.committed: Callable[[int, int], None] = lambda arrival, act: None
        """Told of the last arrival and the last act once they are durable."""
        self.fresh = self._write.get(t.META, t.STORE_ID_KEY) is None
        if self.fresh:
            about = {t.STORE_ID_KEY: new_store_id, t.REALM_KEY: realm.id, t.SCHEMA_KEY: t.u32(t.SCHEMA)}
            self._write.put_many(t.META, sorted(about.items()))
        self._check_kind()
        views.opened(self._write, self.fresh)
        local_state.opened(self._write, LOCAL.values(), RETIRED, TWICE)
        blob_names.opened(self._write, StoreReader(self._write, realm), self.fresh)
        engine.commit()
        self._ids = IdIndex(self._write)
        self.moves = HeadMoves(self._write)
        self.arrived = ArrivalLog(self._write)
        self._forget()

    def _check_kind(self) -> None:
        refuse_other(schema_of(self._write))
        refuse_realm(self._write, self.realm)

    # -- the pending transaction

    def commit(self) -> None:
        """Makes all pending changes durable, or raises StorageError and drops them."""
        try:
            self._flush()
            reached = (self._last, self._last_act) if self.pending else None
            self._engine.commit()
        except StorageError:
            self.rollback()
            raise
        self._ids.committed()
        if reached is not None:
            self.committed(*reached)

    @property
    def pending(self) -> bool:
        """Whether anything changed since the last commit."""
        return self._engine.pending

    def rollback(self) -> None:
        """Drops pending changes."""
        self._engine.rollback()
        self._ids.rolled_back()
        self.moves.forget()
        self.arrived.forget()
        self._forget()

    def close(self) -> None:
        """Drops pending changes and closes the engine."""
        self._engine.close()

    @property
    def has_views(self) -> bool:
        """Whether it answers queries."""
        return not isinstance(self._views, NoViews)

    def snapshot(self) -> AbstractContextManager[StoreReader]:
        """A reader of the last commit, for another thread (a context manager)."""
        return snapshot(self._engine, self.realm, self.late_ids)

    def late_ids(self) -> Sequence[Late]:
        """The ids that snapshots in this process need in addition to the table."""
        return self._ids.offer()

    def _forget(self) -> None:
        self._logs.clear()
        self._few.clear()
        self._any_loose = self._any_erased = None
        self._names.clear()
        self._wanted.clear()
        self._recent.clear()
        self._last = self._noted = t.number(self._write.get(t.META, t.LAST_KEY) or b"")
        self._last_act = acts.last(self._write)
        last = self._write.last(t.LOGS)
        self._lids = max(t.number(last[0]) if last else 0, t.number(self._write.get(t.META, t.LIDS_KEY) or b""))

    def _flush(self) -> None:
        self._ids.flush()
        self._flush_wanted()
        about = self.moves.flush()
        if self._noted != self._last:
            self.arrived.flush(self._noted + 1, self._last)
            about.append((t.LAST_KEY, t.u64(self._last)))
            self._noted = self._last
        if about:
            self._write.put_many(t.META, sorted(about))
        self._recent.clear()

    def _flush_wanted(self) -> None:
        if self._wanted:
            self._write.put_many(t.LACKING, sorted(self._wanted.items()))
            self._wanted.clear()

    # -- reads that must see waiting writes

    def _find(self, log: LogId) -> tuple[int, Head] | None:
        if log in self._logs:
            return self._logs[log]
        found = super()._find(log)
        self._cache(log, found)
        return found

    def look_up(self, logs: Iterable[LogId]) -> None:
        """Caches the heads of these logs in one pass, which is faster than one by one."""
        names = {t.log_name(log): log for log in logs if log not in self._logs}
        found = dict(self._write.get_many(t.HEADS, sorted(names)))
        for name, log in names.items():
            raw = found.get(name)
            self._cache(log, None if raw is None else t.head_of_value(raw))

    def grants_of(self, accounts: Iterable[AccountId]) -> Iterator[tuple[AccountId, Grants]]:
        """The grants of those of these accounts that are held, read in one pass."""
        for account, raw in self._write.get_many(t.ACCOUNTS, sorted(accounts)):
            if raw:
                yield AccountId(account), decode_grants(raw)

    def note_act(self, kind: ActKind, account: AccountId, about: bytes = b"", said: Sequence[str] = ()) -> None:
        """Notes what this node did (acts.py)."""
        self.changes += 1
        at = self.last_arrival, self.arrived.time_ms
        acts.note(self._write, acts.Act(0, kind, *at, account, about, tuple(said)))
        self._last_act = acts.last(self._write)
        if kind in JUDGED and about:
            self._views.judged(self._write, account, about)

    def take_out_of_views(self, account: AccountId, gone: Iterable[tuple[Entry, Body]]) -> bool:
        """Updates views after entries stopped counting and nothing else of the account changed. gone: with the ops that
        counted. False: nothing was done; call `rebuild_views`."""
        self.changes += 1
        counted = [CountedEntry(n, e, body) for e, body in gone if (n := self.number_of(e.id)) is not None]
        return self._views.taken_out(self._write, self, account, counted)

    def few_notes(self, prefix: bytes) -> frozenset[bytes] | None:
        """The keys of local state that begin so, cached; None: there are more than FEW."""
        if prefix not in self._few:
            found = [key for key, _ in islice(self.notes(prefix), FEW + 1)]
            self._few[prefix] = frozenset(found) if len(found) <= FEW else None
        return self._few[prefix]

    def any_loose(self) -> bool:
        if self._any_loose is None:
            self._any_loose = super().any_loose()
        return self._any_loose

    def any_erased(self) -> bool:
        """Whether parts of entries were erased that are not held now."""
        if self._any_erased is None:
            self._any_erased = bool(self._write.count(t.ERASED))
        return self._any_erased

    def _cache(self, log: LogId, found: tuple[int, Head] | None) -> None:
        if len(self._logs) >= CACHED_LOGS:
            self._logs.clear()
        self._logs[log] = found

    def _candidates(self, entry: bytes) -> Iterator[int]:
        return self._ids.find(entry)

    def lacking(self, after: bytes, limit: int) -> list[Lack]:
        self._flush_wanted()
        return super().lacking(after, limit)

    def last_lacking(self, limit: int) -> list[Lack]:
        self._flush_wanted()
        return super().last_lacking(limit)

    def lacks_part(self, entry: EntryId, op: int) -> bool:
        self._flush_wanted()
        return super().lacks_part(entry, op)

    def counts(self) -> StoreTotals:
        self._flush_wanted()
        return super().counts()

    @property
    def last_arrival(self) -> int:
        return self._last


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
