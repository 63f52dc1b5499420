"""Which posts changed, for an index that is kept outside the store (search/), in order.

The rows are written in the transaction of the change. New posts are named by their arrival numbers: a row for many. Who
follows the rows removes those that it has read; the last one stays, so that the numbers go on. A row without a post
says that all may have changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import NamedTuple

from banyan_storage.engine import ReadTxn, Table, WriteTxn
from banyan_storage.tables import RowLayout, guard, guarded, number, u16, u48, u64
from banyan_storage.views.view import OpeningPost

JOURNAL = Table("changed_posts")
"""number 8 of the last of its changes -> POST, of each; or ARRIVALS; or nothing: all posts; guarded"""
POST = RowLayout("account 4 | key 16")
"""account: its number."""
ARRIVALS = RowLayout("first 6 | count 2")
"""The posts that came with so many entries."""
POST_BYTES, ARRIVALS_BYTES = POST.key.stop, ARRIVALS.count.stop
BLOCK = 100
"""Changes of a row. A follower reads whole rows."""
MOST, LOOK = 50_000, 100
"""Rows that wait for a follower, up to 100 MB; if there are more it reads all posts, which is faster then. So many
changes are between two looks whether there are."""


class PostChange(NamedTuple):
    """What one row says. number: of its last change. posts: each as `POST`. arrivals: of entries that brought some."""

    number: int
    posts: tuple[bytes, ...]
    arrivals: range

    @property
    def size(self) -> int:
        """How many changes."""
        return len(self.posts) + len(self.arrivals)


def last(txn: ReadTxn) -> int:
    """The number of the last change; 0 if there was none."""
    found = txn.last(JOURNAL)
    return 0 if found is None else number(found[0])


def first(txn: ReadTxn) -> int:
    """The number of the first change that is still held; 0 if there was none."""
    return next((number(key) for key, _ in txn.scan(JOURNAL, limit=1)), 0)


def note(txn: WriteTxn, posts: Iterable[bytes]) -> None:
    """posts: each as `POST`."""
    named = list(dict.fromkeys(posts))
    blocks = (named[at : at + BLOCK] for at in range(0, len(named), BLOCK))
    _put(txn, [(len(block), b"".join(block)) for block in blocks])


def note_openings(txn: WriteTxn, posts: Sequence[OpeningPost]) -> None:
    """These are new."""
    places = [place for _, _, _, place in posts]
    first, stop = number(min(places)[:6]), number(max(places)[:6]) + 1
    if stop - first > 2 * len(posts):  # they came long ago, and others between them
        note(txn, [account + key for account, _, key, _ in posts])
        return
    blocks = (range(at, min(at + BLOCK, stop)) for at in range(first, stop, BLOCK))
    _put(txn, [(len(block), u48(block[0]) + u16(len(block))) for block in blocks])


def _put(txn: WriteTxn, rows: list[tuple[int, bytes]]) -> None:
    """rows: how many changes, and what each says."""
    before = last(txn)
    numbers = list(accumulate([size for size, _ in rows], initial=before))
    if before // LOOK < numbers[-1] // LOOK and txn.count(JOURNAL) > MOST:  # nobody follows
        note_all(txn)
        numbers = [n + 1 for n in numbers]
    keys = map(u64, numbers[1:])
    txn.put_many(JOURNAL, [(key, guard(key, row)) for key, (_, row) in zip(keys, rows, strict=True)])


def note_all(txn: WriteTxn) -> None:
    """All posts may have changed, or be gone."""
    after = u64(last(txn) + 1)
    txn.delete_range(JOURNAL, b"", None)
    txn.put(JOURNAL, after, guard(after, b""))


def changes(txn: ReadTxn, after: int, limit: int) -> list[PostChange] | None:
    """The rows after this change, until they have so many changes; None if they are not all there, or one of them is of
    all."""
    found, reached = list[PostChange](), after
    for key, raw in txn.scan(JOURNAL, u64(after + 1)):
        change = _read(number(key), guarded(key, raw) or b"")
        reached += change.size
        if reached != change.number or not change.size:
            return None
        found.append(change)
        if reached - after >= limit:
            break
    return found if found or last(txn) >= after else None


def _read(last: int, row: bytes) -> PostChange:
    if len(row) == ARRIVALS_BYTES:
        first = number(row[ARRIVALS.first])
        return PostChange(last, (), range(first, first + number(row[ARRIVALS.count])))
    return PostChange(last, tuple(row[at : at + POST_BYTES] for at in range(0, len(row), POST_BYTES)), range(0))


def trim(txn: WriteTxn, upto: int) -> None:
    """Removes what a follower has read, but for the last row."""
    stop = min(upto + 1, last(txn))
    txn.delete_range(JOURNAL, b"", u64(stop))
