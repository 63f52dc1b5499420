"""A charter as the acts that a node has make it: which epochs stand.

`ActLedger.add` takes acts in any order and any number of times; the chain is a function of the set. Where acts are
missing it ends at the last whole epoch.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from typing import TypeAlias

from banyan_charter.acts import Act, CharterId, Content, ContentId, EpochCommit, EpochVote, Founding, name_of
from banyan_charter.rules import Epoch, VoteCount, attempted, first_epoch, lasting, outcome, signer_key
from banyan_crdt.ids import AccountId, H
from banyan_crdt.realm import Realm

MOST_BALLOTS = 1_000
"""Ballots of one number. Members that agree at last need some two."""
AHEAD = 8
"""So many ballots are taken above the highest one that a third of the votes reached; above that, of each key the first
`MOST_DOUBLES` acts."""
MOST_DOUBLES = 4
"""Acts of one kind that one member may have in one ballot, and contents that it may have in one number, if less than a
third of the votes voted for them: one is meant, two prove that it signed twice."""

Key: TypeAlias = tuple[bytes, int]
"""Root and leaf of a signature."""
Name: TypeAlias = tuple[bytes, Key]
"""An act is told from others by its id and the key that signed it."""


class ActLedger:
    """The acts of one charter, and what they come to."""

    def __init__(self, realm: Realm, founding: Founding) -> None:
        self.realm, self.founding = realm, founding
        self.epochs: list[Epoch] = []
        """The chain; empty until all founders signed."""
        self.struck: dict[int, tuple[AccountId, ...]] = {}
        """By number: who signed two histories of it."""
        self.counts: dict[int, VoteCount] = {}
        """Of numbers that were counted."""
        self._acts: dict[int, dict[Name, Act]] = {}
        self._made: dict[Name, Epoch | None] = {}
        """What contents make, None for those that may not follow. By name: one content signed by a wrong key, too, says
        nothing of the same signed by its author."""
        self._after: dict[ContentId, Epoch] = {}
        """The valid ones among them."""
        self._signed: Counter[tuple[type, int, int, Key]] = Counter()
        self._voters: defaultdict[ContentId, set[Key]] = defaultdict(set)
        self._ballots: defaultdict[int, defaultdict[Key, list[int]]] = defaultdict(lambda: defaultdict(list))
        """By number: the ballots in which each key signed, once for each act."""
        self._digests: dict[int, bytes] = {}
        self._stale: int | None = 0

    @property
    def charter(self) -> CharterId:
        """Its id."""
        return CharterId(self.founding.id)

    def acts(self, number: int) -> Iterator[Act]:
        """Those held of a number."""
        return iter(self._acts.get(number, {}).values())

    def holds(self, act: Act) -> bool:
        """Whether it was added."""
        return _name(act) in self._acts.get(act.number, {})

    def contents(self, number: int) -> Iterator[Content]:
        """The contents among them."""
        return (a for a in self.acts(number) if isinstance(a, Content))

    def __len__(self) -> int:
        return sum(map(len, self._acts.values()))

    def add(self, act: Act) -> bool:
        """Takes an act with a good signature; of a peer's ask `why_not` first. Returns whether it was not held."""
        held, name = self._acts.setdefault(act.number, {}), _name(act)
        if act.charter != self.charter or name in held:
            return False
        held[name] = act
        self._digests.pop(act.number, None)
        self._signed[_slot(act)] += 1
        if not isinstance(act, Content):
            self._ballots[act.number][_key(act)].append(act.ballot)
            if isinstance(act, EpochVote):
                self._voters[act.content].add(_key(act))
        if self._stale is None or act.number < self._stale:
            self._stale = act.number
        return True

    def why_not(self, act: Act) -> str | None:
        """Why a settled ledger should not take an act from others now; None: it should. A member can be sure to get in
        what it may sign once, so no honest act is refused for what others sent; and what more than 1/3 of the votes
        voted for is taken however much its author and its voters signed. Ask again when more acts came."""
        member, number = (act.author if isinstance(act, Content) else act.member), act.number
        if act.charter != self.charter:
            return "it is of another charter"
        if number > max(0, len(self.epochs)) or (number and not self.epochs):
            return f"epoch {number - 1} does not stand here yet"
        seats = [self.epochs[number - 1].seats] if number else [first_epoch(self.founding).seats]
        if not isinstance(act, Content) and number and (made := self._after.get(act.content)) is not None:
            seats.append(made.seats)
        if not any(member in some and signer_key(act.by, number, some[member]) for some in seats):
            return f"{member.hex()[:16]} has no such key in number {number}, or the content is not held yet"
        if not number:
            if isinstance(act, EpochCommit) and (act.ballot, act.content) == (1, self.founding.id):
                return None
            return "of number 0 there are only the signatures of the founders"
        if not isinstance(act, Content):
            if act.ballot > MOST_BALLOTS:
                return f"ballot {act.ballot} is above {MOST_BALLOTS}"
            most = self.joint(number) + AHEAD if act.ballot > AHEAD else AHEAD
            if act.ballot > most and sum(b > most for b in self._ballots[number][_key(act)]) >= MOST_DOUBLES:
                return f"{member.hex()[:16]} signed {MOST_DOUBLES} times above ballot {most}, and no third that far"
        if self._signed[_slot(act)] >= MOST_DOUBLES:
            voters = self._voters[act.id if isinstance(act, Content) else act.content]
            votes = self.votes(number).values()
            if sum(key in voters for key in votes) * 3 <= len(votes):
                return f"{member.hex()[:16]} signed {MOST_DOUBLES} of its kind, and a third of the votes not for this"
        return None

    def votes(self, number: int) -> dict[AccountId, Key]:
        """The votes before this number, with their keys for it."""
        return {m: (s.root, number - s.since) for m, s in self.epochs[number - 1].seats.items() if s.votes}

    def reached(self, number: int) -> dict[AccountId, int]:
        """The last ballot of this number in which each of the votes before it signed; 0: in none."""
        return {m: max(self._ballots[number].get(key, [0])) for m, key in self.votes(number).items()}

    def joint(self, number: int) -> int:
        """The highest ballot that a third of the votes reached, so one that is honest, if less than a third are not.
        More than 2/3 may still sign in the one above it."""
        reached = sorted(self.reached(number).values(), reverse=True)
        return reached[(len(reached) - 1) // 3]

    def settle(self) -> None:
        """Finds the chain again from the lowest number of which acts came."""
        if self._stale is None:
            return
        number, self._stale = self._stale, None
        if not number:
            number, first = 1, first_epoch(self.founding)
            commits = [a for a in self.acts(0) if isinstance(a, EpochCommit) and a.content == self.founding.id]
            signed = {
                a.member for a in commits if a.member in first.seats and signer_key(a.by, 0, first.seats[a.member])
            }
            if len(signed) < len(first.seats):
                return
            self.epochs = self.epochs or [first]
        while number <= len(self.epochs):
            acts, before = list(self.acts(number)), self.epochs[number - 1]
            for x in self.contents(number):
                if (name := _name(x)) not in self._made:
                    self._made[name] = made = attempted(self.realm, before, x)
                    if made is not None:
                        self._after[x.id] = made
            after = {x.id: self._after[x.id] for x in self.contents(number) if x.id in self._after}
            found = outcome(before, acts, after)
            standing = self.epochs[number].id if number < len(self.epochs) else None
            if standing is not None and found.content != standing:
                self._forget_from(number)
            self.counts[number] = found.counted
            self._digests.pop(number, None)
            if found.struck is not None:
                self.struck[number] = found.struck
            if found.content is None or found.content == standing:
                return
            self.epochs.append(found.counted.who[found.content].after)
            number += 1

    def _forget_from(self, number: int) -> None:
        """Another content follows: what stood on the old one does no more, and its acts are judged anew."""
        del self.epochs[number:]
        for some in (self.struck, self.counts, self._digests):
            for n in [n for n in some if n >= number]:
                del some[n]
        for x in [x for n in self._acts if n > number for x in self.contents(n)]:
            self._made.pop(_name(x), None)
            self._after.pop(x.id, None)

    def lasting(self, number: int) -> Iterator[Act]:
        """What nodes compare of a number, settled: once something is certified, what certifies it; before, all acts."""
        c = self.counts.get(number)
        return lasting(c, self.acts(number)) if c is not None and c.certificates else self.acts(number)

    def digest_of(self, number: int) -> bytes:
        """H over the names of what lasts of a number, 32 bytes. Nodes that were offered each other's have one digest of
        it once something is certified; before, those who sign too much can keep it apart."""
        if number not in self._digests:
            self._digests[number] = H("charter/acts", *sorted(map(name_of, self.lasting(number))))
        return self._digests[number]

    @property
    def digest(self) -> bytes:
        """H over those of all numbers up to the open one, 32 bytes."""
        return H("charter/digest", self.charter, *map(self.digest_of, range(len(self.epochs) + 1)))


def state_of(realm: Realm, founding: Founding, acts: Iterable[Act]) -> ActLedger:
    """The ledger of these acts, settled."""
    ledger = ActLedger(realm, founding)
    for act in acts:
        ledger.add(act)
    ledger.settle()
    return ledger


def _key(act: Act) -> Key:
    return act.by.root, act.by.leaf


def _name(act: Act) -> Name:
    return act.id, _key(act)


def _slot(act: Act) -> tuple[type, int, int, Key]:
    """Of what a member is meant to sign one: by its key, so that nobody fills another's."""
    return type(act), act.number, 0 if isinstance(act, Content) else act.ballot, _key(act)
