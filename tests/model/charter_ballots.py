"""One number of a charter, in many random runs: honest members by the rules, everybody else as harmful as they can be.

    run(seed) -> what broke, or ""

A run has 4 to 7 votes, less than a third of them Byzantine, and two or three contents, which admit and expel.
Honest members are split in two sides; any of them may vote for whatever the rules allow it, not only for what is
sensible. Byzantine members sign everything, also twice, and show each act to whom they like. Once a content is
certified, those that leave by it turn Byzantine, if the rules claim to bear so many. Then two questions are asked.

1. *Safety.* All Byzantine members sign everything that can be signed, in each ballot. Is there a certificate of two
   contents?
2. *Liveness.* The network heals: from now on all acts reach all honest members before they sign the next one. Byzantine
   members still add what they like. Is a content certified within as many ballots as there are seats, two, and those by
   which honest members were apart?
"""

from __future__ import annotations

import random
from collections import Counter
from typing import NamedTuple

from tests.model.charter_spec import RULES, Electorate, Rules, commits, enough, locks, mask, too_many

NEWCOMER = 8
"""The first bit of members that a content admits."""
Votes = dict[tuple[int, int, int], int]
"""By (ballot, content, unlock): who."""
Commits = dict[tuple[int, int], int]
View = tuple[Votes, Commits]
Locks = dict[tuple[int, int], bool]


class Candidate(NamedTuple):
    """`author`: the seat that proposed it. `living`: honest newcomers, who consent; `lying`: Byzantine ones, who vote
    for it and never commit."""

    who: Electorate
    author: int
    living: int
    lying: int

    def signers(self, rules: Rules) -> int:
        return self.who.old | self.who.new if rules.leavers_sign else self.who.new


class World(NamedTuple):
    size: int
    byzantine: int
    candidates: tuple[Candidate, ...]

    @property
    def honest(self) -> list[int]:
        return [m for m in range(self.size) if not self.byzantine >> m & 1]

    def hostile(self, x: int) -> int:
        """The honest that leave by this content and may turn Byzantine when it is certified: with the Byzantine they
        are too few, or these leavers are alone and as many as a content may have."""
        who, quorum = self.candidates[x].who, self.size * 2 // 3 + 1
        leavers = who.old & ~who.new & ~self.byzantine
        borne = (self.byzantine | leavers).bit_count() < 2 * quorum - self.size
        return leavers if borne or not self.byzantine else 0


def world(rng: random.Random, rules: Rules) -> World:
    size = rng.choice((4, 4, 5, 6, 7, 7, 7))
    everyone = (1 << size) - 1
    byzantine = mask(rng.sample(range(size), rng.choice(((size - 1) // 3, rng.randrange((size + 2) // 3)))))
    most = max(k for k in range(size) if not too_many((1 << k) - 1, everyone, rules))
    candidates = []
    for n in range(rng.choice((2, 2, 3))):
        author, new, living, lying = rng.randrange(size), everyone, 0, 0
        if n == 0:
            author = next(m for m in range(size) if not byzantine >> m & 1)
        bad = byzantine >> author & 1
        if rng.random() < 0.4:
            new &= ~mask(rng.sample(range(size), rng.randrange(most) + 1))
        for k in range(rng.choice((0, 0, 1, 2, 4))):
            bit = 1 << (NEWCOMER + 4 * n + k)
            new |= bit
            if not bad:
                living |= bit
            elif rng.random() < 0.5:
                lying |= bit
        if not bad and not enough(new & ~byzantine, new, RULES.above):
            new |= everyone
        candidates.append(Candidate(Electorate(everyone, new, {}), author, living, lying))
    return World(size, byzantine, tuple(candidates))


def locked(w: World, view: View, rules: Rules, also: int = 0, top: int = 0) -> tuple[Locks, dict[tuple[int, int], int]]:
    """Which contents are locked in which ballots, and the votes that count. `also`: members that sign everything up to
    ballot `top`."""
    out: Locks = {}
    consent = [also if top else 0] * len(w.candidates)
    signed = {(b, x): also for b in range(1, top + 1) for x in range(len(w.candidates))}
    votes = sorted(view[0].items())
    n = 0
    for b in sorted({k[0] for k in view[0]} | set(range(1, top + 1))):
        while n < len(votes) and votes[n][0][0] == b:
            (_, x, u), who = votes[n]
            n += 1
            who &= w.candidates[x].signers(rules)
            consent[x] |= who
            if not u or rules.lock != "proof" or (u, x) in out:
                signed[b, x] = signed.get((b, x), 0) | who
        for x, c in enumerate(w.candidates):
            if locks(c.who, signed.get((b, x), 0) & c.signers(rules), consent[x], rules):
                out[b, x] = True
    return out, signed


def certified(w: World, view: View, rules: Rules, also: int = 0, top: int = 0) -> set[int]:
    """The contents that have a certificate."""
    found, signed = locked(w, view, rules, also, top)
    return {
        x
        for b, x in found
        if commits(
            w.candidates[x].who,
            (signed[b, x] if rules.one_step else view[1].get((b, x), 0) | also) & w.candidates[x].signers(rules),
            rules,
        )
    }


def choice(w: World, ballot: int) -> int:
    """The content to vote for where none is locked: that of the seat whose turn it is, or of the next that has one."""
    return min(range(len(w.candidates)), key=lambda x: ((w.candidates[x].author - ballot) % w.size, x))


class Member:
    """An honest member: what it has seen, and what it may still sign."""

    def __init__(self, bit: int) -> None:
        self.bit = bit
        self.view: View = ({}, {})
        self.last = 0
        self.promise = (0, -1)
        """The ballot and the content of its last commit."""

    def unlock(self, ballot: int, x: int, found: Locks, rules: Rules) -> int | None:
        """With which `unlock` it may vote for x in this ballot; None: it may not."""
        at, to = self.promise
        if ballot <= self.last:
            return None
        if rules.lock == "ignored" or not at:
            return 0
        if x == to:
            return at if not rules.one_step else 0
        if rules.lock == "claim":
            return max((u for _, y, u in self.view[0] if y == x and at < u < ballot), default=None)
        return max((v for v, y in found if y == x and at < v < ballot), default=None)

    def can_commit(self, found: Locks) -> tuple[int, int] | None:
        return max((f for f in found if f[0] >= self.last and f[0] > self.promise[0]), default=None)


class Run:
    def __init__(self, rng: random.Random, rules: Rules = RULES) -> None:
        self.rng, self.rules = rng, rules
        self.world = world(rng, rules)
        self.cheats = self.world.byzantine
        self.members = {m: Member(1 << m) for m in self.world.honest}
        half = rng.choice((0, 0.5))
        self.sides = {m: rng.random() < half for m in self.members}
        self.apart = rng.random() < 0.5
        """Whether the sides favour different contents in each ballot."""
        self.reach = rng.choice((0.5, 0.8, 1))
        self.mine = sum(m.bit for m in self.members.values())
        self.all: View = ({}, {})
        self.counts: Counter[str] = Counter()

    def vote(self, m: Member, ballot: int, x: int, unlock: int, to: list[Member], consent: bool) -> None:
        c = self.world.candidates[x]
        m.last = ballot
        if self.rules.one_step and self.rules.lock != "ignored":
            m.promise = (ballot, x)
        who = m.bit | (c.living if consent else 0)
        for v, _ in (self.all, m.view, *(t.view for t in to)):
            v[ballot, x, unlock] = v.get((ballot, x, unlock), 0) | who

    def commit(self, m: Member, at: tuple[int, int], to: list[Member]) -> None:
        m.last, m.promise = at[0], at
        who = m.bit | self.world.candidates[at[1]].living
        for _, c in (self.all, m.view, *(t.view for t in to)):
            c[at] = c.get(at, 0) | who
        hostile = self.world.hostile(at[1]) & ~self.cheats
        if hostile and at[1] in certified(self.world, self.all, self.rules):
            self.counts["turned"] += 1
            self.cheats |= hostile

    def byzantine(self, top: int, to: list[Member]) -> None:
        rng, b = self.rng, self.rng.randrange(1, top + 2)
        x = (b + rng.randrange(2)) % len(self.world.candidates)
        u = rng.randrange(b + 1) if rng.random() < 0.5 else 0
        if self.all[0] and rng.random() < 0.6:
            b, x, u = rng.choice(list(self.all[0])[-4:])
        views = (self.all, *(t.view for t in to))
        bits = self.cheats | self.world.candidates[x].lying
        if rng.random() < 0.7:
            for v, _ in views:
                v[b, x, u] = v.get((b, x, u), 0) | bits
        else:
            for _, c in views:
                c[b, x] = c.get((b, x), 0) | self.cheats

    def adversarial(self, steps: int) -> None:
        rng, honest = self.rng, list(self.members.values())
        by_side = {s: [self.members[m] for m, side in self.sides.items() if side == s] for s in (False, True)}
        for _ in range(steps):
            n = rng.randrange(self.world.size)
            if self.cheats >> n & 1 or rng.random() < 0.15:
                to = rng.choice((honest, by_side[False], by_side[True], [rng.choice(honest)]))
                self.byzantine(max(m.last for m in honest), to)
                continue
            m = self.members[n]
            if rng.random() < 0.12:
                self.merge(m.view, rng.choice(honest).view)
            to = [t for t in by_side[self.sides[n]] if rng.random() < self.reach]
            found = locked(self.world, m.view, self.rules)[0]
            at = m.can_commit(found)
            if at is not None and not self.rules.one_step and rng.random() < 0.8:
                self.commit(m, at, to)
                continue
            top = max((k[0] for k, who in m.view[0].items() if who & self.mine), default=1)
            if top <= m.last and rng.random() < 0.75:
                continue
            b = max(m.last + 1, top + (rng.random() < 0.1))
            x = (b + self.sides[n] * self.apart) % len(self.world.candidates)
            if rng.random() < 0.1:
                x = rng.randrange(len(self.world.candidates))
            u = m.unlock(b, x, found, self.rules)
            if u is not None:
                self.counts["unlocked"] += m.promise[0] > 0 and m.promise[1] != x
                self.vote(m, b, x, u, to, rng.random() < 0.8)

    @staticmethod
    def merge(into: View, view: View) -> None:
        for k, who in view[0].items():
            into[0][k] = into[0].get(k, 0) | who
        for at, who in view[1].items():
            into[1][at] = into[1].get(at, 0) | who

    def safe(self) -> bool:
        top = max((k[0] for k in self.all[0]), default=0) + 1
        also = self.cheats
        for c in self.world.candidates:
            also |= c.living | c.lying | c.who.new >> NEWCOMER << NEWCOMER
        return len(certified(self.world, self.all, self.rules, also, top)) < 2

    def signed(self, bit: int) -> int:
        """The highest ballot in which it signed anything."""
        return max((k[0] for part in self.all for k, who in part.items() if who & bit), default=0)

    def heal(self) -> bool:
        """Whether a content is certified in time."""
        w, honest = self.world, list(self.members.values())
        if certified(w, self.all, self.rules):
            self.counts["before healing"] += 1
            return True
        bound = max(m.last for m in honest) - min(m.last for m in honest) + w.size + 2
        for n in range(1, bound + 1):
            for _ in range(self.rng.randrange(3)):
                self.byzantine(max(m.last for m in honest), [])
            for m in honest:
                self.merge(m.view, self.all)
            found = locked(w, self.all, self.rules)[0]
            signed = {m: self.signed(1 << m) for m in range(w.size)}
            joint = sorted(signed.values(), reverse=True)[w.size // 3]
            for m in honest:
                x = max(found)[1] if found else choice(w, joint + 1)
                u = m.unlock(joint + 1, x, found, self.rules)
                if u is not None:
                    if found:
                        u = max(found)[0] if max(found)[0] <= joint else u
                    self.vote(m, joint + 1, x, u, [], consent=True)
            found = locked(w, self.all, self.rules)[0]
            for m in honest:
                self.merge(m.view, self.all)
                at = m.can_commit(found)
                if at is not None and not self.rules.one_step:
                    self.commit(m, at, [])
            if certified(w, self.all, self.rules):
                self.counts[f"ballots {n}"] += 1
                return True
        return False


def run(seed: str, rules: Rules = RULES, counts: Counter[str] | None = None) -> str:
    """What broke in this run: "", "safety" or "liveness"."""
    rng = random.Random(seed)
    r = Run(rng, rules)
    r.adversarial(rng.randrange(4, 60))
    out = ""
    if not r.safe():
        out = "safety"
    elif not r.heal():
        out = "liveness"
    elif not r.safe():
        out = "safety"
    if counts is not None:
        counts.update(r.counts)
    return out
