"""Random histories of a charter: members come, go, fall asleep and wake, renew their keys; and what thieves can do
afterwards.

In a `History` less than a third of each epoch's votes are Byzantine or leave by it. Honest members that take part in
an epoch destroy its key when it stands; some are away and keep theirs, and so do those that leave by it. Byzantine
members keep every key and sign a second content too. A `fork` is one number with any number of Byzantine votes.
"""

from __future__ import annotations

import random

from tests.model.charter_spec import (
    RULES,
    SPARE,
    Act,
    Bundle,
    Commit,
    Content,
    Key,
    Ledger,
    Proposal,
    Rules,
    Seat,
    Vote,
    applied,
    enough,
    mask,
    skip,
    state_of,
    votes_of,
)


class History:
    def __init__(self, rng: random.Random, epochs: int) -> None:
        self.rng = rng
        size = rng.randrange(4, 9)
        self.byzantine = set(rng.sample(range(size), (size - 1) // 3))
        self.genesis = Content(0, 0, -1, tuple(map(Seat, range(size))))
        self.epochs = [self.genesis]
        self.acts: list[Act] = []
        self.ids = self.members = 100
        self.held: dict[int, dict[int, int]] = {m: {0: 1} for m in range(size)}
        """Of each member there ever was, by root: the lowest number whose key is not destroyed."""
        self.leavers: set[int] = set()
        for _ in range(epochs):
            self.epoch()

    def content(self, epoch: Content, proposals: list[Proposal]) -> Content | None:
        seats = applied(epoch.seats, epoch.number + 1, tuple(proposals), RULES)
        self.ids += 1
        return Content(self.ids, epoch.number + 1, epoch.id, seats, tuple(proposals)) if seats else None

    def wishes(self, epoch: Content, away: set[int]) -> list[Proposal]:
        rng, out, n = self.rng, list[Proposal](), epoch.number + 1
        for s in epoch.seats:
            if not s.awake and rng.random() < 0.4:
                out.append(("wake", s.member, s.key(n)))
            elif s.missed and s.member not in away and rng.random() < 0.8:
                out.append(("answer", s.member, s.key(n)))
            elif s.awake and s.member not in away and rng.random() < 0.1:
                out.append(("renew", s.member, n, rng.choice((s.key(n), s.key(SPARE)))))
            elif s.awake and s.missed >= 2 and rng.random() < 0.8:
                out.append(("sleep", s.member))
            elif rng.random() < 0.06:
                out.append(("expel", s.member))
        if rng.random() < 0.5:
            out.append(("roll",))
        if rng.random() < 0.3:
            self.members += 1
            out.append(("admit", self.members % 32 + 16, n))
        return out

    def epoch(self) -> None:
        rng, epoch = self.rng, self.epochs[-1]
        awake = {s.member for s in epoch.seats if s.awake}
        for attempt in range(6):
            away = {m for m in awake - self.byzantine if attempt < 4 and rng.random() < 0.15}
            wishes = self.wishes(epoch, away) if attempt < 5 else []
            gone = {p[1] for p in wishes if p[0] in ("expel", "sleep")}
            signers = awake - away - {m for m in gone if rng.random() < 0.5}
            expelled = {p[1] for p in wishes if p[0] == "expel"} & awake
            if len(expelled | self.byzantine & awake) * 3 >= len(awake) and expelled:
                continue
            x = self.content(epoch, [*wishes, ("note", self.ids)])
            if x is None or any(p[0] == "admit" and p[1] in self.held for p in wishes):
                continue
            new = votes_of(x.seats)
            joining = {s.member for s in x.seats if s.awake} - awake
            honest = (signers | joining) - self.byzantine
            few = enough(new & ~mask(self.byzantine), new, (2, 3))
            if few and enough(mask(signers), mask(awake), (2, 3)) and enough(mask(signers | honest) & new, new, (2, 3)):
                break
        else:
            return
        other = self.content(epoch, [("note", -self.ids)])
        assert other
        old = {s.member: s.key(x.number) for s in epoch.seats}
        keys = {s.member: s.key(x.number) for s in x.seats} | old
        ballot, split = 1, rng.random() < 0.4
        acts: list[Act] = [x, other]
        if split:
            acts += [Vote(x.number, 1, rng.choice((x, other)).id, 0, old[m]) for m in honest & awake]
            ballot = 2
        for m in honest:
            acts.append(Vote(x.number, ballot, x.id, 0, keys[m]))
            if m in awake:
                acts.append(Commit(x.number, ballot, x.id, keys[m]))
        for m in signers & self.byzantine:
            for made in (x, other):
                for b in (1, 2, 3):
                    acts += [Vote(x.number, b, made.id, 0, old[m]), Commit(x.number, b, made.id, old[m])]
        self.acts += acts
        for s in x.seats:
            roots = self.held.setdefault(s.member, {})
            roots.setdefault(s.root, x.number)
            if s.member in honest:
                self.held[s.member] = {r: max(n, x.number + 1) for r, n in roots.items() if r == s.root}
        self.leavers |= set(old) - {s.member for s in x.seats}
        self.epochs.append(x)

    @property
    def chain(self) -> tuple[int, ...]:
        return tuple(e.id for e in self.epochs)

    def stolen(self, number: int) -> set[Key]:
        """The keys of a number that somebody still has."""
        return {(m, r, number) for m, roots in self.held.items() for r, low in roots.items() if low <= number}

    def signed(self, x: Content, keys: set[Key]) -> list[Act]:
        """The content with all that these keys can sign for it."""
        out: list[Act] = [x]
        for k in sorted(keys):
            for b in (1, 2):
                out += [Vote(x.number, b, x.id, b - 1, k), Vote(x.number, b, x.id, 0, k), Commit(x.number, b, x.id, k)]
        return out

    def forged(self, at: int, keys: set[Key], leave: bool = False) -> list[Act]:
        """Another epoch at + 1, by whoever holds the keys. leave: those who sign it leave by it."""
        epoch = self.epochs[at]
        by = sorted({s.member for s in epoch.seats} & {k[0] for k in keys})
        x = self.content(epoch, [*(("expel", m) for m in by[1:] if leave), ("note", -1)])
        return self.signed(x, keys) if x else []

    def bundle(self, n: int) -> Bundle:
        return Bundle(self.epochs[n - 1], tuple(a for a in self.acts if a.number == n))

    def colluders(self, known: Content) -> set[int]:
        return {s.member for s in known.seats if s.awake and s.member in self.byzantine | self.leavers}

    def forged_bundle(self, known: Content, n: int) -> Bundle | None:
        """An invented epoch n by all who left the known one or are Byzantine."""
        seats = [s for s in known.seats if s.member in self.colluders(known)]
        if not seats:
            return None
        self.ids += 1
        before = Content(self.ids, n - 1, -2, tuple(s._replace(missed=0) for s in seats))
        x = self.content(before, [("note", -2)])
        assert x
        return Bundle(before, tuple(self.signed(x, {s.key(n) for s in seats})))


def examine(seed: str, rules: Rules = RULES) -> str:
    """The name of the promise that broke, or ""."""
    rng = random.Random(seed)
    h = History(rng, rng.randrange(2, 7))
    whole = state_of(h.acts, h.genesis, rules)
    if whole.chain != h.chain or whole.struck:
        return "what honest members adopted stands"

    ledger, seen = Ledger(h.genesis, rules), list[Act]()
    order = rng.sample(h.acts, len(h.acts))
    stop = rng.randrange(len(order))
    for n, a in enumerate([*order, *rng.choices(order, k=5)]):
        ledger.add(a)
        seen.append(a)
        if n == stop:
            part = state_of(seen, h.genesis, rules)
            if ledger.state != part or part.chain != whole.chain[: len(part.chain)]:
                return "missing acts leave a node at the last whole epoch"
    if ledger.state != whole:
        return "state is a function of the set of acts"

    for at in range(len(h.epochs) - 1):
        for leave in (False, True):
            if state_of([*h.acts, *h.forged(at, h.stolen(at + 1), leave)], h.genesis, rules) != whole:
                return "nobody certifies an old number anew"
    destroyed = {s.key(n) for s in h.epochs[-1].seats for n in range(1, len(h.epochs))}
    if state_of([*h.acts, *h.forged(len(h.epochs) - 1, destroyed)], h.genesis, rules) != whole:
        return "old keys sign nothing"

    for n in range(2, len(h.epochs)):
        known = h.epochs[rng.randrange(n - 1)]
        if skip(known, h.bundle(n), rules) not in (None, h.chain[n]):
            return "a verifier that skips is never elsewhere"
        lies = h.forged_bundle(known, n + rng.randrange(3))
        old = votes_of(known.seats)
        if lies and not enough(mask(h.colluders(known)), old, (2, 3)) and skip(known, lies, rules) is not None:
            return "a verifier that skips is never elsewhere"
    return ""


def forked(rng: random.Random) -> tuple[Content, list[Act], set[int]]:
    """One number with two certificates by any number of Byzantine votes: epoch 0, the acts, who is Byzantine."""
    size = rng.randrange(4, 10)
    byzantine = set(rng.sample(range(size), rng.randrange(1, size)))
    genesis = Content(0, 0, -1, tuple(map(Seat, range(size))))
    contents = [Content(n + 1, 1, 0, genesis.seats, (("note", n),)) for n in range(2)]
    acts: list[Act] = list(contents)
    side = rng.random()
    for m in range(size):
        to = set(contents) if m in byzantine else {contents[rng.random() < side]}
        b = rng.choice((1, 2)) if m in byzantine else 1
        for x in sorted(to):
            for at in {1, b}:
                acts += [Vote(1, at, x.id, 0, (m, 0, 1)), Commit(1, at, x.id, (m, 0, 1))]
    return genesis, acts, byzantine


def fork(seed: str, rules: Rules = RULES) -> tuple[str, bool]:
    """What broke in such a number, and whether a content stands."""
    rng = random.Random(seed)
    genesis, acts, byzantine = forked(rng)
    size, contents = len(genesis.seats), [a for a in acts if isinstance(a, Content)]
    state = state_of(acts, genesis, rules)
    ledger = Ledger(genesis, rules)
    for a in rng.sample(acts, len(acts)):
        ledger.add(a)
    if ledger.state != state:
        return "state is a function of the set of acts", False
    struck = state.struck[0][1] if state.struck else 0
    if struck & ~mask(byzantine):
        return "no honest member is struck", False
    rest = {m for m in range(size) if not struck >> m & 1}
    by = {x.id: {a.key[0] for a in acts if isinstance(a, Commit) and a.content == x.id} for x in contents}
    strong = [x for x, who in by.items() if len(who & rest) * 3 > len(rest) * 2]
    two = all(len(who) * 3 > size * 2 for who in by.values())
    if two and state.chain != ((0, strong[0]) if len(strong) == 1 else (0,)):
        return "of two certificates the one with more than 2/3 of the rest stands, else none", False
    if two and not enough(struck, mask(range(size)), (1, 3)):
        return "two certificates strike their double signers, more than 1/3", False
    return "", two and len(state.chain) > 1
