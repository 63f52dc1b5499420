"""Who reacted to a post and with what, and who reposted it: each account once, in an order that a page can go on in.

It is the order of this store's numbers of accounts, which is that in which it met them. And which posts quote it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from itertools import groupby, islice
from typing import NamedTuple

from banyan_crdt.ids import AccountId, CellKey
from banyan_reading.answers import PostView
from banyan_reading.interaction_rules import InteractionRules
from banyan_reading.post_times import edits
from banyan_reading.queries import Queries
from banyan_reading.timelines import CURSOR, TimelineLine, by_time
from banyan_reading.visibility import Refusal
from banyan_schema.address import Target
from banyan_schema.social import REPOST, ReplyTo
from banyan_storage.engine import Table, after_prefix
from banyan_storage.slots import ELEMENT, LINE, NUMBERED, SHOW, ms_of, shown_at, time_at
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


def reacted(
    ask: Queries, target: Target, emoji: str = "", after: bytes = b""
) -> Iterator[tuple[bytes, AccountId, str]]:
    """(cursor, account, emoji), by emoji, the shortest first. emoji: only this. after: the cursor of the last one of
    the page before. Raises ViewBuilding."""
    raw = emoji.encode()[:255]
    wanted = bytes((len(raw),)) + raw if emoji else b""
    for cursor, account in _each(ask, REACTIONS, target, wanted, after):
        yield cursor, account, cursor[1:-NUMBER_BYTES].decode("utf-8", "replace")


def reposted(ask: Queries, target: Target, after: bytes = b"") -> Iterator[tuple[bytes, AccountId]]:
    """(cursor, account). Raises ViewBuilding."""
    return _each(ask, REPOSTS, target, b"", after)


def reacted_by(ask: Queries, target: Target, account: AccountId, emojis: Iterable[str]) -> list[str]:
    """With which of these emojis an account reacted to a post. Raises ViewBuilding."""
    ask.need("reactions")
    txn, number = ask.reader.txn, ask.number(account)
    if number is None:
        return []

    def did(emoji: str) -> bool:
        raw = emoji.encode()
        return any(txn.prefix(REACTIONS, target.raw + bytes((len(raw),)) + raw + number, limit=1))

    return [emoji for emoji in emojis if did(emoji)]


def reposted_by(ask: Queries, target: Target, account: AccountId) -> int | None:
    """When an account reposted a post, in milliseconds since 1970; None if it did not. Raises ViewBuilding."""
    ask.need("reactions")
    number = ask.number(account)
    if number is None:
        return None
    for key, _ in ask.reader.txn.prefix(REPOSTS, target.raw + number):
        shown = shown_at(ask.reader.txn, number + REPOST + ELEMENT + key[UNIQUE])
        if shown:
            return ms_of(time_at(ask.reader, shown[SHOW.place]))
    return None


def reposted_at(ask: Queries, account: AccountId, ms: int) -> Iterator[Target]:
    """What an account reposted in a millisecond since 1970, and still does. Raises ViewBuilding."""
    ask.need("shares")
    number = ask.number(account)
    if number is None:
        return
    for row in islice(ask.reader.txn.dups(SHARES, number, ms.to_bytes(6, "big")), AT_ONCE):
        if ms_of(row[LINE.time]) != ms:
            return
        target = ask.repost_of(account, row[LINE.place])
        if target is not None:
            yield target


def quoting(ask: Queries, target: Target, before: bytes | None, after: bytes | None) -> Iterator[TimelineLine]:
    """The posts that quote a post, newest first; see `by_time`. Raises ViewBuilding."""
    ask.need("quotes")
    return by_time(ask, QUOTES, (target.raw,), before, after)


def quote_count(ask: Queries, target: Target) -> int:
    """How many posts quote a post; fewer while the view is being built. Those that are hidden here do not count, if
    they are of the newest ones."""
    count = count_of(ask.reader.txn.get(QUOTE_COUNTS, target.raw))
    if not count or not ask.hides:
        return count
    newest = islice(by_time(ask, QUOTES, (target.raw,), None, None), QUOTES_LOOKED)
    return count - sum(ask.is_hidden(line.post) for line in newest)


class PostCounts(NamedTuple):
    """What stands below a post. reactions: by emoji. edited_ms: see post_times.py."""

    replies: int
    quotes: int
    reposts: int
    reactions: dict[str, int]
    edited_ms: int | None


def counts_of(ask: Queries, views: Sequence[PostView], rules: InteractionRules) -> dict[Target, PostCounts]:
    """Of the posts of a page, at once, without what rules refuse. Raises ViewBuilding."""
    ask.need("reactions", "thread")
    txn, targets = ask.reader.txn, sorted({view.target.raw: view.target for view in views}.items())
    names, edited = [raw for raw, _ in targets], edits(ask, views)
    writes = {view.target: view.write for view in views}
    replies, quotes, reposts = (
        dict(txn.get_many(table, names)) for table in (REPLY_COUNTS, QUOTE_COUNTS, REPOST_COUNTS)
    )
    refused = {view.target: _refused(ask, rules, view) for view in views if rules.touch(view)}
    none = (Fraction(0),) * 3
    return {
        target: PostCounts(
            _left(count_of(replies.get(raw)), refused.get(target, none)[0]),
            _left(quote_count(ask, target) if raw in quotes else 0, refused.get(target, none)[1]),
            _left(count_of(reposts.get(raw)), refused.get(target, none)[2]),
            {one.emoji: one.accounts for one in ask.reactions(target)},
            edited.get(writes[target]),
        )
        for raw, target in targets
    }


def _left(count: int, refused: Fraction) -> int:
    return round(count * (1 - refused))


def _refused(ask: Queries, rules: InteractionRules, view: PostView) -> tuple[Fraction, Fraction, Fraction]:
    """Which part of the answers, quotes and reposts of a post is refused."""
    target, txn, reply = view.target, ask.reader.txn, view.post.reply

    def answering() -> Iterator[Target]:
        rows = [key for key, _ in txn.prefix(REPLIES, target.raw, limit=REFUSED_LOOKED)]
        who = dict(txn.get_many(NUMBERED, sorted({row[REPLY.account] for row in rows})))
        return (Target(AccountId(who.get(row[REPLY.account], b"")), CellKey(row[REPLY.key])) for row in rows)

    def part(found: Iterable[Refusal | None]) -> Fraction:
        looked = [one is not None for one in found]
        return Fraction(sum(looked), len(looked) or 1)

    first = islice(by_time(ask, QUOTES, (target.raw,), None, bytes(CURSOR.key.stop)), REFUSED_LOOKED)
    quotes = (line.post for line in first)
    below = rules.below(ReplyTo(target if reply is None else reply.root, target))
    reposters = (who for _, who in islice(reposted(ask, target), REFUSED_LOOKED))
    return (
        part(rules.refuses("answers", one.account, below, one) for one in answering()),
        part(rules.refuses("quotes", one.account, [target], one) for one in quotes),
        part(rules.refuses("reposts", who, [target]) for who in reposters),
    )


def responses(ask: Queries, targets: Iterable[Target], accounts: Iterable[AccountId]) -> Iterator[tuple[int, int, int]]:
    """Of each of these posts, how many of these accounts reposted it, answered it, and reacted to it. Of a post with
    very many responses only some are looked at. Raises ViewBuilding."""
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


def _each(ask: Queries, table: Table, target: Target, wanted: bytes, after: bytes) -> Iterator[tuple[bytes, AccountId]]:
    ask.need("reactions")
    txn, prefix = ask.reader.txn, target.raw + wanted
    start = after_prefix(target.raw + after) if after else prefix
    rows = txn.scan(table, max(start or prefix, prefix), after_prefix(prefix))
    for cursor, _ in groupby(key[TARGET_BYTES : BY.stop] for key, _ in rows):
        yield cursor, AccountId(txn.get(NUMBERED, cursor[-NUMBER_BYTES:]) or b"")
