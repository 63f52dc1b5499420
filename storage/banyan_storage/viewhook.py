"""What the store tells the views, inside the transaction that it changes: views are never ahead of it, or behind."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from banyan_crdt.entry import Entry
from banyan_crdt.ids import AccountId, LogId
from banyan_crdt.ops import Body, Op

from .engine import WriteTxn
from .reader import StoreReader


class ArrivedPart(NamedTuple):
    """Content, without its salt, of operation `op_index` of a counted entry."""

    entry: Entry
    op_index: int
    op: Op
    content: bytes


class Views(Protocol):
    """Derived rows. `reader` sees all that is pending, including what the call is about."""

    def added(
        self, txn: WriteTxn, reader: StoreReader, log: LogId, entries: Sequence[Entry], bodies: Sequence[Body]
    ) -> None:
        """Entries were appended to what counts of a granted log. Their parts come later, through `parts_arrived`."""

    def rebuilt(
        self, txn: WriteTxn, reader: StoreReader, account: AccountId, counted: Iterator[tuple[Entry, Body]]
    ) -> None:
        """The account must be folded again from nothing. Use `counted` up; parts that are held are in `reader`.

        It has the granted logs in any order, each from seq 0; control entries are in `reader`.
        """

    def parts_arrived(self, txn: WriteTxn, reader: StoreReader, arrived: Sequence[ArrivedPart]) -> None:
        """Content of counted operations is now held."""

    def part_erased(self, txn: WriteTxn, reader: StoreReader, entry: Entry, op_index: int, op: Op) -> None:
        """Content of an operation, counted or not, is no longer held, or never will be."""


class NoViews:
    """A store without views: an archive, or a relay that serves entries and answers no queries."""

    def added(
        self, txn: WriteTxn, reader: StoreReader, log: LogId, entries: Sequence[Entry], bodies: Sequence[Body]
    ) -> None:
        return

    def rebuilt(
        self, txn: WriteTxn, reader: StoreReader, account: AccountId, counted: Iterator[tuple[Entry, Body]]
    ) -> None:
        for _ in counted:
            pass

    def parts_arrived(self, txn: WriteTxn, reader: StoreReader, arrived: Sequence[ArrivedPart]) -> None:
        return

    def part_erased(self, txn: WriteTxn, reader: StoreReader, entry: Entry, op_index: int, op: Op) -> None:
        return
