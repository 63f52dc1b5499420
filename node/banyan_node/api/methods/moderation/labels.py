"""Labels that accounts give posts and accounts, what they mean by them, appeals; and whose labels a reader wants."""

import re
from itertools import islice
from typing import Annotated

from msgspec import Meta

from banyan_crdt.ids import AccountId, account_to_text
from banyan_crdt.ops import Add
from banyan_node.api.declare import ActorRequest, CommitView, MethodTable, NoResult, Response, UndoRequest
from banyan_node.api.json_types import AccountRef, Did, Milliseconds, PostUri, did, entry_hex, target_of, uri
from banyan_node.api.methods.people.private import opened, say
from banyan_node.api.methods.posts.post_rows import AccountName, account_name, name_of
from banyan_node.api.methods.posts.post_writes import WrittenEntry
from banyan_node.context import Context
from banyan_node.hosting import hosted, interest, sealed_writer
from banyan_node.hosting.entry_writer import append
from banyan_node.hosting.visibility import labellers_of
from banyan_node.operator_errors import bad_request, not_found
from banyan_reading import labels
from banyan_reading.queries import Queries
from banyan_reading.visibility import LabellerWish
from banyan_schema.address import Target
from banyan_schema.collection import OpDraft
from banyan_schema.collection import undo as take_back
from banyan_schema.private_kinds import LabellerChoice
from banyan_schema.social import label as schema
from banyan_schema.social.label import Label, LabelAppeal, LabelName, Severity, is_whole, whole

METHODS = MethodTable()
DAY_MS = 86_400_000
PAGE = 200
About = Annotated[str, Meta(title="a post or an account", description="A post, or a DID or name: the account itself.")]
Name = Annotated[str, Meta(max_length=schema.MAX_NAME, description="What the label is called: a-z, 0-9 and '-'.")]


class LabelPut(UndoRequest):
    """reason: for whoever is labelled, and readers. days: how long it holds; 0: until it is taken back."""

    about: About
    name: Name
    reason: str = ""
    days: Annotated[int, Meta(ge=0, le=36_500)] = 0


class LabelDefine(UndoRequest):
    """severity: what is meant to happen to readers. note: nothing; warn: they are warned; hide: they are not shown it.
    title: what they see. text: what is meant."""

    name: Name
    severity: Severity = "warn"
    title: str = ""
    text: str = ""


class LabelAppealRequest(UndoRequest):
    """issuer: who gave the label. about: what is labelled: the account that appeals, or its post."""

    issuer: AccountRef
    about: About
    name: Name
    text: str = ""


class LabelsRequest(ActorRequest):
    """account: only those that it gave. about: only those of this."""

    account: AccountRef | None = None
    about: About | None = None


class LabelNamesRequest(ActorRequest):
    """account: whose; by default of the one that asks."""

    account: AccountRef | None = None


class LabellerChoose(ActorRequest):
    """wish: refuse: not to hear of its labels, also if this node follows them; warn: see its words before posts; hide:
    not to see what it means to be hidden; null: as this node has it."""

    account: AccountRef
    wish: LabellerWish | None = None


class LabelRow(Response):
    """post: null if the account itself is labelled. until: null if it does not end."""

    issuer: AccountName
    account: Did
    post: PostUri | None
    name: str
    title: str
    severity: Severity
    reason: str
    at: Milliseconds
    until: Milliseconds | None


class LabelRows(Response):
    labels: list[LabelRow]


class LabelNameRow(Response):
    """See `label.define`."""

    name: str
    severity: Severity
    title: str
    text: str


class LabelNames(Response):
    names: list[LabelNameRow]


class LabelAppealRow(Response):
    """See `label.appeal`."""

    who: AccountName
    post: PostUri | None
    name: str
    text: str
    at: Milliseconds


class LabelAppeals(Response):
    appeals: list[LabelAppealRow]


class ChosenRow(Response):
    account: Did
    name: str
    wish: LabellerWish


class ChosenLabellers(Response):
    labellers: list[ChosenRow]


def _about(at: CommitView | Context, text: str) -> Target:
    """Raises CallError."""
    if re.fullmatch("[0-9a-f]{64}", text):
        raise bad_request("That is an entry, such as a label: label a post or an account, or appeal against the label.")
    return target_of(text) if "/" in text else whole(hosted.account_of(at, text))


def _said(ctx: Context, account: AccountId, draft: OpDraft, now: float, undo: bool) -> WrittenEntry:
    """Says it, in the place of what was said of the same before; or takes that back."""
    op = draft.op
    assert isinstance(op, Add)
    live = ctx.queries().live(account, op)
    if undo and not live:
        raise not_found("There is nothing to undo: that was not said, or was taken back.")
    before = [take_back(op.coll, live)] if live else []
    return WrittenEntry(entry_hex(append(ctx, account, before if undo else [*before, draft], now)))


@METHODS.write("label.put", "not_found", "refused")
def put(ctx: Context, ask: LabelPut, now: float) -> WrittenEntry:
    """Labels a post or an account, for whoever follows the labels of this account. The author is told."""
    account, about = hosted.account_of(ctx, ask.by), _about(ctx, ask.about)
    if about.account == account and ask.name == schema.ALLOW:
        raise bad_request("An account cannot allow itself.")
    until_ms = ctx.replica.wall_ms(now) + ask.days * DAY_MS if ask.days else 0
    said = Label(about, ask.name, ask.reason.strip(), until_ms)
    return _said(ctx, account, schema.label(hosted.salt_of(ctx, account), said), now, ask.undo)


@METHODS.write("label.define", "not_found", "refused")
def define(ctx: Context, ask: LabelDefine, now: float) -> WrittenEntry:
    """Says what this account means by the name of a label, and how severe it is. Without, a label warns."""
    account = hosted.account_of(ctx, ask.by)
    said = LabelName(ask.name, ask.severity, ask.title.strip() or ask.name, ask.text.strip())
    return _said(ctx, account, schema.define(hosted.salt_of(ctx, account), said), now, ask.undo)


@METHODS.write("label.appeal", "not_found", "refused")
def appeal(ctx: Context, ask: LabelAppealRequest, now: float) -> WrittenEntry:
    """Tells the issuer of a label why it is wrong. Anybody can read it."""
    account, about, issuer = hosted.account_of(ctx, ask.by), _about(ctx, ask.about), hosted.account_of(ctx, ask.issuer)
    if about.account != account:
        raise bad_request("Only who is labelled, or wrote what is, can appeal.")
    q = ctx.queries()
    if not ask.undo and not any(one.label.name == ask.name for one in labels.of(q, about, [issuer])):
        raise not_found(f"{account_to_text(issuer)} did not label that '{ask.name}'; `label.list` has its labels.")
    said = LabelAppeal(issuer, about, ask.name, ask.text.strip())
    return _said(ctx, account, schema.appeal(hosted.salt_of(ctx, account), said), now, ask.undo)


@METHODS.read("label.list", "not_found", "refused", slow=True)
def listing(at: CommitView, ask: LabelsRequest) -> LabelRows:
    """The labels of a post or an account, by an issuer or by all of them; without `about`, those that an account gave,
    by default the one that asks. 200 at most."""
    q = at.queries()
    issuer = None if ask.account is None else hosted.account_of(at, ask.account)
    if ask.about is not None:
        found = labels.of(q, _about(at, ask.about), None if issuer is None else [issuer])
    else:
        found = [*islice(labels.given_by(q, issuer or hosted.account_of(at, ask.by)), PAGE)]
    names = {one.issuer: labels.names_of(q, one.issuer) for one in found}
    return LabelRows([_row(q, one, names[one.issuer]) for one in found])


def _row(q: Queries, one: labels.SaidLabel, names: dict[str, LabelName]) -> LabelRow:
    about, name = one.label.about, one.label.name
    return LabelRow(
        issuer=account_name(q, one.issuer),
        account=did(about.account),
        post=None if is_whole(about) else uri(about),
        name=name,
        title=names[name].title if name in names else name,
        severity=labels.severity_of(names, name),
        reason=one.label.reason,
        at=one.ms,
        until=one.label.until_ms or None,
    )


@METHODS.read("label.names", "not_found", "refused")
def names(at: CommitView, ask: LabelNamesRequest) -> LabelNames:
    """What an account means by the names of its labels."""
    found = labels.names_of(at.queries(), hosted.account_of(at, ask.account or ask.by))
    rows = [LabelNameRow(one.name, one.severity, one.title, one.about) for one in found.values()]
    return LabelNames(sorted(rows, key=lambda row: row.name))


@METHODS.read("label.appeals", "not_found", "refused")
def appeals(at: CommitView, ask: ActorRequest) -> LabelAppeals:
    """Who appeals against labels of the account that asks, of those that it still gives."""
    q, issuer = at.queries(), hosted.account_of(at, ask.by)
    given = {(one.label.about, one.label.name) for one in labels.given_by(q, issuer)}
    rows = [
        LabelAppealRow(
            account_name(q, who), None if is_whole(said.about) else uri(said.about), said.name, said.text, ms
        )
        for who, ms, said in labels.appeals_to(q, issuer)
        if (said.about, said.name) in given
    ]
    return LabelAppeals(rows)


@METHODS.write("labeller.choose", "not_found", "refused")
def choose(ctx: Context, ask: LabellerChoose, now: float) -> NoResult:
    """What a reader wants of somebody's labels. It is sealed, as all that an account keeps to itself."""
    account, issuer = hosted.account_of(ctx, ask.by), hosted.account_of(ctx, ask.account)
    if ask.wish in ("warn", "hide") and not interest.is_wanted(ctx, issuer):
        says = "follow it, or ask the operator to (`labeller.set`)"
        raise bad_request(f"This node does not hold {account_to_text(issuer)}, so it has none of its labels: {says}.")
    said = [LabellerChoice(issuer, ask.wish or "refuse")]
    return say(ctx, account, sealed_writer.drafts_or_undo(ctx, account, said, now, ask.wish is None), now)


@METHODS.read("labeller.chosen", "not_found", "refused")
def chosen(at: CommitView, ask: ActorRequest) -> ChosenLabellers:
    """Whose labels the reader chose, and what it wants of them."""
    account, q = hosted.account_of(at, ask.by), at.queries()
    found = labellers_of(opened(at, account)).items()
    return ChosenLabellers([ChosenRow(did(one), name_of(q, one), wish) for one, wish in sorted(found)])
