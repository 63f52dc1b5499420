"""The store: what was judged to count, and what is held besides, written by one thread and made durable by `commit`.

It decides nothing about validity. The caller says which entries extend a chain (`append`, the fast path) or what a log
now consists of (`rewrite`, after a fork, a pin, a cut or new grants); the store keeps entries, indexes, parts and views
in step inside one transaction. Arrival numbers only rise and are never given twice, also when entries go.

The index of ids and the list of lacking parts wait in memory until `commit` and are then written sorted: with a page of
random keys touched per entry, nothing else would matter. Reads on the writing thread see them there.

After a StorageError what was pending is gone: call `rollback` before going on. (`commit` has done so when it raises.)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import NamedTuple

from banyan_crdt.entry import Entry
from banyan_crdt.ids import AccountId, EntryId, Head, LogId, control_log
from banyan_crdt.ops import Body, Op, decode_body, part_of
from banyan_crdt.realm import Realm

from . import tables as t
from .engine import Engine, Item, Table
from .errors import CorruptStore, StorageError, StoreVersion
from .reader import NOTHING, Counts, Lack, StoreReader
from .records import content_of, decode_record, encode_record, record_name, record_signed
from .viewhook import Append, ArrivedPart, Views

__all__ = ["Append", "Store", "snapshot"]

CACHED_LOGS = 100_000


class _Held(NamedTuple):
    n: int
    raw: bytes
    counted: bool


@contextmanager
def snapshot(engine: Engine, realm: Realm) -> Iterator[StoreReader]:
    """The last commit, for any thread or for a process that opened the engine read-only. Hold it briefly."""
    with engine.read() as txn:
        yield StoreReader(txn, realm)


class Store(StoreReader):
    """The writer. One thread makes it and uses it; others take `snapshot()`.

    new_store_id: 16 random bytes that name the store if it is empty; then `fresh` is True.
    """

    def __init__(self, engine: Engine, realm: Realm, *, new_store_id: bytes, views: Views) -> None:
        super().__init__(engine.write(), realm)
        self._engine = engine
        self._write = engine.write()
        self._views = views
        self._logs: dict[LogId, tuple[int, Head]] = {}
        self._ids: dict[bytes, int] = {}
        self._wanted: dict[bytes, bytes] = {}
        self._recent: dict[int, tuple[Entry, Body]] = {}
        self._last = self._noted = 0
        self.changes = 0
        """Grows with every call that may write; tells whether something in particular wrote."""
        self.fresh = self._write.get(t.META, t.STORE_ID_KEY) is None
        if self.fresh:
            about = {t.STORE_ID_KEY: new_store_id, t.REALM_KEY: realm.id, t.SCHEMA_KEY: t.u32(t.SCHEMA)}
            self._write.put_many(t.META, sorted(about.items()))
            engine.commit()
        self._check_kind()
        self._forget()

    def _check_kind(self) -> None:
        schema, realm = self._write.get(t.META, t.SCHEMA_KEY), self._write.get(t.META, t.REALM_KEY)
        if schema != t.u32(t.SCHEMA):
            found = (schema or b"").hex()
            raise StoreVersion(f"the store has schema {found}, this program knows {t.SCHEMA}; use the newer program")
        if realm != self.realm.id:
            raise StorageError(
                f"the store is of realm {(realm or b'').hex()[:16]}, the node of realm {self.realm.id.hex()[:16]}"
                f" ({self.realm.name}); give each realm its own folder"
            )

    # -- the pending transaction

    def commit(self) -> None:
        """All pending changes become durable, or StorageError is raised and all are gone."""
        try:
            self._flush()
            self._engine.commit()
        except StorageError:
            self.rollback()
            raise

    @property
    def pending(self) -> bool:
        """Whether anything changed since the last commit."""
        return self._engine.pending

    def rollback(self) -> None:
        """Forget what is pending."""
        self._engine.rollback()
        self._forget()

    def close(self) -> None:
        """What is pending is dropped."""
        self._engine.close()

    def snapshot(self) -> AbstractContextManager[StoreReader]:
        """A reader of the last commit, for another thread (a context manager)."""
        return snapshot(self._engine, self.realm)

    def _forget(self) -> None:
        self._logs.clear()
        self._names.clear()
        self._ids.clear()
        self._wanted.clear()
        self._recent.clear()
        self._last = self._noted = t.number(self._write.get(t.META, t.LAST_KEY) or b"")

    def _flush(self) -> None:
        if self._ids:
            self._write.put_many(t.IDS, [(key, t.u64(n)) for key, n in sorted(self._ids.items())])
            self._ids.clear()
        self._flush_wanted()
        if self._noted != self._last:
            self._write.put(t.META, t.LAST_KEY, t.u64(self._last))
            self._noted = self._last
        self._recent.clear()

    def _flush_wanted(self) -> None:
        if self._wanted:
            self._write.put_many(t.LACKING, sorted(self._wanted.items()))
            self._wanted.clear()

    # -- reads that must see what waits in memory

    def _find(self, log: LogId) -> tuple[int, Head] | None:
        found = self._logs.get(log)
        if found is None:
            found = super()._find(log)
            if found is not None:
                self._cache(log, found)
        return found

    def _cache(self, log: LogId, found: tuple[int, Head]) -> None:
        if len(self._logs) >= CACHED_LOGS:
            self._logs.clear()
        self._logs[log] = found

    def _n_of(self, entry: EntryId) -> int | None:
        n = self._ids.get(t.id_key(entry))
        return super()._n_of(entry) if n is None else n

    def lacking(self, after: bytes, limit: int) -> list[Lack]:
        self._flush_wanted()
        return super().lacking(after, limit)

    def counts(self) -> Counts:
        self._flush_wanted()
        return super().counts()

    @property
    def last_arrival(self) -> int:
        return self._last

    # -- entries

    def _log(self, log: LogId) -> tuple[int, Head]:
        """The log's short number and head; a log never heard of gets a number."""
        found = self._find(log)
        if found is None:
            last = self._write.last(t.LOGS)
            found = ((t.number(last[0]) + 1 if last else 1), NOTHING)
            self._write.put(t.LOGS, t.u32(found[0]), t.log_name(log))
            self._write.put(t.ACCOUNTS, log.account, b"")
            self._set_head(log, *found)
        return found

    def _set_head(self, log: LogId, lid: int, head: Head) -> None:
        self._write.put(t.HEADS, t.log_name(log), t.head_value(lid, head))
        self._cache(log, (lid, head))

    def append(self, batch: Sequence[Append]) -> None:
        """Extend what counts of granted logs. Several of the batch may continue one log, in their order."""
        self.changes += 1
        records: list[Item] = []
        places: list[Item] = []
        parts: list[Item] = []
        for log, entries, bodies, held, head in batch:
            lid, old = self._log(log)
            first = entries[0].header
            if first.seq != old.length or first.prev != old.id or head.length != old.length + len(entries):
                raise ValueError(f"entry {first.seq} to head {head.length} does not continue a log of {old.length}")
            n, seq = self._last, old.length
            self._last += len(entries)
            left = iter(held)
            for e, body in zip(entries, bodies, strict=True):
                n += 1
                records.append((t.u64(n), encode_record(lid, e)))
                places.append((t.chain_key(lid, seq), t.chain_value(n, e.sig is not None)))
                self._ids[t.id_key(e.id)] = n
                seq += 1
                for at, op in enumerate(body.ops):
                    part = part_of(op)
                    if part is None:
                        continue
                    raw = next(left, None)
                    if raw is not None:
                        parts.append((t.part_key(n, at), raw))
                    else:
                        self._wanted[t.part_key(n, at)] = t.wanted_value(part)
                        self._recent[n] = e, body
            self._set_head(log, lid, head)
        places.sort()
        self._write.put_many(t.ENTRIES, records)
        self._write.put_many(t.CHAIN, places)
        self._write.put_many(t.PARTS, parts)
        self._views.added(self._write, self, batch)

    def put_control(self, account: AccountId, entries: Sequence[Entry], head: Head) -> None:
        """Replace the control entries that are kept, a tree; `head` is the end of the path that counts."""
        held = {e.id: e for e in entries}
        path: list[Entry] = []
        at = head.id
        while at is not None:
            path.append(held.pop(at))
            at = path[-1].header.prev
        self.rewrite(control_log(account), path[::-1], list(held.values()), head)

    def rewrite(self, log: LogId, chain: Sequence[Entry], loose: Sequence[Entry], head: Head) -> None:
        """Replace what a log consists of. Entries in neither list go, with their parts; the others keep all of theirs.

        Call `rebuild_views` once when all logs of the account are rewritten.
        """
        self.changes += 1
        lid = self._log(log)[0]
        old = self._held(lid)
        ns: dict[EntryId, int] = {}
        signed: set[EntryId] = set()
        fresh = []
        for e in (*chain, *loose):
            was = old.get(e.id)
            if was is None:
                self._last += 1
                ns[e.id] = self._ids[t.id_key(e.id)] = self._last
                fresh.append((t.u64(self._last), encode_record(lid, e)))
            else:
                ns[e.id] = was.n
                if e.sig and not record_signed(was.raw):
                    self._write.put(t.ENTRIES, t.u64(was.n), encode_record(lid, e))
            if e.sig or (was and record_signed(was.raw)):
                signed.add(e.id)
        self._write.put_many(t.ENTRIES, fresh)
        for entry, was in old.items():
            if entry not in ns:
                self._delete(was.n, entry)
        places = {t.chain_key(lid, q): t.chain_value(ns[e.id], e.id in signed) for q, e in enumerate(chain)}
        self._replace(t.CHAIN, lid, places)
        self._replace(t.LOOSE, lid, {t.loose_key(lid, e.id): t.u64(ns[e.id]) for e in loose})
        self._set_head(log, lid, head)
        for e in loose:
            self._unwant(ns[e.id])
        for e in chain:
            was = old.get(e.id)
            if was is None or not was.counted:
                self._want(ns[e.id], decode_body(e.ops))

    def _held(self, lid: int) -> dict[EntryId, _Held]:
        chain = [t.chain_place(value)[0] for _, value in self._write.prefix(t.CHAIN, t.u32(lid))]
        loose = [t.number(value) for _, value in self._write.prefix(t.LOOSE, t.u32(lid))]
        counted = set(chain)
        out = {}
        for key, raw in self._write.get_many(t.ENTRIES, map(t.u64, sorted(chain + loose))):
            n = t.number(key)
            out[record_name(raw).id] = _Held(n, raw, n in counted)
        return out

    def _replace(self, table: Table, lid: int, rows: dict[bytes, bytes]) -> None:
        """Make these the rows of a log, touching only those that differ."""
        old = dict(self._write.prefix(table, t.u32(lid)))
        for key in old.keys() - rows.keys():
            self._write.delete(table, key)
        self._write.put_many(table, sorted(rows.items() - old.items()))

    def _delete(self, n: int, entry: EntryId) -> None:
        self._ids.pop(t.id_key(entry), None)
        self._recent.pop(n, None)
        self._write.delete(t.IDS, t.id_key(entry), t.u64(n))
        self._write.delete(t.ENTRIES, t.u64(n))
        for table in (t.PARTS, t.WITHHELD):
            self._write.delete_range(table, t.u64(n), t.u64(n + 1))
        self._unwant(n)

    def set_signature(self, entry: EntryId, sig: bytes) -> None:
        """Add a verified signature to an entry that is held without one. Does nothing where one is held already."""
        self.changes += 1
        found = self._record(entry)
        if found is None or record_signed(found[1]):
            return
        n, raw = found
        name = record_name(raw)
        self._recent.pop(n, None)
        e = decode_record(raw, self._name(name.lid))._replace(sig=sig)
        self._write.put(t.ENTRIES, t.u64(n), encode_record(name.lid, e))
        key = t.chain_key(name.lid, name.seq)
        if self._write.get(t.CHAIN, key) == t.chain_value(n, False):
            self._write.put(t.CHAIN, key, t.chain_value(n, True))

    def rebuild_views(self, account: AccountId, counted: Iterable[tuple[Entry, Body]]) -> None:
        """Fold the account again. `counted`: every entry that counts of its granted logs, with the ops that count.

        Parts of entries that count as no operations are no longer asked for, those of the others are.
        """
        self.changes += 1
        self._views.rebuilt(self._write, self, account, self._wanting(counted))

    def _wanting(self, counted: Iterable[tuple[Entry, Body]]) -> Iterator[tuple[Entry, Body]]:
        for e, body in counted:
            n = self._n_of(e.id)
            if n is not None and body.void:
                self._unwant(n)
            elif n is not None:
                self._want(n, body)
            yield e, body

    # -- parts

    def _want(self, n: int, body: Body) -> None:
        for at, op in enumerate(body.ops):
            part = part_of(op)
            if part is not None:
                key = t.part_key(n, at)
                if self._write.get(t.PARTS, key) is None and self._write.get(t.WITHHELD, key) is None:
                    self._wanted[key] = t.wanted_value(part)

    def _unwant(self, n: int) -> None:
        self._flush_wanted()
        self._write.delete_range(t.LACKING, t.u64(n), t.u64(n + 1))

    def _unlack(self, key: bytes) -> bool:
        """Strike a part off the list of what is lacking; whether it was on it."""
        return self._wanted.pop(key, None) is not None or self._write.delete(t.LACKING, key)

    def put_parts(self, items: Sequence[tuple[EntryId, int, bytes]]) -> int:
        """Store parts that the caller has checked against their entries; returns how many were new.

        Parts of entries that are not held, parts that are held and parts that were erased here are passed over.
        """
        self.changes += 1
        rows: dict[bytes, bytes] = {}
        arrived: list[ArrivedPart] = []
        for entry, at, raw in items:
            n = self._n_of(entry)
            key = b"" if n is None else t.part_key(n, at)
            if n is None or key in rows or self._write.get(t.WITHHELD, key) is not None:
                continue
            if self._unlack(key):
                e, ops = self._with_ops(n, entry)
                arrived.append(ArrivedPart(e, at, ops[at], content_of(raw)))
            elif self._write.get(t.PARTS, key) is not None:
                continue
            rows[key] = raw
        if not rows:
            return 0
        self._write.put_many(t.PARTS, sorted(rows.items()))
        if arrived:
            self._views.parts_arrived(self._write, self, arrived)
        return len(rows)

    def ops(self, entry: EntryId) -> tuple[Op, ...] | None:
        """The operations of an entry that is held: where content is to be put beside them."""
        n = self._n_of(entry)
        if n is None:
            return None
        recent = self._recent.get(n)
        if recent is not None:
            return recent[1].ops if recent[0].id == entry else None
        return self._with_ops(n, entry)[1] if self.has(entry) else None

    def _with_ops(self, n: int, entry: EntryId) -> tuple[Entry, tuple[Op, ...]]:
        """The entry and its operations; at hand where it was appended or asked for since the last commit."""
        found = self._recent.get(n)
        if found is None:
            e = self.entry(entry)
            if e is None:
                raise CorruptStore(
                    f"a part of arrival {n} is wanted, but entry {entry.hex()[:16]} is not there; run a check"
                )
            found = self._recent[n] = e, decode_body(e.ops)
        return found[0], found[1].ops

    def erase_part(self, entry: EntryId, op: int, reason: bytes | None) -> bool:
        """Erase a part for good: not kept, not asked for, not taken when offered. False if the entry is not held.

        reason: the signed statement to answer with when somebody asks for it; None where there is none to give.
        """
        self.changes += 1
        found = self._record(entry)
        if found is None:
            return False
        n, raw = found
        e = decode_record(raw, self._name(record_name(raw).lid))
        key = t.part_key(n, op)
        self._unlack(key)
        self._write.delete(t.PARTS, key)
        self._write.put(t.WITHHELD, key, reason or b"")
        self._views.part_erased(self._write, self, e, op, decode_body(e.ops).ops[op])
        return True

    def want_part(self, entry: EntryId, op: int) -> bool:
        """Lift an erasure: the part is asked for again. False where none was in place."""
        self.changes += 1
        n = self._n_of(entry)
        e = self.entry(entry)
        if n is None or e is None or not self._write.delete(t.WITHHELD, t.part_key(n, op)):
            return False
        part = part_of(decode_body(e.ops).ops[op])
        if part is not None and self.is_counted(entry):
            self._wanted[t.part_key(n, op)] = t.wanted_value(part)
        return True

    def put_note(self, key: bytes, value: bytes | None) -> None:
        """Remember something local; None forgets it. Keys have at most 500 bytes."""
        self.changes += 1
        if value is None:
            self._write.delete(t.META, t.NOTE + key)
        else:
            self._write.put(t.META, t.NOTE + key, value)
