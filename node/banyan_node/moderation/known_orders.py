"""What this node knows of orders of the alliance, and what these come to under the epoch that stands."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache, partial

from banyan_charter.values import Parameters, Scope
from banyan_crdt.ids import AccountId, CellKey, H
from banyan_duties.commitment import OrderItem, decode_items
from banyan_duties.order_rules import (
    CheckpointTimes,
    Issued,
    OrderState,
    Said,
    ScopeAnswer,
    answers,
    receipt_name,
    standing,
)
from banyan_node.context import Context
from banyan_node.operator_errors import bad_request, not_found
from banyan_node.transparency.lines import line_name
from banyan_node.transparency.witnessing import last_logged, logged_at
from banyan_reading.queries import Queries
from banyan_schema.social.order import (
    ORDER_ACTS,
    Appeal,
    Confirmation,
    OrderAct,
    OrderId,
    OrderNotice,
    Receipt,
    Ruling,
    act_key,
)
from banyan_storage.alliance_tables import ORDER_ITEMS

IN_A_LETTER = 500
"""Items."""


class KnownOrders:
    """All that this node holds of orders, under the epoch that stands. items: those that are here; their authors may
    appeal. logged: the time of a line of this name. last: of the last checkpoint."""

    def __init__(
        self,
        q: Queries,
        p: Parameters,
        items: Callable[[Issued], tuple[OrderItem, ...]],
        logged: Callable[[bytes], int | None],
        last: int,
    ) -> None:
        self.parameters, self.scopes = p, {s.name.decode(): s for s in p.scopes}
        roles = dict.fromkeys(a.account for a in p.authorities)
        self.orders: dict[OrderId, Issued] = {}
        for issuer in roles:
            for act, place in _acts(q, issuer, OrderNotice):
                assert isinstance(act, OrderNotice)
                one = Issued(issuer, act, place)
                self.orders[one.id] = one
        authors = (item.post.account for one in self.orders.values() for item in items(one))
        scopes = (who for s in p.scopes for who in (*s.members, *s.judges))
        self.about = frozenset((*roles, *scopes, *authors))
        """Whose entries count."""
        self.said = [
            Said(by, act)
            for by in sorted(self.about)
            for kind in (Confirmation, Receipt, Appeal, Ruling)
            for act, _ in _acts(q, by, kind)
            if not isinstance(act, OrderNotice)
        ]
        self.receipts = {(s.by, s.act.order): s.act.outcome for s in self.said if isinstance(s.act, Receipt)}
        times = {id: logged(line_name("order", one.issuer, id)) for id, one in self.orders.items()}
        self.at = CheckpointTimes({id: ms for id, ms in times.items() if ms is not None}, last)
        self.stands: dict[OrderId, OrderState] = standing(p, self.orders.values(), self.said, self.at)

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


def known_orders(ctx: Context) -> KnownOrders:
    logged = partial(logged_at, ctx)
    return KnownOrders(ctx.queries(), alliance_parameters(ctx), partial(items_of, ctx), logged, last_logged(ctx))


def find(known: KnownOrders, order: str) -> Issued:
    found = known.orders.get(OrderId(bytes.fromhex(order)))
    if found is None:
        raise not_found(f"No order {order[:16]} is here, or its issuer is no authority of the epoch that stands.")
    return found


_decoded = lru_cache(10_000)(decode_items)


def items_of(ctx: Context, one: Issued) -> tuple[OrderItem, ...]:
    raw = ORDER_ITEMS.get(ctx.store, one.id)
    return () if raw is None else _decoded(raw, one.order)


def answers_to(ctx: Context, known: KnownOrders, one: Issued) -> Iterable[ScopeAnswer]:
    scope = known.scope_of(one.id)
    times = {receipt_name(m, one.id): logged_at(ctx, line_name("receipt", m, one.id)) for m in scope.members}
    seen = {name: ms for name, ms in times.items() if ms is not None}
    return answers(scope, one, known.stands[one.id].word, known.said, known.at._replace(seen={**known.at.seen, **seen}))


def letter_name(order: OrderId, n: int) -> CellKey:
    """The name of the letter that has the items from n * IN_A_LETTER on."""
    return CellKey(H("order.items", order, bytes([n]))[:16])
