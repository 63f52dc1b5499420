"""What orders of the alliance come to at this node, and how it carries them out (docs/orders.md).

What an order withholds here is a decision like those of moderators (decisions.py), so authors are told of it and of its
end in the same way.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from functools import cache, partial
from typing import Annotated, Literal

import trio
from msgspec import Meta

from banyan_crdt.errors import Malformed, Refused
from banyan_crdt.ids import AccountId, account_to_text
from banyan_crdt.ops import Put
from banyan_duties.commitment import encode_items, joined_items
from banyan_duties.order_rules import Issued, covered
from banyan_node.alliance import report_exchange
from banyan_node.api.declare import EmptyRequest, MethodTable, Response
from banyan_node.api.json_types import Milliseconds, did
from banyan_node.api.methods.moderation import content, decisions, reports
from banyan_node.context import Context
from banyan_node.hosting import hosted, letters
from banyan_node.hosting.entry_writer import append, in_place
from banyan_node.hosting.list_keeper import own_member
from banyan_node.moderation import copies, strikes
from banyan_node.moderation.known_orders import (
    IN_A_LETTER,
    KnownOrders,
    answers_to,
    items_of,
    known_orders,
    letter_name,
)
from banyan_node.operator_errors import CallError
from banyan_node.transparency import lines, member_logs, witnessing
from banyan_node.workers.worker import Worker
from banyan_schema.collection import undo
from banyan_schema.social import Target, post_to_text
from banyan_schema.social.order import Appeal, Given, OrderAct, OrderId, Receipt, write_act
from banyan_storage.alliance_tables import ACCEPTED_ORDERS, COPIES, LOCKED, ORDER_ITEMS, ORDERED, OrderedPost
from banyan_storage.errors import ViewBuilding
from banyan_storage.local_tables import FOLLOWED_CHARTER, SUSPENDED, WITHHELD
from banyan_storage.views import invalidation

METHODS = MethodTable()
LOOK_S, TERMS_S = 0.1, 60.0
"""How often it is looked whether something came, and whether terms ended."""
AGAIN_S, REST = 1.0, 4.0
"""The pause where that cannot be done yet; and after a step, relative to it: with many orders a step is long."""
AT_ONCE = 50
"""Posts that one step withholds or gives back: others write in between."""
Hash = Annotated[str, Meta(title="a hash", description="64 hexadecimal digits.", pattern="^[0-9a-f]{64}$")]


class MemberAnswer(Response):
    """word: done, refused, waiting or late. posts: of how many it held something. after_ms: between the checkpoints of
    order and receipt, if both are known here."""

    member: str
    word: Literal["done", "refused", "waiting", "late"]
    posts: int
    why: str
    after_ms: int | None


class OrderRow(Response):
    """standing: void, in force, suspended or ended; why: in a sentence. here: how many of its items this node has.
    withheld: how many posts are withheld here because of it. deadline_s, term_s: of the order; 0: it has
    no term. begins: when its clock began to run, by the public log. waits: for `order.accept`. answers: of members that
    answered and, while it is in force, of those that are waited for or late."""

    order: Hash
    issuer: str
    scope: str
    category: str
    basis: str
    posts: int
    given: Given
    deadline_s: int
    term_s: int
    begins: Milliseconds | None
    standing: str
    why: str
    appeals: int
    here: int
    withheld: int
    waits: bool
    answers: list[MemberAnswer]


class OrderRows(Response):
    orders: list[OrderRow]


def write(ctx: Context, by: AccountId, act: OrderAct, now: float) -> None:
    append(ctx, by, [in_place(ctx, by, write_act(by, act))], now)
    lines.write_act(ctx, by, act, now)


def take_back_refusal(ctx: Context, member: AccountId, order: OrderId, now: float) -> None:
    """The member's answer to the order goes, so it is answered again."""
    op = write_act(member, Receipt(order, "refused", 0, "")).op
    assert isinstance(op, Put)
    append(ctx, member, [undo(op.coll, ctx.queries().live(member, op))], now)


# -- items


def _send_items(ctx: Context, known: KnownOrders, now: float) -> None:
    """Sends the items of orders that are given here to members in scope that have not got them, also to one that is in
    the scope since today; and erases them from the log when the order has ended."""
    writers = cache(partial(letters.writers_of, ctx, now))
    for id, one in known.orders.items():
        stands, items = known.stands[id].word, items_of(ctx, one)
        if stands == "void" or not items or not hosted.is_hosted(ctx.store, one.issuer):
            continue
        for n in range(0, len(items), IN_A_LETTER):
            name = letter_name(id, n // IN_A_LETTER)
            if stands == "ended":
                letters.take_back(ctx, one.issuer, name, now)
            else:
                said = encode_items(items[n : n + IN_A_LETTER])
                letters.send(ctx, one.issuer, name, said, writers((one.issuer, *known.scope_of(id).members)), now)


def _take_items(ctx: Context, known: KnownOrders, now: float) -> bool:
    """Reads the items that came; whether any did. Members here refuse an order whose items are not those that it
    commits to."""
    q, came = ctx.queries(), False
    for id, one in known.orders.items():
        if known.stands[id].word in ("void", "ended") or ORDER_ITEMS.has(ctx.store, id):
            continue
        found = [
            letters.read(ctx, q, one.issuer, letter_name(id, n)) for n in range(-(-one.order.count // IN_A_LETTER))
        ]
        whole = [raw for raw in found if raw is not None]
        if len(whole) < len(found):
            continue
        came = True
        try:
            ORDER_ITEMS.put(ctx.store, id, joined_items(whole, one.order))
        except Malformed as why:
            for member in _members_here(ctx, known, id):
                write(ctx, member, Receipt(id, "refused", 0, f"{why}"), now)
    return came


# -- carrying out


def _members_here(ctx: Context, known: KnownOrders, id: OrderId) -> list[AccountId]:
    """Members of its scope that are hosted here, but those that refused it."""
    members = [m for m in known.scope_of(id).members if hosted.is_hosted(ctx.store, m)]
    return [m for m in members if known.receipts.get((m, id)) != "refused"]


def _waits(ctx: Context, id: OrderId) -> bool:
    """Whether somebody here has to accept the order before it is carried out."""
    return ctx.settings.config.node.ask_before_orders and not ACCEPTED_ORDERS.has(ctx.store, id)


def _carried_out(ctx: Context, known: KnownOrders) -> dict[OrderId, list[AccountId]]:
    """The orders in force that this node carries out, with its members that do."""
    ours = {id: _members_here(ctx, known, id) for id, stands in known.stands.items() if stands.word == "in force"}
    return {id: here for id, here in ours.items() if here and not _waits(ctx, id)}


def carry_out(ctx: Context, now: float) -> KnownOrders | None:
    """Withholds what orders in force cover, gives back the rest, byte for byte, and answers what was done. Without a
    charter, or if it was left, all is given back. Returns what is known of orders."""
    try:
        known = known_orders(ctx)
        _send_items(ctx, known, now)
        known = known_orders(ctx) if _take_items(ctx, known, now) else known
        ours = _carried_out(ctx, known)
    except CallError:
        if FOLLOWED_CHARTER.get(ctx.store) is not None:
            return None  # its acts are not whole yet
        known, ours = None, dict[OrderId, list[AccountId]]()
    items = {} if known is None else {id: items_of(ctx, known.orders[id]) for id in ours}
    wanted = {} if known is None else covered({id: known.stands[id] for id in ours}, items)
    copies.end(ctx, wanted.keys())
    for copy, original in COPIES.rows(ctx.store):
        wanted.setdefault(copy, wanted[Target.of(original)])
    ended = {post: row for post, row in ORDERED.rows(ctx.store) if post not in wanted}
    passed = {post: row for post, row in ORDERED.rows(ctx.store) if post in wanted and row.order not in wanted[post]}
    new = [post for post in wanted if not ORDERED.has(ctx.store, post) and not WITHHELD.has(ctx.store, post)]
    due, q, done = deque([*ended, *passed, *new]), ctx.queries(), 0
    while due and done < AT_ONCE:
        step = [due.popleft() for _ in range(min(len(due), AT_ONCE))]
        with content.judged_together(ctx, [post for post in step if post in ended or q.post(post, hidden=True)]):
            for post in step:
                if (row := ended.get(post)) is not None:
                    done += _give_back(ctx, post, row, now)
                elif known is not None:
                    done += _withhold(ctx, known.orders[wanted[post][0]], post, passed.get(post), now)
    ctx.orders_left = bool(due)
    for item in (item for few in items.values() for item in few if item.post in wanted):
        copies.note(ctx, item.post, [item.digest], None)
    for id, members in ours.items():
        held = sum(WITHHELD.has(ctx.store, item.post) for item in items[id])
        for member in members if items[id] and not ctx.orders_left else ():
            if known is not None and (member, id) not in known.receipts:
                write(ctx, member, Receipt(id, "done", held, ""), now)
    now_ms = ctx.replica.wall_ms(now)
    _lock(ctx, {} if known is None else strikes.locked(known, ours, items, partial(carried_out_ms, ctx), now_ms), now)
    return known


def carried_out_ms(ctx: Context, member: AccountId, order: OrderId) -> int | None:
    """When a member here carried out an order, by the first cosigned checkpoint that has its receipt."""
    return witnessing.logged_at(ctx, lines.line_name("receipt", member, order))


def _lock(ctx: Context, wanted: dict[AccountId, strikes.Locked], now: float) -> None:
    """Locks these accounts, of those that are hosted here, and unlocks others."""
    for account, (number, until) in [*LOCKED.rows(ctx.store)]:
        if account not in wanted or wanted[account].until_ms != until:
            LOCKED.put(ctx.store, account, None)
            with suppress(CallError):  # a moderator took it back
                decisions.undo(ctx, decisions.UndoDecision(number, "The lock is over, or orders fell."), now)
    for account, lock in wanted.items():
        if hosted.is_hosted(ctx.store, account) and not SUSPENDED.has(ctx.store, account):
            ask = decisions.DecideRequest("suspend", account=account_to_text(account), text=lock.why)
            LOCKED.put(ctx.store, account, (decisions.add(ctx, ask, now).id, lock.until_ms))


def _give_back(ctx: Context, post: Target, row: OrderedPost, now: float) -> bool:
    ORDERED.put(ctx.store, post, None)
    with suppress(CallError):  # a moderator took it back
        decisions.undo(ctx, decisions.UndoDecision(row.decision, "No order of the alliance covers it."), now)
    return True


def _withhold(ctx: Context, one: Issued, post: Target, before: OrderedPost | None, now: float) -> bool:
    """Whether it was: a post that is not here yet is withheld by a later step. before: by which order it is withheld
    that does not cover it any more; this one replaces it, and nothing is given out in between."""
    said = f"order {one.id.hex()[:16]} of {account_to_text(one.issuer)}"
    uri, basis, scope = post_to_text(post), one.order.basis or "-", one.order.scope
    text = "" if before is None else f"Order {before.order.hex()[:16]} withheld it until now."
    ask = decisions.DecideRequest(
        "withhold", account=account_to_text(post.account), posts=[uri], text=text, order=said, basis=basis, scope=scope
    )
    view, stands = ctx.queries().post(post, hidden=True), WITHHELD.get(ctx.store, post)
    with suppress(CallError):
        made = decisions.add(ctx, ask, now)
        if view is not None and not COPIES.has(ctx.store, post):
            copies.note(ctx, post, [copies.digest(view.post)], view.post)
            _judge_copies(ctx, copies.older(ctx, view.post), now)
        ORDERED.put(ctx.store, post, OrderedPost(one.id, made.id))
        if before is not None:
            if stands is not None and not decisions.is_by(ctx, stands, before.decision):
                content.withhold_again(ctx, post, stands)  # moderators withhold it too
            with suppress(CallError):
                decisions.undo(ctx, decisions.UndoDecision(before.decision, f"Now {said} withholds it."), now)
        if (role := strikes.erased_for(one.order.category)) is not None:
            content.withhold(ctx, content.WithholdRequest(uri, said, basis, scope, erase=True), now)
            told = f"For the role '{role}': {uri} was erased, class {one.order.category}, by {said}."
            _report(ctx, post.account, [], told, now)
        return True
    return False


def _judge_copies(ctx: Context, posts: Iterable[Target], now: float) -> bool:
    """Notes exact copies among these posts, and has moderators told of what is nearly one. Whether any is exact."""
    q, any_exact = ctx.queries(), False
    for post in posts:
        found = copies.compare(ctx, q, post)
        if found is not None and found[1]:
            COPIES.put(ctx.store, post, found[0].raw)
            any_exact = True
        elif found is not None and (ordered := ORDERED.get(ctx.store, found[0])) is not None:
            said = f"It is like {post_to_text(found[0])}, which order {ordered.order.hex()[:16]} withholds."
            _report(ctx, post.account, [post], said, now)
    return any_exact


def _report(ctx: Context, account: AccountId, posts: list[Target], said: str, now: float) -> None:
    """Has moderators here look at it."""
    named, epoch = [post_to_text(post) for post in posts], ctx.replica.charter.epoch
    by = None if epoch is None else own_member(ctx, epoch)
    ask = reports.ReportRequest(account=account_to_text(account), posts=named, comment=said, category="legal")
    with suppress(CallError):
        reports.record(ctx, ask, by or hosted.my_account(ctx), now)


class OrderFollower:
    """Looks what others said meanwhile, about orders and reports; on the replica's thread."""

    def __init__(self) -> None:
        self._at, self._epoch = -1, b""
        self._about: frozenset[AccountId] = frozenset()
        """Accounts whose entries may change what is withheld."""

    def look(self, ctx: Context, now: float, all_: bool = False) -> bool:
        """all_: also if nothing of that changed, because terms end. Whether more is waiting."""
        ledger, q = ctx.replica.charter.ledger, ctx.queries()
        epoch = ledger.epochs[-1].id if ledger is not None and ledger.epochs else b""
        if not q.whole or not (epoch or self._epoch or ORDERED.any(ctx.store)):
            return False
        moved = invalidation.touched(q.reader.txn, self._at)
        self._at = invalidation.last(q.reader.txn)
        report_exchange.step(ctx, q, moved, now)
        came, more = copies.changed(ctx, q)
        copied = _judge_copies(ctx, came, now)
        if (
            all_
            or copied
            or ctx.orders_left
            or moved is None
            or epoch != self._epoch
            or not moved.isdisjoint(q.numbers(self._about).values())
        ):
            self._epoch = epoch
            known = carry_out(ctx, now)
            self._about = frozenset() if known is None else known.about
        return more or ctx.orders_left


async def follow(worker: Worker[Context], context: Context) -> None:
    """For as long as the node runs."""
    follower, commits, terms_at, more, took = OrderFollower(), -1, 0.0, False, 0.0
    while True:
        await trio.sleep(max(LOOK_S, REST * took))
        ends = trio.current_time() >= terms_at
        if commits == context.engine.commits and not (ends or more):
            continue
        if ends:
            terms_at = trio.current_time() + TERMS_S
        commits, began = context.engine.commits, trio.current_time()
        try:
            more = await worker.call(partial(follower.look, all_=ends))
            took = trio.current_time() - began
        except (ViewBuilding, Refused, CallError):  # it is not known yet where this node's log stands
            follower, more, context.compared = OrderFollower(), True, copies.NOBODY
            await trio.sleep(AGAIN_S)


def _no_clock(ctx: Context, known: KnownOrders, one: Issued) -> str:
    if one.id in known.at.seen or known.stands[one.id].word == "void" or hosted.is_hosted(ctx.store, one.issuer):
        return ""
    return f"; its clock does not run here: {member_logs.why_unknown(ctx, one.issuer)}"


@METHODS.write("order.list", "refused")
def listing(ctx: Context, ask: EmptyRequest, now: float) -> OrderRows:
    """All orders of which the public part is here, and what each comes to."""
    known = known_orders(ctx)
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
                one.order.deadline_s,
                one.order.term_s,
                known.at.seen.get(id),
                known.stands[id].word,
                known.stands[id].why + _no_clock(ctx, known, one),
                sum(isinstance(s.act, Appeal) and s.act.order == id for s in known.said),
                len(items_of(ctx, one)),
                there.count(id),
                known.stands[id].word == "in force" and bool(_members_here(ctx, known, id)) and _waits(ctx, id),
                [MemberAnswer(did(a.member), a.word, a.held, a.why, a.after_ms) for a in answers_to(ctx, known, one)],
            )
            for id, one in sorted(known.orders.items())
        ]
    )
