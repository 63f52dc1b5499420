"""Upgrades a store of an earlier schema in place: one step for each schema, all in one transaction.

If the process is killed, the old store is unchanged. Entries that an earlier version judged differently are not checked
here: a step may leave the note MEND, and then every log is checked before the store is used (the node's log_check.py).
Views are not upgraded either: the store notes the version of each, and a view of another version is rebuilt in the
background (views/builder.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from banyan_crdt.realm import REALMS, Realm
from banyan_storage import tables as t
from banyan_storage.due import Work, set_due
from banyan_storage.engine import Engine, Item, ReadTxn, WriteTxn
from banyan_storage.entry_records import is_record, record_name
from banyan_storage.errors import StorageError, StoreVersion
from banyan_storage.local_state import reconcile
from banyan_storage.local_tables import MEND, TWICE
from banyan_storage.tables import RowLayout
from banyan_storage.views import invalidation, journal

Say: TypeAlias = Callable[[str], None]
"""Gets progress messages, as sentences."""
Step: TypeAlias = Callable[[WriteTxn, int, Say], None]
"""Upgrades a store to the next schema. Gets the time in seconds since 1970. Does not commit."""

BLOCK, SAY_ROWS = 10_000, 250_000
_LOOSE_BEFORE = RowLayout("lid 4 | half 16")
"""A key of loose entries in version 4."""
"""Rows written at a time, and rows between two progress messages."""


def upgrade(engine: Engine, now_s: int, say: Say) -> bool:
    """Upgrades the store to this program's schema. False if it has that schema, or cannot be upgraded."""
    txn = engine.write()
    found = schema_of(txn)
    if found == t.SCHEMA or why_not(found) is not None:
        return False
    rows = txn.count(t.ENTRIES)
    say(f"The store is of schema {found}; bringing it to {t.SCHEMA}: {rows:,} entries, once.")
    for schema in range(found, t.SCHEMA):
        STEPS[schema](txn, now_s, say)
    txn.put(t.META, t.SCHEMA_KEY, t.u32(t.SCHEMA))
    engine.commit()
    return True


def schema_of(txn: ReadTxn) -> int:
    """The schema of a store; that of this program if the store is empty."""
    if txn.get(t.META, t.STORE_ID_KEY) is None:
        return t.SCHEMA
    return t.number(txn.get(t.META, t.SCHEMA_KEY) or b"")


def why_not(found: int) -> str | None:
    """Why a store of that schema cannot be used or upgraded, or None."""
    if found > t.SCHEMA:
        return f"the store has schema {found}, this program knows {t.SCHEMA}; use the newer program"
    if found < min(STEPS):
        return (
            f"the store has schema {found}, this program knows {min(STEPS)} to {t.SCHEMA} only; export it with the "
            "program that wrote it and import it into a new folder, or begin with an empty folder and sync from peers"
        )
    return None


def refuse_other(found: int) -> None:
    """Raises StoreVersion unless the store has this program's schema. For readers, which cannot upgrade it."""
    why = why_not(found)
    if why is None and found < t.SCHEMA:
        why = (
            f"the store has schema {found}, this program reads {t.SCHEMA}; nothing was changed. `banyan up`, or a "
            "command that writes, brings it there; then the older program cannot open it any more"
        )
    if why is not None:
        raise StoreVersion(why)


def refuse_realm(txn: ReadTxn, realm: Realm) -> None:
    """Raises StorageError for a store of another realm. An empty one is of none yet."""
    found = txn.get(t.META, t.REALM_KEY)
    if found in (None, realm.id):
        return
    held = next((name for name, one in REALMS.items() if one.id == found), None)
    of, back = (f"'{held}'", f"leave node.realm at '{held}', or ") if held else ("that this program lacks", "")
    raise StorageError(
        f"the store here is of the realm {of}, not of '{realm.name}', and entries are valid in one realm only; {back}"
        f"give '{realm.name}' a home of its own (--home)"
    )


def _loose_by_place(txn: WriteTxn, now_s: int, say: Say) -> None:
    """4 to 5: keys of loose entries have their place; values have their kind and time.

    The entries were judged by older rules, so each is marked as one that never counted, as of now.
    """
    rows: list[Item] = []
    total = txn.count(t.LOOSE)
    for done, (key, value) in enumerate(txn.scan(t.LOOSE), 1):
        raw = txn.get(t.ENTRIES, value)
        if raw is not None and is_record(raw):  # otherwise its place is unknown, and the row is useless
            seq = record_name(raw).seq
            row = t.Loose(seq, t.number(value), t.BRANCH, now_s)
            lid, half = _LOOSE_BEFORE.unpack(key)
            rows.append((t.chain_key(t.number(lid), seq) + half, t.loose_value(row)))
        if not done % SAY_ROWS:
            say(f"{done:,} of {total:,} entries that do not count have their new keys.")
    lids = {key[t.LOOSE_KEY.lid] for key, _ in rows}
    for lid in lids:  # due now; the chore then notes when the first entry may be forgotten
        name = txn.get(t.LOGS, lid)
        if name is not None:
            set_due(txn, Work.FORGET, name, now_s * 1000)
    txn.delete_range(t.LOOSE, b"", None)
    rows.sort()
    for at in range(0, len(rows), BLOCK):
        txn.put_many(t.LOOSE, rows[at : at + BLOCK])
    txn.put(t.META, t.NOTE + MEND.prefix, b"")


def _version_views(txn: WriteTxn, now_s: int, say: Say) -> None:
    """5 to 6: views have versions. What posts show was changed since, so all are built again, as none has one."""


def _guard_rows(txn: WriteTxn, now_s: int, say: Say) -> None:
    """6 to 7: rows that nothing else tells again have checksums. Whoever follows what changed reads all anew, once."""
    rows = [(key, t.guard(key, value)) for key, value in txn.scan(t.ARRIVED)]
    for at in range(0, len(rows), BLOCK):
        txn.put_many(t.ARRIVED, rows[at : at + BLOCK])
    journal.note_all(txn)
    invalidation.note_all(txn)
    txn.delete_range(invalidation.TOUCHED, b"", t.u64(invalidation.last(txn)))


def _begin_acts(txn: WriteTxn, now_s: int, say: Say) -> None:
    """7 to 8: acts of the node have a journal, which begins empty. An older program would act without a word in it."""


def _short_records(txn: WriteTxn, now_s: int, say: Say) -> None:
    """8 to 9: new records are shorter (entry_records.py), and an older program cannot read them. Others stay."""


def _copy_rows(txn: WriteTxn, now_s: int, say: Say) -> None:
    """9 to 10: rows of local state whose loss would show what was hidden have a copy."""
    reconcile(txn, TWICE)


STEPS: Mapping[int, Step] = {
    4: _loose_by_place,
    5: _version_views,
    6: _guard_rows,
    7: _begin_acts,
    8: _short_records,
    9: _copy_rows,
}
