"""Orders of an alliance, in public: what an authority orders, what platforms answer, appeals, and what judges decide.

| op | cell | who | content |
|---|---|---|---|
| put | the order | an authority | [scope, class, basis, deadline s, term s, count, root, given, paper] |
| put | one an order | another authority | [order, paper] |
| put | one an order | a platform in scope | [order, outcome, count, why] |
| put | one an order and item | the author or a platform | [order, leaf, why] |
| put | one an order and item | a judge, or the issuer | [order, leaf, outcome, why] |

No subject is named: an order has how many there are, and a root over a salted hash of each (banyan_duties.commitment).
An order's id is made of its issuer and its content, so an order that is edited is another one. Keys are not made with
the account's salt: they follow from what is said, so everybody finds the one answer that counts. What stands in another
cell counts for nothing.
"""

from __future__ import annotations

import re
from dataclasses import astuple, dataclass
from functools import lru_cache
from typing import Any, Literal, NewType, TypeAlias

from banyan_crdt.ids import AccountId, CellKey, H
from banyan_crdt.ops import Put
from banyan_schema.collection import Collection, OpDraft
from banyan_schema.fields import HASH, choice, formed, number, optional, text
from banyan_schema.layout import Layout

OrderId = NewType("OrderId", bytes)
"""32 bytes: H("order", issuer, content)."""
MOST_ITEMS = 1_000
"""That one order names."""
MAX_CLASS, MAX_BASIS, MAX_WHY = 200, 1_000, 2_000
"""Bytes of texts."""
NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,63}")
Given: TypeAlias = Literal["written", "phone", "paper"]
Outcome: TypeAlias = Literal["suspends", "confirms", "ends"]


@dataclass(frozen=True, slots=True)
class OrderNotice:
    """The public part of an order. `scope`: where it applies. `category`: a class of a duty file, or "". `basis`: the
    law, in words. `deadline_s`: until platforms answer, `term_s`: until it ends (0: when somebody ends it), both from
    its first cosigned checkpoint. `count`, `root`: of its items. `given`: how the authority said it; `paper`: SHA-256
    of the paper, or of the record of the call."""

    scope: str
    category: str
    basis: str
    deadline_s: int
    term_s: int
    count: int
    root: bytes
    given: Given = "written"
    paper: bytes | None = None


@dataclass(frozen=True, slots=True)
class Confirmation:
    """A second role stands behind an order, and saw this paper."""

    order: OrderId
    paper: bytes | None


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a platform did. `count`: of how many items it held something."""

    order: OrderId
    outcome: Literal["done", "refused"]
    count: int
    why: str


@dataclass(frozen=True, slots=True)
class Appeal:
    """Against one item of an order. `leaf`: which; only who has the salts knows the post."""

    order: OrderId
    leaf: bytes
    why: str


@dataclass(frozen=True, slots=True)
class Ruling:
    """A judge decides about an order, or about one item of it; its issuer can end it. `leaf`: None: all of it."""

    order: OrderId
    leaf: bytes | None
    outcome: Outcome
    why: str


OrderAct: TypeAlias = OrderNotice | Confirmation | Receipt | Appeal | Ruling
_WHY = text("the reason", MAX_WHY)
ORDER_ACTS: dict[type[OrderAct], Collection[Any]] = {
    kind: Collection(name, "register", Layout(kind, astuple, fields))
    for kind, name, *fields in (
        (
            OrderNotice,
            "order",
            formed("the scope of an order", 64, NAME, "vn"),
            text("the class of an order", MAX_CLASS),
            text("the basis of an order", MAX_BASIS),
            number("the deadline of an order"),
            number("the term of an order"),
            number("the number of items"),
            HASH,
            choice("how an order was given", "written", "phone", "paper"),
            optional(HASH),
        ),
        (Confirmation, "order.confirmation", HASH, optional(HASH)),
        (Receipt, "order.receipt", HASH, choice("a receipt", "done", "refused"), number("the number of items"), _WHY),
        (Appeal, "order.appeal", HASH, HASH, _WHY),
        (Ruling, "order.ruling", HASH, optional(HASH), choice("a decision", "suspends", "confirms", "ends"), _WHY),
    )
}
COLLECTIONS = tuple(ORDER_ACTS.values())


@lru_cache(65_536)
def order_id(issuer: AccountId, order: OrderNotice) -> OrderId:
    """The id of an order that this account gives."""
    return OrderId(H("order", issuer, ORDER_ACTS[OrderNotice].encode(order)))


def act_key(by: AccountId, act: OrderAct) -> CellKey:
    """The cell in which it counts."""
    if isinstance(act, OrderNotice):
        return CellKey(order_id(by, act)[:16])
    leaf = (act.leaf or b"") if isinstance(act, Appeal | Ruling) else b""
    return CellKey(H(ORDER_ACTS[type(act)].name, act.order, leaf)[:16])


def write_act(by: AccountId, act: OrderAct) -> OpDraft:
    """Says it. Raises ValueError past a limit."""
    of = ORDER_ACTS[type(act)]
    return OpDraft(Put(of.id, act_key(by, act), (), None), of.encode(act))
