"""A view has a name, a version, tables of its own, and pure functions from the facts of a slot to rows.

When what a slot shows changes, the rows of the old state are removed and the rows of the new state are added. No two
slots give the same row, so no other slots need to be read. Counters are rows too: they are updated together with the
rows that they count (row_changes.py), and are read without counting.

A view that is new, or whose version differs from the store's, is rebuilt (builder.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from banyan_storage.engine import Item, Table
from banyan_storage.tables import RowLayout

Row = tuple[Table, bytes, bytes]
"""(table, key, value)."""
KeyOf = Callable[[bytes], bytes]
"""Key of a row -> a part of it."""
RowOf = Callable[[bytes, bytes, bytes, bytes], Row]
"""(account's number, key of a fact, the slot's own key and element, place) -> one row."""

OpeningPost = tuple[bytes, bytes, bytes, bytes]
"""(account's number, time, key of the post, place)."""
OpeningsOf = Callable[[Iterable[OpeningPost]], list[Item]]
"""New posts that answer nothing -> key and value of the row of each."""


class Counter(NamedTuple):
    """Counts the rows of table `rows`, grouped by `key` of their keys. Table `counts`: key -> u32; no row if it is 0.

    once: rows with the same value of this count once, because an account may write one thing into many cells; None:
    every row counts.
    """

    rows: Table
    counts: Table
    key: KeyOf
    once: KeyOf | None = None


class View(NamedTuple):
    """One view. `rows`: by kind of fact (banyan_schema.collection), the function that makes a row of it. `tables`: the
    tables of its rows; no other view writes there."""

    name: str
    version: int
    tables: tuple[Table, ...]
    rows: Mapping[str, RowOf]
    account_at: dict[Table, int]
    """By table, where the number of the account that gave the row is in its key and value, one behind the other."""
    counters: tuple[Counter, ...] = ()
    openings: OpeningsOf | None = None
    """The rows in its first table of posts that answer nothing, made without facts: nearly all entries are such."""

    @property
    def all_tables(self) -> tuple[Table, ...]:
        """Its tables, those of its counters included."""
        return (*self.tables, *(counter.counts for counter in self.counters))


BY_TIME = RowLayout("time 8 | account 4 | key 16")
"""The end of rows of posts of many accounts."""
BY_PLACE = RowLayout("time 8 | account 4 | place 8")
"""The same as a value, of which there are so many that each is short: the key of the post is read in its entry."""

UNIQUE = slice(-32, None)
"""The end of rows that elements of sets make: the cell's key and the element."""
BY = slice(-36, -32)
"""Before it, in some tables: the number of the account."""


def by_account(table: Table) -> RowOf:
    """account number 4 | key | unique -> nothing"""
    return lambda account, key, unique, place: (table, account + key + unique, b"")


def by_target(table: Table) -> RowOf:
    """key | account number 4 | unique -> nothing"""
    return lambda account, key, unique, place: (table, key + account + unique, b"")


def count_value(count: int) -> bytes:
    """The value of a counter's row, 4 bytes big-endian."""
    return count.to_bytes(4, "big")


def count_of(raw: bytes | None) -> int:
    """The count of such a value; 0 if there is no row."""
    return int.from_bytes(raw or b"", "big")
