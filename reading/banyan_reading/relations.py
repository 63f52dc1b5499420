"""Who follows a locked account, and who only asks to; which of many accounts follow another, and how two are
related."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence, Set
from itertools import groupby, islice

from banyan_crdt.ids import AccountId
from banyan_reading.queries import Queries
from banyan_schema.social import Relation
from banyan_schema.social.profile import LOCKED as FIELD
from banyan_schema.social.profile import LOCKED_VALUE
from banyan_schema.social.relation import ANSWERS, Answer
from banyan_storage.engine import ReadTxn, Table, after_prefix
from banyan_storage.slots import NUMBERED, NUMBERS, SLOT
from banyan_storage.views.registry import SHOWN_NAME, cursors, need
from banyan_storage.views.social.relations import (
    BLOCKS,
    FOLLOW_ANSWER,
    FOLLOW_ANSWERS,
    FOLLOWER,
    FOLLOWERS,
    FOLLOWS,
    LOCKED,
    LOCKED_VIEW,
    MUTES,
)

COUNTED = 10_000
"""So many accepted followers are looked at to count them."""


def is_locked(ask: Queries, account: AccountId) -> bool:
    """Whether the account's profile says that follows want an accept. Raises ViewBuilding."""
    ask.need(LOCKED_VIEW.name)
    number = ask.number(account)
    if number is None or not any(ask.reader.txn.prefix(LOCKED, number, limit=1)):
        return False
    return any((f.field, f.value) == (FIELD, LOCKED_VALUE) for f in ask.profile(account).fields)


def answered(ask: Queries, account: AccountId, answer: Answer, follower: AccountId) -> bool:
    """Whether an account, locked or not, answers that to a follower."""
    ask.need(LOCKED_VIEW.name)
    number = ask.number(account)
    return number is not None and any(
        ask.reader.txn.prefix(FOLLOW_ANSWERS, number + _answer(answer) + follower, limit=1)
    )


def waits(ask: Queries, follower: AccountId, account: AccountId) -> bool:
    """Whether a follow of `account` by `follower` is a request that nobody has accepted."""
    return is_locked(ask, account) and not answered(ask, account, "accept", follower)


def followed(ask: Queries, follower: AccountId, accounts: Iterable[AccountId]) -> list[AccountId]:
    """Those of the accounts that it follows which let it: not those that are locked and have not accepted it."""
    ask.need(LOCKED_VIEW.name)
    asked = [*accounts]
    numbers = ask.numbers(asked)
    perhaps = _perhaps_locked(ask, {*numbers.values()})
    return [a for a in asked if numbers.get(a) not in perhaps or not waits(ask, follower, a)]


def _perhaps_locked(ask: Queries, numbers: Set[bytes]) -> Set[bytes]:
    """Those of these numbers of accounts that have a row of LOCKED. Most accounts have none."""
    txn = ask.reader.txn
    if txn.count(LOCKED) <= len(numbers):
        return {key[SLOT.account] for key, _ in txn.scan(LOCKED)} & numbers
    return {number for number in sorted(numbers) if any(txn.prefix(LOCKED, number, limit=1))}


def followers(ask: Queries, account: AccountId, after: AccountId | None = None) -> Iterator[AccountId]:
    """Who follows the account, in the order in which this store met them; of a locked one, whom it accepted. after: the
    last one of the page before."""
    locked = is_locked(ask, account)
    found = _following(ask, account, after)
    return (one for one in found if not locked or answered(ask, account, "accept", one))


def requests(ask: Queries, account: AccountId, after: AccountId | None = None) -> Iterator[tuple[AccountId, bool]]:
    """(who follows the account, whether it waits for an answer). Nobody does if the account is not locked."""
    locked = is_locked(ask, account)
    for one in _following(ask, account, after):
        yield one, locked and not any(answered(ask, account, answer, one) for answer in ANSWERS)


def count(ask: Queries, account: AccountId) -> int:
    """How many followers this node knows; of a locked account, whom it accepted. If it answered to more than COUNTED,
    it is the most that there can be."""
    all_of_them = ask.follower_count(account)
    if not is_locked(ask, account):
        return all_of_them
    number = ask.number(account) or b""
    start = number + _answer("accept")
    rows = ask.reader.txn.prefix(FOLLOW_ANSWERS, start)
    accepted = (AccountId(one) for one, _ in groupby(key[FOLLOW_ANSWER.follower] for key, _ in rows))
    found = sum(relates(ask, one, "follow", account) for one in islice(accepted, COUNTED))
    more = sum(1 for _ in accepted)
    return found if not more else min(all_of_them, found + more)


def _following(ask: Queries, account: AccountId, after: AccountId | None) -> Iterator[AccountId]:
    ask.need("followers")
    txn, number = ask.reader.txn, None if after is None else ask.number(after)
    start = bytes(account) if number is None else after_prefix(account + number) or account
    rows = txn.scan(FOLLOWERS, start, after_prefix(account))
    return (AccountId(txn.get(NUMBERED, one) or b"") for one, _ in groupby(key[FOLLOWER.account] for key, _ in rows))


def _answer(answer: Answer) -> bytes:
    return bytes((ANSWERS.index(answer),))


# Anybody can make followers of any account, and one follower can have many rows. So neither the followers nor the
# others are read one by one: both are in the order of account numbers, and each step goes to the next number that the
# other side has. A step is one look-up, and there are at most as many as the shorter side is long, and one more.

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


def among(ask: Queries, account: AccountId, accounts: Iterable[AccountId]) -> list[AccountId]:
    """Those of these accounts that follow the account, by id. Raises ViewBuilding."""
    known = {number: one for one, number in ask.numbers(accounts).items()}
    return sorted(known[number] for number in following(ask.reader.txn, account, sorted(known)))


def relates(ask: Queries, account: AccountId, relation: Relation, other: AccountId) -> bool:
    """Whether the account says that it follows, blocks or mutes the other. Raises ViewBuilding."""
    ask.need("relations")
    number = ask.number(account)
    return number is not None and any(ask.reader.txn.prefix(_TABLES[relation], number + other, limit=1))
