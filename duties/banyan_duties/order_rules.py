"""What orders come to. docs/orders.md argues the rules.

    the parameters of the epoch, what accounts say, checkpoints -> Standing of each order -> what is withheld where

Everything is a function of values that any node can have, so nodes with the same ones agree. No rule reads a clock: an
order's time runs from its first checkpoint that witnesses cosigned, and `today` is that of the last one. The claimed
time of an entry orders only what one account says itself.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import groupby
from typing import Literal, NamedTuple, TypeAlias

from banyan_charter.values import Authority, Parameters, Scope
from banyan_crdt.ids import AccountId, account_to_text
from banyan_duties.commitment import OrderItem
from banyan_schema.address import Target
from banyan_schema.social.order import MOST_ITEMS, Appeal, Confirmation, OrderId, OrderNotice, Receipt, Ruling, order_id

DAY_MS = 86_400_000
Word: TypeAlias = Literal["void", "in force", "suspended", "ended"]


class Issued(NamedTuple):
    """An order that counts in its issuer's account. `place`: of its entry among those of the account: time, id."""

    issuer: AccountId
    order: OrderNotice
    place: bytes = b""

    @property
    def id(self) -> OrderId:
        """Of this order by this issuer."""
        return order_id(self.issuer, self.order)


class Said(NamedTuple):
    """What counts of an account about an order."""

    by: AccountId
    act: Confirmation | Receipt | Appeal | Ruling


class CheckpointTimes(NamedTuple):
    """Times of the public log, in milliseconds. `seen`: of the first cosigned checkpoint that has an order, a receipt
    (`receipt_name`) or an appeal. `last`: of the last one; 0: there is none."""

    seen: Mapping[bytes, int] = {}
    last: int = 0


NO_CHECKPOINTS = CheckpointTimes()


class OrderState(NamedTuple):
    """`why`: a sentence. `lifted`: leaves of items that a judge or the issuer excepted."""

    word: Word
    why: str
    lifted: frozenset[bytes] = frozenset()


def standing(
    p: Parameters, orders: Iterable[Issued], said: Iterable[Said], at: CheckpointTimes = NO_CHECKPOINTS
) -> dict[OrderId, OrderState]:
    """Of each order. Of what accounts say only confirmations and rulings count."""
    about: dict[bytes, list[Said]] = {}
    for one in said:
        about.setdefault(one.act.order, []).append(one)
    roles, scopes = {a.account: a for a in p.authorities}, {s.name.decode(): s for s in p.scopes}
    known, out = {o.id: o for o in orders}, dict[OrderId, OrderState]()
    alone: list[tuple[AccountId, int, bytes, OrderId]] = []
    for id, o in known.items():
        why = why_void(roles, o)
        seconds = [] if why else _seconds(roles, o, about.get(id, ()))
        if why is None and not seconds and o.order.given == "written":
            alone.append((o.issuer, at.seen.get(id, at.last) // DAY_MS, o.place, id))
            continue
        if why is None and not seconds:
            others = any(isinstance(s.act, Confirmation) and s.by != o.issuer for s in about.get(id, ()))
            fault = (
                "who confirmed it has no role there, or saw another paper" if others else "no second role confirmed it"
            )
            why = f"it was given {_WAYS[o.order.given]}, and {fault}"
        out[id] = (
            OrderState("void", why) if why else OrderState("in force", f"confirmed by {account_to_text(min(seconds))}")
        )
    for (issuer, _), group in groupby(sorted(alone), lambda row: row[:2]):
        cap, taken = roles[issuer].cap, 0
        above = (
            f"with it {account_to_text(issuer)} orders more than {cap} posts in a day, and no second role confirmed it"
        )
        for *_, id in group:
            fits = taken + known[id].order.count <= cap
            taken += known[id].order.count if fits else 0
            out[id] = OrderState("in force", "within the cap of a day") if fits else OrderState("void", above)
    for id, o in known.items():
        if out[id].word == "in force":
            out[id] = _decided(o, out[id], scopes.get(o.order.scope), about.get(id, ()), at)
    return out


_WAYS = {"phone": "by phone", "paper": "on paper"}


def why_void(roles: Mapping[AccountId, Authority], one: Issued) -> str | None:
    """Why an order is void whatever others say, or None."""
    role, order = roles.get(one.issuer), one.order
    if role is None:
        return f"{account_to_text(one.issuer)} is no authority of the charter"
    if order.scope.encode() not in role.scopes:
        may = ", ".join(s.decode() for s in role.scopes) or "nothing"
        return f"out of scope: {account_to_text(one.issuer)} may order for {may}, and this is for {order.scope}"
    if not 1 <= order.count <= MOST_ITEMS:
        return f"an order names 1 to {MOST_ITEMS} posts, and this one {order.count}"
    if (order.paper is None) != (order.given == "written"):
        return "an order by phone or on paper names the hash of its paper, and a written one none"
    return None


def _seconds(roles: Mapping[AccountId, Authority], one: Issued, about: Iterable[Said]) -> list[AccountId]:
    """Other roles with this scope that stand behind it."""
    return [
        s.by
        for s in about
        if isinstance(s.act, Confirmation)
        and s.by != one.issuer
        and s.by in roles
        and one.order.scope.encode() in roles[s.by].scopes
        and s.act.paper == one.order.paper
    ]


def may_rule(issued: Issued, scope: Scope | None, ruling: Ruling, by: AccountId) -> bool:
    """Whether what this account decides counts: a judge of the scope's does, and the issuer may end its own."""
    if by == issued.issuer:
        return ruling.outcome == "ends"
    return scope is not None and by in scope.judges


def _decided(
    one: Issued, stands: OrderState, scope: Scope | None, about: Iterable[Said], at: CheckpointTimes
) -> OrderState:
    rulings = [(s.by, s.act) for s in about if isinstance(s.act, Ruling) and may_rule(one, scope, s.act, s.by)]
    whole = {r.outcome: by for by, r in sorted(rulings, key=lambda row: row[0], reverse=True) if r.leaf is None}
    lifted = frozenset(r.leaf for _, r in rulings if r.leaf is not None and r.outcome != "confirms")
    seen = at.seen.get(one.id)
    if "ends" in whole:
        return OrderState("ended", f"{account_to_text(whole['ends'])} ended it")
    if seen is not None and one.order.term_s and at.last >= seen + one.order.term_s * 1_000:
        return OrderState("ended", "its term is over")
    if "suspends" in whole:
        return OrderState("suspended", f"{account_to_text(whole['suspends'])} suspended it")
    return stands._replace(lifted=lifted)


def covered(
    stands: Mapping[OrderId, OrderState], items: Mapping[OrderId, Sequence[OrderItem]]
) -> dict[Target, tuple[OrderId, ...]]:
    """The posts that orders in force withhold, with these orders, the least id first."""
    out: dict[Target, tuple[OrderId, ...]] = {}
    for order in sorted(stands):
        if stands[order].word == "in force":
            for item in items.get(order, ()):
                if item.leaf not in stands[order].lifted:
                    out[item.post] = (*out.get(item.post, ()), order)
    return out


# -- readings: what anybody can say of it, and no rule asks


class ScopeAnswer(NamedTuple):
    """`held`: how many items. `after_ms`: between the checkpoints of order and receipt; None: it has none yet."""

    member: AccountId
    word: Literal["done", "refused", "waiting", "late"]
    held: int
    why: str
    after_ms: int | None


def receipt_name(member: AccountId, order: OrderId) -> bytes:
    """By which `CheckpointTimes.seen` knows a receipt."""
    return member + order


def answers(scope: Scope, issued: Issued, word: Word, said: Iterable[Said], at: CheckpointTimes) -> list[ScopeAnswer]:
    """Of members in scope. late: neither done nor refused when the deadline passed; a receipt after it says how late it
    was by `after_ms`. word: what the order comes to. Nobody is waited for, and nobody is late, unless it is in force:
    else there are only the members that answered."""
    receipts = {s.by: s.act for s in said if isinstance(s.act, Receipt) and s.act.order == issued.id}
    began, out = at.seen.get(issued.id), list[ScopeAnswer]()
    for member in scope.members:
        receipt, seen = receipts.get(member), at.seen.get(receipt_name(member, issued.id))
        took = None if began is None or seen is None else max(0, seen - began)
        if receipt is not None:
            out.append(ScopeAnswer(member, receipt.outcome, receipt.count, receipt.why, took))
        elif word == "in force":
            over = began is not None and at.last - began > issued.order.deadline_s * 1_000
            out.append(ScopeAnswer(member, "late" if over else "waiting", 0, "", None))
    return out


def in_window(ordered_ms: int | None, appealed_ms: int | None, window_days: int) -> bool:
    """Whether an appeal came in time. What no checkpoint has yet did."""
    return ordered_ms is None or appealed_ms is None or appealed_ms - ordered_ms <= window_days * DAY_MS


class Lock(NamedTuple):
    """`days`: 0: for good. `at_ms`: of the violation that made it."""

    at_ms: int
    days: int


def locks(violations: Collection[int], within: Iterable[tuple[int, int]], days: Sequence[int]) -> list[Lock]:
    """The locks that these violations (milliseconds) come to. within: (how many, in how many days). days: of the first
    lock, the second, ...; the one after these is for good. A violation counts for one lock. Violations of orders that
    fell are left out by who asks, so their strikes fall with them."""
    out, since = list[Lock](), list[int]()
    for at in sorted(violations):
        if out and not out[-1].days:
            break
        since.append(at)
        if any(len([v for v in since if at - v < span * DAY_MS]) >= many for many, span in within):
            out.append(Lock(at, days[len(out)] if len(out) < len(days) else 0))
            since = []
    return out
