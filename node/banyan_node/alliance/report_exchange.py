"""Reports that go to the platform that hosts whom they are against, and what came of them, told back.

    report.add with `forward` -> a letter -> the queue of its moderators -> a letter -> who reported

Both platforms are members of the charter that is followed. A platform stands for its people: nobody elsewhere learns
who reported. Letters (hosting/letters.py) are opened by the other platform alone.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from typing import Any

from msgspec import structs

from banyan_charter.rules import Epoch
from banyan_crdt.codec import decode, encode
from banyan_crdt.errors import BanyanError
from banyan_crdt.ids import AccountId, CellKey, H, account_from_text, account_to_text
from banyan_node.api.json_types import target_of
from banyan_node.api.methods.moderation.reports import ReportRequest, record
from banyan_node.context import Context
from banyan_node.hosting import hosted, letters
from banyan_node.hosting.list_keeper import own_member
from banyan_node.hosting.member_lists import host_of
from banyan_node.moderation import decisions, reports
from banyan_node.operator_errors import CallError
from banyan_reading.queries import Queries
from banyan_schema.social import Target, post_to_text
from banyan_storage.local_tables import (
    REPORTS_SENT,
    REPORTS_TAKEN,
    REPORTS_TO_ANSWER,
    REPORTS_TO_SEND,
    ModerationNotice,
    OutcomeElsewhere,
)

A_DAY = 200
"""Reports that are taken of one member."""


def step(ctx: Context, q: Queries, moved: Collection[bytes] | None, now: float) -> None:
    """Sends, takes and answers. moved: the numbers of accounts that said something; None: perhaps all."""
    epoch = ctx.replica.charter.epoch
    me = None if epoch is None else own_member(ctx, epoch)
    if epoch is None or me is None:
        return
    for number in [*REPORTS_TO_SEND.keys(ctx.store)]:
        REPORTS_TO_SEND.put(ctx.store, number, None)
        _send(ctx, me, epoch, number, now)
    for member, n in q.numbers(epoch.seats).items():
        if member != me and (moved is None or n in moved):
            for name in [*letters.to_this_node(ctx, q, member)]:
                raw = None if REPORTS_TAKEN.has(ctx.store, (member, name)) else letters.read(ctx, q, member, name)
                if raw is not None:
                    REPORTS_TAKEN.put(ctx.store, (member, name), _take(ctx, member, raw, now))
    for number in [*REPORTS_TO_ANSWER.keys(ctx.store)]:
        REPORTS_TO_ANSWER.put(ctx.store, number, None)
        for (member, name), taken in [*REPORTS_TAKEN.rows(ctx.store)]:
            if taken == number:
                _answer(ctx, me, member, name, number, now)


def _send(ctx: Context, me: AccountId, epoch: Epoch, number: int, now: float) -> None:
    one = reports.find(ctx.store, number)
    host = None if one is None else host_of(ctx.store, account_from_text(one.account))
    if one is None or host is None or host not in epoch.seats or hosted.is_hosted(ctx.store, host):
        return  # its moderators may tell the platform by other ways (`pass_on`)
    name = CellKey(ctx.keys.derive("report", number.to_bytes(8, "big"))[:16])
    posts = [target_of(post.uri).key for post in one.posts]
    said = [b"report", account_from_text(one.account), posts, one.by.comment.encode(), one.category.encode()]
    if letters.send(ctx, me, name, encode(said), letters.writers_of(ctx, now, (me, host)), now):
        REPORTS_SENT.put(ctx.store, name, (host, number))


def _take(ctx: Context, member: AccountId, raw: bytes, now: float) -> int:
    """The number of the report that a letter made here; 0: none."""
    with suppress(CallError, BanyanError, ValueError, TypeError):  # it is too many, not held here, or none of ours
        said: Any = decode(raw, 3)
        if said[0] == b"report":
            account, posts, comment, category = AccountId(said[1]), said[2], said[3].decode(), said[4].decode()
            named = [post_to_text(Target(account, CellKey(key))) for key in posts[: reports.POSTS]]
            ask = ReportRequest(
                account=account_to_text(account), posts=named, comment=comment[: reports.COMMENT], category=category
            )
            return record(ctx, ask, member, now, A_DAY).id
        if said[0] == b"outcome":
            _came_back(ctx, member, CellKey(said[1]), said[2], ctx.replica.wall_ms(now))
    return 0


def _answer(ctx: Context, me: AccountId, member: AccountId, name: CellKey, number: int, now: float) -> None:
    one = reports.find(ctx.store, number)
    made = [] if one is None else [*decisions.among(ctx.store, one.decisions)]
    said = [[d.verdict.encode(), d.at_ms, int(d.undone is not None)] for d in made]
    again = len(made) + sum(d.undone is not None for d in made)
    letter = CellKey(H("report.outcome", member, name, bytes([again % 256]))[:16])
    letters.send(ctx, me, letter, encode([b"outcome", name, said]), letters.writers_of(ctx, now, (me, member)), now)


def _came_back(ctx: Context, member: AccountId, name: CellKey, said: list[Any], at_ms: int) -> None:
    """What the platform decided about a report of this node, told to who reported."""
    host, number = REPORTS_SENT.get(ctx.store, name) or (member, 0)
    one = reports.find(ctx.store, number)
    if one is None or host != member:
        return
    came = [OutcomeElsewhere(account_to_text(member), v.decode(), int(at), bool(undone)) for v, at, undone in said]
    if sum(1 + one.undone for one in came) > sum(1 + before.undone for before in one.elsewhere):
        reports.put(ctx.store, structs.replace(one, elsewhere=came))
        for who in map(account_from_text, one.reporters):
            if hosted.is_hosted(ctx.store, who):
                decisions.tell(ctx.store, who, ModerationNotice("outcome", number, at_ms))
