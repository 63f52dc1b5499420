"""Which posts changed, for an index that is kept outside the store (search/): a row for each, in order.

The rows are written in the transaction of the change. Who follows them removes those that it has read; the last one
stays, so that the numbers go on. A row without a post says that all may have changed.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from ..engine import ReadTxn, Table, WriteTxn
from ..layout import Layout
from ..tables import guard, guarded, number, u64

JOURNAL = Table("changed_posts")
"""change 8 -> POST; or nothing: all posts; guarded"""
POST = Layout("account 4 | key 16")
"""account: its number."""
MOST = 1_000_000
"""Rows that wait for a follower, 40 MB. If there are more it reads all posts, which is faster then."""


def last(txn: ReadTxn) -> int:
    """The number of the last change; 0 if there was none."""
    found = txn.last(JOURNAL)
    return 0 if found is None else number(found[0])


def note(txn: WriteTxn, posts: Iterable[bytes]) -> None:
    """posts: each as `POST`."""
    if txn.count(JOURNAL) > MOST:  # nobody follows
        note_all(txn)
    first = last(txn) + 1
    changed = enumerate(dict.fromkeys(posts), first)
    txn.put_many(JOURNAL, [(u64(n), guard(u64(n), post)) for n, post in changed])


def note_all(txn: WriteTxn) -> None:
    """All posts may have changed, or be gone."""
    after = u64(last(txn) + 1)
    txn.delete_range(JOURNAL, b"", None)
    txn.put(JOURNAL, after, guard(after, b""))


def changes(txn: ReadTxn, after: int, limit: int) -> list[tuple[int, bytes]] | None:
    """(number, post) of the changes after this one; None if they are not all there, or one of them is of all posts."""
    rows = islice(txn.scan(JOURNAL, u64(after + 1)), limit)
    found = [(number(key), guarded(key, raw) or b"") for key, raw in rows]
    if found and found[0][0] != after + 1:
        return None
    if not found and last(txn) < after:
        return None
    return None if any(not post for _, post in found) else found


def trim(txn: WriteTxn, upto: int) -> None:
    """Removes what a follower has read, but for the last row."""
    stop = min(upto + 1, last(txn))
    txn.delete_range(JOURNAL, b"", u64(stop))
