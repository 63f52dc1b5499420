"""Which of many accounts follow another, and how two accounts are related.

Anybody can make followers of any account, and one follower can have many rows. So neither the followers nor the others
are read one by one: both are in the order of account numbers, and each step goes to the next number that the other side
has. A step is one look-up, and there are at most as many as the shorter side is long, and one more.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence

from banyan_crdt.ids import AccountId
from banyan_schema.social import Relation
from banyan_storage.engine import ReadTxn, Table
from banyan_storage.view_rows import NUMBERS
from banyan_storage.views.progress import cursors, need
from banyan_storage.views.registry import SHOWN_NAME
from banyan_storage.views.social.followers import FOLLOWERS
from banyan_storage.views.social.relations import BLOCKS, FOLLOWS, MUTES

_NUMBER = slice(32, 36)
_TABLES: dict[Relation, Table] = {"follow": FOLLOWS, "block": BLOCKS, "mute": MUTES}


def numbers_of(txn: ReadTxn, accounts: Iterable[AccountId]) -> list[bytes]:
    """The numbers that the views have given these accounts, ascending. An account that said nothing has none."""
    return sorted(number for _, number in txn.get_many(NUMBERS, sorted(accounts)))


def is_followed(txn: ReadTxn, account: AccountId, numbers: Sequence[bytes]) -> bool:
    """Whether one of the accounts of these numbers, ascending, follows it. Raises ViewBuilding."""
    return any(True for _ in following(txn, account, numbers))


def following(txn: ReadTxn, account: AccountId, numbers: Sequence[bytes]) -> Iterator[bytes]:
    """Those of these numbers, ascending, whose accounts follow the account. Raises ViewBuilding."""
    if building := cursors(txn):
        need(building, SHOWN_NAME, "followers")
    at = 0
    while at < len(numbers):
        row = next(iter(txn.scan(FOLLOWERS, account + numbers[at], limit=1)), None)
        if row is None or not row[0].startswith(account):
            return
        number = row[0][_NUMBER]
        at = bisect_left(numbers, number, at)
        if at < len(numbers) and numbers[at] == number:
            yield number
            at += 1


def relates(txn: ReadTxn, account: AccountId, relation: Relation, other: AccountId) -> bool:
    """Whether the account says that it follows, blocks or mutes the other. Raises ViewBuilding."""
    if building := cursors(txn):
        need(building, SHOWN_NAME, "relations")
    number = txn.get(NUMBERS, account)
    return number is not None and next(txn.prefix(_TABLES[relation], number + other, limit=1), None) is not None
