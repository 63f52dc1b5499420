"""What the store calls inside its transaction when operations or content were added or removed (viewhook.ViewHooks).

Accounts that the builder has not reached yet are ignored (builder.py): it will read them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from banyan_crdt.entry import Entry
from banyan_crdt.ids import AccountId
from banyan_crdt.ops import Add, Del, Op, Put, Tomb
from banyan_storage.engine import WriteTxn
from banyan_storage.reader import StoreReader
from banyan_storage.slots import NUMBERS, TOMBS, place_bytes, slot_of
from banyan_storage.viewhook import Append, ArrivedPart, CountedEntry, Wanting
from banyan_storage.views import builder, journal, large_accounts
from banyan_storage.views.fold import Fold, clear, fold_account, numbers_of
from banyan_storage.views.registry import cursors, is_folded
from banyan_storage.views.whole_slots import Slots


class SocialViews:
    """Has no state of its own: everything is in the tables."""

    def opened(self, txn: WriteTxn, fresh: bool) -> None:
        builder.opened(txn, fresh)

    def added(self, txn: WriteTxn, reader: StoreReader, batch: Sequence[Append], firsts: Sequence[int]) -> None:
        pairs = list(zip(batch, firsts, strict=True))
        if at := cursors(txn):  # usually nothing is being built
            pairs = [(append, first) for append, first in pairs if is_folded(at, append.log.account)]
        numbers = numbers_of(txn, {append.log.account for append, _ in pairs})
        fold = Fold(txn, reader, at)
        for append, first in pairs:
            number = numbers[append.log.account]
            if append.later and not at and large_accounts.put_off_run(txn, number, append, first, fold):
                continue
            if append.puts:
                fold.take_puts(number, append, append.puts, first)
                continue
            both = enumerate(zip(append.entries, append.bodies, strict=True), first)
            fold.take(number, ((n, e.id, e.header.time, body) for n, (e, body) in both), iter(append.parts))
        fold.settle()

    def rebuilt(self, txn: WriteTxn, reader: StoreReader, account: AccountId, counted: Iterator[CountedEntry]) -> None:
        at = cursors(txn)
        large_accounts.drop(txn, account)
        if not is_folded(at, account):
            for _ in counted:
                pass
            return
        clear(txn, numbers_of(txn, {account})[account], at)
        fold_account(txn, reader, account, counted, at)

    def put_off(self, txn: WriteTxn, account: AccountId) -> bool:
        return large_accounts.put_off(txn, account)

    def fold_again(
        self, txn: WriteTxn, reader: StoreReader, size: int, wanting: Wanting, of: AccountId | None = None
    ) -> bool:
        return large_accounts.step(txn, reader, size, wanting, of)

    def cleared(self, txn: WriteTxn, account: AccountId, size: int) -> bool:
        large_accounts.drop(txn, account)
        return not large_accounts.clear(txn, account, size)

    def taken_out(self, txn: WriteTxn, reader: StoreReader, account: AccountId, gone: Sequence[CountedEntry]) -> bool:
        """Only the slots of what they wrote are worked out anew. What they covered or ended would live again, and of
        what was covered it is not known by whom: these need the whole log."""
        at = cursors(txn)
        if not is_folded(at, account):
            return True
        if large_accounts.has_steps(txn, account):
            return large_accounts.put_off(txn, account)
        number, slots = numbers_of(txn, {account})[account], Slots(txn, reader, at)
        for n, _, body in gone:
            for index, op in enumerate(body.ops):
                if isinstance(op, Del | Tomb) or (isinstance(op, Put) and op.refs):
                    return False
                if isinstance(op, Put | Add):
                    live = slots.remove(slot_of(number, op), place_bytes(n, index))
                    if not live and not any(txn.beginning(TOMBS, [(number, op.coll + op.key)])):
                        return False
        slots.finish()
        return True

    def parts_arrived(self, txn: WriteTxn, reader: StoreReader, arrived: Sequence[ArrivedPart]) -> None:
        """Takes many at once, which is cheaper. The effect is the same as one by one, in any order."""
        at = cursors(txn)
        about = [p for p in arrived if isinstance(p.op, Put | Add) and is_folded(at, p.entry.account)]
        numbers = numbers_of(txn, {part.entry.account for part in about})
        slots = Slots(txn, reader, at)
        for n, entry, index, op, content in about:
            if isinstance(op, Put | Add):
                slots.at(slot_of(numbers[entry.account], op))
                slots.contents[place_bytes(n, index)] = content
        slots.finish()

    def part_erased(self, txn: WriteTxn, reader: StoreReader, entry: Entry, op_index: int, op: Op) -> None:
        account, at = entry.account, cursors(txn)
        if isinstance(op, Put | Add) and is_folded(at, account):
            slots = Slots(txn, reader, at)
            slots.at(slot_of(numbers_of(txn, {account})[account], op))
            slots.finish()

    def judged(self, txn: WriteTxn, account: AccountId, key: bytes) -> None:
        """The index of posts has what readers are given."""
        if (number := txn.get(NUMBERS, account)) is not None:
            journal.note(txn, [number + key])
