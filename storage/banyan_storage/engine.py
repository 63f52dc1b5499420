"""The interface of a key-value engine: ordered tables of bytes, one transaction at a time.

There are two engines: lmdb_engine (a folder on disk) and memory_engine (the simulator's disk, which can lose power).
One conformance suite, tests/storage/test_engine_conformance.py, checks both against this text.

- Keys and values are bytes. A key is 1..511 bytes; keys order as bytes do, a prefix first: b"a" < b"a\\x00" < b"b".
- A table holds one value per key; a dupsort table holds a sorted set of values per key, each value 1..511 bytes, or of
  the table's `size`.
- Writing a key or value outside these bounds is ValueError and changes nothing; reading such a key finds nothing.
- One owner thread writes. All its writes go into the one pending transaction, which opens with the first write. Only
  the owner's reads through `write()` see pending writes.
- `commit()` makes all pending writes durable at once, or raises and drops all of them. After a power loss the store is
  as the last commit that returned left it. If power was lost inside a commit, that commit is there whole or not at all.
- `read()` gives any thread a snapshot of one commit, which does not change while it is held.

Returned bytes are the caller's to keep; none refer to the engine's own memory.
"""

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from operator import ge
from pathlib import Path
from typing import Any, NamedTuple, Protocol

MAX_KEY = 511
Item = tuple[bytes, bytes]


class Table(NamedTuple):
    """A named table. dupsort: a key holds a sorted set of values instead of one value. size: bytes of each value of
    such a set, of which each then takes 10 less; 0: they differ. walked: its pages are checked whenever the store is
    opened, so it is small."""

    name: str
    dupsort: bool = False
    size: int = 0
    walked: bool = False

    @property
    def kind(self) -> dict[str, Any]:
        """How LMDB opens it."""
        return {"dupsort": self.dupsort, "dupfixed": self.size > 0}


class Sizes(NamedTuple):
    """map_size: bytes reserved. used: bytes of the committed store. live: those of them that hold something; what was
    erased left the others, and they are written again before the store grows."""

    map_size: int
    used: int
    live: int


class ReadTxn(Protocol):
    """Ordered reads of one state of the store. `scan` and `prefix` are lazy.

    Do not change a table while an iterator over it is in use: make a list first. Iterators end with their transaction.
    """

    def get(self, table: Table, key: bytes) -> bytes | None:
        """The value at key (of a dupsort table: the smallest), or None."""

    def get_many(self, table: Table, sorted_keys: Iterable[bytes]) -> Iterator[Item]:
        """(key, value) of those keys that are there, in the order asked. Ascending keys are cheapest."""

    def scan(
        self,
        table: Table,
        start: bytes = b"",
        stop: bytes | None = None,
        reverse: bool = False,
        limit: int | None = None,
    ) -> Iterator[Item]:
        """Entries with start <= key < stop in key order, or in reverse from just below stop; at most limit of them.

        stop None means the end of the table. A dupsort table gives each of a key's values, in value order.
        """

    def prefix(self, table: Table, prefix: bytes, reverse: bool = False, limit: int | None = None) -> Iterator[Item]:
        """Entries whose key begins with prefix."""

    def prefixes(
        self, table: Table, sorted_prefixes: Iterable[bytes], each: int | None = None
    ) -> Iterator[tuple[bytes, bytes, bytes]]:
        """(prefix, key, value) of the entries whose keys begin with these; of each at most so many.

        Of a table without dupsort; ascending prefixes are cheapest.
        """

    def last(self, table: Table) -> Item | None:
        """The entry with the greatest key (and of it the greatest value), or None when the table is empty."""

    def count(self, table: Table) -> int:
        """Number of entries in the table, each value of a dupsort key counted. Costs the same for any size."""

    def dups(
        self, table: Table, key: bytes, start: bytes = b"", stop: bytes | None = None, reverse: bool = False
    ) -> Iterator[bytes]:
        """The values at key with start <= value < stop in value order, or in reverse from just below stop.

        None or one when the table is not dupsort.
        """

    def beginning(
        self, table: Table, sorted_starts: Iterable[Item], each: int | None = 1
    ) -> Iterator[tuple[bytes, bytes, bytes]]:
        """(key, start, value) for each (key, start): the values at key that begin with start; at most so many of each.

        Of a dupsort table; ascending questions are cheapest.
        """

    def ending(self, table: Table, sorted_stops: Iterable[tuple[bytes, bytes | None]]) -> Iterator[Item]:
        """(key, value) for each (key, stop): the last value at key below stop (None: of all), if there is one.

        Of a dupsort table; ascending questions are cheapest.
        """

    def dup_count(self, table: Table, key: bytes) -> int:
        """How many values a key of a dupsort table has. Costs the same for any number."""

    def faults(self) -> list[str]:
        """What is wrong below the tables, where this engine keeps their rows: sentences. Reads all of the last commit.

        While there is anything, no other answer of the engine can be believed, and it may end the process.
        """


class WriteTxn(ReadTxn, Protocol):
    """The pending transaction, on the owner thread. Reads see pending writes."""

    def put(self, table: Table, key: bytes, value: bytes) -> None:
        """Set key to value. In a dupsort table: add value to the key's set."""

    def put_many(self, table: Table, items: Iterable[Item], append: bool = False) -> None:
        """Put all items. Ascending keys are cheapest.

        append True promises that the items ascend and are above all others in the table, which fills pages completely.
        If that is not so, it raises ValueError and puts nothing.
        """

    def delete(self, table: Table, key: bytes, value: bytes | None = None) -> bool:
        """Remove key; with a value, only if that is (of a dupsort table: is one of) its value. True if it was there."""

    def delete_range(self, table: Table, start: bytes, stop: bytes | None) -> int:
        """Remove all entries with start <= key < stop (None: to the end). Returns how many."""


class Engine(Protocol):
    """A store of the fixed tables given at its construction. Errors are banyan_storage.errors.StorageError."""

    @property
    def tables(self) -> tuple[Table, ...]: ...

    @property
    def writable(self) -> bool:
        """False when the store could only be opened for reading; then write() raises StoreReadOnly."""

    @property
    def pending(self) -> bool:
        """Whether anything was written since the last commit or rollback. Owner thread."""

    def write(self) -> WriteTxn:
        """The pending transaction. The object stays valid after commits and then means the next transaction."""

    def commit(self) -> None:
        """Make all pending writes durable (fsync), or raise and drop them all. Does nothing if there are none."""

    def rollback(self) -> None:
        """Forget all pending writes."""

    def read(self) -> AbstractContextManager[ReadTxn]:
        """A snapshot of the last commit, for the thread that opened it. Hold it briefly: it keeps old pages alive.

        The owner thread reads through `write()`; while it holds a snapshot of its own, a write that must grow the store
        cannot, and raises SnapshotHeld.
        """

    def compact(self, path: Path) -> None:
        """Write a compacted copy of the committed store into the folder at path, which is new or empty."""

    def sizes(self) -> Sizes:
        """The sizes of the committed store."""

    def close(self) -> None:
        """Drop pending writes and release the store. A second close does nothing."""


def after_prefix(prefix: bytes) -> bytes | None:
    """The smallest key above every key that begins with prefix; None when there is none (all 0xff, or empty)."""
    head = prefix.rstrip(b"\xff")
    return head[:-1] + bytes([head[-1] + 1]) if head else None


def check_items(table: Table, items: list[Item], append: bool, last: Item | None) -> None:
    """Raise ValueError unless items may be put: bounds of keys and values, and the promise made by append."""
    if not items:
        return
    if len(items) == 1 and not append and not table.dupsort and 0 < len(items[0][0]) <= MAX_KEY:
        return
    keys, values = zip(*items, strict=True)
    sizes, widths = {*map(len, keys)}, {*map(len, values)} if table.dupsort else set()
    sizes |= widths
    if min(sizes) < 1 or max(sizes) > MAX_KEY:
        what = "keys and values" if table.dupsort else "keys"
        raise ValueError(
            f"table {table.name}: {what} are 1..{MAX_KEY} bytes, got {min(sizes)}..{max(sizes)}; hash long ones"
        )
    if table.size and {table.size} != widths:
        raise ValueError(f"table {table.name}: values are {table.size} bytes")
    if append:
        falls = any(map(ge, items, items[1:])) if table.dupsort else any(map(ge, keys, keys[1:]))
        if falls or (last is not None and (last >= items[0] if table.dupsort else last[0] >= keys[0])):
            raise ValueError(f"table {table.name}: append=True needs ascending items above {last!r}; put them plainly")
