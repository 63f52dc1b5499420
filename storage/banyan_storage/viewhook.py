"""What the store tells the views, inside the transaction of the change. So views always agree with the store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from banyan_crdt.entry import Entry
from banyan_crdt.ids import AccountId, Head, LogId
from banyan_crdt.ops import Body, Op
from banyan_crdt.single import Puts

from .engine import WriteTxn
from .reader import StoreReader


class Append(NamedTuple):
    """Entries that extend what counts of one granted log.

    `bodies`: the ops that count of each entry (void ones are empty). `parts`: the bytes, salt and framing included and
    checked against their hashes, of every operation of those bodies that names a part, in the order of entries and
    operations; None, or a sequence that ends early: not held yet. `head`: where the log stands then.
    """

    log: LogId
    entries: Sequence[Entry]
    bodies: Sequence[Body]
    parts: Sequence[bytes | None]
    head: Head
    puts: Puts | None = None
    """Where every body is one put over nothing else, and `parts` holds the content of each, what they put: the usual
    posts, most of what there is."""


class CountedEntry(NamedTuple):
    """An entry of a granted log that counts, its arrival number, and the ops that count."""

    n: int
    entry: Entry
    body: Body


class ArrivedPart(NamedTuple):
    """Content, without its salt, of operation `op_index` of a counted entry, which arrived as number `n`."""

    n: int
    entry: Entry
    op_index: int
    op: Op
    content: bytes


class ViewHooks(Protocol):
    """Derived rows. `reader` sees all that is pending, including what the call is about."""

    def opened(self, txn: WriteTxn, fresh: bool) -> None:
        """The store is open; `fresh`: nothing was ever written to it. What the views write is committed."""

    def added(self, txn: WriteTxn, reader: StoreReader, batch: Sequence[Append], firsts: Sequence[int]) -> None:
        """Logs were extended, with what content is at hand; other content comes later, through `parts_arrived`.

        `firsts`: the arrival number of the first entry of each append; the others have the numbers after it.
        """

    def rebuilt(self, txn: WriteTxn, reader: StoreReader, account: AccountId, counted: Iterator[CountedEntry]) -> None:
        """The account must be folded again from nothing. Use `counted` up; parts that are held are in `reader`.

        It has the granted logs in any order, each from seq 0; control entries are in `reader`.
        """

    def taken_out(self, txn: WriteTxn, reader: StoreReader, account: AccountId, gone: Sequence[CountedEntry]) -> bool:
        """These entries of the account count no more, and nothing else of it changed. False: nothing was done, since
        more follows from it than taking out what they say; then call `rebuilt`."""

    def parts_arrived(self, txn: WriteTxn, reader: StoreReader, arrived: Sequence[ArrivedPart]) -> None:
        """Content of counted operations is now held."""

    def part_erased(self, txn: WriteTxn, reader: StoreReader, entry: Entry, op_index: int, op: Op) -> None:
        """Content of an operation, counted or not, is no longer held, or never will be."""


class NoViews:
    """A store without views: an archive, or a relay that serves entries and answers no queries."""

    def opened(self, txn: WriteTxn, fresh: bool) -> None:
        return

    def added(self, txn: WriteTxn, reader: StoreReader, batch: Sequence[Append], firsts: Sequence[int]) -> None:
        return

    def rebuilt(self, txn: WriteTxn, reader: StoreReader, account: AccountId, counted: Iterator[CountedEntry]) -> None:
        for _ in counted:
            pass

    def taken_out(self, txn: WriteTxn, reader: StoreReader, account: AccountId, gone: Sequence[CountedEntry]) -> bool:
        return True

    def parts_arrived(self, txn: WriteTxn, reader: StoreReader, arrived: Sequence[ArrivedPart]) -> None:
        return

    def part_erased(self, txn: WriteTxn, reader: StoreReader, entry: Entry, op_index: int, op: Op) -> None:
        return
