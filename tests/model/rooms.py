"""How two nodes become equal that have little room beside a log: what is always taken, what gives way, and which pin a
server leads down from. The model's own words; it imports nothing of the product.

An attacker writes one log. Entries whose place is past the limit do not count, but may be the only ones that are
signed. He also pins: what exists, and what does not. Each node gets parts of it in some order, so that branches fill
the room, and then the two ask each other until nothing comes that is new.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tests.model.spec import Chain, Entry, Id, chain

NAMED = 4
"""How many pins a question names."""
RUN = 12
"""Entries of a run at most."""
MOST = 4 * RUN
"""Entries that cannot give way, beyond which no long tail is taken: a log may hold as much as many runs."""


class Rules(NamedTuple):
    """The rules in force, and switches to show what each is for. Only RULES is the protocol."""

    gives_way: bool = True
    """False: branches do not give way to a tail; it is taken up to `FREE` entries, and more if there is room."""
    takes_long: bool = True
    """False: a tail of more than half a run is taken only if there is room."""
    leads_down: bool = True
    """False: a server leads down from pins that were named alone."""
    shows_part: bool = True
    """False: a run is shown to be below a pin only if its last entry is, and no entry of it is past the limit."""


RULES = Rules()
FREE = 1
Pins = Sequence[tuple[int, Id]]


class Attack(NamedTuple):
    """`limit`: places below it count. `pins`: in their order. `room`: entries that a node holds of branches."""

    limit: int
    room: int
    pins: tuple[tuple[int, Id], ...]
    entries: dict[Id, Entry]
    signed: frozenset[Id]

    def path(self, i: Id) -> list[Entry]:
        out: list[Entry] = []
        while i is not None:
            out.append(self.entries[i])
            i = out[-1].prev
        return out[::-1]


class Node:
    def __init__(self, attack: Attack, rules: Rules) -> None:
        self.attack, self.rules = attack, rules
        self.held: dict[Id, Entry] = {}
        self.signed: set[Id] = set()
        self.vouched: set[Id] = set()

    def state(self) -> Chain:
        return chain((e for e in self.held.values() if e.seq < self.attack.limit), self.attack.pins, None)

    def way(self, e: Entry) -> list[Entry]:
        """The shortest way up to a signature; empty if there is none within a run."""
        ways = [[e]]
        while ways:
            way = ways.pop(0)
            if way[-1].id in self.signed:
                return way
            if len(way) < RUN:
                above = (c for c in self.held.values() if c.prev == way[-1].id)
                ways += [[*way, c] for c in sorted(above, key=lambda c: c.id)]
        return []

    def needed(self) -> set[Id]:
        """What counts or is below a pin, two branches of a fork, and for each of these entries a way to a signature."""
        s, below = self.state(), [self.held[i] for i in self.vouched]
        return {x.id for e in (*s.entries, *s.children[:2], *below) for x in (e, *self.way(e))}

    def take(self, run: Sequence[Entry], below: Id = None) -> bool:
        """Whether a run was taken of which something was new. below: a pinned entry that is shown to stand above it."""
        fresh = [e for e in run if e.id not in self.held]
        if not fresh or (fresh[0].prev is not None and fresh[0].prev not in self.held):
            return False
        if fresh[0].seq >= self.attack.limit:
            return False
        was, before = self.state(), (dict(self.held), set(self.signed))
        self.held.update((e.id, e) for e in fresh)
        self.signed.add(run[-1].id)
        if self.state() != was:
            taken = self.takes_tail(sum(e.seq >= self.attack.limit for e in fresh))
        elif shown := self.shown(fresh, below):
            self.vouched |= {e.id for e in fresh[:shown]}
            taken = self.takes_tail(len(fresh) - shown)
        else:
            taken = len(self.branches()) <= self.attack.room
        if not taken:
            self.held, self.signed = before
            self.vouched &= set(self.held)
        return taken

    def takes_tail(self, past: int) -> bool:
        """Whether so many of the entries that came last may lead to a signature. Branches have given way to them."""
        if not self.rules.gives_way:
            return past <= FREE or len(self.branches()) <= self.attack.room
        fits = len(self.branches()) <= self.attack.room or 2 * past <= RUN
        if fits or self.rules.takes_long:
            self.give_way()
        return fits or (self.rules.takes_long and len(self.branches()) <= MOST)

    def shown(self, fresh: Sequence[Entry], below: Id) -> int:
        """How many of these entries a pin is shown to stand above. The others are a tail."""
        if all(i != below for _, i in self.attack.pins):
            return 0
        above = {e.id for e in self.attack.path(below)}
        number = sum(e.id in above for e in fresh)
        return number if self.rules.shows_part or number == len(fresh) else 0

    def branches(self) -> set[Id]:
        return set(self.held) - {e.id for e in self.state().entries} - self.vouched

    def give_way(self) -> None:
        while len(self.branches()) > self.attack.room:
            parents = {e.prev for e in self.held.values()}
            gone = self.branches() - self.needed() - parents
            if not gone:
                return
            for i in gone:
                del self.held[i]

    def lacks(self) -> list[Id]:
        """The pins that a question names: those that are highest, of those that are not held."""
        return [i for _, i in sorted(self.attack.pins, key=lambda p: -p[0]) if i not in self.held][:NAMED]

    def asks(self, server: Node) -> bool:
        """Asks the server for what it counts. Returns whether anything came that is new."""
        s, named = server.state(), self.lacks()
        counted = [e.id for e in s.entries]
        pin = next((i for i in reversed(counted) if i in named), None)
        if pin is None and named and self.rules.leads_down:
            pin = next((i for i in reversed(counted) if any(i == p for _, p in self.attack.pins)), None)
        new, k = False, 0
        while k < len(counted):
            way = server.way(s.entries[k])
            new |= self.take(way, pin)
            k += max(1, sum(e.id in counted for e in way))
        for e in s.children[:2]:
            new |= self.take(server.way(e), pin)
        return new


def attack(rng: random.Random) -> Attack:
    """A log with an honest chain, tails past the limit, branches, and pins of which many are to nothing."""
    limit, entries, signed = rng.randrange(4, 16), dict[Id, Entry](), set[Id]()

    def write(parent: Entry | None, n: int) -> Entry:
        for _ in range(n):
            seq, i = (parent.seq + 1 if parent else 0), len(entries)
            parent = entries[i] = Entry(i, "A", "w", 1, seq, parent.id if parent else None, i, 0, 0, ())
        assert parent is not None
        signed.add(parent.id)
        return parent

    at = write(None, 1)
    while at.seq < limit - 1:
        at = write(at, rng.randrange(1, min(RUN - 5, limit - at.seq) + 1))
    for e in rng.sample(list(entries.values()), min(len(entries), 3)):
        past = limit - 1 - e.seq
        write(e, past + rng.randrange(1, 5) if past + 4 < RUN and rng.random() < 0.7 else 1)
    if rng.random() < 0.5:  # the signature of some of the chain is far away, beside it
        e = rng.choice([e for e in entries.values() if e.seq < limit])
        write(e, RUN - 2)
        signed.discard(e.id)
    for _ in range(rng.randrange(30)):
        write(rng.choice([None, *list(entries.values())[:3]]), rng.choice([1, 1, 2]))
    real = [e for e in entries.values() if e.seq < limit]
    pins = [(e.seq, e.id) for e in rng.sample(real, min(len(real), 2))]
    pins += [(limit + k, -1 - k) for k in range(rng.choice([0, 0, 3, 9]))]
    rng.shuffle(pins)
    return Attack(limit, rng.choice([2, 4, 7, RUN + 2]), tuple(pins), entries, frozenset(signed))


def runs(a: Attack, rng: random.Random, share: float) -> list[list[Entry]]:
    """A part of the log as runs, each from the signature before or from the beginning, and branches often first."""
    out = []
    for i in a.signed:
        if rng.random() < share:
            path = a.path(i)
            ends = [k for k, e in enumerate(path[:-1]) if e.id in a.signed and len(path) - 1 - k <= RUN]
            start = max(ends, default=-1) + 1
            if len(path) - start <= RUN:
                out.append(path[start:])
    rng.shuffle(out)
    return out


def heads(seed: int, rules: Rules = RULES) -> list[tuple[Sequence[Entry], bool]]:
    """What counts at each of two nodes once they have nothing more to tell each other."""
    rng = random.Random(seed)
    a = attack(rng)
    nodes = [Node(a, rules) for _ in range(2)]
    for node, share in zip(nodes, (0.9, rng.choice([0.4, 0.7])), strict=True):
        given = runs(a, rng, share)
        for run in given * len(given):
            node.take(run)
    one, two = nodes
    for _ in range(200):
        if not (one.asks(two) | two.asks(one)):
            break
    return [(n.state().entries, n.state().forked) for n in nodes]


def apart(seeds: Iterable[int], rules: Rules = RULES) -> list[int]:
    """The seeds after which the two nodes differ."""
    return [seed for seed in seeds if len(set(map(repr, heads(seed, rules)))) > 1]
