"""Monitors against members of an alliance that withhold posts silently: how soon one of these is found.

All members carry out orders. Silent members withhold other posts too, and show for those the proof of some order.
Monitors ask members for posts, both drawn by the seed, from addresses that look like readers'.

A post is withheld by an order, as docs/transparency.md says, if a line in the member's log names the order and a salt
shows that the order names this post. Logs are late, so who shows no such proof is asked again later. Found is who then
still shows neither the post nor a proof.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import sys
from collections import Counter, deque
from dataclasses import asdict, dataclass
from functools import cache
from typing import NamedTuple

from banyan_crdt.ids import AccountId, CellKey, H
from banyan_duties.commitment import OrderItem
from banyan_schema.address import Target
from banyan_translog.checkpoints import EntryProof, TreeHead, verify_entry
from banyan_translog.merkle import inclusion_proof, leaf_hash, node_hash, root_hash
from banyan_translog.notes import NOTE, NoteKey, NoteSigner, SignedNote

ORDERS_S, LATE_S, AGAIN_S = 3_600.0, 60.0, 120.0
"""Orders come in the first hour; their lines are in a log at most so long after; who shows no proof is asked again."""
TIMES_S = (60, 600, 3_600, 21_600, 86_400)
"""Until when it is said how many seeds found a silent member."""


class Watch(NamedTuple):
    """rate: probes a second, of all monitors. posts: those that they may ask for; of them `withheld` silently, the same
    by each silent member, and `orders` by an order each. unknown: the part of probes from addresses that silent members
    do not take for a monitor's; others are served honestly. burnt: how often an address may ask these members before
    all of them know it (0: for ever); monitors have `addresses`, and unused ones to ask again."""

    members: int = 100
    silent: int = 1
    rate: float = 10.0
    posts: int = 100_000
    withheld: int = 1_000
    orders: int = 800
    unknown: float = 1.0
    burnt: int = 0
    addresses: int = 10_000

    @property
    def expected_s(self) -> float:
        """When one is found with 99 % while no address is burnt: seconds."""
        chance = self.unknown * self.silent / self.members * self.withheld / self.posts
        return math.log(100) / -math.log1p(-chance) / self.rate + AGAIN_S if chance else math.inf


@dataclass(slots=True)
class WatchResult:
    """seconds: when a silent member was found, virtual; None: none was. again: how often somebody was asked again.
    wronged: honest members that were found."""

    seed: int
    seconds: float | None = None
    probes: int = 0
    again: int = 0
    wronged: int = 0


class WatchedMembers:
    """Members from 0 on are silent. Posts from 0 on are ordered, and those that come next are withheld silently."""

    def __init__(self, watch: Watch, seed: int) -> None:
        self.watch, self._seed, rng = watch, seed, random.Random(f"{seed}/orders")
        self._given_s = [rng.uniform(0, ORDERS_S) for _ in range(watch.orders)]
        self._items = [OrderItem(rng.randbytes(16), _post(n)) for n in range(watch.orders)]
        self._hash, self._log = cache(self._hash_at), cache(self._log_of)
        self._asked = Counter[int]()

    def _hash_at(self, level: int, place: int) -> bytes:
        """Of the tree of all lines, each of which is the root of an order, and so here the leaf of its item."""
        if level == 0:
            return leaf_hash(self._items[place].leaf)
        return node_hash(self._hash(level - 1, 2 * place), self._hash(level - 1, 2 * place + 1))

    def _log_of(self, member: int) -> tuple[NoteKey, SignedNote]:
        """Its key, and its checkpoint."""
        signer = NoteSigner(f"member/{member}", NOTE, H("sim/log", b"%d %d" % (self._seed, member)))
        text = TreeHead(signer.key.name, len(self._items), root_hash(self._hash, len(self._items))).text
        return signer.key, SignedNote(text, (signer.sign(text),))

    def _proves(self, member: int, order: int, post: int) -> bool:
        """Whether a line in the member's log names this order, and the salt shows that the order names the post."""
        item, (key, note) = self._items[order], self._log(member)
        inside = tuple(inclusion_proof(self._hash, order, len(self._items)))
        verify_entry(item.leaf, EntryProof(order, inside, note), [key])
        return item._replace(post=_post(post)).leaf == item.leaf

    def in_order(self, member: int, post: int, address: int | None, now: float) -> bool:
        """Whether a monitor has nothing to say against what it is shown. address: None is known as a monitor's."""
        silent = False
        if member < self.watch.silent and address is not None:
            self._asked[address] += 1
            silent = not self.watch.burnt or self._asked[address] <= self.watch.burnt
        if post < self.watch.orders:
            late = LATE_S * random.Random(f"{self._seed}/{member} {post}").random()
            return now < self._given_s[post] or (now >= self._given_s[post] + late and self._proves(member, post, post))
        hidden = silent and post < self.watch.orders + self.watch.withheld
        return not hidden or self._proves(member, post % self.watch.orders, post)


def _post(number: int) -> Target:
    return Target(AccountId(H("sim/author", b"%d" % (number % 997))), CellKey(H("sim/post", b"%d" % number)[:16]))


def run_watch(watch: Watch, seed: int, until_s: float = TIMES_S[-1]) -> WatchResult:
    """Until a silent member is found."""
    world, rng, found, now = WatchedMembers(watch, seed), random.Random(f"{seed}/probes"), WatchResult(seed), 0.0
    doubts = deque[tuple[float, int, int]]()
    while found.seconds is None and now < until_s:
        now += 1 / watch.rate
        found.probes += 1
        member, post = int(rng.random() * watch.members), int(rng.random() * watch.posts)
        fresh = rng.random() < watch.unknown
        if not world.in_order(member, post, int(rng.random() * watch.addresses) if fresh else None, now):
            doubts.append((now + AGAIN_S, member, post))
        while doubts and doubts[0][0] <= now:
            _, member, post = doubts.popleft()
            found.again += 1
            if not world.in_order(member, post, watch.addresses + found.again, now):
                found.wronged += member >= watch.silent
                found.seconds = now if member < watch.silent else found.seconds
    return found


def main() -> None:
    """The command: a line of JSON for each seed, and one for all: the part of seeds that found a silent member in so
    many seconds, and when 99 % had. Exit status 1 if an honest member was found."""
    args = argparse.ArgumentParser(description=__doc__)
    for name, default in Watch()._asdict().items():
        args.add_argument(f"--{name}", type=type(default), default=default)
    args.add_argument("--seeds", type=int, default=1)
    given = vars(args.parse_args())
    seeds, watch = given.pop("seeds"), Watch(**given)
    rows = list[WatchResult]()
    for seed in range(1, seeds + 1):
        rows.append(run_watch(watch, seed))
        print(json.dumps(asdict(rows[-1])), flush=True)
    times = sorted(math.inf if row.seconds is None else row.seconds for row in rows)
    within = {f"within_{t}_s": sum(s <= t for s in times) / seeds for t in TIMES_S}
    all99 = times[math.ceil(0.99 * seeds) - 1]
    said = {"p50_s": times[(seeds - 1) // 2], "p99_s": all99, "expected_p99_s": watch.expected_s}
    print(json.dumps(given | within | {name: round(s, 1) if s < math.inf else None for name, s in said.items()}))
    sys.exit(any(row.wronged for row in rows))


if __name__ == "__main__":
    main()
