"""The calls from the store to its views. They happen in the transaction of the change, so both always agree."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol, TypeAlias

from banyan_crdt.entry import Entry
from banyan_crdt.ids import AccountId, Head, LogId
from banyan_crdt.ops import Body, Op
from banyan_crdt.shapes import Puts
from banyan_storage.engine import WriteTxn
from banyan_storage.reader import StoreReader


class Append(NamedTuple):
    """Entries that extend one log.

    bodies: the ops of each entry that count (empty for a void entry). parts: the checked bytes, with salt and framing,
    of every operation in `bodies` that names a part, in order; None for one that is not held, and missing ones at the
    end are not held either. head: that of the log afterwards.
    """

    log: LogId
    entries: Sequence[Entry]
    bodies: Sequence[Body]
    parts: Sequence[bytes | None]
    head: Head
    puts: Puts | None = None
    """Set if every body is a single put that replaces nothing, and `parts` has the content of each. These are the usual
    posts, which are most entries."""
    later: bool = False
    """Whether it is folded in steps, by `fold_again`, unless views are being built: a long run of a peer."""


class CountedEntry(NamedTuple):
    """A counted entry of a granted log, its arrival number, and the ops that count."""

    n: int
    entry: Entry
    body: Body


Wanting: TypeAlias = Callable[[Iterable[tuple[Entry, Body]]], Iterator[CountedEntry]]
"""Gives counted entries their arrival numbers, and notes which of their content is asked for. It must be exhausted."""


class ArrivedPart(NamedTuple):
    """Content, without its salt, of operation `op_index` of the counted entry with arrival number `n`."""

    n: int
    entry: Entry
    op_index: int
    op: Op
    content: bytes


class ViewHooks(Protocol):
    """Derived rows. reader: sees all pending writes, including the change that the call is about."""

    def opened(self, txn: WriteTxn, fresh: bool) -> None:
        """The store was opened. fresh: it is empty. What the views write is committed."""

    def added(self, txn: WriteTxn, reader: StoreReader, batch: Sequence[Append], firsts: Sequence[int]) -> None:
        """Logs were extended. Content that is missing comes later, through `parts_arrived`.

        firsts: the arrival number of the first entry of each append; the others have the following numbers.
        """

    def rebuilt(self, txn: WriteTxn, reader: StoreReader, account: AccountId, counted: Iterator[CountedEntry]) -> None:
        """Fold the account again from the start, and exhaust `counted`. Held parts are in `reader`.

        counted: the granted logs in any order, each from seq 0; control entries are in `reader`.
        """

    def put_off(self, txn: WriteTxn, account: AccountId) -> bool:
        """Fold the account again in steps, by `fold_again`. False, and nothing is done, if that cannot be now."""

    def fold_again(
        self, txn: WriteTxn, reader: StoreReader, size: int, wanting: Wanting, of: AccountId | None = None
    ) -> bool:
        """One such step, of about `size` operations, for this account, or for any. Returns whether more is left of
        it."""

    def cleared(self, txn: WriteTxn, account: AccountId, size: int) -> bool:
        """Remove about `size` rows of what the account shows. Returns whether more are left."""

    def taken_out(self, txn: WriteTxn, reader: StoreReader, account: AccountId, gone: Sequence[CountedEntry]) -> bool:
        """These entries of the account no longer count, and nothing else of it changed. Return False, without any
        change, if deleting their rows is not enough; then `rebuilt` is called."""

    def parts_arrived(self, txn: WriteTxn, reader: StoreReader, arrived: Sequence[ArrivedPart]) -> None:
        """Content of counted operations is now held."""

    def part_erased(self, txn: WriteTxn, reader: StoreReader, entry: Entry, op_index: int, op: Op) -> None:
        """Content of an operation, counted or not, was erased."""

    def judged(self, txn: WriteTxn, account: AccountId, key: bytes) -> None:
        """Readers are given a post no more, or again."""


class NoViews:
    """A store without views: an archive, or a relay that serves entries and answers no queries."""

    def opened(self, txn: WriteTxn, fresh: bool) -> None:
        return

    def added(self, txn: WriteTxn, reader: StoreReader, batch: Sequence[Append], firsts: Sequence[int]) -> None:
        return

    def rebuilt(self, txn: WriteTxn, reader: StoreReader, account: AccountId, counted: Iterator[CountedEntry]) -> None:
        for _ in counted:
            pass

    def put_off(self, txn: WriteTxn, account: AccountId) -> bool:
        return False

    def fold_again(
        self, txn: WriteTxn, reader: StoreReader, size: int, wanting: Wanting, of: AccountId | None = None
    ) -> bool:
        return False

    def cleared(self, txn: WriteTxn, account: AccountId, size: int) -> bool:
        return False

    def taken_out(self, txn: WriteTxn, reader: StoreReader, account: AccountId, gone: Sequence[CountedEntry]) -> bool:
        return True

    def parts_arrived(self, txn: WriteTxn, reader: StoreReader, arrived: Sequence[ArrivedPart]) -> None:
        return

    def part_erased(self, txn: WriteTxn, reader: StoreReader, entry: Entry, op_index: int, op: Op) -> None:
        return

    def judged(self, txn: WriteTxn, account: AccountId, key: bytes) -> None:
        return
