"""Who follows a locked account, and who only asks to; which of many accounts follow another, and how two are
related."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, islice
from typing import TYPE_CHECKING

from banyan_crdt.ids import AccountId
from banyan_reading.answers import AccountTotals
from banyan_reading.profiles import profiles
from banyan_reading.questions import People
from banyan_schema.social import Relation
from banyan_schema.social.profile import LOCKED as FIELD
from banyan_schema.social.profile import LOCKED_VALUE
from banyan_schema.social.relation import ANSWERS, Answer
from banyan_storage.engine import ReadTxn, Table, after_prefix
from banyan_storage.slots import LINE, NUMBERED, NUMBERS, TIMELINE, ms_of
from banyan_storage.views.registry import SHOWN_NAME, cursors, need
from banyan_storage.views.social.relations import (
    BLOCKS,
    FOLLOW_ANSWER,
    FOLLOW_ANSWERS,
    FOLLOW_COUNTS,
    FOLLOWER,
    FOLLOWER_COUNTS,
    FOLLOWERS,
    FOLLOWS,
    LOCKED,
    LOCKED_VIEW,
    MUTES,
)
from banyan_storage.views.view import count_of

if TYPE_CHECKING:
    from banyan_reading.view_reader import ViewReader

COUNTED = 10_000
"""So many accepted followers are looked at to count them."""


def is_locked(ask: People, account: AccountId) -> bool:
    """Whether the account's profile says that follows want an accept."""
    return account in ask.locked([account])


def waits(ask: People, follower: AccountId, account: AccountId) -> bool:
    """Whether a follow of `account` by `follower` is a request that nobody has accepted."""
    return is_locked(ask, account) and not ask.follow_answered(account, "accept", follower)


def followed(ask: People, follower: AccountId, accounts: Iterable[AccountId]) -> list[AccountId]:
    """Those of the accounts that it follows which let it: not those that are locked and have not accepted it."""
    asked = [*accounts]
    locked = ask.locked(asked)
    return [one for one in asked if one not in locked or ask.follow_answered(one, "accept", follower)]


def followers(ask: People, account: AccountId, after: AccountId | None = None) -> Iterator[AccountId]:
    """Who follows the account; of a locked one, whom it accepted. after: the last one of the page before."""
    locked = is_locked(ask, account)
    found = ask.following(account, after)
    return (one for one in found if not locked or ask.follow_answered(account, "accept", one))


def requests(ask: People, account: AccountId, after: AccountId | None = None) -> Iterator[tuple[AccountId, bool]]:
    """(who follows the account, whether it waits for an answer). Nobody does if the account is not locked."""
    locked = is_locked(ask, account)
    for one in ask.following(account, after):
        yield one, locked and not any(ask.follow_answered(account, answer, one) for answer in ANSWERS)


def count(ask: People, account: AccountId, locked: bool) -> int:
    """How many followers this node knows; of a locked account, whom it accepted. If it answered to more than COUNTED,
    it is the most that there can be."""
    all_of_them = ask.account_totals([account])[account].followers
    if not locked:
        return all_of_them
    accepted = ask.accepted(account)
    found = sum(ask.relates(one, "follow", account) for one in islice(accepted, COUNTED))
    more = sum(1 for _ in accepted)
    return found if not more else min(all_of_them, found + more)


# What the rows say (questions.py).


def locked(ask: ViewReader, accounts: Iterable[AccountId]) -> set[AccountId]:
    ask.need(LOCKED_VIEW.name)
    accounts_of = {number: account for account, number in ask.numbers(accounts).items()}
    perhaps = [accounts_of[number] for number in having(ask.reader.txn, LOCKED, b"", sorted(accounts_of))]
    return {one for one, said in profiles(ask, perhaps).items() if said.texts.get(FIELD) == LOCKED_VALUE}


def account_totals(ask: ViewReader, accounts: Iterable[AccountId]) -> dict[AccountId, AccountTotals]:
    ask.need("followers")
    txn, wanted, numbers = ask.reader.txn, sorted(accounts), ask.numbers(accounts)
    known = sorted(numbers.values())
    follows, followers = dict(txn.get_many(FOLLOW_COUNTS, known)), dict(txn.get_many(FOLLOWER_COUNTS, wanted))
    newest, found = dict(txn.ending(TIMELINE, [(one, None) for one in known])), dict[AccountId, AccountTotals]()
    for account in wanted:
        number = numbers.get(account, b"")
        last, posts = newest.get(number), txn.dup_count(TIMELINE, number)
        counts = count_of(follows.get(number)), count_of(followers.get(account)), posts
        found[account] = AccountTotals(*counts, None if last is None else ms_of(last[LINE.time]))
    return found


def follow_answered(ask: ViewReader, account: AccountId, answer: Answer, follower: AccountId) -> bool:
    ask.need(LOCKED_VIEW.name)
    number = ask.number(account)
    return number is not None and any(
        ask.reader.txn.prefix(FOLLOW_ANSWERS, number + _answer(answer) + follower, limit=1)
    )


def accepted(ask: ViewReader, account: AccountId) -> Iterator[AccountId]:
    ask.need(LOCKED_VIEW.name)
    number = ask.number(account)
    rows = ask.reader.txn.prefix(FOLLOW_ANSWERS, number + _answer("accept")) if number else iter(())
    return (AccountId(one) for one, _ in groupby(key[FOLLOW_ANSWER.follower] for key, _ in rows))


def following(ask: ViewReader, account: AccountId, after: AccountId | None = None) -> Iterator[AccountId]:
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

NUMBER_BYTES = 4
_TABLES: dict[Relation, Table] = {"follow": FOLLOWS, "block": BLOCKS, "mute": MUTES}


def numbers_of(txn: ReadTxn, accounts: Iterable[AccountId]) -> list[bytes]:
    """The numbers that the views have given these accounts, ascending. An account that said nothing has none."""
    return sorted(number for _, number in txn.get_many(NUMBERS, sorted(accounts)))


def is_followed(txn: ReadTxn, account: AccountId, numbers: Sequence[bytes]) -> bool:
    """Whether one of the accounts of these numbers, ascending, follows it. Raises ViewBuilding."""
    if building := cursors(txn):
        need(building, SHOWN_NAME, "followers")
    return any(True for _ in having(txn, FOLLOWERS, account, numbers))


def having(txn: ReadTxn, table: Table, begin: bytes, numbers: Sequence[bytes]) -> Iterator[bytes]:
    """Those of these numbers of accounts, ascending, that keys of a table have behind `begin`."""
    at = 0
    while at < len(numbers):
        row = next(txn.scan(table, begin + numbers[at], limit=1), None)
        if row is None or not row[0].startswith(begin):
            return
        number = row[0][len(begin) : len(begin) + NUMBER_BYTES]
        at = bisect_left(numbers, number, at)
        if at < len(numbers) and numbers[at] == number:
            yield number
            at += 1


def among(ask: ViewReader, account: AccountId, accounts: Iterable[AccountId]) -> list[AccountId]:
    ask.need("followers")
    known = {number: one for one, number in ask.numbers(accounts).items()}
    return sorted(known[number] for number in having(ask.reader.txn, FOLLOWERS, account, sorted(known)))


def relates(ask: ViewReader, account: AccountId, relation: Relation, other: AccountId) -> bool:
    ask.need("relations")
    number = ask.number(account)
    return number is not None and any(ask.reader.txn.prefix(_TABLES[relation], number + other, limit=1))
