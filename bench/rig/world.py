"""A store as a network fills it: names, follows, posts and answers, most of them around the most followed accounts.

There are three sizes; each adds accounts to the one before. The smallest holds only the shared accounts, with 5 entries
each; every other account writes 100. So the same new entries, by shared accounts, can be given to all sizes, and any
difference in cost is due to the size.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from banyan_crdt.ids import AccountId
from banyan_replica.intake.author import Author, EntryDraft
from banyan_schema.social import ReplyTo, Target
from bench.harness import say
from bench.rig.people import (
    Account,
    copied,
    filling,
    following,
    kept,
    known_account,
    named,
    open_account,
    post,
    post_target,
    write_in_turn,
)
from bench.rig.processes import new_home

SHARED_EACH = 5
MORE_EACH = 100
FOLLOWS = 20
STEP = 10
"""Entries that an account writes before it is another's turn."""


class Plan(NamedTuple):
    """How many accounts: shared ones, and those that each further size adds."""

    shared: int
    more: tuple[int, int]

    @property
    def sizes(self) -> tuple[int, int, int]:
        small = self.shared * SHARED_EACH
        medium = small + self.more[0] * MORE_EACH
        return small, medium, medium + self.more[1] * MORE_EACH


FULL = Plan(2_000, (900, 9_000))
"""10,000, 100,000 and 1,000,000 entries."""
QUICK = Plan(400, (80, 200))
"""2,000, 10,000 and 30,000 entries."""


class World:
    """The accounts and posts that a new entry may name."""

    def __init__(self, people: list[Account], written: list[int]) -> None:
        self.people, self.written = people, written
        self.rng = random.Random(len(people))
        self._roots: dict[tuple[int, int], ReplyTo] = {}

    def somebody(self) -> int:
        """Few accounts are named often, most seldom."""
        return int(len(self.people) * self.rng.random() ** 3)

    def drafts(self, who: int, first: int, count: int) -> list[EntryDraft]:
        """Entries first .. first+count-1 of an account: a name, whom it follows, then posts, one in four an answer."""
        out = []
        for n in range(first, first + count):
            if n == 0:
                out.append(named(self.people[who]))
            elif n == 1:
                others = {self.somebody() for _ in range(FOLLOWS)} - {who}
                out.append(following(self.people[who], [self.people[k].id for k in sorted(others)]))
            else:
                out.append(post(self.people[who], n, self._answers(who, n) if n % 4 == 0 else None))
        return out

    def _answers(self, who: int, n: int) -> ReplyTo | None:
        other = self.somebody()
        if self.written[other] <= 2:
            return None
        m = self.rng.randrange(2, self.written[other])
        parent = post_target(self.people[other], m)
        above = self._roots.get((other, m))
        self._roots[who, n] = ReplyTo(above.root if above else parent, parent)
        return self._roots[who, n]


def worlds(folder: Path, plan: Plan) -> list[Path]:
    """The homes of the three sizes, smallest first."""
    homes: list[Path] = []
    for step, (size, accounts) in enumerate(zip(plan.sizes, (plan.shared, *plan.more), strict=True)):
        each = MORE_EACH if step else SHARED_EACH
        before = homes[-1] if homes else None

        def make(place: Path, before: Path | None = before, accounts: int = accounts, each: int = each) -> None:
            home = new_home(place) if before is None else copied(before, place)
            with filling(home) as author:
                _grow(author, people_of(before) if before else [], accounts, each, home, plan.shared)

        homes.append(kept(folder, f"world-{size}", make))
    return homes


def people_of(home: Path) -> list[Account]:
    raw = (home / "people").read_bytes()
    return [known_account(n // 32, AccountId(raw[n : n + 32])) for n in range(0, len(raw), 32)]


def _grow(author: Author, people: list[Account], accounts: int, each: int, home: Path, shared: int) -> None:
    old = len(people)
    people += [open_account(author, n)[0] for n in range(old, old + accounts)]
    author.store.commit()
    world = World(people, [SHARED_EACH if n < shared else MORE_EACH for n in range(old)] + [0] * accounts)

    def work() -> Iterator[tuple[Account, Sequence[EntryDraft]]]:
        for first in range(0, each, STEP):
            count = min(STEP, each - first)
            for who in range(old, old + accounts):
                yield people[who], world.drafts(who, first, count)
                world.written[who] += count
            if accounts * each > 100_000 and first % 20 == 0:
                say(f"{(first + count) * accounts:,} of {accounts * each:,} entries written")

    write_in_turn(author, work(), each_signed=False)
    (home / "people").write_bytes(b"".join(p.id for p in people))


def popular_posts(people: Sequence[Account], count: int, rng: random.Random) -> list[Target]:
    """Posts of the accounts that most answers go to."""
    return [post_target(people[int(len(people) * rng.random() ** 3)], rng.randrange(2, 5)) for _ in range(count)]
