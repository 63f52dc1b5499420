"""Who moderates at this node, and what moderation tells an account."""

from __future__ import annotations

from itertools import islice
from typing import Annotated, Literal

from msgspec import Meta

from banyan_node.api.declare import CommitView, EmptyRequest, MethodTable, Request, Response
from banyan_node.api.json_types import AccountRef, Did, Milliseconds, NoticeCursor, Own, did, notice_cursor, place_of
from banyan_node.api.methods.decisions import DecisionAboutMe, about_me
from banyan_node.api.methods.notices import read_until
from banyan_node.api.methods.post_rows import AccountName, name_of
from banyan_node.api.methods.reports import MyReport, ReportRow, my_report, report_row
from banyan_node.context import Context
from banyan_node.hosting import hosted
from banyan_node.moderation import decisions, reports
from banyan_node.operator_errors import CallError
from banyan_storage.account_references import PLACE_BYTES
from banyan_storage.local_tables import MODERATORS

METHODS = MethodTable()


class ModeratorOf(Request, frozen=True, forbid_unknown_fields=True):
    """account: hosted here."""

    account: AccountRef


class AmIRequest(Request, frozen=True, forbid_unknown_fields=True):
    by: Own = None


class TellsRequest(Request, frozen=True, forbid_unknown_fields=True):
    by: Own = None
    before: Annotated[str | None, Meta(title="a place among notifications", description="`at` of a row.")] = None
    limit: Annotated[int, Meta(ge=1, le=decisions.KEPT)] = 40


class ModeratorResult(Response, frozen=True):
    account: Did


class ModeratorRow(AccountName, frozen=True):
    since_ms: Milliseconds


class ModeratorRows(Response, frozen=True):
    moderators: list[ModeratorRow]


class AmI(Response, frozen=True):
    """open: how many reports wait; 0 for who is no moderator."""

    moderator: bool
    open: int


class TellRow(Response, frozen=True):
    """what: a report came, for a moderator; a decision about the account or its posts; the outcome of what it reported.
    at: its place among the notifications of the account. One of report, decision and mine is there, if it is kept."""

    at: NoticeCursor
    what: Literal["report", "decision", "outcome"]
    time_ms: Milliseconds
    unread: bool
    report: ReportRow | None
    decision: DecisionAboutMe | None
    mine: MyReport | None


class TellRows(Response, frozen=True):
    """The newest first."""

    tells: list[TellRow]


@METHODS.write("moderator.add", "refused", audited=True)
def add(ctx: Context, ask: ModeratorOf, now: float) -> ModeratorResult:
    """Lets a hosted account moderate at this node: it reads reports and decides them."""
    account = hosted.account_of(ctx, ask.account)
    if not hosted.is_hosted(ctx.store, account):
        raise CallError("refused", "Only an account that is hosted here can moderate: it has to log in.", 409)
    if not MODERATORS.has(ctx.store, account):
        MODERATORS.put(ctx.store, account, ctx.replica.wall_ms(now))
    return ModeratorResult(did(account))


@METHODS.write("moderator.drop", "not_found", audited=True)
def drop(ctx: Context, ask: ModeratorOf, now: float) -> ModeratorResult:
    """Ends that. What the account decided stands."""
    account = hosted.account_of(ctx, ask.account)
    if not MODERATORS.has(ctx.store, account):
        raise CallError("not_found", "That account is no moderator of this node; `moderator.list` has them.", 404)
    MODERATORS.put(ctx.store, account, None)
    return ModeratorResult(did(account))


@METHODS.read("moderator.list")
def listing(at: CommitView, ask: EmptyRequest) -> ModeratorRows:
    """The moderators of this node."""
    q = at.queries()
    found = MODERATORS.rows(at.store)
    return ModeratorRows([ModeratorRow(did(account), name_of(q, account), since) for account, since in found])


@METHODS.read("moderator.am_i", "refused")
def am_i(at: CommitView, ask: AmIRequest) -> AmI:
    """Whether the account that asks is a moderator, and what waits for it."""
    mine = MODERATORS.has(at.store, hosted.account_of(at, ask.by))
    return AmI(mine, reports.counts(at.store).open if mine else 0)


@METHODS.read("moderation.told", "refused")
def told(at: CommitView, ask: TellsRequest) -> TellRows:
    """What moderation tells an account: notifications that no entry says. Of those, `notifications` has none."""
    account, q = hosted.account_of(at, ask.by), at.queries()
    seen = read_until(q, at.private(account)) or b""
    mine = MODERATORS.has(at.store, account)
    place = place_of(ask.before, PLACE_BYTES, "among notifications")
    rows = list[TellRow]()
    for where, one in islice(decisions.told(at.store, account, place), ask.limit):
        report = reports.find(at.store, one.number) if one.what == "report" and mine else None
        made = next(decisions.among(at.store, [one.number]), None) if one.what == "decision" else None
        rows.append(
            TellRow(
                notice_cursor(where),
                one.what,
                one.time_ms,
                where > seen,
                None if report is None else report_row(at, report),
                None if made is None else about_me(made),
                my_report(q, one.number, account) if one.what == "outcome" else None,
            )
        )
    return TellRows(rows)
