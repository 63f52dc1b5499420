"""What a view is: a name, a version, tables of its own, and pure functions from the facts that a slot states to rows.

A slot shows something before a change and something else, or nothing, after it; the rows of the first go, the rows of
the second come. No two slots ever give the same row, so rows need no look at other slots. Counters are rows, too: they
follow the rows that they count (changes.py) and are read without counting.

A view that is new, or whose version is another than the store's, is built again (building.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from ..engine import Table

Row = tuple[Table, bytes, bytes]
"""Table, key, value."""
KeyOf = Callable[[bytes], bytes]
"""A part of a row's key."""
RowOf = Callable[[bytes, bytes, bytes, bytes], Row]
"""Of an account's number, the key of a fact, the slot's own key and element, and the place: one row."""


class Showing(NamedTuple):
    """What one slot shows. `slot`: account number 4 | coll 8 | kind 1 | key 16 | element 16, of a set."""

    slot: bytes
    place: bytes
    seed: bytes

    @property
    def account(self) -> bytes:
        """The account's number."""
        return self.slot[:4]


class Counter(NamedTuple):
    """How many rows of `rows` there are, by `key` of their keys: `counts` holds key -> u32, none where it is 0.

    once: rows that are equal in this much of their keys count once, for a liar may write one thing into many cells;
    None where every row counts.
    """

    rows: Table
    counts: Table
    key: KeyOf
    once: KeyOf | None = None


class View(NamedTuple):
    """`rows`: the kinds of facts that it listens to (banyan_schema.collection), and the row that it makes of each.
    `tables`: its rows; no other view writes there."""

    name: str
    version: int
    tables: tuple[Table, ...]
    rows: Mapping[str, RowOf]
    account_at: dict[Table, int]
    """Where in the keys of a table the number of the account stands that a row comes from."""
    counters: tuple[Counter, ...] = ()

    @property
    def all_tables(self) -> tuple[Table, ...]:
        return (*self.tables, *(counter.counts for counter in self.counters))


def by_account(table: Table) -> RowOf:
    """account number 4 | key | unique -> nothing"""
    return lambda account, key, unique, place: (table, account + key + unique, b"")


def by_target(table: Table) -> RowOf:
    """key | account number 4 | unique -> nothing"""
    return lambda account, key, unique, place: (table, key + account + unique, b"")


def count_value(count: int) -> bytes:
    return count.to_bytes(4, "big")


def count_of(raw: bytes | None) -> int:
    return int.from_bytes(raw or b"", "big")
