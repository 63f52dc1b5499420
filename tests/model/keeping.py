"""What a node holds beside what counts, and what it may forget after 30 days: the model's own words.

An entry of a log is held only if a run brought it. A run ends in a signed entry, so at first every entry that is held
has a way: entries above it, each hanging on the one before, up to one whose signature is held, all in one run.

After 30 days a node forgets what does not count. Something must stay, or others could not be told what counts:
two children of a fork (its evidence), and for every entry that stays a way to a signature. How these are chosen is
free. `least` is one choice; `broken` names the conditions that a choice fails.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from tests.model.spec import LIMITS, RULES, Chain, Checkpoint, Entry, Id, Limits, Rules, State, state

MUTE_BELOW = "below an entry whose 30 days are not over one stays that cannot be served in one run"
Size = Callable[[Entry], int]
"""Bytes that an entry takes in a run."""


@dataclass(frozen=True)
class Held:
    """What one node holds of one account. `signed`: those whose signatures it holds (of control entries all)."""

    entries: frozenset[Entry]
    signed: frozenset[Entry]
    size: Size = lambda e: 1
    limits: Limits = LIMITS
    said: tuple[Checkpoint, ...] = ()

    def children(self, of: Id, name: tuple[str, int], among: AbstractSet[Entry] | None = None) -> list[Entry]:
        found = (e for e in (self.entries if among is None else among) if e.prev == of and e.name == name)
        return sorted(found, key=lambda e: e.id)

    def fits(self, way: Sequence[Entry]) -> bool:
        return len(way) <= self.limits.run and sum(map(self.size, way)) <= self.limits.run_bytes

    def way(self, e: Entry, among: AbstractSet[Entry] | None = None) -> tuple[Entry, ...] | None:
        """The way of the fewest bytes from `e` to a signature within a run, or None."""
        ways: list[tuple[Entry, ...]] = [(e,)]
        best: tuple[Entry, ...] | None = None
        while ways:
            way = ways.pop()
            if not self.fits(way) or (best and sum(map(self.size, way)) >= sum(map(self.size, best))):
                continue
            if way[-1] in self.signed:
                best = way
            else:
                ways += [(*way, c) for c in self.children(way[-1].id, e.name, among)]
        return best


def linked_down(entries: Iterable[Entry], start: Iterable[Entry]) -> set[Entry]:
    """`start` and all below it."""
    by_id = {e.id: e for e in entries}
    out: set[Entry] = set()
    for e in start:
        at: Entry | None = e
        while at is not None and at not in out:
            out.add(at)
            at = by_id.get(at.prev)
    return out


def without_signature(held: Held, chain: Chain) -> list[Entry]:
    """The entries of a chain that have no signature within one run on the chain itself."""
    on_chain = frozenset(chain.entries)
    return [e for e in chain.entries if held.way(e, on_chain) is None]


def least(held: Held, account: Id, firm: Collection[Entry] = (), rules: Rules = RULES) -> frozenset[Entry]:
    """A sufficient choice of what stays when the 30 days of all except `firm` are over."""
    s = state(held.entries, account, held.limits, rules, held.said)
    stays = {*s.path, *s.control.evidence}
    for chain in s.chains.values():
        stays |= set(chain.entries)
        for e in (*chain.children[: rules.evidence], *without_signature(held, chain)):
            stays |= set(held.way(e) or ())
    stays |= linked_down(held.entries, firm)
    for e in [e for e in stays if e.log and held.way(e, stays) is None]:
        stays |= set(held.way(e) or ())
    return frozenset(stays)


def broken(before: Held, after: AbstractSet[Entry], account: Id, firm: Collection[Entry] = ()) -> list[str]:
    """The conditions that fail if `after` is kept of `before` when the 30 days of all except `firm` are over."""
    wrong: list[str] = []
    left = Held(frozenset(after), before.signed & after, before.size, before.limits, before.said)
    was, now = (state(h.entries, account, h.limits, RULES, h.said) for h in (before, left))
    if not after <= before.entries:
        wrong.append("something is held that was not held before")
    if not set(firm) <= after:
        wrong.append("something went before its time")
    ids = {e.id for e in after}
    if any(e.prev is not None and e.prev not in ids for e in after):
        wrong.append("an entry stays whose parent went")
    if (was.digest(), was.path) != (now.digest(), now.path):
        wrong.append("another state")
    mute = {e for e in after if e.log and left.way(e) is None}
    below = linked_down(after, firm) - set(firm) - counting(was)
    if mute - below:
        wrong.append("an entry stays that cannot be served in one run")
    if mute & below:
        wrong.append(MUTE_BELOW)
    if any(chain.forked and len(shown(left, now, name)) < 2 for name, chain in now.chains.items()):
        wrong.append("a fork of which there is no evidence")
    if len(tops(after, was)) > most_tops(before, was, firm):
        wrong.append("more stays than has to")
    return wrong


def shown(held: Held, s: State, name: tuple[str, int]) -> list[Entry]:
    """Valid children of a fork that can be shown, each under a signature."""
    return [e for e in s.chains[name].children if held.way(e) is not None]


def counting(s: State) -> set[Entry]:
    return {*s.path, *(e for chain in s.chains.values() for e in chain.entries)}


def tops(entries: AbstractSet[Entry], s: State) -> list[Entry]:
    """The ends of entries held beside the counted ones."""
    parents = {(e.account, e.prev) for e in entries}
    return [e for e in entries - counting(s) if (e.account, e.id) not in parents]


def most_tops(held: Held, s: State, firm: Collection[Entry]) -> int:
    """The most ends that there may be: two children of each fork, the evidence of each tie, entries of a chain, firm
    entries and those below them."""
    forks = sum(2 * chain.forked for chain in s.chains.values()) + s.control.shown
    ways = sum(len(without_signature(held, chain)) for chain in s.chains.values())
    return forks + ways + len(firm) + len(linked_down(held.entries, firm) - counting(s))
