"""Who moderates at this node, what moderation tells an account, and the audit log."""

from itertools import islice
from typing import Annotated, Any, Literal

from msgspec import Meta

from banyan_node.api.declare import ActorRequest, CommitView, EmptyRequest, MethodTable, Request, Response, WorkContext
from banyan_node.api.json_types import AccountRef, Did, Milliseconds, NoticeCursor, did, notice_cursor, place_of
from banyan_node.api.methods.moderation.decisions import DecisionAboutMe, about_me
from banyan_node.api.methods.moderation.reports import MyReport, ReportRow, my_report, report_row
from banyan_node.api.methods.people.notices import read_until
from banyan_node.api.methods.posts.post_rows import AccountName, name_of
from banyan_node.context import Context
from banyan_node.home.audit import AuditLine, AuditLog
from banyan_node.home.folder import Home
from banyan_node.hosting import hosted
from banyan_node.moderation import decisions, reports
from banyan_node.operator_errors import conflict, not_found
from banyan_storage.account_references import PLACE_BYTES
from banyan_storage.local_tables import MODERATORS

METHODS = MethodTable()


class ModeratorOf(Request):
    """account: hosted here."""

    account: AccountRef


class TellsRequest(ActorRequest):
    before: Annotated[str | None, Meta(title="a place among notifications", description="`at` of a row.")] = None
    limit: Annotated[int, Meta(ge=1, le=decisions.KEPT)] = 40


class ModeratorResult(Response):
    account: Did


class ModeratorRow(AccountName):
    since_ms: Milliseconds


class ModeratorRows(Response):
    moderators: list[ModeratorRow]


class AmI(Response):
    """open: how many reports wait; 0 for who is no moderator."""

    moderator: bool
    open: int


class TellRow(Response):
    """what: a report came, for a moderator; a decision about the account or its posts; the outcome of what it reported.
    at: its place among the notifications of the account. One of report, decision and mine is there, if it is kept."""

    at: NoticeCursor
    what: Literal["report", "decision", "outcome"]
    time_ms: Milliseconds
    unread: bool
    report: ReportRow | None
    decision: DecisionAboutMe | None
    mine: MyReport | None


class TellRows(Response):
    """The newest first."""

    tells: list[TellRow]


@METHODS.write("moderator.add", "refused", audited=True)
def add(ctx: Context, ask: ModeratorOf, now: float) -> ModeratorResult:
    """Lets a hosted account moderate at this node: it reads reports and decides them."""
    account = hosted.account_of(ctx, ask.account)
    if not hosted.is_hosted(ctx.store, account):
        raise conflict("Only an account that is hosted here can moderate: it has to log in.")
    if not MODERATORS.has(ctx.store, account):
        MODERATORS.put(ctx.store, account, ctx.replica.wall_ms(now))
    return ModeratorResult(did(account))


@METHODS.write("moderator.drop", "not_found", audited=True)
def drop(ctx: Context, ask: ModeratorOf, now: float) -> ModeratorResult:
    """Ends that. What the account decided stands."""
    account = hosted.account_of(ctx, ask.account)
    if not MODERATORS.has(ctx.store, account):
        raise not_found("That account is no moderator of this node; `moderator.list` has them.")
    MODERATORS.put(ctx.store, account, None)
    return ModeratorResult(did(account))


@METHODS.read("moderator.list")
def listing(at: CommitView, ask: EmptyRequest) -> ModeratorRows:
    """The moderators of this node."""
    q = at.queries()
    found = MODERATORS.rows(at.store)
    return ModeratorRows([ModeratorRow(did(account), name_of(q, account), since) for account, since in found])


@METHODS.read("moderator.am_i", "refused")
def am_i(at: CommitView, ask: ActorRequest) -> AmI:
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


# The audit log: what operators, admins and moderators did at this node.

PAGE = 1_000
Line = Annotated[int, Meta(title="a number", description="Of a line.", ge=0, lt=1 << 53)]


class AuditRequest(Request):
    """after: the lines behind this one, the oldest first. before: those before this one, the newest first; so are
    those of a request without either. who, do: only lines whose `who` or `do` begins so. since_ms, until_ms: only of
    this time."""

    after: Line | None = None
    before: Line | None = None
    who: Annotated[str, Meta(max_length=200)] = ""
    do: Annotated[str, Meta(max_length=100)] = ""
    since_ms: Milliseconds | None = None
    until_ms: Milliseconds | None = None
    limit: Annotated[int, Meta(ge=1, le=PAGE)] = 50


class ActRow(Response):
    """n: the number of the line. who: `operator` (whoever has the home or the control token), the DID of a moderator,
    `token ID (label)`, or `node` for the log itself. via: control, command, api or page. do: what was done, most often
    a method of this API; given: with which parameters, long texts cut. why: in their words. refused: the act of line
    `of` was not done, and why. before: the SHA-256 of the line before."""

    n: Line
    at_ms: Milliseconds
    who: str
    via: str
    do: str
    given: dict[str, Any]
    why: str | None
    of: Line | None
    refused: str | None
    before: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]


class Acts(Response):
    """next: `after` or `before` of the next page; null where there is none (yet)."""

    acts: list[ActRow]
    next: Line | None


class AuditChain(Response):
    """first, last: the first and the last line that are kept; 0: none is. head: the SHA-256 of the last one, to keep
    elsewhere. broken: the first line that is not what the one behind it says, or before which lines were taken out;
    null: none. unfinished: bytes behind the last line that are no whole line: what a crash left of one, whose act was
    not done, or what somebody else wrote there. The next act takes their place, and a line `audit.mended` says so."""

    first: Line
    last: Line
    head: str
    broken: Line | None
    unfinished: Annotated[int, Meta(ge=0)]


@METHODS.work("audit.list", "read")
def list_acts(at: WorkContext, ask: AuditRequest) -> Acts:
    """What operators, admins and moderators did."""

    def wanted(one: AuditLine) -> bool:
        in_time = (ask.since_ms or 0) <= one.at_ms and (ask.until_ms is None or one.at_ms < ask.until_ms)
        return in_time and one.who.startswith(ask.who) and one.do.startswith(ask.do)

    found, last = AuditLog(Home(at.home).audit).page(ask.after, ask.before, ask.limit, wanted)
    return Acts([ActRow(*(getattr(one, name) for name in one.__struct_fields__)) for one in found], last)


@METHODS.work("audit.verify", "read")
def verify(at: WorkContext, ask: EmptyRequest) -> AuditChain:
    """Reads the whole log, and says whether each line is followed by one that names it."""
    return AuditChain(*AuditLog(Home(at.home).audit).verify())
