"""Makes again what a store keeps of its entries beside them, after its file was damaged.

Entries prove themselves, and the node's log_check.py drops those that do not. The tables around them are made of them:
whose log a number stands for, the index of ids, counters, which content is wanted, which work is due. `names` is called
before a store is opened, `indexes` after it was mended. Neither commits. What stands nowhere else cannot be made again:
notes of this node, and the reasons for which content was withheld.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import islice

from banyan_crdt.checkpoint import Checkpoint, decode_checkpoint
from banyan_crdt.control import resolve_control
from banyan_crdt.entry import encode_header, entry_id
from banyan_crdt.errors import BanyanError
from banyan_crdt.ids import AccountId, WriterKey, control_log, is_checkpoint
from banyan_crdt.ops import Body, decode_body, part_of
from banyan_crdt.realm import Realm
from banyan_crdt.signing import verify as verify_signature
from banyan_storage import blob_names
from banyan_storage import tables as t
from banyan_storage.blob_names import NamedParts
from banyan_storage.due import Work, astray, set_due
from banyan_storage.engine import Engine, Item, Table, WriteTxn
from banyan_storage.entry_records import decode_record, is_record, record_after, record_id
from banyan_storage.errors import CorruptStore
from banyan_storage.lmdb_pages import Pages
from banyan_storage.reader import StoreReader
from banyan_storage.views.builder import counted
from banyan_storage.views.registry import GUARDED

BLOCK = 50_000
"""Rows put in one call."""
_MOST = 511
"""The most bytes of a key, and of a value of a table with several values of a key."""
_KEYS = {t.LOGS: 4, t.HEADS: 68, t.CHECKPOINTS: 64, t.ACCOUNTS: 32, t.ENTRIES: 6, t.CHAIN: 10, t.LOOSE: 26, t.IDS: 14}
_KEYS |= {t.ARRIVED: 6, t.ACTS: 8, t.CHARTER: 68}
_KEYS |= dict.fromkeys((t.PARTS, t.LACKING, t.WITHHELD, t.MEDIA, t.MEDIA_NEW), 8) | {t.ERASED: 34, t.BLOBS: 40}
"""The bytes of a key, as tables.py says."""
_VALUES = {t.LOGS: (68,), t.HEADS: (13, 45), t.CHAIN: (8,), t.LOOSE: (11,), t.LACKING: (36,)}


def copy_readable(pages: Pages, engine: Engine, may_show: bool) -> int:
    """Copies every row that can be read to an empty store, with commits. Returns how many.

    Raises CorruptStore, unless it `may_show`, if what was hidden may show again: rows are lost with their copies.
    """
    tables = {table.name: table for table in engine.tables}
    copied, whole = 0, set[Table]()
    for name, db in pages.tables().items():
        table = tables.get(name)
        if table is None:
            continue
        pages.faults.clear()  # to tell whether this table has any
        rows = (row for row in pages.rows(name, db) if _fits(table, row))
        while block := list(islice(rows, BLOCK)):
            engine.write().put_many(table, block)
            engine.commit()
            copied += len(block)
        if not pages.faults:
            whole.add(table)
    if copied and not may_show and not whole & {t.META, t.COPIES}:
        raise CorruptStore(
            "what only this node knows (hidden posts, hosted accounts) is damaged, and so is its copy: what was hidden "
            "could show again; nothing is repaired, and the store stays as it is: restore a copy of the home, or "
            "without one, run `banyan store repair --what-is-left`"
        )
    return copied


def _fits(table: Table, row: Item) -> bool:
    key, value = row
    if len(key) != _KEYS.get(table, len(key)) or len(value) not in _VALUES.get(table, (len(value),)):
        return False
    return 0 < len(key) <= _MOST and (not table.dupsort or 0 < len(value) <= _MOST)


def names(txn: WriteTxn, realm: Realm) -> int:
    """Makes log numbers and logs agree, by the entries: they prove whose log they are in. Returns how many did not.

    A log without a head gets an empty one, which a check of its entries corrects. The index of ids is made again too.
    """
    for table in _KEYS:
        for row in [row for row in txn.scan(table) if not _fits(table, row)]:
            txn.delete(table, row[0])
    if txn.get(t.META, t.STORE_ID_KEY) is not None and len(txn.get(t.META, t.SCHEMA_KEY) or b"") != 4:
        txn.put(t.META, t.SCHEMA_KEY, t.u32(t.SCHEMA))
    of_lid: dict[bytes, set[bytes]] = defaultdict(set)
    for name, raw in list(txn.scan(t.HEADS)):
        of_lid[raw[t.HEAD.lid]].add(name)
    wrong = [lid for lid, claim in of_lid.items() if claim != {txn.get(t.LOGS, lid)}]
    for lid, name in list(txn.scan(t.LOGS)):
        if lid not in of_lid:
            wrong.append(lid)
        of_lid[lid].add(name)
    right = {lid: name for lid in wrong for name in of_lid[lid] if _proved(txn, realm, lid, name)}
    of_name = defaultdict[bytes, list[bytes]](list)
    for lid, name in right.items():
        of_name[name].append(lid)
    for several in of_name.values():  # a number of which nothing is held proves nothing
        several.remove(max(several, key=lambda lid: any(txn.prefix(t.CHAIN, lid, limit=1))))
        for lid in several:
            del right[lid]
    for lid in wrong:
        for name in of_lid[lid]:
            if (txn.get(t.HEADS, name) or b"")[t.HEAD.lid] == lid and right.get(lid) != name:
                txn.delete(t.HEADS, name)
        txn.delete(t.LOGS, lid)
    for lid, name in right.items():
        txn.put(t.LOGS, lid, name)
        if (txn.get(t.HEADS, name) or b"")[t.HEAD.lid] != lid:
            txn.put(t.HEADS, name, lid + t.NO_HEAD)
    for account in [account for account, _ in txn.scan(t.ACCOUNTS)]:
        txn.put(t.ACCOUNTS, account, b"")  # a check of the control log makes them again
    accounts = {name[t.LOG_NAME.account] for name, _ in txn.scan(t.HEADS)}
    held = {account for account, _ in txn.scan(t.ACCOUNTS)}
    for account in held - accounts:
        txn.delete(t.ACCOUNTS, account)
    for account in accounts - held:
        txn.put(t.ACCOUNTS, account, b"")
    for table in (*GUARDED, t.CHARTER):
        for key in [key for key, raw in txn.scan(table) if t.guarded(key, raw) is None]:
            txn.put(table, key, t.guard(key, b""))  # not known, or perhaps all
    _ids(txn)  # the check of entries folds views again, and finds entries by it
    return len(wrong)


def _proved(txn: WriteTxn, realm: Realm, lid: bytes, name: bytes) -> bool:
    """Whether the first entry of the log of this number is in the log of this name."""
    log = t.log_of_name(name)
    if is_checkpoint(log):
        return txn.get(t.CHECKPOINTS, log.account + log.writer) is not None
    for row in txn.prefix(t.CHAIN, lid, limit=1):
        n = t.stretch_of(*row).n
        raw, below = txn.get(t.ENTRIES, t.u48(n)), txn.get(t.ENTRIES, t.u48(n - 1)) if n else None
        if raw is None or not is_record(raw):
            return False
        before = record_id(below) if below is not None and is_record(below) and record_after(raw) else None
        try:
            entry = decode_record(raw, log, before)
            return entry_id(realm, encode_header(entry.header)) == entry.id
        except (BanyanError, CorruptStore):
            return False
    return True  # nothing says otherwise


def indexes(txn: WriteTxn, realm: Realm) -> None:
    """Makes the index of ids, wanted content, due work and checkpoints again, and drops entries that are in no log."""
    _drop_homeless(txn)
    _ids(txn)
    reader = StoreReader(txn, realm)
    _content(txn, reader)
    blob_names.rebuild(txn, reader)
    _due(txn)
    _checkpoints(txn, realm)


def _drop_homeless(txn: WriteTxn) -> None:
    places = list[tuple[int, int]]()
    for table in (t.CHAIN, t.LOOSE):
        for key, value in list(txn.scan(table)):
            if txn.get(t.LOGS, key[t.CHAIN_KEY.lid]) is None:
                txn.delete(table, key)
            elif table is t.CHAIN:
                s = t.stretch_of(key, value)
                places.append((s.n, s.n + s.size))
            else:
                n = t.loose_of(key, value).n
                places.append((n, n + 1))
    places.sort(reverse=True)
    homeless = list[bytes]()
    for key, _ in txn.scan(t.ENTRIES):
        while places and places[-1][1] <= t.number(key):
            places.pop()
        if not places or t.number(key) < places[-1][0]:
            homeless.append(key)
    for key in homeless:
        txn.delete(t.ENTRIES, key)
    last = txn.last(t.ENTRIES)
    if last is not None and t.number(txn.get(t.META, t.LAST_KEY) or b"") < t.number(last[0]):
        txn.put(t.META, t.LAST_KEY, t.u64(t.number(last[0])))


def _ids(txn: WriteTxn) -> None:
    txn.delete_range(t.IDS, b"", None)
    rows = ((t.id_key(record_id(raw), t.number(key)), b"") for key, raw in txn.scan(t.ENTRIES) if is_record(raw))
    while block := sorted(islice(rows, BLOCK)):
        txn.put_many(t.IDS, block)
    last = txn.last(t.ENTRIES)
    txn.put(t.META, t.IDS_KEY, last[0] if last else t.u48(0))


def _content(txn: WriteTxn, reader: StoreReader) -> None:
    """Content that no entry names is not held or withheld; what is named, counts and is not here is wanted."""
    for table in (t.PARTS, t.WITHHELD):
        named = NamedParts(reader)
        for key in [key for key, _ in txn.scan(table) if len(key) != 8 or named.part(key) is None]:
            txn.delete(table, key)
    for key, _ in txn.scan(t.WITHHELD):
        txn.delete(t.PARTS, key)
    txn.delete_range(t.LACKING, b"", None)
    for account in reader.accounts():
        wanted = dict[bytes, bytes]()
        for n, body in _bodies(reader, account):
            for op, one in enumerate(body.ops):
                part, key = part_of(one), t.part_key(n, op)
                if part is not None and txn.get(t.PARTS, key) is None and txn.get(t.WITHHELD, key) is None:
                    wanted[key] = t.wanted_value(part)
        txn.put_many(t.LACKING, sorted(wanted.items()))


def _bodies(reader: StoreReader, account: AccountId) -> Iterator[tuple[int, Body]]:
    """(arrival, what counts) of every entry of an account that counts."""
    root = control_log(account)
    try:
        for n, entry in zip(reader.counted_arrivals(root), reader.chain(root), strict=True):
            yield n, decode_body(entry.ops)
    except (BanyanError, CorruptStore):
        pass  # the check after the repair names it
    yield from ((c.n, c.body) for c in counted(reader, account))


def _due(txn: WriteTxn) -> None:
    """Work that is stored by name alone or by time alone is due at once: a row that is too early does no harm."""
    known = {work.value for work in Work}
    for work, key, at in astray(txn):
        txn.delete(t.DUE, work + b"\0" + at + key)
        txn.delete(t.DUE, work + b"\1" + key)
        if work[0] in known and len(key) in (32, 56, 66, 68):
            set_due(txn, Work(work[0]), key, 0)
    for key in {key[t.LOOSE_KEY.lid] for key, _ in txn.scan(t.LOOSE)}:
        log = txn.get(t.LOGS, key)
        if log is not None and txn.get(t.DUE, bytes((Work.FORGET,)) + b"\1" + log) is None:
            set_due(txn, Work.FORGET, log, 0)


def _checkpoints(txn: WriteTxn, realm: Realm) -> None:
    """Drops checkpoints that are not what their place says, are not signed by their writer, or whose writer the control
    log does not name; peers have them."""
    held, sound = set[bytes](), list[Checkpoint]()
    for key, raw in list(txn.scan(t.CHECKPOINTS)):
        try:
            made = decode_checkpoint(realm, raw)
            verify_signature(realm, made.writer, made.id, made.sig)
        except BanyanError:
            made = None
        if made is None or made.account + made.writer != key:
            txn.delete(t.CHECKPOINTS, key)
        else:
            sound.append(made)
    reader, entitles = StoreReader(txn, realm), dict[AccountId, Callable[[WriterKey], bool]]()
    for made in sound:
        if made.account not in entitles:
            control = resolve_control(reader.control(made.account), reader.checkpoints(made.account))
            entitles[made.account] = control.entitles
        if not entitles[made.account](made.writer):
            txn.delete(t.CHECKPOINTS, made.account + made.writer)
            continue
        held.add(t.log_name(made.log_id))
        lid = (txn.get(t.HEADS, t.log_name(made.log_id)) or b"")[t.HEAD.lid]
        if lid:
            txn.put(t.HEADS, t.log_name(made.log_id), t.head_value(t.number(lid), made.head))
    for name, raw in list(txn.scan(t.HEADS)):
        if is_checkpoint(t.log_of_name(name)) and name not in held:
            txn.put(t.HEADS, name, raw[t.HEAD.lid] + t.NO_HEAD)
