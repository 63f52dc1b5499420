"""Local state: what this node remembers for itself and never sends to peers, as rows with a declared key and value.

A row lies in the table `meta` under `note:`, the prefix of its kind and its key. Kinds are declared in local_tables.py
and nowhere else, and nothing but this module reads and writes such rows. No prefix begins another kind's prefix or
value, so a row is of one kind. A kind has a version. `opened` brings rows of an earlier version to that of the program,
and deletes what no program uses any more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Generic, NamedTuple, Protocol, TypeAlias, TypeVar, get_type_hints

import msgspec

from banyan_crdt.blob import BlobRoot
from banyan_crdt.codec import decode, encode
from banyan_crdt.errors import BanyanError
from banyan_crdt.ids import AccountId, CellKey, EntryId, Ref
from banyan_schema.address import Target
from banyan_storage import tables as t
from banyan_storage.engine import ReadTxn, WriteTxn, after_prefix
from banyan_storage.errors import CorruptStore, StoreVersion

K = TypeVar("K")
V = TypeVar("V")
A = TypeVar("A")
B = TypeVar("B")
Raw = TypeVar("Raw", bound=bytes)
VERSIONS_KEY = b"local state"
"""The name in `meta` of the versions that are not 1, by prefix, as JSON."""

UNPACKED = 1_024
"""Values of a kind that are kept read: the same few are read for many pages."""
DAMAGED = BanyanError, ValueError, TypeError, LookupError, msgspec.DecodeError
"""What reading bytes that no program wrote may raise."""


class HasNotes(Protocol):
    def note(self, key: bytes) -> bytes | None: ...


class HasAllNotes(HasNotes, Protocol):
    def notes(self, prefix: bytes = b"", after: bytes | None = None) -> Iterator[tuple[bytes, bytes]]: ...


class HasFewNotes(HasNotes, Protocol):
    def few_notes(self, prefix: bytes) -> frozenset[bytes] | None: ...


class TakesNotes(HasNotes, Protocol):
    def put_note(self, key: bytes, value: bytes | None) -> None: ...


# -- codecs


class Codec(NamedTuple, Generic[V]):
    """unpack raises one of DAMAGED. size: in bytes; None: it goes to the end."""

    pack: Callable[[V], bytes]
    unpack: Callable[[bytes], V]
    size: int | None = None


def _sized(raw: bytes, size: int) -> bytes:
    if len(raw) != size:
        raise ValueError(f"it has {len(raw)} bytes instead of {size}")
    return raw


def fixed(size: int, kind: Callable[[bytes], Raw]) -> Codec[Raw]:
    """So many bytes, such as an id."""
    return Codec(bytes, lambda raw: kind(_sized(raw, size)), size)


def number(size: int, down: bool = False) -> Codec[int]:
    """An unsigned number. down: greater ones come before smaller ones."""
    most = (1 << 8 * size) - 1 if down else 0
    return Codec(
        lambda n: (n ^ most).to_bytes(size, "big"), lambda raw: int.from_bytes(_sized(raw, size), "big") ^ most, size
    )


def both(first: Codec[A], second: Codec[B]) -> Codec[tuple[A, B]]:
    """One after the other. The first one has a size."""
    cut = first.size
    assert cut is not None
    size = None if second.size is None else cut + second.size
    return Codec(
        lambda pair: first.pack(pair[0]) + second.pack(pair[1]),
        lambda raw: (first.unpack(raw[:cut]), second.unpack(raw[cut:] if size is None else _sized(raw, size)[cut:])),
        size,
    )


def pair_as(kind: Callable[[A, B], V], first: Codec[A], second: Codec[B]) -> Codec[V]:
    """The same of a NamedTuple of two fields."""
    pair = both(first, second)
    pack: Callable[[Any], bytes] = pair.pack
    return Codec(pack, lambda raw: kind(*pair.unpack(raw)), pair.size)


def json(kind: type[V]) -> Codec[V]:
    return Codec(msgspec.json.encode, msgspec.json.Decoder(kind).decode)


def cbor(kind: type[V]) -> Codec[V]:
    """A NamedTuple of numbers, bytes and texts as an array. Truths are 0 or 1 there, and texts bytes."""
    texts = [at for at, hint in enumerate(get_type_hints(kind).values()) if hint is str]

    def pack(value: Any) -> bytes:
        return encode([x.encode() if isinstance(x, str) else int(x) if isinstance(x, bool) else x for x in value])

    @lru_cache(UNPACKED)
    def unpack(raw: bytes) -> V:
        values = decode(raw)
        for at in texts:
            values[at] = bytes.decode(values[at])
        return msgspec.convert(values, kind, strict=False, builtin_types=(bytes,))

    return Codec(pack, unpack)


BYTES = Codec[bytes](bytes, bytes)
TEXT = Codec[str](str.encode, bytes.decode)
U16, U32, U64 = number(2), number(4), number(8)
DOWN = number(8, down=True)
MARK = Codec[bool](lambda is_set: b"", lambda raw: True)
"""Of a row that says all by being there."""


ACCOUNT, ENTRY, ROOT, HASH = fixed(32, AccountId), fixed(32, EntryId), fixed(32, BlobRoot), fixed(16, bytes)
OP = pair_as(Ref, ENTRY, U16)
POST = pair_as(Target, ACCOUNT, fixed(16, CellKey))


# -- kinds of rows


@dataclass(frozen=True, slots=True)
class LocalRows(Generic[K, V]):
    """Rows with a key. owner: the module that decides what they mean. upgrade: makes the bytes of a value of the given
    earlier version those of this one; None: the row goes, and its owner makes it again. twice: a second table has them
    too, because without them what was hidden would show, or who is hosted or to be erased be forgotten. (A kind that
    becomes so needs a step of upgrade.py that copies its rows.)"""

    prefix: bytes
    owner: str
    key: Codec[K]
    value: Codec[V]
    version: int = 1
    upgrade: Callable[[bytes, int], bytes | None] = lambda raw, version: None
    twice: bool = False

    def get(self, reader: HasNotes, key: K) -> V | None:
        raw = reader.note(self.prefix + self.key.pack(key))
        return None if raw is None else _unpack(self, self.value, raw)

    def has(self, reader: HasNotes, key: K) -> bool:
        return reader.note(self.prefix + self.key.pack(key)) is not None

    def among_few(self, store: HasFewNotes, key: K) -> bool:
        """As `has`, but of the store, which remembers the keys of a kind with few rows."""
        few = store.few_notes(self.prefix)
        return self.has(store, key) if few is None else self.prefix + self.key.pack(key) in few

    def put(self, store: TakesNotes, key: K, value: V | None, differs: bool = False) -> None:
        """Writes what differs. None: deletes the row. differs: that is known, so it is not read before."""
        name, size = self.key.pack(key), self.key.size
        _put(
            store,
            self.prefix + (name if size is None else _sized(name, size)),
            None if value is None else self.value.pack(value),
            differs,
        )

    def rows(
        self, reader: HasAllNotes, begin: bytes = b"", after: K | None = None, damaged: list[K] | None = None
    ) -> Iterator[tuple[K, V]]:
        """In the order of keys. begin: what the bytes of the key begin with. after: only those behind this key. A row
        that cannot be read is passed over, so that it does not hide the others; damaged: gets its key."""
        for name, raw in self._raw(reader, begin, after):
            key = None
            try:
                key = self._key(name)
                value = _unpack(self, self.value, raw)
            except CorruptStore:
                if damaged is not None and key is not None:
                    damaged.append(key)
                continue
            yield key, value

    def keys(self, reader: HasAllNotes, begin: bytes = b"", after: K | None = None) -> Iterator[K]:
        return (self._key(key) for key, _ in self._raw(reader, begin, after))

    def any(self, reader: HasAllNotes, begin: bytes = b"") -> bool:
        return next(self._raw(reader, begin, None), None) is not None

    def _raw(self, reader: HasAllNotes, begin: bytes, after: K | None) -> Iterator[tuple[bytes, bytes]]:
        return reader.notes(self.prefix + begin, None if after is None else self.prefix + self.key.pack(after))

    def _key(self, name: bytes) -> K:
        return _unpack(self, self.key, name[len(self.prefix) :])


@dataclass(frozen=True, slots=True)
class LocalValue(Generic[V]):
    """One row, whose prefix is its whole key. The fields are those of LocalRows."""

    prefix: bytes
    owner: str
    value: Codec[V]
    version: int = 1
    upgrade: Callable[[bytes, int], bytes | None] = lambda raw, version: None
    twice: bool = False

    def get(self, reader: HasNotes) -> V | None:
        raw = reader.note(self.prefix)
        return None if raw is None else _unpack(self, self.value, raw)

    def put(self, store: TakesNotes, value: V | None, differs: bool = False) -> None:
        """Writes what differs. None: deletes it. differs: as in LocalRows."""
        _put(store, self.prefix, None if value is None else self.value.pack(value), differs)


Kind: TypeAlias = LocalRows[Any, Any] | LocalValue[Any]


def _unpack(kind: Kind, codec: Codec[V], raw: bytes) -> V:
    try:
        return codec.unpack(raw)
    except DAMAGED as error:
        says = f"a row '{kind.prefix.decode()}' of local state is damaged ({error}); `banyan store repair` takes it out"
        raise CorruptStore(says) from error


def _put(store: TakesNotes, name: bytes, raw: bytes | None, differs: bool) -> None:
    if differs or store.note(name) != raw:
        store.put_note(name, raw)


# -- all of them


def write_row(txn: WriteTxn, name: bytes, raw: bytes | None, twice: tuple[bytes, ...]) -> None:
    """Writes a row, or deletes it (None); those under the prefixes `twice` in both tables."""
    if raw is None:
        txn.delete(t.META, t.NOTE + name)
    else:
        txn.put(t.META, t.NOTE + name, raw)
    if not name.startswith(twice):
        return
    if raw is None:
        txn.delete(t.COPIES, name)
    else:
        txn.put(t.COPIES, name, t.guard(name, raw))


def apart(txn: ReadTxn, twice: tuple[bytes, ...]) -> Iterator[tuple[bytes, bytes | None, bytes | None]]:
    """The name of each row that its two tables do not say alike, what `meta` says, and what its copy says; None: it
    has no such row, or no copy whose checksum is right."""
    copies = dict(txn.scan(t.COPIES))
    for key, raw in txn.prefix(t.META, t.NOTE):
        name = key[len(t.NOTE) :]
        if name.startswith(twice):
            copy = copies.pop(name, None)
            if copy is None or (copy := t.guarded(name, copy)) != raw:
                yield name, raw, copy
    for name, copy in copies.items():
        yield name, None, t.guarded(name, copy) if name.startswith(twice) else None


def reconcile(txn: WriteTxn, twice: tuple[bytes, ...]) -> list[str]:
    """Makes both tables say the same: what a copy proves, else what is in `meta`. A row that is lost there may be there
    under a name of which one byte is wrong; that one goes. Returns a sentence for each prefix of which rows are back.
    Commits nothing."""
    back, wrong = Counter[bytes](), [*apart(txn, twice)]
    lost = [(name, copy) for name, raw, copy in wrong if raw is None and copy is not None]
    for name, raw, copy in wrong:
        if copy is None and any(raw == right and _one_byte_off(name, other) for other, right in lost):
            raw = None
        write_row(txn, name, raw if copy is None else copy, twice)
        if copy is None and raw is None:
            txn.delete(t.COPIES, name)
        if copy is not None:
            back[next((prefix for prefix in twice if name.startswith(prefix)), b"")] += 1
    return [
        f"Rows '{prefix.decode()}' that were lost or changed are back from their copies: {back[prefix]}"
        for prefix in back
    ]


def _one_byte_off(name: bytes, other: bytes) -> bool:
    return len(name) == len(other) and sum(a != b for a, b in zip(name, other, strict=True)) == 1


def opened(txn: WriteTxn, kinds: Iterable[Kind], retired: Iterable[bytes], twice: tuple[bytes, ...]) -> None:
    """Brings the rows of a store to the versions of these kinds. retired: prefixes that older programs used. Raises
    StoreVersion. Commits nothing."""
    held: dict[str, int] = msgspec.json.decode(txn.get(t.META, VERSIONS_KEY) or b"{}")
    for prefix in retired:
        for key in [key for key, _ in txn.prefix(t.META, t.NOTE + prefix)]:
            txn.delete(t.META, key)
    changed = False
    for kind in kinds:
        name, begin = kind.prefix.decode(), t.NOTE + kind.prefix
        if (version := held.get(name, 1)) == kind.version:
            continue
        if version > kind.version:
            says = f"the rows '{name}' of the store are of version {version}, and this program knows {kind.version}"
            raise StoreVersion(f"{says}: run the newer program")
        stop = after_prefix(begin) if isinstance(kind, LocalRows) else begin + b"\0"
        for key, raw in [*txn.scan(t.META, begin, stop)]:
            new = kind.upgrade(raw, version)
            write_row(txn, key[len(t.NOTE) :], new, twice)
        held[name], changed = kind.version, True
    if changed:
        txn.put(t.META, VERSIONS_KEY, msgspec.json.encode(held))


class DamagedRow(NamedTuple):
    """A row that cannot be read. kind: its name; empty: none that this program knows."""

    kind: str
    name: bytes
    raw: bytes
    why: str

    @property
    def sentence(self) -> str:
        """Of printable characters, without a full stop."""
        where = f"the row {repr(self.name[:80])[1:]}"
        return f"{where} of {self.kind!r} is damaged: {self.why}" if self.kind else f"{where} is {self.why}"


class LocalUsage(NamedTuple):
    """bytes: of keys and values."""

    rows: int
    bytes: int
    damaged: list[DamagedRow]


def held(reader: HasAllNotes, kinds: Mapping[str, Kind]) -> dict[str, LocalUsage]:
    """Every row, by the name of its kind; of those that none declares, by an empty name. Checks each."""
    values = {kind.prefix: name for name, kind in kinds.items() if isinstance(kind, LocalValue)}
    found = {name: LocalUsage(0, 0, []) for name in ("", *kinds)}
    rows = [(kind.prefix, name) for name, kind in kinds.items() if isinstance(kind, LocalRows)]
    for key, raw in reader.notes():
        name = values.get(key) or next((name for prefix, name in rows if key.startswith(prefix)), "")
        one = found[name]
        found[name] = one._replace(rows=one.rows + 1, bytes=one.bytes + len(key) + len(raw))
        if not name:
            why = "of no kind that this program knows; it is of another program, or damaged"
            one.damaged.append(DamagedRow(name, key, raw, why))
            continue
        kind = kinds[name]
        try:
            if isinstance(kind, LocalRows):
                kind.key.unpack(key[len(kind.prefix) :])
            kind.value.unpack(raw)
        except DAMAGED as error:
            one.damaged.append(DamagedRow(name, key, raw, str(error)))
    return found


def take_out(store: TakesNotes, row: DamagedRow, kinds: Mapping[str, Kind]) -> DamagedRow | None:
    """Deletes the row. If one byte of its name was changed, which makes it of no kind, it is put back under the right
    name; then it is returned as it is now."""
    store.put_note(row.name, None)
    for name, kind in kinds.items() if not row.kind else ():
        prefix, key = kind.prefix, row.name[len(kind.prefix) :]
        right = prefix + key
        fits = isinstance(kind, LocalRows) or not key
        if fits and _one_byte_off(row.name, right) and store.note(right) is None:
            with suppress(*DAMAGED):
                if isinstance(kind, LocalRows):
                    kind.key.unpack(key)
                kind.value.unpack(row.raw)
                store.put_note(right, row.raw)
                return row._replace(kind=name, name=right)
    return None
