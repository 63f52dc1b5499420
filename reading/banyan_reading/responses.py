"""Who reacted to a post and with what, and who reposted it: each account once, in an order that a page can go on in.

It is the order of this store's numbers of accounts, which is that in which it met them. And which posts quote it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import groupby, islice
from typing import TYPE_CHECKING, NamedTuple

from banyan_crdt.ids import AccountId, CellKey
from banyan_reading.answers import CURSOR_BYTES, PostView, TimelineLine
from banyan_reading.interaction_rules import InteractionRules
from banyan_reading.questions import Questions, ResponseTotals
from banyan_reading.timelines import by_time
from banyan_reading.visibility import Refusal
from banyan_schema.address import Target
from banyan_schema.social import REPOST, ReplyTo
from banyan_storage.engine import Table, after_prefix
from banyan_storage.slots import ELEMENT, LINE, NUMBERED, SHOW, ms_of, place_in, shown_at, time_at
from banyan_storage.views.social.responses import (
    QUOTE_COUNTS,
    QUOTES,
    REACTIONS,
    REPLIES,
    REPLY,
    REPLY_COUNTS,
    REPOST_COUNTS,
    REPOSTS,
)
from banyan_storage.views.social.timeline import SHARES
from banyan_storage.views.view import BY, UNIQUE, count_of

if TYPE_CHECKING:
    from banyan_reading.view_reader import ViewReader

TARGET_BYTES = 48
NUMBER_BYTES = 4
RESPONSES = 2_000
QUOTES_LOOKED = 200
"""The newest quotes of a post, of which the hidden ones are not counted."""
REFUSED_LOOKED = 500
"""The first answers, quotes and reposts of a post with a rule, of which those that it refuses are not counted. Of more,
as large a part is taken off."""
AT_ONCE = 10_000
"""Of what one account reposted in one millisecond, so many are looked at."""
BEGIN = bytes(CURSOR_BYTES)
"""A cursor before all posts."""


class PostCounts(NamedTuple):
    """What stands below a post. reactions: by emoji. edited_ms: see `PostQuestions.edits`."""

    replies: int
    quotes: int
    reposts: int
    reactions: dict[str, int]
    edited_ms: int | None


def counts_of(ask: Questions, views: Sequence[PostView], rules: InteractionRules) -> dict[Target, PostCounts]:
    """Of the posts of a page, at once, without what rules refuse."""
    edited = ask.edits(views)
    by_target = {view.target: view for view in views}
    refused = {target: _refused(ask, rules, view) for target, view in by_target.items() if rules.touch(view)}
    counts, reacted = dict[Target, PostCounts](), ask.reactions(by_target)
    for target, found in ask.totals([*by_target]).items():
        if parts := refused.get(target):
            found = ResponseTotals(*(round(n * (1 - part)) for n, part in zip(found, parts, strict=True)))
        reactions = {one.emoji: one.accounts for one in reacted[target]}
        counts[target] = PostCounts(*found, reactions, edited.get(by_target[target].write))
    return counts


def _refused(ask: Questions, rules: InteractionRules, view: PostView) -> tuple[Fraction, Fraction, Fraction]:
    """Which part of the answers, quotes and reposts of a post is refused."""
    target, reply = view.target, view.post.reply

    def part(found: Iterable[Refusal | None]) -> Fraction:
        looked = [one is not None for one in islice(found, REFUSED_LOOKED)]
        return Fraction(sum(looked), len(looked) or 1)

    below = rules.below(ReplyTo(target if reply is None else reply.root, target))
    quotes = (line.post for line in ask.quoting(target, None, BEGIN))
    return (
        part(rules.refuses("answers", one.account, below, one) for one in ask.answering(target)),
        part(rules.refuses("quotes", one.account, [target], one) for one in quotes),
        part(rules.refuses("reposts", who, [target]) for _, who in ask.reposted(target)),
    )


# What the rows say (questions.py).


def reacted(
    ask: ViewReader, target: Target, emoji: str = "", after: bytes = b""
) -> Iterator[tuple[bytes, AccountId, str]]:
    raw = emoji.encode()[:255]
    wanted = bytes((len(raw),)) + raw if emoji else b""
    for cursor, account in _each(ask, REACTIONS, target, wanted, after):
        yield cursor, account, cursor[1:-NUMBER_BYTES].decode("utf-8", "replace")


def reposted(ask: ViewReader, target: Target, after: bytes = b"") -> Iterator[tuple[bytes, AccountId]]:
    return _each(ask, REPOSTS, target, b"", after)


def reacted_by(ask: ViewReader, account: AccountId, emojis: Mapping[Target, Iterable[str]]) -> dict[Target, list[str]]:
    ask.need("reactions")
    number, asked, found = ask.number(account), dict[bytes, tuple[Target, str]](), dict[Target, list[str]]()
    for target, emoji in ((target, emoji) for target, some in emojis.items() for emoji in some if number):
        raw = emoji.encode()
        asked[target.raw + bytes((len(raw),)) + raw + (number or b"")] = target, emoji
    did = {row for row, *_ in ask.reader.txn.prefixes(REACTIONS, sorted(asked), 1)} if asked else set()
    for target, emoji in [one for row, one in asked.items() if row in did]:
        found.setdefault(target, []).append(emoji)
    return found


def reposted_by(ask: ViewReader, account: AccountId, targets: Iterable[Target]) -> dict[Target, int]:
    ask.need("reactions")
    number, found, txn = ask.number(account), dict[Target, int](), ask.reader.txn
    asked = {target.raw + number: target for target in targets} if number else {}
    for row, key, _ in txn.prefixes(REPOSTS, sorted(asked)) if asked else ():
        if asked[row] not in found and (shown := shown_at(txn, key[BY] + REPOST + ELEMENT + key[UNIQUE])):
            found[asked[row]] = ms_of(time_at(ask.reader, shown[SHOW.place]))
    return found


def reposted_at(ask: ViewReader, account: AccountId, ms: int) -> Iterator[Target]:
    ask.need("shares")
    number = ask.number(account)
    if number is None:
        return
    for row in islice(ask.reader.txn.dups(SHARES, number, ms.to_bytes(6, "big")), AT_ONCE):
        if ms_of(row[LINE.time]) != ms:
            return
        yield from (said.target for said in ask.reposts([place_in(row)]).values())


def quoting(
    ask: ViewReader, target: Target, before: bytes | None, after: bytes | None = None
) -> Iterator[TimelineLine]:
    ask.need("quotes")
    return by_time(ask, QUOTES, (target.raw,), before, after)


def answering(ask: ViewReader, target: Target) -> Iterator[Target]:
    ask.need("thread")
    for key, _ in ask.reader.txn.prefix(REPLIES, target.raw):
        account = ask.reader.txn.get(NUMBERED, key[REPLY.account])
        yield Target(AccountId(account or b""), CellKey(key[REPLY.key]))


def totals(ask: ViewReader, targets: Sequence[Target]) -> dict[Target, ResponseTotals]:
    """Of quotes those that are hidden here do not count, if they are of the newest ones; fewer count while their view
    is built."""
    ask.need("reactions", "thread")
    names, get_many = {target.raw: target for target in targets}, ask.reader.txn.get_many
    asked = sorted(names)
    replies, quotes, reposts = (
        {name: count_of(raw) for name, raw in get_many(table, asked)}
        for table in (REPLY_COUNTS, QUOTE_COUNTS, REPOST_COUNTS)
    )
    for name in quotes if ask.hides else ():
        newest = islice(by_time(ask, QUOTES, (name,), None, None), QUOTES_LOOKED)
        quotes[name] -= sum(ask.is_hidden(line.post) for line in newest)
    return {
        target: ResponseTotals(replies.get(name, 0), quotes.get(name, 0), reposts.get(name, 0))
        for name, target in names.items()
    }


def responses(
    ask: ViewReader, targets: Iterable[Target], accounts: Iterable[AccountId]
) -> Iterator[tuple[int, int, int]]:
    ask.need("reactions", "thread")
    rows, of = ask.reader.txn.prefix, {*ask.numbers(accounts).values()}
    for target in targets:
        found = (
            {key[BY] for key, _ in rows(REPOSTS, target.raw, limit=RESPONSES)},
            {key[REPLY.account] for key, _ in rows(REPLIES, target.raw, limit=RESPONSES)},
            {key[BY] for key, _ in rows(REACTIONS, target.raw, limit=RESPONSES)},
        )
        reposts, replies, reactions = (len(one & of) for one in found)
        yield reposts, replies, reactions


def _each(
    ask: ViewReader, table: Table, target: Target, wanted: bytes, after: bytes
) -> Iterator[tuple[bytes, AccountId]]:
    ask.need("reactions")
    txn, prefix = ask.reader.txn, target.raw + wanted
    start = after_prefix(target.raw + after) if after else prefix
    rows = txn.scan(table, max(start or prefix, prefix), after_prefix(prefix))
    for cursor, _ in groupby(key[TARGET_BYTES : BY.stop] for key, _ in rows):
        yield cursor, AccountId(txn.get(NUMBERED, cursor[-NUMBER_BYTES:]) or b"")
