"""Reports: an account that is hosted here tells the moderators of this node of another account or its posts."""

from collections.abc import Iterator
from itertools import islice
from typing import Annotated, Literal

from msgspec import Meta, field, structs

from banyan_crdt.ids import AccountId, account_from_text, account_to_text
from banyan_node.api.declare import ActorRequest, CommitView, MethodTable, Request, Response
from banyan_node.api.json_types import AccountRef, Did, Milliseconds, PostRef, PostUri, did, page_of, target_of, uri
from banyan_node.api.methods.moderation.decisions import (
    DecisionRow,
    ModerationStatus,
    Number,
    decision_row,
    standing_of,
)
from banyan_node.api.methods.posts.post_rows import (
    AccountName,
    HandleOf,
    PostRow,
    PostRows,
    account_name,
    handle_of,
    name_of,
)
from banyan_node.context import Context
from banyan_node.hosting import hosted
from banyan_node.hosting.visibility import why_gone
from banyan_node.moderation import decisions, reports
from banyan_node.operator_errors import CallError, bad_request, conflict, not_found
from banyan_reading.queries import Queries
from banyan_schema.social import Target
from banyan_storage import local_tables as local

METHODS = MethodTable()
PAGE = 100
ENOUGH = 100
"""Open reports against one account: beyond them all of what is said is folded into the last one."""
RuleId = Annotated[str, Meta(max_length=64)]
State = Literal["open", "closed"]


class ReportRequest(ActorRequest):
    """posts: of the account. comment: for the moderators. rules: which rules of this server it breaks, by their ids.
    forward: the account's own platform should hear of it. as: who reports."""

    account: AccountRef
    posts: Annotated[list[PostRef], Meta(max_length=reports.POSTS)] = field(default_factory=list)
    comment: Annotated[str, Meta(max_length=reports.COMMENT)] = ""
    category: local.Category = "other"
    rules: Annotated[list[RuleId], Meta(max_length=reports.RULES)] = field(default_factory=list)
    forward: bool = False


class ReportsRequest(Request):
    """state: open ones come oldest first, closed ones newest first. account: only against it. after: `after` of the
    page before."""

    state: State = "open"
    account: Annotated[str | None, Meta(title="an account", description="A DID, or a name hosted here.")] = None
    after: Number | None = None
    limit: Annotated[int, Meta(ge=1, le=PAGE)] = 20


class ReportShowRequest(Request):
    id: Number


class MyReportsRequest(ActorRequest):
    after: Number | None = None
    limit: Annotated[int, Meta(ge=1, le=PAGE)] = 20


class ReportOutcome(Response):
    """What came of a report. undone: whether that was taken back. platform: where, if it was sent to the one that hosts
    the account; null: here."""

    verdict: local.Verdict
    at_ms: Milliseconds
    undone: bool
    platform: Did | None


class MyReport(Response):
    """What who reported knows of it. posts: as they were named. outcome: empty while it is open."""

    id: Number
    at_ms: Milliseconds
    account: AccountName
    posts: list[PostUri]
    comment: str
    category: local.Category
    rules: list[str]
    forward: bool
    state: State
    closed_ms: Milliseconds | None
    outcome: list[ReportOutcome]


class MyReports(Response):
    """The newest first. after: give it to get the next page; null on the last one."""

    reports: list[MyReport]
    after: Number | None


class ReportedPostRow(Response):
    """A post as it was when it was reported: text (at most 2,000 characters), warning, how many files. now: what became
    of it here: the same, edited, or why it is not shown (deleted, withheld, hidden, unknown). post: as it is now."""

    uri: PostUri
    text: str
    warning: str | None
    media: int
    time_ms: Milliseconds
    now: Literal["same", "edited", "deleted", "withheld", "hidden", "unknown"]
    post: PostRow | None


class ReporterRow(AccountName):
    at_ms: Milliseconds
    comment: str


class ReportRow(Response):
    """by: who reported first; also: who said the same, the first 50; others: how many more. account: against whom, with
    the handle that it claims and the platforms that confirm it; its standing at this node. before: how many decisions
    about it were made before."""

    id: Number
    state: State
    at_ms: Milliseconds
    account: AccountName
    handle: HandleOf | None
    standing: ModerationStatus
    before: int
    by: ReporterRow
    also: list[ReporterRow]
    others: int
    posts: list[ReportedPostRow]
    category: local.Category
    rules: list[str]
    forward: bool
    closed_ms: Milliseconds | None
    decisions: list[DecisionRow]


class ReportRows(Response):
    """open, closed: how many there are. after: give it to get the next page; null on the last one."""

    reports: list[ReportRow]
    open: int
    closed: int
    after: Number | None


@METHODS.write("report.add", "not_found", "refused", "too_many")
def add(ctx: Context, ask: ReportRequest, now: float) -> MyReport:
    """Reports an account, or posts of it, to the moderators of this node. One that says what an open one says is folded
    into it."""
    return record(ctx, ask, hosted.account_of(ctx, ask.by), now, reports.A_DAY)


def record(ctx: Context, ask: ReportRequest, by: AccountId, now: float, a_day: int = reports.OPEN) -> MyReport:
    """The same for an account that may be hosted elsewhere. Raises CallError."""
    q, at_ms, account = ctx.queries(), ctx.replica.wall_ms(now), hosted.account_of(ctx, ask.account)
    if by == account:
        raise conflict("One cannot report oneself.")
    if not ctx.holds(account):
        raise not_found(f"{account_to_text(account)} is not held here.")
    targets = list(dict.fromkeys(map(target_of, ask.posts)))
    if any(target.account != account for target in targets):
        raise bad_request("The posts of a report are of the account that is reported.")
    said = local.Reporter(account_to_text(by), at_ms, ask.comment.strip())
    open_ones = [*islice(reports.against(ctx.store, account), ENOUGH)]
    named = {uri(target) for target in targets}
    same = next((one for one in open_ones if {post.uri for post in one.posts} == named), None)
    same = same or (open_ones[-1] if len(open_ones) == ENOUGH else None)
    if same is not None and said.account in same.reporters:
        return _mine(q, same, by)
    if reports.today(ctx.store, by, at_ms) >= a_day:
        says = f"{a_day} reports a day are taken from one account: report the rest tomorrow."
        raise CallError("too_many", says, 429)
    if same is not None:
        full = len(same.also) >= reports.ALSO
        also, others = (same.also, same.others + 1) if full else ([*same.also, said], same.others)
        made = structs.replace(same, also=also, others=others, forward=same.forward or ask.forward)
    else:
        held = reports.counts(ctx.store)
        if held.open >= reports.OPEN:
            says = f"{held.open:,} reports wait for the moderators of this node: block the account, and come again."
            raise CallError("too_many", says, 429)
        posts = [post for target in targets if (post := _as_it_is(q, target)) is not None]
        made = local.ReportNote(
            held.next, at_ms, said, account_to_text(account), posts, ask.category, list(dict.fromkeys(ask.rules)),
            ask.forward, [], 0, None, [],
        )  # fmt: skip
    reports.put(ctx.store, made)
    reports.count_today(ctx.store, by, at_ms)
    if ask.forward:
        local.REPORTS_TO_SEND.put(ctx.store, made.id, True)
    if same is None:
        for moderator in [*local.MODERATORS.keys(ctx.store)]:
            if moderator != account:
                decisions.tell(ctx.store, moderator, local.ModerationNotice("report", made.id, at_ms))
    return _mine(q, made, by)


def _as_it_is(q: Queries, target: Target) -> local.ReportedPost | None:
    """A post of which nothing is held is left out, as with Mastodon."""
    view = q.post(target, hidden=True)
    if view is None:
        return None
    said = view.post
    return local.ReportedPost(uri(target), said.text[: reports.TEXT], said.warning, len(said.media), view.time_ms)


def _mine(q: Queries, one: local.ReportNote, reader: AccountId) -> MyReport:
    me, account = account_to_text(reader), account_from_text(one.account)
    said = next((other for other in (one.by, *one.also) if other.account == me), one.by)
    here = decisions.among(q.reader, one.decisions)
    return MyReport(
        one.id,
        said.at_ms,
        account_name(q, account),
        [uri(target_of(post.uri)) for post in one.posts],
        said.comment,
        one.category,
        one.rules,
        one.forward,
        "open" if one.closed_ms is None else "closed",
        one.closed_ms,
        [
            *(ReportOutcome(d.verdict, d.at_ms, d.undone is not None, None) for d in here),
            *(ReportOutcome(o.verdict, o.at_ms, o.undone, did(account_from_text(o.platform))) for o in one.elsewhere),
        ],
    )


def my_report(q: Queries, number: int, reader: AccountId) -> MyReport | None:
    """None if it is no longer kept."""
    found = reports.find(q.reader, number)
    return None if found is None else _mine(q, found, reader)


@METHODS.read("report.mine", "refused")
def mine(at: CommitView, ask: MyReportsRequest) -> MyReports:
    """What the account reported, and what came of it."""
    account, q = hosted.account_of(at, ask.by), at.queries()
    found = reports.of_reporter(at.store, account, ask.after)
    page, after = page_of(((one.id, one) for one in found), ask.limit)
    return MyReports([_mine(q, one, account) for one in page], after)


@METHODS.read("report.list", "refused", slow=True)
def listing(at: CommitView, ask: ReportsRequest) -> ReportRows:
    """Reports for the moderators of this node."""
    store = at.store
    rows = reports.queue(store, ask.after) if ask.state == "open" else reports.closed(store, ask.after)
    if ask.account is not None:
        against = account_to_text(hosted.account_of(at, ask.account))
        rows = (one for one in rows if one.account == against)
    held, (page, after) = reports.counts(store), page_of(((one.id, one) for one in rows), ask.limit)
    return ReportRows([report_row(at, one) for one in page], held.open, held.closed, after)


@METHODS.read("report.show", "not_found", slow=True)
def show(at: CommitView, ask: ReportShowRequest) -> ReportRow:
    """One report, with the posts as they were and as they are."""
    found = reports.find(at.store, ask.id)
    if found is None:
        raise not_found(f"There is no report {ask.id}, or it is no longer kept.")
    return report_row(at, found)


def report_row(at: CommitView, one: local.ReportNote) -> ReportRow:
    q, account = at.queries(), account_from_text(one.account)
    rows = PostRows(q, at.blobs)
    others = (found for found in decisions.about(at.store, account, None) if found.id not in one.decisions)
    return ReportRow(
        id=one.id,
        state="open" if one.closed_ms is None else "closed",
        at_ms=one.at_ms,
        account=account_name(q, account),
        handle=handle_of(q, account),
        standing=standing_of(at, account),
        before=sum(1 for _ in islice(others, PAGE)),
        by=_reporter(q, one.by),
        also=[_reporter(q, other) for other in one.also],
        others=one.others,
        posts=[*_posts(q, rows, one)],
        category=one.category,
        rules=one.rules,
        forward=one.forward,
        closed_ms=one.closed_ms,
        decisions=[decision_row(q, found) for found in decisions.among(at.store, one.decisions)],
    )


def _reporter(q: Queries, one: local.Reporter) -> ReporterRow:
    account = account_from_text(one.account)
    return ReporterRow(did(account), name_of(q, account), one.at_ms, one.comment)


def _posts(q: Queries, rows: PostRows, one: local.ReportNote) -> Iterator[ReportedPostRow]:
    for said in one.posts:
        target = target_of(said.uri)
        view = q.post(target, hidden=True)
        now: Literal["same", "edited", "deleted", "withheld", "hidden", "unknown"] = "same"
        if view is None or q.is_hidden(target):
            word = why_gone(q, target).word
            now = "deleted" if word == "deleted" else "withheld" if word == "withheld" else "unknown"
            now = "hidden" if word == "hidden" else now
        elif (view.post.text[: reports.TEXT], view.post.warning) != (said.text, said.warning):
            now = "edited"
        row = None if view is None else rows.row(view)
        yield ReportedPostRow(uri(target), said.text, said.warning, said.media, said.time_ms, now, row)
