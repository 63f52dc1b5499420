"""Which blobs the held content names, and which operations name a part. The rows follow the parts: they are written and
removed in their transactions.

So a blob is named exactly as long as content that names it is here (a post, a field of a profile, a channel), whether
it counts or not: what is erased, withheld or dropped names nothing any more. Views could not keep this, because a seed
is too small for it. `media_new` has the parts that nobody looked at yet, for whoever fetches blobs.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence

from banyan_crdt.blob import HASH_BYTES, BlobRoot
from banyan_crdt.errors import BanyanError
from banyan_crdt.ids import Coll
from banyan_crdt.ops import Add, Op, Part, Put, decode_body, part_of
from banyan_crdt.parts import content_of
from banyan_schema.registry import SOCIAL
from banyan_storage import tables as t
from banyan_storage.engine import Item, ReadTxn, WriteTxn
from banyan_storage.errors import CorruptStore
from banyan_storage.reader import StoreReader

# Operations that name held parts are read from their entries.

UNREADABLE = (BanyanError, CorruptStore, LookupError, ValueError, struct.error)
"""What reading a row of an unknown form may raise."""


class NamedParts:
    """The parts that entries name. Ask in key order, so that an entry is read once for all its parts."""

    def __init__(self, reader: StoreReader) -> None:
        self._reader, self._n, self._ops = reader, -1, tuple[Op, ...]()

    def op(self, key: bytes) -> Op | None:
        """The operation at a place."""
        n, at = t.part_place(key)
        if n != self._n:
            self._n, self._ops = n, self._read(n)
        return self._ops[at] if at < len(self._ops) else None

    def part(self, key: bytes) -> Part | None:
        op = self.op(key)
        return None if op is None else part_of(op)

    def _read(self, n: int) -> tuple[Op, ...]:
        try:
            e = self._reader.at(n)
            return decode_body(e.ops).ops if e else ()
        except UNREADABLE:
            return ()


def row_of(key: bytes, coll: Coll, part: bytes) -> Item | None:
    """The row of `media` for a checked part, or None if it names no blob. key: its place."""
    if part and SOCIAL.naming((coll,), (part,)):
        roots = SOCIAL.blobs_in(coll, content_of(part))
        return (key, b"".join(roots)) if roots else None
    return None


def row_of_op(key: bytes, op: Op, part: bytes) -> Item | None:
    """The same for an operation."""
    return row_of(key, op.coll, part) if isinstance(op, Put | Add) else None


def rows_of(keys: Sequence[bytes], colls: Sequence[Coll], parts: Sequence[bytes]) -> list[Item]:
    """The same for many parts. This is the hot path of ingest: of a usual post one byte is read."""
    some = SOCIAL.naming(colls, parts)
    return [row for k in some if (row := row_of(keys[k], colls[k], parts[k])) is not None]


def name(txn: WriteTxn, rows: Iterable[Item]) -> None:
    """These parts are held now."""
    known = sorted(rows)
    if known:
        txn.put_many(t.MEDIA, known)
        txn.put_many(t.BLOBS, sorted([(root + key, b"") for key, roots in known for root in split(roots)]))
        txn.put_many(t.MEDIA_NEW, [(key, b"") for key, _ in known])


def unname(txn: WriteTxn, start: bytes, stop: bytes) -> None:
    """The parts at these places, start <= place < stop, are not held any more."""
    for key, roots in list(txn.scan(t.MEDIA, start, stop)):
        txn.delete(t.MEDIA, key)
        txn.delete(t.MEDIA_NEW, key)
        for root in split(roots):
            txn.delete(t.BLOBS, root + key)


def split(roots: bytes) -> list[BlobRoot]:
    """The roots in a row of `media`."""
    return [BlobRoot(roots[at : at + HASH_BYTES]) for at in range(0, len(roots), HASH_BYTES)]


def is_named(txn: ReadTxn, root: BlobRoot) -> bool:
    """Whether any content that is held names the blob."""
    return any(txn.prefix(t.BLOBS, root, limit=1))


def places(txn: ReadTxn, root: BlobRoot, limit: int) -> list[tuple[int, int]]:
    """Where content names the blob: (arrival number, index of the operation), oldest first."""
    return [t.part_place(key[HASH_BYTES:]) for key, _ in txn.prefix(t.BLOBS, root, limit=limit)]


def roots_from(txn: ReadTxn, beginning: bytes) -> list[BlobRoot]:
    """The blobs that are named and begin so, each once."""
    return list(dict.fromkeys(BlobRoot(key[:HASH_BYTES]) for key, _ in txn.prefix(t.BLOBS, beginning)))


def unseen(txn: ReadTxn, after: bytes, limit: int) -> list[bytes]:
    """Places that nobody looked at, at which blobs are named. after: the last place that was read."""
    return [key for key, _ in txn.scan(t.MEDIA_NEW, after + b"\0" if after else b"", limit=limit)]


def look_again(txn: WriteTxn, keys: Iterable[bytes]) -> None:
    """Those of these places that name blobs are looked at once more: somebody wants what is said there now, or it is
    shown no more."""
    txn.put_many(t.MEDIA_NEW, [(key, b"") for key in sorted(keys) if txn.get(t.MEDIA, key) is not None])


def seen(txn: WriteTxn, keys: Iterable[bytes]) -> None:
    """These places were looked at."""
    for key in keys:
        txn.delete(t.MEDIA_NEW, key)


def _held(reader: StoreReader, txn: ReadTxn) -> Iterator[Item]:
    """The rows of `media` as the held parts say them."""
    named = NamedParts(reader)
    for key, raw in txn.scan(t.PARTS):
        try:
            op = named.op(key) if SOCIAL.may_name(raw) else None
            row = None if op is None else row_of_op(key, op, raw)
        except LookupError:  # these bytes are no part, which the check of parts says
            row = None
        if row is not None:
            yield row


def rebuild(txn: WriteTxn, reader: StoreReader) -> None:
    """Writes all rows again from the held parts."""
    for table in (t.MEDIA, t.BLOBS, t.MEDIA_NEW):
        txn.delete_range(table, b"", None)
    name(txn, list(_held(reader, txn)))


def opened(txn: WriteTxn, reader: StoreReader, fresh: bool) -> None:
    """Names blobs anew in a store of a program that knew less content that names some. fresh: the store is new. Commits
    nothing."""
    if txn.get(t.META, t.NAMING_KEY) != SOCIAL.naming_version:
        if not fresh:
            rebuild(txn, reader)
        txn.put(t.META, t.NAMING_KEY, SOCIAL.naming_version)


def faults(reader: StoreReader) -> Iterator[str]:
    """Where the rows and the held parts differ: sentences."""
    txn = reader.txn
    rows = set(txn.scan(t.MEDIA))
    for key, _ in sorted(rows ^ set(_held(reader, txn))):
        n, op = t.part_place(key)
        yield f"the row of the blobs that part {op} of arrival {n} names is not what the part says"
    by_place = {root + key for key, roots in rows for root in split(roots)}
    for row in sorted(by_place ^ {key for key, _ in txn.scan(t.BLOBS)}):
        yield f"blob {row[:8].hex()} is named in one of two tables only"
