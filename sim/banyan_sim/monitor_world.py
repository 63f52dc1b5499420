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
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from typing import NamedTuple

from banyan_crdt.errors import Reject
from banyan_crdt.ids import AccountId, CellKey, H
from banyan_duties.commitment import OrderItem, path_of, reached, root_of
from banyan_schema.address import Target
from banyan_translog.checkpoints import EntryProof, TreeHead, verify_entry
from banyan_translog.merkle import inclusion_proof, leaf_hash, node_hash, root_hash
from banyan_translog.notes import NOTE, NoteKey, NoteSigner, SignedNote

ITEMS = 8
"""Posts of an order."""
ORDERS_S, LATE_S, AGAIN_S = 3_600.0, 60.0, 120.0
"""Orders come in the first hour; their lines are in a log at most so long after; who shows no proof is asked again."""
TIMES_S = (60, 600, 3_600, 21_600, 86_400)
"""Until when it is said how many seeds found a silent member."""


class Watch(NamedTuple):
    """rate: probes a second, of all monitors. posts: those that they may ask for; of them `withheld` silently, the same
    by each silent member, and `orders` of ITEMS each. unknown: the part of probes from addresses that silent members do
    not take for a monitor's; others are served honestly. burnt: how often an address may ask these members
    before all of them know it (0: for ever); monitors have `addresses`, and unused ones to ask again."""

    members: int = 100
    silent: int = 1
    rate: float = 10.0
    posts: int = 100_000
    withheld: int = 1_000
    orders: int = 100
    unknown: float = 1.0
    burnt: int = 0
    addresses: int = 10_000

    @property
    def expected_s(self) -> float:
        """When one is found with 99 % while no address is burnt: seconds."""
        chance = self.unknown * self.silent / self.members * self.withheld / self.posts
        return math.log(100) / -math.log1p(-chance) / self.rate + AGAIN_S if chance else math.inf


class OrderProof(NamedTuple):
    """What a member shows instead of a post. The line is the root of the order."""

    item: OrderItem
    path: Sequence[tuple[bool, bytes]]
    root: bytes
    line: EntryProof

    def proves(self, post: Target, log: NoteKey) -> bool:
        with suppress(Reject):
            verify_entry(self.root, self.line, [log])
            return self.item.post == post and reached(self.item.leaf, self.path) == self.root
        return False


class AskAgain(NamedTuple):
    """Whom to ask again, and when."""

    at: float
    member: int
    post: int


@dataclass(slots=True)
class WatchResult:
    """seconds: when a silent member was found, virtual; None: none was. again: how often somebody was asked again.
    wronged: honest members that were found."""

    seed: int
    seconds: float | None = None
    probes: int = 0
    again: int = 0
    wronged: int = 0


class LoggedOrders:
    """Orders that all members carry out, and the logs that name them."""

    def __init__(self, watch: Watch, seed: int, rng: random.Random) -> None:
        self._watch, self._seed = watch, seed
        items = [OrderItem(H("sim/salt", b"%d %d" % (seed, n))[:16], _post(n)) for n in range(watch.orders * ITEMS)]
        parts = [items[at : at + ITEMS] for at in range(0, len(items), ITEMS)]
        self._orders = [sorted(part, key=lambda item: item.leaf) for part in parts]
        self._roots = [root_of([item.leaf for item in order]) for order in self._orders]
        self.given_s = [rng.uniform(0, ORDERS_S) for _ in parts]
        self._hash, self.log = cache(self._hash_at), cache(self._log)

    def _hash_at(self, level: int, place: int) -> bytes:
        if level == 0:
            return leaf_hash(self._roots[place])
        return node_hash(self._hash(level - 1, 2 * place), self._hash(level - 1, 2 * place + 1))

    def _log(self, member: int) -> tuple[NoteKey, SignedNote]:
        """Its key, and its checkpoint."""
        signer = NoteSigner(f"member/{member}", NOTE, H("sim/log", b"%d %d" % (self._seed, member)))
        text = TreeHead(signer.key.name, len(self._roots), root_hash(self._hash, len(self._roots))).text
        return signer.key, SignedNote(text, (signer.sign(text),))

    def proof(self, member: int, post: int) -> OrderProof:
        """What the member shows about a post that an order names."""
        place, name = post // ITEMS, _post(post)
        item = next(item for item in self._orders[place] if item.post == name)
        path = path_of([one.leaf for one in self._orders[place]], item.leaf)
        inside = tuple(inclusion_proof(self._hash, place, len(self._roots)))
        return OrderProof(item, path, self._roots[place], EntryProof(place, inside, self.log(member)[1]))


class ServedPosts:
    """Members from 0 on are silent. Posts from 0 on are ordered, and those that come next are withheld silently."""

    def __init__(self, watch: Watch, seed: int) -> None:
        self.watch, self.rng, self.seed = watch, random.Random(f"{seed}/monitors"), seed
        self.orders = LoggedOrders(watch, seed, self.rng)
        self._ordered = watch.orders * ITEMS
        self._hidden = self._ordered + watch.withheld
        self._asked = Counter[int]()

    def shows(self, member: int, post: int, address: int | None, now: float) -> bool | OrderProof | None:
        """True: the post; else a proof, or None if it has none. address: None is known as a monitor's."""
        silent = False
        if member < self.watch.silent and address is not None:
            self._asked[address] += 1
            silent = not self.watch.burnt or self._asked[address] <= self.watch.burnt
        if post < self._ordered:
            given = self.orders.given_s[post // ITEMS]
            late = LATE_S * random.Random(f"{self.seed}/{member} {post // ITEMS}").random()
            return now < given or (self.orders.proof(member, post) if now >= given + late else None)
        return self.orders.proof(member, post % self._ordered) if silent and post < self._hidden else True

    def in_order(self, member: int, post: int, address: int | None, now: float) -> bool:
        """Whether a monitor has nothing to say against what the member shows."""
        shown = self.shows(member, post, address, now)
        return shown is True or (
            isinstance(shown, OrderProof) and shown.proves(_post(post), self.orders.log(member)[0])
        )


def _post(number: int) -> Target:
    return Target(AccountId(H("sim/author", b"%d" % (number % 997))), CellKey(H("sim/post", b"%d" % number)[:16]))


def run_watch(watch: Watch, seed: int, until_s: float = TIMES_S[-1]) -> WatchResult:
    """Until a silent member is found."""
    world, rng, found, doubts = (
        ServedPosts(watch, seed),
        random.Random(f"{seed}/probes"),
        WatchResult(seed),
        deque[AskAgain](),
    )
    now = 0.0
    while found.seconds is None and now < until_s:
        now += 1 / watch.rate
        found.probes += 1
        member, post = int(rng.random() * watch.members), int(rng.random() * watch.posts)
        fresh = rng.random() < watch.unknown
        if not world.in_order(member, post, int(rng.random() * watch.addresses) if fresh else None, now):
            doubts.append(AskAgain(now + AGAIN_S, member, post))
        while doubts and doubts[0].at <= now:
            doubt = doubts.popleft()
            found.again += 1
            if not world.in_order(doubt.member, doubt.post, watch.addresses + found.again, now):
                if doubt.member >= watch.silent:
                    found.wronged += 1
                else:
                    found.seconds = now
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
