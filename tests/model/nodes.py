"""Nodes that hold part of a set, take what comes, forget what has not counted for 30 days, and reconcile.

The behaviour is one for the model and for the implementation; what a set of entries means is asked of a `Judge`. A set
is a bit mask over the scenario's entries, and each mask is judged once: a delivery order costs table look-ups only.
A node of another kind (one with a store) takes part by having the methods of `Peer`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from tests.model.keeping import Held, least
from tests.model.scenarios import Message, Scenario
from tests.model.spec import RULES, Id, LogName, Rules, state

Key = tuple[Id, LogName]
"""One log of one account."""
ROOT: LogName = ("", 0)


class Verdict(NamedTuple):
    """What a set of entries of one account means. `chains` and `evidence` (of forks and ties) by log, as entry numbers;
    `control`: mask of the control entries that some key authorised; `may_count(i)`: whether entry i would be taken."""

    heads: dict[LogName, Hashable]
    chains: dict[LogName, tuple[int, ...]]
    evidence: dict[LogName, tuple[int, ...]]
    control: int
    granted: Callable[[LogName], bool]
    may_count: Callable[[int], bool]
    digest: Hashable


class Judge(Protocol):
    def judge(self, account: Id, mask: int) -> Verdict: ...

    def stays(self, account: Id, mask: int, signed: int, firm: int) -> int:
        """The entries left when the 30 days of all except `firm` are over. signed: whose signatures are held."""
        ...


@dataclass
class ModelJudge:
    """Judges by the model."""

    scenario: Scenario
    rules: Rules = RULES
    memo: dict[tuple[Id, int], Verdict] = field(default_factory=dict)

    def judge(self, account: Id, mask: int) -> Verdict:
        got = self.memo.get((account, mask))
        if got is None:
            got = self.memo[account, mask] = self._judge(account, mask)
        return got

    def _judge(self, account: Id, mask: int) -> Verdict:
        s, limits, at = self.scenario, self.scenario.limits, self.scenario.index
        found = state(s.members(mask), account, limits, self.rules)
        chains = {name: tuple(map(at, chain.entries)) for name, chain in found.chains.items()}
        evidence = {name: tuple(map(at, chain.children[: self.rules.evidence])) for name, chain in found.chains.items()}
        chains[ROOT], evidence[ROOT] = tuple(map(at, found.path)), tuple(map(at, found.control.evidence))
        return Verdict(
            dict(found.heads),
            chains,
            evidence,
            s.mask(found.control.authorised),
            lambda name: found.rights.of(name) is not None,
            lambda i: found.rights.may_count(s.entries[i], limits),
            found.digest(),
        )

    def stays(self, account: Id, mask: int, signed: int, firm: int) -> int:
        s = self.scenario
        own = frozenset(e for e in s.members(mask) if e.account == account)
        held = Held(own, own & {*s.members(signed)}, lambda e: s.sizes[s.index(e)], s.limits)
        return s.mask(least(held, account, own & {*s.members(firm)}, self.rules))


class Unservable(Exception):
    """A node holds an entry without any signature, so it cannot serve what it accepted."""


class Peer(Protocol):
    """The interface of a node in a run. `offer` may raise Unservable."""

    def put(self, message: Message) -> None: ...
    def put_bundle(self, messages: Iterable[Message]) -> None: ...
    def heads(self) -> dict[Key, Hashable]: ...
    def offer(self, keys: Iterable[Key]) -> list[Message]: ...
    def held(self) -> int: ...
    def forget(self, rng: random.Random) -> None:
        """Ends the 30 days of a random entry that does not count."""
        ...


class Node:
    """Accepts, or drops without remembering the drop. `masks`: what it holds; `signed`: whose signatures."""

    def __init__(self, scenario: Scenario, judge: Judge) -> None:
        self.scenario, self.judge = scenario, judge
        self.masks: dict[Id, int] = dict.fromkeys(scenario.accounts, 0)
        self.signed = 0

    @classmethod
    def archive(cls, scenario: Scenario, judge: Judge) -> Node:
        """A node that holds the whole set."""
        node = cls(scenario, judge)
        node.masks = {a: scenario.mask(e for e in scenario.entries if e.account == a) for a in scenario.accounts}
        node.signed = scenario.signed
        return node

    def put(self, message: Message) -> None:
        e = self.scenario.entries[message[0]]
        if e.log:
            self._run(e.account, message)
        else:
            self._control(e.account, message)

    def _control(self, account: Id, message: Message) -> None:
        """All entries beside the path must be authorised by some key."""
        mask = self.masks[account]
        found = mask | sum(1 << i for i in message)
        if found != mask:
            judged = self.judge.judge(account, found)
            if judged.chains[ROOT]:
                control = sum(1 << i for i in self.scenario.of_control(found))
                self.masks[account] = found & ~control | judged.control
                self.signed |= judged.control

    def _run(self, account: Id, run: Message) -> None:
        """A run whose parent is held, in a granted log, if its first new entry is within the grant; then it is taken
        whole, so that its entries keep the signature of its last."""
        mask, before = self.masks[account], self.scenario.prev[run[0]]
        fresh = [i for i in run if not mask >> i & 1]
        verdict = self.judge.judge(account, mask)
        linked = before is None or mask >> before & 1 or fresh != list(run)
        granted = verdict.granted(self.scenario.entries[run[0]].name)
        if linked and granted and (not fresh or verdict.may_count(fresh[0])):
            self.masks[account] = mask | sum(1 << i for i in fresh)
            self.signed |= 1 << run[-1]

    def put_bundle(self, messages: Iterable[Message]) -> None:
        """Takes an answer to a difference: control logs first, then granted logs, from below."""
        entries = self.scenario.entries
        for m in sorted(messages, key=lambda m: (entries[m[0]].log > 0, entries[m[0]].seq)):
            self.put(m)

    def heads(self) -> dict[Key, Hashable]:
        return {
            (account, name): head
            for account, mask in self.masks.items()
            for name, head in self.judge.judge(account, mask).heads.items()
        }

    def held(self) -> int:
        return sum(self.masks.values())

    def offer(self, keys: Iterable[Key]) -> list[Message]:
        """The counted entries of some logs, and the evidence of forks and ties. Other entries are not served."""
        out: list[Message] = []
        for account, name in keys:
            mask = self.masks[account]
            verdict = self.judge.judge(account, mask)
            chain, evidence = verdict.chains.get(name, ()), verdict.evidence.get(name, ())
            if name == ROOT:
                out += [m for m in (chain, evidence) if m]
                continue
            at = 0
            while at < len(chain):
                run = self._way(chain[at], mask)
                out.append(run)
                at += sum(i in chain for i in run)
            out += [self._way(i, mask) for i in evidence]
        return out

    def _way(self, i: int, mask: int) -> Message:
        way = self.scenario.way(i, mask, self.signed)
        if way is None:
            raise Unservable(i)
        return tuple(way)

    def forget(self, rng: random.Random) -> None:
        for account, mask in self.masks.items():
            firm = mask & (0 if rng.random() < 0.5 else rng.getrandbits(len(self.scenario.entries)))
            counts = {i for chain in self.judge.judge(account, mask).chains.values() for i in chain}
            firm &= ~sum(1 << i for i in counts)
            stays = self.judge.stays(account, mask, self.signed, firm)
            self.masks[account] = stays
            self.signed &= stays | ~mask


def reconcile(a: Peer, b: Peer, rounds: int = 8) -> bool:
    """Exchanges logs whose heads differ until none do. Returns whether that ended."""
    for _ in range(rounds):
        ha, hb = a.heads(), b.heads()
        if ha == hb:
            return True
        keys = sorted(k for k in ha.keys() | hb.keys() if ha.get(k) != hb.get(k))
        for_b, for_a = a.offer(keys), b.offer(keys)
        a.put_bundle(for_a)
        b.put_bundle(for_b)
    return a.heads() == b.heads()


class Outcome(NamedTuple):
    agreed: bool
    batch: bool
    """Whether the nodes ended in the state of the whole set, or without an archive in that of what they took."""


class Plan(NamedTuple):
    """How a set is delivered to three nodes. first: (message, mask of receivers), some of them lost; then: the lost
    ones and some repetitions. forgets: before which delivery the 30 days end at which node."""

    first: Sequence[tuple[Message, int]]
    then: Sequence[tuple[Message, int]]
    forgets: frozenset[tuple[int, int]] = frozenset()
    archive: bool = True


def plan(rng: random.Random, messages: Sequence[Message], archive: bool, trims: bool) -> Plan:
    """Keeps the order of `messages`. trims: whether nodes forget."""
    all_of_it = [(m, rng.randrange(1, 8)) for m in messages]
    lost = rng.choice([0.0, 0.2, 0.5])
    heard = [rng.random() >= lost for _ in all_of_it]
    first = [d for d, got in zip(all_of_it, heard, strict=True) if got]
    then = [d for d, got in zip(all_of_it, heard, strict=True) if not got or rng.random() < 0.2]
    rng.shuffle(then)
    at = len(first) + len(then)
    forgets = {(rng.randrange(at + 2), rng.randrange(3)) for _ in range(rng.randrange(1, 4))} if trims else set()
    return Plan(first, then, frozenset(forgets), archive)


def run(
    p: Plan, rng: random.Random, peer: Callable[[], Any], full: Peer, judged: Callable[[int], dict[Key, Hashable]]
) -> Outcome:
    """Delivers to three nodes, then reconciles in a ring. full: an archive of the whole set, which only the third node
    can reach. judged: returns the heads of a set."""
    nodes = (peer(), peer(), peer())
    for at, (message, to) in enumerate((*p.first, *p.then)):
        for bit, node in enumerate(nodes):
            if (at, bit) in p.forgets:
                node.forget(rng)
            if to >> bit & 1:
                node.put(message)
    end = len(p.first) + len(p.then)
    a, b, c = nodes
    pairs = [(a, b), (b, c), (a, c)] + ([(c, full)] if p.archive else [])
    want = judged(full.held() if p.archive else a.held() | b.held() | c.held())
    for round_ in range(4):
        for bit, node in enumerate(nodes):
            if round_ < 2 and (end + round_, bit) in p.forgets:
                node.forget(rng)
        for x, y in pairs:
            reconcile(x, y)
        if round_ and a.heads() == b.heads() == c.heads():
            break
    agreed = a.heads() == b.heads() == c.heads()
    return Outcome(agreed, a.heads() == want or bool(p.forgets and not p.archive))
