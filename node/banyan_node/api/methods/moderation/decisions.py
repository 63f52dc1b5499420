"""What moderators of this node decide: about a report, or without one. Every decision can be taken back.

Of all this the network hears of one thing alone: content that is withheld by an order, of which this node gives a
signed statement to whoever asks for it. The rest holds at this node.
"""

from collections.abc import Sequence
from typing import Annotated

from msgspec import Meta, structs

from banyan_crdt.ids import AccountId, account_from_text, account_to_text
from banyan_node.api.declare import AccountRequest, ActorRequest, CommitView, MethodTable, PostOf, Request, Response
from banyan_node.api.json_types import AccountRef, Did, Milliseconds, PostRef, PostUri, did, page_of, target_of, uri
from banyan_node.api.methods.moderation import content
from banyan_node.api.methods.posts.post_rows import AccountName, account_name
from banyan_node.context import Context
from banyan_node.hosting import hosted
from banyan_node.moderation import decisions, reports
from banyan_node.moderation.decisions import HOLDS, OF_POSTS, Kind
from banyan_node.operator_errors import CallError, bad_request, conflict, forbidden, not_found
from banyan_reading.queries import Queries
from banyan_schema.social import Target, post_to_text
from banyan_storage import local_tables as local
from banyan_storage.acts import ActKind
from banyan_storage.alliance_tables import ORDERED
from banyan_storage.views import invalidation

METHODS = MethodTable()
PAGE = 100
_ACT: dict[Kind, ActKind] = {"label": "labelled", "hide": "hidden", "limit": "limited", "suspend": "suspended"}
"""What the firehose tells of them."""
Number = Annotated[int, Meta(title="a number", description="As a list answers it.", ge=1, lt=1 << 53)]
Order = Annotated[str, Meta(max_length=250)]
"""A statement takes 1,000 bytes."""
Moderator = Annotated[
    str | None, Meta(title="an account", description="The moderator who decides, hosted here; default: the operator.")
]


class DecideRequest(Request):
    """report: which one is decided. account, posts: about what; default: what the report names. verdict: nothing;
    label: the posts are shown here with `text` before them; hide: they are not shown here; withhold: their content is
    given to nobody here, by an order; limit: only followers see the account here; suspend: this node writes nothing for
    the hosted account; pass_on: somebody told the platform `to`. why: for the other moderators. text: for the author.
    order, basis, scope, days: of the signed statement about content that is withheld (`content.withhold`)."""

    verdict: local.Verdict
    report: Number | None = None
    account: AccountRef | None = None
    posts: Annotated[list[PostRef], Meta(max_length=reports.POSTS)] | None = None
    why: Annotated[str, Meta(max_length=1_000)] = ""
    text: Annotated[str, Meta(max_length=500)] = ""
    order: Order = ""
    basis: Order = ""
    scope: Order = ""
    days: Annotated[int, Meta(ge=0, le=36_500, description="How many days; 0: until it is taken back.")] = 0
    to: Annotated[str, Meta(max_length=200)] = ""
    by: Moderator = None


class UndoDecision(Request):
    id: Number
    why: Annotated[str, Meta(max_length=1_000)] = ""
    by: Moderator = None


class DecisionsRequest(Request):
    """account: only about it and its posts. after: `after` of the page before."""

    account: Annotated[str | None, Meta(title="an account", description="A DID, or a name hosted here.")] = None
    after: Number | None = None
    limit: Annotated[int, Meta(ge=1, le=PAGE)] = 20


class AboutMeRequest(ActorRequest):
    after: Number | None = None
    limit: Annotated[int, Meta(ge=1, le=PAGE)] = 20


class Undone(Response):
    """by: the moderator; null: the operator."""

    at_ms: Milliseconds
    by: AccountName | None
    why: str


class DecisionRow(Response):
    """See `decision.add`. by: the moderator; null: the operator. undone: who took it back; null: it stands."""

    id: Number
    at_ms: Milliseconds
    by: AccountName | None
    verdict: local.Verdict
    account: AccountName
    posts: list[PostUri]
    report: Number | None
    why: str
    text: str
    order: str
    basis: str
    scope: str
    days: int
    to: str
    undone: Undone | None


class DecisionAboutMe(Response):
    """What the author is told of a decision: not by whom, and not what moderators say among themselves."""

    id: Number
    at_ms: Milliseconds
    verdict: local.Verdict
    posts: list[PostUri]
    text: str
    order: str
    basis: str
    scope: str
    days: int
    undone_ms: Milliseconds | None


class DecisionRows(Response):
    """The newest first. after: give it to get the next page; null on the last one. damaged: the numbers of those that
    stand between these and cannot be read until `banyan store repair`."""

    decisions: list[DecisionRow]
    after: Number | None
    damaged: list[Number]


class DecisionsAboutMe(Response):
    """See `decision.list`."""

    decisions: list[DecisionAboutMe]
    after: Number | None
    damaged: list[Number]


def decision_row(q: Queries, one: local.DecisionNote) -> DecisionRow:
    undone = one.undone
    return DecisionRow(
        one.id,
        one.at_ms,
        _named(q, one.by),
        one.verdict,
        account_name(q, account_from_text(one.account)),
        [uri(target_of(post)) for post in one.posts],
        one.report,
        one.why,
        one.text,
        one.order,
        one.basis,
        one.scope,
        one.days,
        one.to,
        None if undone is None else Undone(undone.at_ms, _named(q, undone.by), undone.why),
    )


def about_me(one: local.DecisionNote) -> DecisionAboutMe:
    posts = [uri(target_of(post)) for post in one.posts]
    undone = None if one.undone is None else one.undone.at_ms
    said = (one.text, one.order, one.basis, one.scope, one.days)
    return DecisionAboutMe(one.id, one.at_ms, one.verdict, posts, *said, undone)


def _named(q: Queries, by: str | None) -> AccountName | None:
    return None if by is None else account_name(q, account_from_text(by))


@METHODS.write("decision.add", "not_found", "refused", audited=True)
def add(ctx: Context, ask: DecideRequest, now: float) -> DecisionRow:
    """Decides: about a report, which is closed then, or without one. The author and who reported are told."""
    return decide(ctx, ask, now)


def decide(ctx: Context, ask: DecideRequest, now: float, issuer: AccountId | None = None) -> DecisionRow:
    """The same. issuer: whose label it is that this node follows. Raises CallError."""
    at_ms = ctx.replica.wall_ms(now)
    report = None if ask.report is None else _report(ctx, ask.report)
    if report is None and ask.account is None:
        raise bad_request("Name the 'report' that is decided, or the 'account' that it is about.")
    account = hosted.account_of(ctx, ask.account if report is None else report.account)
    if report is not None and ask.account is not None and hosted.account_of(ctx, ask.account) != account:
        raise bad_request(f"Report {report.id} is about {report.account}, and not about that account.")
    by = _moderator(ctx, ask.by, account) if issuer is None else account_to_text(issuer)
    asked = ask.posts if ask.posts is not None else [one.uri for one in report.posts] if report is not None else []
    posts = _judged(ctx, ask, account, list(dict.fromkeys(map(target_of, asked))))
    made = local.DecisionNote(
        id=decisions.next_number(ctx.store),
        at_ms=at_ms,
        by=by,
        verdict=ask.verdict,
        account=account_to_text(account),
        posts=[post_to_text(post) for post in posts],
        report=ask.report,
        why=ask.why.strip(),
        text=ask.text.strip(),
        order=ask.order.strip(),
        basis=ask.basis.strip(),
        scope=ask.scope.strip(),
        days=ask.days if ask.verdict == "withhold" else 0,
        to=ask.to.strip(),
        undone=None,
        labelled=issuer is not None,
    )
    _apply(ctx, made, account, posts, now)
    invalidation.note_all(ctx.engine.write())  # what readers keep was made of rows, not of decisions
    decisions.put(ctx.store, made)
    if report is not None:
        reports.put(ctx.store, structs.replace(report, closed_ms=at_ms, decisions=[*report.decisions, made.id]))
    _tell(ctx, made, account, report, at_ms)
    return decision_row(ctx.queries(), made)


def _report(ctx: Context, number: int) -> local.ReportNote:
    found = reports.find(ctx.store, number)
    if found is None:
        raise not_found(f"There is no report {number}, or it is no longer kept.")
    return found


def _moderator(ctx: Context, named: str | None, about: AccountId) -> str | None:
    """Who decides. Raises CallError if they may not."""
    if named is None:
        return None
    by = hosted.account_of(ctx, named)
    if not local.MODERATORS.has(ctx.store, by):
        raise forbidden(f"{account_to_text(by)} is no moderator of this node.")
    if by == about:
        raise forbidden("This is about you: another moderator has to decide it.")
    return account_to_text(by)


def _judged(ctx: Context, ask: DecideRequest, account: AccountId, posts: list[Target]) -> list[Target]:
    """The posts for which the verdict is new. Raises CallError for what cannot be decided so, before
    anything is written."""
    verdict = ask.verdict
    if any(post.account != account for post in posts):
        raise bad_request(f"All posts of a decision are of one account, {account_to_text(account)}.")
    wants = {"label": ("text", ask.text), "withhold": ("order", ask.order), "pass_on": ("to", ask.to)}
    name, said = wants.get(verdict, ("", "x"))
    if not said.strip():
        raise bad_request(f"The verdict {verdict} needs '{name}'.")
    if verdict == "suspend" and not hosted.is_hosted(ctx.store, account):
        raise conflict("Only an account that is hosted here can be suspended: this node writes for no other. Limit it.")
    if verdict == "limit" or verdict == "suspend":
        if (stands := HOLDS[verdict].get(ctx.store, account)) is not None:
            raise conflict(f"Decision {stands.decision} says that already; take it back first.")
        return posts
    if verdict not in OF_POSTS:
        return posts
    if not posts:
        raise bad_request(f"The verdict {verdict} is about posts: name them in 'posts'.")
    if verdict == "withhold":
        new = [post for post in posts if content.given_to_peers(ctx, post) or local.WITHHELD.has(ctx.store, post)]
        none = "No content of these posts is given out here: it was deleted, or is not held."
    else:
        kind: Kind = "label" if verdict == "label" else "hide"
        new = [post for post in posts if not HOLDS[kind].has(ctx.store, post)]
        none = "A decision that stands says that of all these posts already; take it back first."
    if not new:
        raise conflict(none)
    return new


def _apply(ctx: Context, made: local.DecisionNote, account: AccountId, posts: Sequence[Target], now: float) -> None:
    holds, verdict = local.Holds(made.id, made.text, (made.by or "") if made.labelled else ""), made.verdict
    if verdict == "limit" or verdict == "suspend":
        HOLDS[verdict].put(ctx.store, account, holds)
        ctx.store.note_act(_ACT[verdict], account)
    elif verdict == "label" or verdict == "hide":
        for post in posts:
            HOLDS[verdict].put(ctx.store, post, holds)
            ctx.store.note_act(_ACT[verdict], post.account, post.key, (made.text,) if verdict == "label" else ())
        content.tell_judged(ctx, posts)
    elif verdict == "withhold":
        for post in posts:
            said = content.WithholdRequest(post_to_text(post), made.order, made.basis, made.scope, made.days)
            content.withhold(ctx, said, now)


def _tell(
    ctx: Context, made: local.DecisionNote, account: AccountId, report: local.ReportNote | None, at_ms: int
) -> None:
    """Tells the author what was done, and those who reported what came of it, if they are hosted here."""
    if made.verdict not in ("nothing", "pass_on") and hosted.is_hosted(ctx.store, account):
        decisions.tell(ctx.store, account, local.ModerationNotice("decision", made.id, at_ms))
    if report is None:
        return
    for who in report.reporters:
        if hosted.is_hosted(ctx.store, account_from_text(who)):
            decisions.tell(ctx.store, account_from_text(who), local.ModerationNotice("outcome", report.id, at_ms))
        else:
            local.REPORTS_TO_ANSWER.put(ctx.store, report.id, True)


@METHODS.write("decision.undo", "not_found", "refused", audited=True)
def undo(ctx: Context, ask: UndoDecision, now: float) -> DecisionRow:
    """Takes a decision back: what held because of it holds no more, and its report is open again if no other decision
    about it stands."""
    made = decisions.find(ctx.store, ask.id)
    if made is None:
        raise not_found(f"There is no decision {ask.id}.")
    if made.undone is not None:
        raise conflict(f"Decision {ask.id} was taken back already.")
    by = _moderator(ctx, ask.by, account_from_text(made.account))
    return withdraw(ctx, made, by, ask.why.strip(), now)


def withdraw(ctx: Context, made: local.DecisionNote, by: str | None, why: str, now: float) -> DecisionRow:
    """Takes back one that stands."""
    account, at_ms = account_from_text(made.account), ctx.replica.wall_ms(now)
    _take_back(ctx, made, account, now)
    invalidation.note_all(ctx.engine.write())
    made = structs.replace(made, undone=local.Withdrawal(at_ms, by, why))
    decisions.put(ctx.store, made)
    report = None if made.report is None else reports.find(ctx.store, made.report)
    if report is not None and not any(one.undone is None for one in decisions.among(ctx.store, report.decisions)):
        reports.put(ctx.store, structs.replace(report, closed_ms=None))
    _tell(ctx, made, account, report, at_ms)
    return decision_row(ctx.queries(), made)


def _take_back(ctx: Context, made: local.DecisionNote, account: AccountId, now: float) -> None:
    verdict = made.verdict
    if verdict == "limit" or verdict == "suspend":
        if _end(ctx, verdict, account, made.id):
            ctx.store.note_act("lifted", account, said=(_ACT[verdict],))
    elif verdict == "label" or verdict == "hide":
        for post in map(target_of, made.posts):
            if _end(ctx, verdict, post, made.id):
                content.note_returned(ctx, post)
        content.tell_judged(ctx, map(target_of, made.posts))
    elif verdict == "withhold":
        for uri_ in made.posts:
            stands = local.WITHHELD.get(ctx.store, post := target_of(uri_))
            ordered = ORDERED.get(ctx.store, post)
            if stands is not None and not is_by(ctx, stands, made.id):
                continue  # by another order, which stands
            if ordered is not None and ordered.decision != made.id:
                first = decisions.find(ctx.store, ordered.decision)
                assert first is not None
                again = local.Order(first.order, first.basis, first.scope, first.at_ms, 0)
                content.withhold_again(ctx, post, again)
                continue
            try:
                content.release(ctx, PostOf(uri_), now)
            except CallError as why:  # it was released, or its account was dropped meanwhile
                if why.code != "not_found":
                    raise


def is_by(ctx: Context, stands: local.Order, number: int) -> bool:
    """Whether a post is withheld by this decision, and not by a later order."""
    made = decisions.find(ctx.store, number)
    return made is not None and (stands.order, stands.since_ms) == (made.order, made.at_ms)


def _end(ctx: Context, kind: Kind, about: Target | AccountId, number: int) -> bool:
    """Whether it held because of this decision."""
    found = HOLDS[kind].get(ctx.store, about)
    if found is None or found.decision != number:
        return False
    HOLDS[kind].put(ctx.store, about, None)
    return True


@METHODS.read("decision.list", "refused", slow=True)
def listing(at: CommitView, ask: DecisionsRequest) -> DecisionRows:
    """What was decided, the newest first; what was taken back too."""
    store, q = at.store, at.queries()
    of = None if ask.account is None else hosted.account_of(at, ask.account)
    damaged = list[int]()
    rows = decisions.every(store, ask.after, damaged) if of is None else decisions.about(store, of, ask.after, damaged)
    page, after = page_of(((one.id, one) for one in rows), ask.limit)
    return DecisionRows([decision_row(q, one) for one in page], after, [n for n in damaged if n > (after or 0)])


@METHODS.read("decision.mine", "refused")
def mine(at: CommitView, ask: AboutMeRequest) -> DecisionsAboutMe:
    """What moderators of this node decided about the account that asks, and its posts."""
    account = hosted.account_of(at, ask.by)
    damaged = list[int]()
    every = decisions.about(at.store, account, ask.after, damaged)
    page, after = page_of(((one.id, one) for one in every if one.verdict not in ("nothing", "pass_on")), ask.limit)
    return DecisionsAboutMe([*map(about_me, page)], after, [n for n in damaged if n > (after or 0)])


class ModerationStatus(Response):
    """limited, suspended: the decision because of which it is; null: it is not. moderator: whether it is one."""

    account: Did
    hosted: bool
    limited: Number | None
    suspended: Number | None
    moderator: bool


def standing_of(at: CommitView, account: AccountId) -> ModerationStatus:
    limited, suspended = (kind.get(at.store, account) for kind in (local.LIMITED, local.SUSPENDED))
    return ModerationStatus(
        did(account),
        hosted.is_hosted(at.store, account),
        None if limited is None else limited.decision,
        None if suspended is None else suspended.decision,
        local.MODERATORS.has(at.store, account),
    )


@METHODS.read("account.standing", "refused")
def show_standing(at: CommitView, ask: AccountRequest) -> ModerationStatus:
    """What holds of an account at this node because moderators decided it."""
    return standing_of(at, hosted.account_of(at, ask.account))
