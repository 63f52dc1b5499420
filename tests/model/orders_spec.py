"""Orders of an alliance, a second and simple time: which withhold something, and what the rules promise.

    standing(facts, rules) -> {order: "void" | "in force" | "suspended" | "ended"}

Small numbers stand for everything: accounts, scopes, items, days. `Rules` has a switch for each rule, so that tests can
take one away and see which promise breaks. The rules in words are in docs/orders.md; tests/duties feeds these worlds to
the product.
"""

from __future__ import annotations

import random
from itertools import groupby
from typing import Literal, NamedTuple

ROLES, JUDGES, MEMBERS, SCOPES, ITEMS = range(3), range(3, 5), range(5, 8), range(3), range(4)
NOBODY = 9
"""An account that the charter does not name."""


class Order(NamedTuple):
    """`place`: its order among the issuer's own. `paper`: 0 for one that is given in writing. `items`: what it
    names."""

    id: int
    issuer: int
    scope: int
    items: frozenset[int]
    place: int
    paper: int
    term: int


class Confirmation(NamedTuple):
    by: int
    order: int
    paper: int


class Decision(NamedTuple):
    """item: -1 for the whole order. A later one of the same account about the same replaces it, so there is one."""

    by: int
    order: int
    item: int
    says: Literal["suspends", "confirms", "ends"]


class Facts(NamedTuple):
    """Everything that a node may know. `scopes`, `cap`: of each role. `judges`: of each scope. `seen`: the day of an
    order's first checkpoint; `today`: of the last one."""

    scopes: dict[int, frozenset[int]]
    cap: dict[int, int]
    judges: dict[int, frozenset[int]]
    orders: frozenset[Order]
    confirmations: frozenset[Confirmation]
    decisions: frozenset[Decision]
    seen: dict[int, int]
    today: int


class Rules(NamedTuple):
    authority: bool = True
    scope: bool = True
    cap: bool = True
    by_place: bool = True
    another: bool = True
    paper: bool = True
    judges: bool = True
    unseen: bool = True
    term: bool = True


RULES = Rules()


def standing(f: Facts, r: Rules = RULES, came: list[int] | None = None) -> dict[int, str]:
    """`came`: in which order the orders came here, which only a wrong rule asks."""
    out: dict[int, str] = {}
    alone: list[Order] = []
    for o in f.orders:
        if (r.authority and o.issuer not in f.scopes) or (r.scope and o.scope not in f.scopes.get(o.issuer, ())):
            out[o.id] = "void"
            continue
        seconds = {
            c.by
            for c in f.confirmations
            if c.order == o.id
            and (c.by != o.issuer or not r.another)
            and (o.scope in f.scopes.get(c.by, ()) or not r.authority)
            and (c.paper == o.paper or not r.paper)
        }
        if seconds:
            out[o.id] = "in force"
        elif o.paper and r.paper:
            out[o.id] = "void"
        else:
            alone.append(o)
    key = (lambda o: o.place) if r.by_place or came is None else (lambda o: came.index(o.id))
    day = (lambda o: f.seen.get(o.id, f.today)) if r.unseen else (lambda o: f.seen.get(o.id, 1000 + o.id))
    alone.sort(key=lambda o: (o.issuer, day(o), key(o)))
    for (issuer, _), group in groupby(alone, lambda o: (o.issuer, day(o))):
        taken = 0
        for o in group:
            fits = taken + len(o.items) <= f.cap.get(issuer, 0) or not r.cap
            taken += len(o.items) if fits else 0
            out[o.id] = "in force" if fits else "void"
    for o in f.orders:
        if out[o.id] == "in force":
            said = {d.says for d in f.decisions if d.order == o.id and d.item == -1 and may(f, o, d, r)}
            over = r.term and o.term and o.id in f.seen and f.today >= f.seen[o.id] + o.term
            out[o.id] = "ended" if "ends" in said or over else "suspended" if "suspends" in said else "in force"
    return out


def may(f: Facts, o: Order, d: Decision, r: Rules = RULES) -> bool:
    if d.by == o.issuer:
        return d.says == "ends"
    return d.by in f.judges.get(o.scope, ()) or not r.judges


def withheld(f: Facts, member_scopes: frozenset[int], r: Rules = RULES, came: list[int] | None = None) -> set[int]:
    """The items that a platform of these scopes gives to nobody."""
    stands = standing(f, r, came)
    out = set[int]()
    for o in f.orders:
        if stands[o.id] == "in force" and (o.scope in member_scopes or not r.scope):
            lifted = {d.item for d in f.decisions if d.order == o.id and d.says != "confirms" and may(f, o, d, r)}
            out |= o.items - lifted
    return out


# -- random worlds


def world(rng: random.Random) -> Facts:
    scopes = {a: frozenset(rng.sample(SCOPES, rng.choice((1, 1, 2)))) for a in ROLES}
    judges = {s: frozenset(rng.sample([*JUDGES, *ROLES], rng.choice((0, 1, 2)))) for s in SCOPES}
    orders = set()
    for n in range(rng.randrange(1, 8)):
        issuer = rng.choice((*ROLES, *ROLES, rng.choice((*MEMBERS, NOBODY))))
        items = frozenset(rng.sample(ITEMS, rng.randrange(1, 4)))
        orders.add(
            Order(n, issuer, rng.choice(SCOPES), items, n, rng.choice((0, 0, 0, 1, 2)), rng.choice((0, 0, 1, 2)))
        )
    anybody = (*ROLES, *ROLES, *JUDGES, *MEMBERS, NOBODY)
    confirmations = frozenset(
        Confirmation(rng.choice(anybody), o.id, rng.choice((o.paper, o.paper, 0, 1)))
        for o in orders
        for _ in range(rng.choice((0, 0, 1, 2)))
    )
    decided = {}
    for o in orders:
        for _ in range(rng.choice((0, 0, 1, 2))):
            d = Decision(
                rng.choice(anybody), o.id, rng.choice((-1, -1, *o.items)), rng.choice(("suspends", "confirms", "ends"))
            )
            decided[d[:3]] = d
    today = rng.randrange(1, 4)
    seen = {o.id: rng.randrange(0, today + 1) for o in orders if rng.random() < 0.7}
    caps = {a: rng.randrange(0, 6) for a in ROLES}
    return Facts(scopes, caps, judges, frozenset(orders), confirmations, frozenset(decided.values()), seen, today)


def cut(f: Facts, order: int) -> Facts:
    """The same after a cut in the authority's account that does not keep the order."""
    return f._replace(orders=frozenset(o for o in f.orders if o.id != order))


# -- what the rules promise


def broken(seed: str, r: Rules = RULES) -> str:
    """The first promise that a random world breaks, or ""."""
    rng = random.Random(seed)
    f = world(rng)
    here = frozenset(rng.sample(SCOPES, 2))
    stands, orders = standing(f, r), {o.id: o for o in f.orders}
    force = [o for o in f.orders if stands[o.id] == "in force"]
    if any(o.scope not in f.scopes.get(o.issuer, ()) for o in force):
        return "an order out of scope is in force"
    named = set[int]().union(*(o.items for o in force if o.scope in here))
    if not withheld(f, here, r) <= named:
        return "something is withheld that no order of this scope names"
    if orders and len({str(withheld(f, here, r, rng.sample([*orders], len(orders)))) for _ in range(3)}) > 1:
        return "nodes with the same facts withhold different items"

    def second(o: Order) -> bool:
        others = {a for a in f.scopes if a != o.issuer and o.scope in f.scopes[a]}
        return any(c.by in others and c.order == o.id and c.paper == o.paper for c in f.confirmations)

    if any(o.paper and not second(o) for o in force):
        return "an order on paper is in force without a second person who saw the same paper"
    for issuer in f.scopes:
        for day in range(f.today + 1):
            alone = [o for o in f.orders if o.issuer == issuer and stands[o.id] != "void" and not second(o)]
            of_day = [o for o in alone if f.seen.get(o.id, f.today) == day]
            if sum(len(o.items) for o in of_day) > f.cap[issuer]:
                return "one role ordered more in a day than its cap"
    for o in force:
        if o.term and o.id in f.seen and f.today - f.seen[o.id] >= o.term:
            return "an order is in force after its term"
        if not second(o) and o.issuer in f.scopes and len(o.items) > f.cap[o.issuer]:
            return "one role ordered more in a day than its cap"
    for d in f.decisions:
        o = orders[d.order]
        allowed = d.by in f.judges[o.scope] or d.by == o.issuer
        if not allowed and standing(f._replace(decisions=f.decisions - {d}), r) != stands:
            return "somebody who is no judge changed an order"
    for o in force:  # nothing of an order that is gone stays withheld
        others = set[int]().union(*(x.items for x in force if x != o and x.scope in here))
        kept = withheld(cut(f, o.id), here, r)
        if (o.items & kept) - others - set[int]().union(*(x.items for x in newly(f, o, r))):
            return "an order that was cut withholds"
    return ""


def newly(f: Facts, o: Order, r: Rules) -> list[Order]:
    """Orders for which the cap has room once this one is gone."""
    before, after = standing(f, r), standing(cut(f, o.id), r)
    return [x for x in f.orders if after.get(x.id) == "in force" and before[x.id] != "in force"]
