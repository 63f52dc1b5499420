"""Orders of the alliance: giving them, answering them, appeals. docs/orders.md has the rules.

The public parts are entries. Items, which say what an order withholds, are letters to platforms in scope.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from banyan_crdt.ids import account_to_text
from banyan_duties.commitment import NO_DIGEST, OrderItem, committed, digest_of, encode_items
from banyan_duties.order_rules import Issued, in_window, may_rule, why_void
from banyan_node.api.declare import ActorRequest, EmptyRequest, MethodTable, Response
from banyan_node.api.json_types import PostRef, target_of
from banyan_node.api.methods.moderation.order_execution import Hash, carried_out_ms, carry_out, take_back_refusal, write
from banyan_node.context import Context
from banyan_node.hosting import hosted
from banyan_node.moderation import strikes
from banyan_node.moderation.known_orders import alliance_parameters, find, items_of, known_orders
from banyan_node.operator_errors import bad_request, forbidden, not_found
from banyan_reading.queries import Queries
from banyan_schema.social import Target, post_to_text
from banyan_schema.social.order import Appeal, Confirmation, Given, OrderId, OrderNotice, Outcome, Receipt, Ruling
from banyan_storage.alliance_tables import ACCEPTED_ORDERS, COPIES, ORDER_ITEMS, ORDERED

METHODS = MethodTable()
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


class AcceptOrder(EmptyRequest):
    order: Hash


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
    """standing: void, in force, suspended or ended; why: in a sentence."""

    order: Hash
    standing: str
    why: str


def _written(ctx: Context, order: OrderId, now: float) -> OrderWritten:
    """Carries out what follows, and answers what the order comes to."""
    stands = (carry_out(ctx, now) or known_orders(ctx)).stands[order]
    return OrderWritten(order.hex(), stands.word, stands.why)


@METHODS.write("order.issue", "not_found", "refused", audited=True)
def issue(ctx: Context, ask: IssueOrder, now: float) -> OrderWritten:
    """Gives an order. It is refused if it would be void whatever others say. Above the cap of the day, by phone or on
    paper it is void until a second role confirms it."""
    p, by, q = alliance_parameters(ctx), hosted.account_of(ctx, ask.by), ctx.queries()
    items = [OrderItem(ctx.replica.author.random(16), to, _digest(q, to)) for to in map(target_of, ask.posts)]
    if ask.category and ask.category not in (classes := strikes.classes()):
        raise bad_request(f"No law has the class '{ask.category}'; those that have one: {', '.join(classes)}.")
    try:
        count, root = committed(items)
        paper = None if ask.paper is None else bytes.fromhex(ask.paper)
        said = (ask.scope, ask.category, ask.basis, ask.deadline_h * 3_600, ask.term_d * 86_400, count, root)
        one = Issued(by, OrderNotice(*said, ask.given, paper))
        void = why_void({a.account: a for a in p.authorities}, one)
        if void is not None:
            raise forbidden(f"This order would be void: {void}.")
        write(ctx, by, one.order, now)
    except ValueError as why:
        raise bad_request(f"{why}") from None
    ORDER_ITEMS.put(ctx.store, one.id, encode_items(items))
    return _written(ctx, one.id, now)


def _digest(q: Queries, post: Target) -> bytes:
    view = q.post(post, hidden=True)
    return NO_DIGEST if view is None else digest_of(view.post.text, [m.blob for m in view.post.media])


@METHODS.write("order.accept", "not_found", "refused", audited=True)
def accept(ctx: Context, ask: AcceptOrder, now: float) -> OrderWritten:
    """Has an order carried out that waits for somebody here (`node.ask_before_orders`), or that was refused here."""
    known = known_orders(ctx)
    one = find(known, ask.order)
    for member in known.scope_of(one.id).members:
        if hosted.is_hosted(ctx.store, member) and known.receipts.get((member, one.id)) == "refused":
            take_back_refusal(ctx, member, one.id, now)
    ACCEPTED_ORDERS.put(ctx.store, one.id, True)
    return _written(ctx, one.id, now)


@METHODS.write("order.confirm", "not_found", "refused", audited=True)
def confirm(ctx: Context, ask: ConfirmOrder, now: float) -> OrderWritten:
    """Stands behind an order as a second role, which saw its paper."""
    known, by = known_orders(ctx), hosted.account_of(ctx, ask.by)
    one = find(known, ask.order)
    paper = None if ask.paper is None else bytes.fromhex(ask.paper)
    if by == one.issuer:
        raise forbidden("Who gave an order does not confirm it: another role does.")
    if not any(a.account == by and one.order.scope.encode() in a.scopes for a in known.parameters.authorities):
        raise forbidden(f"{account_to_text(by)} has no role for {one.order.scope}.")
    if paper != one.order.paper:
        raise bad_request("The paper differs from that of the order: compare the two before you confirm.")
    write(ctx, by, Confirmation(one.id, paper), now)
    return _written(ctx, one.id, now)


@METHODS.write("order.refuse", "not_found", "refused", audited=True)
def refuse(ctx: Context, ask: RefuseOrder, now: float) -> OrderWritten:
    """Answers an order that this platform does not carry out, and why. What it withholds here is shown again."""
    known, by = known_orders(ctx), hosted.account_of(ctx, ask.by)
    one = find(known, ask.order)
    if by not in known.scope_of(one.id).members:
        raise forbidden(f"{account_to_text(by)} is no member for {one.order.scope}.")
    write(ctx, by, Receipt(one.id, "refused", 0, ask.why), now)
    return _written(ctx, one.id, now)


@METHODS.write("order.appeal", "not_found", "refused", audited=True)
def appeal(ctx: Context, ask: AppealRequest, now: float) -> OrderWritten:
    """Appeals against the order that withholds a post here, as its author, or as a platform in scope."""
    by, post = hosted.account_of(ctx, ask.by), target_of(ask.post)
    ordered = ORDERED.get(ctx.store, post)
    if ordered is None:
        raise not_found(f"No order of the alliance withholds {post_to_text(post)} here.")
    known = known_orders(ctx)
    one = find(known, ordered.order.hex())
    if by != post.account and by not in known.scope_of(one.id).members:
        raise forbidden("Only the author or a platform in scope appeals.")
    original, days = COPIES.get(ctx.store, post), strikes.appeal_days(known, one.order.scope)
    leaf = next(item.leaf for item in items_of(ctx, one) if item.post.raw == (original or post.raw))
    here = [m for m in known.scope_of(one.id).members if hosted.is_hosted(ctx.store, m)]
    done = [ms for m in here if (ms := carried_out_ms(ctx, m, one.id)) is not None]
    if days is not None and done and not in_window(min(done), known.at.last, days):
        raise forbidden(f"One appeals within {days} days, and this order was carried out before that.")
    if original is not None:  # others do not know whose copy it is: the platform stands for its author
        by = here[0]
    write(ctx, by, Appeal(one.id, leaf, ask.why), now)
    return _written(ctx, one.id, now)


@METHODS.write("order.rule", "not_found", "refused", audited=True)
def rule(ctx: Context, ask: RuleRequest, now: float) -> OrderWritten:
    """Suspends, confirms or ends an order as a judge of its scope; or ends it as its issuer."""
    known, by = known_orders(ctx), hosted.account_of(ctx, ask.by)
    one, leaf = find(known, ask.order), None
    if ask.post is not None:
        leaf = next((i.leaf for i in items_of(ctx, one) if i.post == target_of(ask.post)), None)
        if leaf is None:
            raise not_found(f"Order {ask.order[:16]} names no such post, or its items are not here.")
    ruling = Ruling(one.id, leaf, ask.outcome, ask.why)
    if not may_rule(one, known.scope_of(one.id), ruling, by):
        raise forbidden(
            f"{account_to_text(by)} is no judge for {one.order.scope}; an issuer can only end its own order."
        )
    write(ctx, by, ruling, now)
    return _written(ctx, one.id, now)
