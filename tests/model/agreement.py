"""Sets and runs: one set is made real and judged by the model and by the implementation; a run delivers it once.

A run is one delivery to three nodes that each get only some of it, in any order, cut into runs anywhere, with messages
that are lost and come later; reconciled afterwards in a ring. In half of the runs one member reaches an archive of the
whole set, and in half of them nodes forget what has not counted for 30 days, each at its own time. A run is unconverged
when the nodes end with different heads. It differs when they agree on something else than what the model says: of the
whole set with an archive, else of what the nodes took, if none of them forgot anything.
"""

from __future__ import annotations

import random
from collections.abc import Hashable, Iterable, Sequence
from itertools import permutations
from typing import Literal, NamedTuple

from banyan_crdt.run import Run
from tests.model.cells import fold
from tests.model.concrete import (
    REALM,
    Concrete,
    RealJudge,
    concrete,
    in_force,
    log_name,
    named_cells,
    real_cells,
    signer,
)
from tests.model.keeping import Held, broken, counting
from tests.model.nodes import Key, Node, Peer, Unservable, plan, run
from tests.model.scenarios import Message, scenario
from tests.model.signed import Said, draw
from tests.model.spec import RULES, LogName, state
from tests.model.store_node import StoreNode

NodeKind = Literal["judge", "store"]
"""Nodes that hold a set and ask the implementation what it means, or real ones with a store in memory (slower)."""


class Tally(NamedTuple):
    sets: int = 0
    runs: int = 0
    unconverged: int = 0
    differing: int = 0
    unservable: int = 0
    """Runs broken off because a node held an entry under no signature."""
    judged: int = 0
    """How many subsets model and implementation were both asked about."""
    disagreeing: int = 0
    """In how many of those they gave different heads or cells, or the implementation forgot too much or too little."""
    failed: tuple[str, ...] = ()
    """Seeds of the first sets in which anything went wrong."""

    def plus(self, other: Tally) -> Tally:
        sums = [a + b for a, b in zip(self[:-1], other[:-1], strict=True)]
        return Tally._make([*sums, (self.failed + other.failed)[:20]])

    @property
    def clean(self) -> bool:
        return not (self.unconverged or self.differing or self.unservable or self.disagreeing)


def compare(
    c: Concrete, judge: RealJudge, mask: int, signed: int, rng: random.Random, said: Sequence[Said] = ()
) -> list[str]:
    """Names of what model and implementation disagree about. rng: chooses whose 30 days are over. said: held
    checkpoints, older ones too."""
    wrong: list[str] = []
    s = c.symbolic
    for account in s.accounts:
        words = tuple(w.symbolic for w in said)
        model = state(s.members(mask), account, s.limits, RULES, words)
        real = judge.state(account, mask, -1, said)
        heads: dict[LogName, Hashable] = {log_name(log): head for log, head in real.heads.items()}
        if heads != dict(model.heads):
            wrong.append("heads")
            continue
        mine, theirs = named_cells(fold(model.counted)), real_cells(real)
        wrong += [name for name, a, b in zip(mine._fields, mine, theirs, strict=True) if a != b]
        own = frozenset(e for e in s.members(mask & ~sum(1 << i for i in s.of_control(mask))) if e.account == account)
        own |= model.control.authorised
        held = Held(own, own & {*s.members(signed)}, lambda e: s.sizes[s.index(e)], s.limits, words)
        beside = sorted(own - counting(model), key=lambda e: e.id)
        firm = [e for e in beside if rng.random() < 0.3] if rng.random() < 0.5 else []
        kept = judge.stays(account, s.mask(own), signed, s.mask(firm), said)
        wrong += broken(held, frozenset(s.members(kept)), account, firm)
    return wrong


def checkpoints_of(rng: random.Random, c: Concrete) -> list[Said]:
    """Random checkpoints, mostly of entries that count without them."""
    s = c.symbolic
    path = {e.id for a in s.accounts for e in state(s.entries, a, s.limits).path}
    return draw(rng, s.entries, path, REALM, signer)


def examine(seed: str, runs: int = 40, subsets: int = 2, kind: NodeKind = "judge") -> Tally:
    """One random set: compares model and implementation on it and on some subsets, then makes `runs` deliveries (every
    order, if there are at most 120)."""
    rng = random.Random(seed)
    c = concrete(scenario(rng), rng)
    with in_force(c.symbolic.limits):
        return _examine(seed, rng, c, runs, subsets, kind)


def _examine(seed: str, rng: random.Random, c: Concrete, runs: int, subsets: int, kind: NodeKind) -> Tally:
    s, judge = c.symbolic, RealJudge(c)
    wrong = [compare(c, judge, s.everything, s.signed, rng, given) for given in ((), checkpoints_of(rng, c))]
    for _ in range(subsets):
        messages = s.messages(rng)
        held = s.gathered(rng.sample(messages, rng.randrange(1, len(messages) + 1)))
        wrong.append(compare(c, judge, *held, rng, checkpoints_of(rng, c) if rng.random() < 0.5 else ()))
    decoded: dict[Message, Run] = {}
    full = StoreNode.archive(c, decoded) if kind == "store" else Node.archive(s, judge)
    states: dict[int, dict[Key, Hashable]] = {}

    def judged(mask: int) -> dict[Key, Hashable]:
        if mask not in states:
            members = s.members(mask)
            found = {a: state(members, a, s.limits).heads for a in s.accounts}
            states[mask] = {(a, name): head for a, heads in found.items() for name, head in heads.items()}
        return states[mask]

    def peer() -> Peer:
        return Node(s, judge) if kind == "judge" else StoreNode(c, decoded)

    everything = s.messages(rng)
    orders: Iterable[Sequence[Message]] = permutations(everything)
    if len(everything) > 5:
        orders = (rng.sample(found, len(found)) for found in (s.messages(rng) for _ in range(runs)))
    ran = stuck = differing = unservable = 0
    for order in orders:
        ran += 1
        try:
            out = run(plan(rng, order, rng.random() < 0.5, rng.random() < 0.5), rng, peer, full, judged)
        except Unservable:
            unservable += 1
            continue
        stuck += not out.agreed
        differing += out.agreed and not out.batch
    bad = sum(bool(w) for w in wrong)
    found = Tally(1, ran, stuck, differing, unservable, len(wrong), bad)
    return found if found.clean else found._replace(failed=(seed,))
