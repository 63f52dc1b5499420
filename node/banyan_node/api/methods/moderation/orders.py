"""Orders of the alliance: giving them, answering them, and what they withhold here. docs/orders.md has the rules.

The public parts are entries. Items, which say what an order withholds, are given to platforms in scope by hand: the
method that issues an order answers them, and `order.take` reads them. What an order withholds here is a decision like
those of moderators (decisions.py), so authors are told of it and of its end in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import cache, partial
from importlib.resources import files
from typing import Annotated, Literal

from msgspec import Meta

from banyan_charter.values import Parameters, Scope
from banyan_crdt.errors import Malformed
from banyan_crdt.ids import AccountId, account_to_text
from banyan_crdt.ops import Put
from banyan_duties.commitment import NO_DIGEST, Item, committed, decode_items, digest_of, encode_items
from banyan_duties.duty_file import read_duties
from banyan_duties.order_rules import (
    NO_CHECKPOINTS,
    Answer,
    Issued,
    Said,
    Standing,
    answers,
    covered,
    may_rule,
    standing,
    why_void,
)
from banyan_node.api.declare import ActorRequest, EmptyRequest, MethodTable, Response
from banyan_node.api.json_types import PostRef, did, target_of
from banyan_node.api.methods.moderation import content, decisions
from banyan_node.context import Context
from banyan_node.hosting import hosted
from banyan_node.hosting.entry_writer import append
from banyan_node.operator_errors import CallError, bad_request, forbidden, not_found
from banyan_reading.queries import Queries
from banyan_schema.social import Target, post_to_text
from banyan_schema.social.order import (
    ORDER_ACTS,
    Appeal,
    Confirmation,
    Given,
    OrderAct,
    OrderId,
    OrderNotice,
    Outcome,
    Receipt,
    Ruling,
    act_key,
    write_act,
)
from banyan_storage.errors import ViewBuilding
from banyan_storage.local_tables import FOLLOWED_CHARTER, ORDER_ITEMS, ORDERED, WITHHELD, OrderedPost

METHODS = MethodTable()
Hash = Annotated[str, Meta(title="a hash", description="64 hexadecimal digits.", pattern="^[0-9a-f]{64}$")]
Why = Annotated[str, Meta(max_length=500)]


class IssueOrder(ActorRequest):
    """by: the account of an authority. category: a class of a duty file. deadline_h: until platforms answer. term_d:
    until it ends; 0: until somebody ends it. paper: SHA-256 of the paper, or of the record of a call."""

    scope: Annotated[str, Meta(max_length=64)]
    posts: list[PostRef]
    basis: Annotated[str, Meta(max_length=250)] = ""
    category: Annotated[str, Meta(max_length=50)] = ""
    deadline_h: Annotated[int, Meta(ge=1, le=8_760)] = 24
    term_d: Annotated[int, Meta(ge=0, le=36_500)] = 0
    given: Given = "written"
    paper: Hash | None = None


class TakeItems(EmptyRequest):
    """items: as `order.issue` answered them."""

    order: Hash
    items: Annotated[str, Meta(max_length=1 << 20, pattern="^([0-9a-f]{2})*$")]


class ConfirmOrder(ActorRequest):
    order: Hash
    paper: Hash | None = None


class RefuseOrder(ActorRequest):
    """by: the account of a platform in scope."""

    order: Hash
    why: Why


class AppealRequest(ActorRequest):
    """post: one that an order withholds here."""

    post: PostRef
    why: Why


class RuleRequest(ActorRequest):
    """post: only this one of the order; its items must be here."""

    order: Hash
    outcome: Outcome
    post: PostRef | None = None
    why: Why = ""


class OrderWritten(Response):
    """items: for platforms in scope, and for nobody else; empty but for a new order."""

    order: Hash
    items: str


class MemberAnswer(Response):
    """word: done, refused, waiting or late. posts: of how many it held something."""

    member: str
    word: Literal["done", "refused", "waiting", "late"]
    posts: int
    why: str


class OrderRow(Response):
    """standing: void, in force, suspended or ended; why: in a sentence. here: how many of its items this node has.
    withheld: how many posts are withheld here because of it."""

    order: Hash
    issuer: str
    scope: str
    category: str
    basis: str
    posts: int
    given: Given
    standing: str
    why: str
    appeals: int
    here: int
    withheld: int
    answers: list[MemberAnswer]


class OrderRows(Response):
    orders: list[OrderRow]


class _Known:
    """All that this node holds of orders, under the epoch that stands. items: those that are here; their authors may
    appeal."""

    def __init__(self, q: Queries, p: Parameters, items: Callable[[Issued], tuple[Item, ...]]) -> None:
        self.parameters, self.scopes = p, {s.name.decode(): s for s in p.scopes}
        roles = dict.fromkeys(a.account for a in p.authorities)
        self.orders: dict[OrderId, Issued] = {}
        for issuer in roles:
            for act, place in _acts(q, issuer, OrderNotice):
                assert isinstance(act, OrderNotice)
                one = Issued(issuer, act, place)
                self.orders[one.id] = one
        authors = (item.post.account for one in self.orders.values() for item in items(one))
        others = (*roles, *(who for s in p.scopes for who in (*s.members, *s.judges)), *authors)
        self.said = [
            Said(by, act)
            for by in dict.fromkeys(others)
            for kind in (Confirmation, Receipt, Appeal, Ruling)
            for act, _ in _acts(q, by, kind)
            if not isinstance(act, OrderNotice)
        ]
        self.stands: dict[OrderId, Standing] = standing(p, self.orders.values(), self.said)

    def scope_of(self, order: OrderId) -> Scope:
        name = self.orders[order].order.scope
        return self.scopes.get(name, Scope(name.encode(), (), ()))


def _acts(q: Queries, by: AccountId, kind: type[OrderAct]) -> Iterator[tuple[OrderAct, bytes]]:
    """What counts of an account: what stands in its own cell."""
    of = ORDER_ACTS[kind]
    assert of.layout is not None
    for found in q.items(by, of):
        act: OrderAct = of.layout.make(*found.values)
        if act_key(by, act) == found.key:
            yield act, found.time_ms.to_bytes(8, "big") + found.ref.entry


def alliance_parameters(ctx: Context) -> Parameters:
    """Of the epoch that stands of the charter that this node follows. Raises CallError."""
    ledger = ctx.replica.charter.ledger
    if ledger is None or not ledger.epochs:
        raise bad_request("This node follows no charter, so no account here can give or answer orders.")
    return ledger.epochs[-1].parameters


def _known(ctx: Context) -> _Known:
    return _Known(ctx.queries(), alliance_parameters(ctx), partial(_items, ctx))


def _find(known: _Known, order: str) -> Issued:
    found = known.orders.get(OrderId(bytes.fromhex(order)))
    if found is None:
        raise not_found(f"No order {order[:16]} is here, or its issuer is no authority of the epoch that stands.")
    return found


def _write(ctx: Context, by: AccountId, act: OrderAct, now: float) -> None:
    draft = write_act(by, act)
    assert isinstance(draft.op, Put)
    append(ctx, by, [write_act(by, act, ctx.queries().live(by, draft.op))], now)


@METHODS.write("order.issue", "not_found", "refused", audited=True)
def issue(ctx: Context, ask: IssueOrder, now: float) -> OrderWritten:
    """Gives an order. It is refused if it would be void whatever others say. Above the cap of the day, by phone or on
    paper it is void until a second role confirms it."""
    p, by, q = alliance_parameters(ctx), hosted.account_of(ctx, ask.by), ctx.queries()
    items = [Item(ctx.replica.author.random(16), target_of(post), _digest(q, target_of(post))) for post in ask.posts]
    try:
        count, root = committed(items)
        paper = None if ask.paper is None else bytes.fromhex(ask.paper)
        said = (ask.scope, ask.category, ask.basis, ask.deadline_h * 3_600, ask.term_d * 86_400, count, root)
        one = Issued(by, OrderNotice(*said, ask.given, paper))
        void = why_void({a.account: a for a in p.authorities}, one)
        if void is not None:
            raise forbidden(f"This order would be void: {void}.")
        _write(ctx, by, one.order, now)
    except ValueError as why:
        raise bad_request(f"{why}") from None
    ORDER_ITEMS.put(ctx.store, one.id, encode_items(items))
    return OrderWritten(one.id.hex(), encode_items(items).hex())


def _digest(q: Queries, post: Target) -> bytes:
    view = q.post(post, hidden=True)
    return NO_DIGEST if view is None else digest_of(view.post.text, [m.blob for m in view.post.media])


@METHODS.write("order.take", "not_found", "refused", audited=True)
def take(ctx: Context, ask: TakeItems, now: float) -> OrderWritten:
    """Reads the items of an order, of which the public part is here, for a platform in its scope."""
    known = _known(ctx)
    one = _find(known, ask.order)
    if not any(hosted.is_hosted(ctx.store, m) for m in known.scope_of(one.id).members):
        raise forbidden(f"No account of this node carries out orders for {one.order.scope}: it needs no items of them.")
    try:
        decode_items(bytes.fromhex(ask.items), one.order)
    except Malformed as why:
        raise bad_request(f"Order {ask.order[:16]}: {why}.") from None
    ORDER_ITEMS.put(ctx.store, one.id, bytes.fromhex(ask.items))
    carry_out(ctx, now)
    return OrderWritten(ask.order, "")


@METHODS.write("order.confirm", "not_found", "refused", audited=True)
def confirm(ctx: Context, ask: ConfirmOrder, now: float) -> OrderWritten:
    """Stands behind an order as a second role, which saw its paper."""
    known, by = _known(ctx), hosted.account_of(ctx, ask.by)
    one = _find(known, ask.order)
    paper = None if ask.paper is None else bytes.fromhex(ask.paper)
    if by == one.issuer:
        raise forbidden("Who gave an order does not confirm it: another role does.")
    if not any(a.account == by and one.order.scope.encode() in a.scopes for a in known.parameters.authorities):
        raise forbidden(f"{account_to_text(by)} has no role for {one.order.scope}.")
    if paper != one.order.paper:
        raise bad_request("The paper differs from that of the order: compare the two before you confirm.")
    _write(ctx, by, Confirmation(one.id, paper), now)
    carry_out(ctx, now)
    return OrderWritten(ask.order, "")


@METHODS.write("order.refuse", "not_found", "refused", audited=True)
def refuse(ctx: Context, ask: RefuseOrder, now: float) -> OrderWritten:
    """Answers an order that this platform does not carry out, and why. What it withholds here is shown again."""
    known, by = _known(ctx), hosted.account_of(ctx, ask.by)
    one = _find(known, ask.order)
    if by not in known.scope_of(one.id).members:
        raise forbidden(f"{account_to_text(by)} is no member for {one.order.scope}.")
    _write(ctx, by, Receipt(one.id, "refused", 0, ask.why), now)
    carry_out(ctx, now)
    return OrderWritten(ask.order, "")


@METHODS.write("order.appeal", "not_found", "refused", audited=True)
def appeal(ctx: Context, ask: AppealRequest, now: float) -> OrderWritten:
    """Appeals against the order that withholds a post here, as its author, or as a platform in scope."""
    by, post = hosted.account_of(ctx, ask.by), target_of(ask.post)
    ordered = ORDERED.get(ctx.store, post)
    if ordered is None:
        raise not_found(f"No order of the alliance withholds {post_to_text(post)} here.")
    known = _known(ctx)
    one = _find(known, ordered.order.hex())
    if by != post.account and by not in known.scope_of(one.id).members:
        raise forbidden("Only the author or a platform in scope appeals.")
    leaf = next(item.leaf for item in _items(ctx, one) if item.post == post)
    _write(ctx, by, Appeal(one.id, leaf, ask.why), now)
    return OrderWritten(one.id.hex(), "")


@METHODS.write("order.rule", "not_found", "refused", audited=True)
def rule(ctx: Context, ask: RuleRequest, now: float) -> OrderWritten:
    """Suspends, confirms or ends an order as a judge of its scope; or ends it as its issuer."""
    known, by = _known(ctx), hosted.account_of(ctx, ask.by)
    one, leaf = _find(known, ask.order), None
    if ask.post is not None:
        leaf = next((i.leaf for i in _items(ctx, one) if i.post == target_of(ask.post)), None)
        if leaf is None:
            raise not_found(f"Order {ask.order[:16]} names no such post, or its items are not here.")
    ruling = Ruling(one.id, leaf, ask.outcome, ask.why)
    if not may_rule(one, known.scope_of(one.id), ruling, by):
        raise forbidden(
            f"{account_to_text(by)} is no judge for {one.order.scope}; an issuer can only end its own order."
        )
    _write(ctx, by, ruling, now)
    carry_out(ctx, now)
    return OrderWritten(ask.order, "")


@METHODS.write("order.list", "refused")
def listing(ctx: Context, ask: EmptyRequest, now: float) -> OrderRows:
    """All orders of which the public part is here, and what each comes to."""
    known = _known(ctx)
    there = [one.order for _, one in ORDERED.rows(ctx.store)]
    return OrderRows(
        [
            OrderRow(
                id.hex(),
                did(one.issuer),
                one.order.scope,
                one.order.category,
                one.order.basis,
                one.order.count,
                one.order.given,
                known.stands[id].word,
                known.stands[id].why,
                sum(isinstance(s.act, Appeal) and s.act.order == id for s in known.said),
                len(_items(ctx, one)),
                there.count(id),
                [MemberAnswer(did(a.member), a.word, a.held, a.why) for a in _answers(known, one)],
            )
            for id, one in sorted(known.orders.items())
        ]
    )


def _items(ctx: Context, one: Issued) -> tuple[Item, ...]:
    raw = ORDER_ITEMS.get(ctx.store, one.id)
    return () if raw is None else decode_items(raw, one.order)


def _answers(known: _Known, one: Issued) -> Iterable[Answer]:
    return answers(known.scope_of(one.id), one, known.said, NO_CHECKPOINTS)


def _carried_out(ctx: Context, known: _Known) -> dict[OrderId, list[AccountId]]:
    """The orders in force that this node carries out, with its members that do; who refused one does not."""
    refused = {(s.by, s.act.order) for s in known.said if isinstance(s.act, Receipt) and s.act.outcome == "refused"}
    out = {}
    for id, stands in known.stands.items():
        here = [m for m in known.scope_of(id).members if hosted.is_hosted(ctx.store, m) and (m, id) not in refused]
        if stands.word == "in force" and here:
            out[id] = here
    return out


def carry_out(ctx: Context, now: float) -> None:
    """Withholds what orders in force cover, gives back the rest, byte for byte, and answers what was done. Without a
    charter, or if it was left, all is given back."""
    try:
        known = _known(ctx)
        ours = _carried_out(ctx, known)
    except CallError:
        if FOLLOWED_CHARTER.get(ctx.store) is not None:
            return  # its acts are not whole yet
        known, ours = None, dict[OrderId, list[AccountId]]()
    items = {} if known is None else {id: _items(ctx, known.orders[id]) for id in ours}
    wanted = {} if known is None else covered({id: known.stands[id] for id in ours}, items)
    for post, row in [*ORDERED.rows(ctx.store)]:
        if post not in wanted:
            ORDERED.put(ctx.store, post, None)
            with suppress(CallError):  # a moderator took it back
                decisions.undo(ctx, decisions.UndoDecision(row.decision, "No order of the alliance covers it."), now)
    for post, orders in wanted.items():
        if known is not None and not ORDERED.has(ctx.store, post) and not WITHHELD.has(ctx.store, post):
            _withhold(ctx, known.orders[orders[0]], post, now)
    for id, members in ours.items():
        held = sum(WITHHELD.has(ctx.store, item.post) for item in items[id])
        done = {s.by for s in known.said if isinstance(s.act, Receipt) and s.act.order == id} if known else set()
        for member in members if items[id] else ():
            if member not in done:
                _write(ctx, member, Receipt(id, "done", held, ""), now)


def _withhold(ctx: Context, one: Issued, post: Target, now: float) -> None:
    """A post that is not here yet is withheld by a later step."""
    said = f"order {one.id.hex()[:16]} of {account_to_text(one.issuer)}"
    uri, basis, scope = post_to_text(post), one.order.basis or "-", one.order.scope
    ask = decisions.DecideRequest(
        "withhold", account=account_to_text(post.account), posts=[uri], order=said, basis=basis, scope=scope
    )
    with suppress(CallError):
        made = decisions.add(ctx, ask, now)
        ORDERED.put(ctx.store, post, OrderedPost(one.id, made.id))
        if keeps_nothing(one.order.category):
            content.withhold(ctx, content.WithholdRequest(uri, said, basis, scope, erase=True), now)


@cache
def _kept_never() -> frozenset[str]:
    found = [f for f in files("banyan_duties").iterdir() if f.name.endswith(".toml")]
    duties = [read_duties(f.read_text("utf-8"), f.name) for f in found]
    return frozenset(one.name for file in duties for one in file.classes if one.keep == "never")


def keeps_nothing(category: str) -> bool:
    """Whether content of this class is erased when it is withheld: a duty file says so."""
    return category in _kept_never()


def step(ctx: Context, now: float) -> bool:
    """What other nodes said meanwhile: rulings, confirmations, cuts, posts that came."""
    with suppress(ViewBuilding):
        if ORDER_ITEMS.any(ctx.store) or ORDERED.any(ctx.store):
            carry_out(ctx, now)
    return False
