"""Nodes that hold part of a set, take what comes, throw away what does not count, and reconcile.

The behaviour is one for the model and for the implementation; what a set of entries means is asked of a `Judge`. A set
is a bit mask over the scenario's entries, and each mask is judged once: a delivery order costs table look-ups only.
A node of another kind (one with a store) takes part by having the four methods of `Node`.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from tests.model.scenarios import Scenario
from tests.model.spec import RULES, Id, LogName, Rules, state

Key = tuple[Id, LogName]
"""One log of one account."""


class Verdict(NamedTuple):
    """What a set of entries of one account means: heads by log, the mask to keep, and which log names are granted."""

    heads: dict[LogName, Hashable]
    keep: int
    granted: Callable[[LogName], bool]
    digest: Hashable


class Judge(Protocol):
    def judge(self, account: Id, mask: int) -> Verdict: ...


@dataclass
class ModelJudge:
    """Judges by the model."""

    scenario: Scenario
    rules: Rules = RULES
    memo: dict[tuple[Id, int], Verdict] = field(default_factory=dict)

    def judge(self, account: Id, mask: int) -> Verdict:
        got = self.memo.get((account, mask))
        if got is None:
            s = state(self.scenario.members(mask), account, self.scenario.limits, self.rules)
            heads: dict[LogName, Hashable] = dict(s.heads)
            got = Verdict(heads, self.scenario.mask(s.keep), lambda name: s.rights.of(name) is not None, s.digest())
            self.memo[account, mask] = got
        return got


class Unservable(Exception):
    """A node holds an entry under no signature, so it could not pass on what it accepted."""


class Peer(Protocol):
    """What a run needs of a node. `offer` may raise Unservable."""

    def put(self, i: int) -> None: ...
    def put_bundle(self, items: Iterable[int]) -> None: ...
    def heads(self) -> dict[Key, Hashable]: ...
    def offer(self, keys: Iterable[Key]) -> list[int]: ...


class Node:
    """Accepts, drops without remembering the drop, and trims to what its state needs. An archive never trims."""

    def __init__(self, scenario: Scenario, judge: Judge, archive: bool = False) -> None:
        self.scenario, self.judge, self.archive = scenario, judge, archive
        self.masks: dict[Id, int] = dict.fromkeys(scenario.accounts, 0)

    def _take(self, account: Id, mask: int) -> None:
        self.masks[account] = mask if self.archive else self.judge.judge(account, mask).keep

    def _may(self, account: Id, i: int) -> bool:
        e, mask = self.scenario.entries[i], self.masks[account]
        before = self.scenario.prev[i]
        if before is not None and not mask >> before & 1:
            return False
        return not e.log or self.judge.judge(account, mask).granted(e.name)

    def put(self, i: int) -> None:
        """One entry alone: its parent must be held and its log granted, or it is dropped."""
        account = self.scenario.entries[i].account
        if not self.masks[account] >> i & 1 and self._may(account, i):
            self._take(account, self.masks[account] | 1 << i)

    def put_bundle(self, items: Iterable[int]) -> None:
        """An answer to a difference: control logs are judged whole and first, then the logs that they grant."""
        bundle = list(items)
        entries = self.scenario.entries
        for account in self.scenario.accounts:
            mine = [i for i in bundle if entries[i].account == account]
            control = [i for i in mine if not entries[i].log]
            if control:
                self._take(account, self.masks[account] | sum(1 << i for i in set(control)))
            held = self.masks[account]
            for i in sorted((i for i in mine if entries[i].log), key=lambda i: entries[i].seq):
                if self._may(account, i):
                    held |= 1 << i
                    self.masks[account] = held
            self._take(account, held)

    def heads(self) -> dict[Key, Hashable]:
        return {
            (account, name): head
            for account, mask in self.masks.items()
            for name, head in self.judge.judge(account, mask).heads.items()
        }

    def offer(self, keys: Iterable[Key]) -> list[int]:
        """Everything held of some logs."""
        wanted = set(keys)
        return [
            i
            for i, e in enumerate(self.scenario.entries)
            if self.masks[e.account] >> i & 1 and (e.account, e.name) in wanted
        ]


def reconcile(a: Peer, b: Peer, rounds: int = 8) -> bool:
    """Exchange the logs whose heads differ until none does; whether that came to an end."""
    for _ in range(rounds):
        ha, hb = a.heads(), b.heads()
        if ha == hb:
            return True
        keys = [k for k in ha.keys() | hb.keys() if ha.get(k) != hb.get(k)]
        for_b, for_a = a.offer(keys), b.offer(keys)
        a.put_bundle(for_a)
        b.put_bundle(for_b)
    return a.heads() == b.heads()


class Outcome(NamedTuple):
    agreed: bool
    batch: bool
    """Whether the nodes ended in the state of the whole set."""


def run(
    scenario: Scenario,
    order: Sequence[int],
    receivers: Sequence[int],
    peer: Callable[[bool], Any],
    want: dict[Key, Hashable],
    archive: bool = True,
) -> Outcome:
    """Deliver entry order[k] to the nodes in the bit mask receivers[k] (one to three), then reconcile in a ring; an
    archive of the whole set, if there is one, is within reach of the third node only."""
    a, b, c = peer(False), peer(False), peer(False)
    for i, to in zip(order, receivers, strict=True):
        for bit, node in enumerate((a, b, c)):
            if to >> bit & 1:
                node.put(i)
    pairs = [(a, b), (b, c), (a, c)]
    if archive:
        full = peer(True)
        full.put_bundle(range(len(scenario.entries)))
        pairs.append((c, full))
    for _ in range(4):
        for x, y in pairs:
            reconcile(x, y)
        if a.heads() == b.heads() == c.heads() == (want if archive else a.heads()):
            break
    agreed = a.heads() == b.heads() == c.heads()
    return Outcome(agreed, a.heads() == want)
