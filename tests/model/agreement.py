"""Sets and runs: one set is made real and judged by the model and by the implementation; a run delivers it once.

A run is one order of delivery to three nodes that each get only some of it, reconciled afterwards in a ring of which
one member reaches an archive. It is unconverged when the nodes end with different heads, and differs when they agree
on something else than what the model says of the whole set.
"""

from __future__ import annotations

import random
from collections.abc import Hashable
from itertools import permutations
from typing import Literal, NamedTuple

from banyan_crdt.run import Run
from tests.model.cells import fold
from tests.model.concrete import Concrete, RealJudge, concrete, named_cells, real_cells
from tests.model.nodes import Key, Node, Peer, Unservable, run
from tests.model.scenarios import scenario
from tests.model.spec import state
from tests.model.store_node import StoreNode

NodeKind = Literal["judge", "store"]
"""Nodes that trim a set with the implementation's `keep`, or real ones with a store in memory (70 times slower)."""


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
    """In how many of those they gave different heads or cells."""
    failed: tuple[str, ...] = ()
    """Seeds of the first sets in which anything went wrong."""

    def plus(self, other: Tally) -> Tally:
        sums = [a + b for a, b in zip(self[:-1], other[:-1], strict=True)]
        return Tally._make([*sums, (self.failed + other.failed)[:20]])

    @property
    def clean(self) -> bool:
        return not (self.unconverged or self.differing or self.unservable or self.disagreeing)


def compare(c: Concrete, judge: RealJudge, mask: int) -> list[str]:
    """What model and implementation say differently about a set: names of what differs."""
    wrong = []
    for account in c.symbolic.accounts:
        model = state(c.symbolic.members(mask), account, c.symbolic.limits)
        if dict(judge.judge(account, mask).heads) != dict(model.heads):
            wrong.append("heads")
            continue
        kept = judge.judge(account, mask).keep
        logs = c.symbolic.mask(e for e in c.symbolic.entries if e.log)
        if kept & logs != c.symbolic.mask(model.keep) & logs:
            wrong.append("branches kept")
        if judge.judge(account, kept).digest != judge.judge(account, mask).digest:
            wrong.append("keep")
        mine, theirs = named_cells(fold(model.counted)), real_cells(judge.state(account, mask))
        wrong += [name for name, a, b in zip(mine._fields, mine, theirs, strict=True) if a != b]
    return wrong


def examine(seed: str, runs: int = 40, subsets: int = 2, kind: NodeKind = "judge") -> Tally:
    """One random set: the model against the implementation on it and on some subsets, then `runs` deliveries (every
    order, where that is not more than 120)."""
    rng = random.Random(seed)
    c = concrete(scenario(rng))
    s, judge = c.symbolic, RealJudge(c)
    wrong = [compare(c, judge, s.everything)]
    wrong += [compare(c, judge, s.closed(rng.getrandbits(len(s.entries)) | 1)) for _ in range(subsets)]
    decoded: dict[tuple[int, ...], Run] = {}
    full = Node(s, judge, archive=True)
    full.masks = {a: s.mask(e for e in s.entries if e.account == a) for a in s.accounts}
    want: dict[Key, Hashable] = {
        (a, name): head for a in s.accounts for name, head in state(s.entries, a, s.limits).heads.items()
    }

    def peer(archive: bool) -> Peer:
        if archive:
            return full
        return Node(s, judge) if kind == "judge" else StoreNode(c, decoded)

    everyone = range(len(s.entries))
    small = len(s.entries) <= 5
    orders = permutations(everyone) if small else (rng.sample(everyone, len(s.entries)) for _ in range(runs))
    ran = stuck = differing = unservable = 0
    for order in orders:
        ran += 1
        try:
            out = run(s, order, [rng.randrange(1, 8) for _ in order], peer, want)
        except Unservable:
            unservable += 1
            continue
        stuck += not out.agreed
        differing += out.agreed and not out.batch
    bad = sum(bool(w) for w in wrong)
    found = Tally(1, ran, stuck, differing, unservable, len(wrong), bad)
    return found if found.clean else found._replace(failed=(seed,))
