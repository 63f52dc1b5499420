"""Reads of the store: the same methods for a snapshot and for the pending transaction.

Heads, chains and entries are in entry_reader.py; here are loose entries, checkpoints and grants, parts, due work,
notes, and the cells of one account.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import NamedTuple

from banyan_charter.acts import Act, CharterId, Founding
from banyan_crdt.cells import Cells, fold
from banyan_crdt.checkpoint import Checkpoint, decode_checkpoint
from banyan_crdt.entry import Entry
from banyan_crdt.ids import AccountId, EntryId, LogId, Ref, WriterKey, control_log
from banyan_crdt.logs import Grants
from banyan_crdt.ops import Part
from banyan_crdt.parts import content_of
from banyan_crdt.state import counted_entries
from banyan_storage import charter_acts
from banyan_storage import due as d
from banyan_storage import tables as t
from banyan_storage.engine import Item, after_prefix
from banyan_storage.entry_reader import ArrivedEntry, EntryReader
from banyan_storage.entry_records import decode_grants
from banyan_storage.local_tables import LEAVING

__all__ = ["ArrivedEntry", "Lack", "StoreReader", "StoreTotals"]

NO_LOGS: frozenset[LogId] = frozenset()
CONTROL = t.u32(0)
"""The end of the names of control logs and checkpoints."""
LOOKED_AT = 1_024
"""The most loose entries that are searched for the highest."""


class StoreTotals(NamedTuple):
    """Totals. entries: held, counted or not. lacking: parts that are wanted and not held."""

    accounts: int
    logs: int
    entries: int
    counted: int
    parts: int
    lacking: int
    withheld: int


class Lack(NamedTuple):
    """A part that counts, is wanted and is not held. cursor: for the next call of `lacking`."""

    cursor: bytes
    entry: EntryId
    op: int
    part: Part


class StoreReader(EntryReader):
    """Reads of one state of the store, on the thread that opened it."""

    # -- acts of charters

    def charter(self, charter: CharterId) -> tuple[Founding, Iterator[Act]] | None:
        """The founding of a charter and its other acts, which were verified when they came; None: it is not held."""
        found = charter_acts.founding(self._txn, self.realm, charter)
        return None if found is None else (found, charter_acts.held(self._txn, self.realm, charter))

    # -- loose entries

    def any_loose(self) -> bool:
        """Whether any entry is held that does not count. If none is, which is usual, no log must be searched."""
        return bool(self._txn.count(t.LOOSE))

    def loose(self, log: LogId) -> list[Entry]:
        """The held entries that do not count, in order of seq and id."""
        ns = sorted(row.n for row in self.loose_rows(log))
        return sorted(self._records(ns, log), key=lambda e: (e.header.seq, e.id))

    def loose_rows(self, log: LogId, seq: int | None = None, limit: int | None = None) -> list[t.Loose]:
        """The rows of a log's loose entries, lowest first. seq: only those of that place."""
        found = self._find(log)
        if found is None or not self.any_loose():
            return []
        prefix = t.u32(found[0]) if seq is None else t.chain_key(found[0], seq)
        return [t.loose_of(*row) for row in self._txn.prefix(t.LOOSE, prefix, limit=limit)]

    def highest_loose(self, log: LogId, most: int) -> list[tuple[int, EntryId]]:
        """(seq, id) of the highest loose entries of a log: first those below a pinned entry, then others."""
        found = self._find(log)
        if found is None or not self.any_loose() or most <= 0:
            return []
        rows = self._txn.prefix(t.LOOSE, t.u32(found[0]), reverse=True, limit=LOOKED_AT)
        by_kind = sorted((t.loose_of(*row) for row in rows), key=lambda row: (row.kind != t.VOUCHED, -row.seq))
        named = ((row.seq, self.name_at(row.n)) for row in by_kind[:most])
        return [(seq, name[0]) for seq, name in named if name is not None]

    def loose_kinds(self, log: LogId) -> dict[bytes, int]:
        """The kind of each loose entry of a log, by the first 16 bytes of its id."""
        found = self._find(log)
        if found is None or not self.any_loose():
            return {}
        return {
            key[t.LOOSE_KEY.half]: t.loose_of(key, value).kind
            for key, value in self._txn.prefix(t.LOOSE, t.u32(found[0]))
        }

    def children(self, log: LogId, parent: EntryId | None, seq: int) -> list[Entry]:
        """The loose entries at place `seq` whose parent is `parent`, in the order of their ids."""
        found = self._records(sorted(row.n for row in self.loose_rows(log, seq)), log)
        return sorted((e for e in found if e.header.prev == parent), key=lambda e: e.id)

    def held(self, log: LogId) -> tuple[list[Entry], list[Entry]]:
        """(chain, loose)."""
        return self.chain(log), self.loose(log)

    def control(self, account: AccountId) -> tuple[Entry, ...]:
        """The held control entries: the path, then its branches."""
        chain, loose = self.held(control_log(account))
        return (*chain, *loose)

    # -- checkpoints

    def checkpoint(self, account: AccountId, writer: WriterKey) -> Checkpoint | None:
        """The writer's checkpoint."""
        raw = self.checkpoint_bytes(account, writer)
        return None if raw is None else decode_checkpoint(self.realm, raw)

    def checkpoint_bytes(self, account: AccountId, writer: WriterKey) -> bytes | None:
        """The same in its wire form."""
        return self._txn.get(t.CHECKPOINTS, account + writer)

    def checkpoints(self, account: AccountId) -> Iterator[Checkpoint]:
        """All checkpoints of the account, in the order of their writers. Lazy."""
        return (decode_checkpoint(self.realm, raw) for raw in self.all_checkpoint_bytes(account))

    def all_checkpoint_bytes(self, account: AccountId) -> Iterator[bytes]:
        """The same in their wire form."""
        return (raw for _, raw in self._txn.prefix(t.CHECKPOINTS, account))

    def grants(self, account: AccountId) -> Grants | None:
        """The account's grants, without reading its control log; None if that is not held."""
        raw = self._txn.get(t.ACCOUNTS, account)
        return decode_grants(raw) if raw else None

    def loose_logs(self, account: AccountId) -> frozenset[LogId]:
        """The granted logs of the account with held entries that do not count."""
        if not self.any_loose():
            return NO_LOGS
        found = []
        for key, value in self._txn.prefix(t.HEADS, account):
            lid = value[t.HEAD.lid]
            if key[t.LOG_NAME.log] != CONTROL and any(self._txn.prefix(t.LOOSE, lid, limit=1)):
                found.append(t.log_of_name(key))
        return frozenset(found) or NO_LOGS

    # -- parts

    def part(self, entry: EntryId, op: int) -> bytes | None:
        """The part's bytes, with salt and framing."""
        n = self.number_of(entry)
        return None if n is None else self.part_at(n, op)

    def part_at(self, n: int, op: int) -> bytes | None:
        """The same, by the arrival number of its entry."""
        return self._txn.get(t.PARTS, t.part_key(n, op))

    def contents(self, ns: Sequence[int]) -> dict[int, list[tuple[int, bytes]]]:
        """The held parts of entries by arrival number: (op index, bytes), ascending. ns: ascending."""
        out: dict[int, list[tuple[int, bytes]]] = {}
        at = 0
        while at < len(ns):
            end = at + 1
            while end < len(ns) and ns[end] == ns[end - 1] + 1:
                end += 1
            for key, raw in self._txn.scan(t.PARTS, t.part_key(ns[at], 0), t.part_key(ns[end - 1] + 1, 0)):
                n, op = t.part_place(key)
                out.setdefault(n, []).append((op, raw))
            at = end
        return out

    def lacks_part(self, entry: EntryId, op: int) -> bool:
        """Whether the part counts, is wanted and is not held."""
        n = self.number_of(entry)
        return n is not None and self._txn.get(t.LACKING, t.part_key(n, op)) is not None

    def withheld(self, entry: EntryId, op: int) -> bytes | None:
        """The signed reason why the part was erased here, empty if there is none; None if it was not erased."""
        found = self._record(entry)
        return None if found is None else self._txn.get(t.WITHHELD, t.part_key(found[0], op))

    def lacking(self, after: bytes, limit: int) -> list[Lack]:
        """Lacking parts, oldest entry first. after: b"" at first, then the last cursor."""
        return self._lacks(self._txn.scan(t.LACKING, after + b"\0" if after else b"", limit=limit))

    def last_lacking(self, limit: int) -> list[Lack]:
        """Lacking parts, newest entry first."""
        return self._lacks(self._txn.scan(t.LACKING, reverse=True, limit=limit))

    def _lacks(self, rows: Iterable[Item]) -> list[Lack]:
        out = []
        for key, value in rows:
            n, op = t.part_place(key)
            name = self.name_at(n)
            if name is not None:
                out.append(Lack(key, name[0], op, t.wanted_part(value)))
        return out

    # -- due work

    def due(self, work: d.Work, now_ms: int, limit: int) -> list[d.Due]:
        """The work of this kind that is due by now, oldest first."""
        return d.due(self._txn, work, now_ms, limit)

    def due_at(self, work: d.Work, key: bytes) -> int | None:
        """When the key is due, milliseconds since 1970, or None."""
        return d.due_at(self._txn, work, key)

    # -- the store itself

    def counts(self) -> StoreTotals:
        rows = self._txn.count
        entries, parts = rows(t.ENTRIES), (t.PARTS, t.LACKING, t.WITHHELD)
        return StoreTotals(rows(t.ACCOUNTS), rows(t.LOGS), entries, entries - rows(t.LOOSE), *map(rows, parts))

    @property
    def last_arrival(self) -> int:
        """The last arrival number; 0 if nothing ever came."""
        return t.number(self._txn.get(t.META, t.LAST_KEY) or b"")

    @property
    def store_id(self) -> bytes:
        """16 random bytes, chosen when the store was made."""
        return self._txn.get(t.META, t.STORE_ID_KEY) or b""

    def leaving(self) -> dict[AccountId, bytes]:
        """The accounts of which readers are shown nothing, because they are erased in steps; and why."""
        return dict(LEAVING.rows(self))

    def note(self, key: bytes) -> bytes | None:
        """The bytes of a row of local state (local_state.py)."""
        return self._txn.get(t.META, t.NOTE + key)

    def notes(self, prefix: bytes = b"", after: bytes | None = None) -> Iterator[tuple[bytes, bytes]]:
        """Those whose keys begin with `prefix`, in order. after: only those after that key."""
        start = t.NOTE + prefix if after is None else t.NOTE + after + b"\0"
        rows = self._txn.scan(t.META, start, after_prefix(t.NOTE + prefix))
        return ((key[len(t.NOTE) :], value) for key, value in rows)


# The cells of one account, folded from all its counted entries, for collections without a view. Views show the same (a
# test compares them).


class AccountCells(NamedTuple):
    """The input from which `banyan_schema.collection` reads collections."""

    cells: Cells
    reader: StoreReader

    def content_of(self, ref: Ref) -> bytes | None:
        """The content of an operation, or None if it is not held."""
        raw = self.reader.part(ref.entry, ref.op)
        return None if raw is None else content_of(raw)


def folded(reader: StoreReader, account: AccountId) -> AccountCells:
    """The account's cells; empty if the account is not held."""
    grants = reader.grants(account)
    logs = [log for log in reader.logs(account) if log.log] if grants is not None else []
    counted = (counted_entries(grants, log, reader.walk(log)) for log in logs if grants is not None)
    return AccountCells(fold(chain.from_iterable(counted)), reader)
