"""Going from a known epoch to a later one without those between (as TUF clients and light clients of ledgers do).

A verifier that knows epoch m takes epoch n with its certificate and epoch n-1, which n names by hash, if more than 2/3
of the votes of m that it knows are among those that committed n, by keys of the roots that it knows. It assumes that at
most 2/3 of them have left and collude, or are thieves. Who was away for long asks somebody it trusts.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from banyan_charter.acts import Act, Content, ContentId, Founding, body_of, founding_body, id_of
from banyan_charter.ledger import ActLedger
from banyan_charter.rules import Epoch, VoteCount, attempted, enough, first_epoch, outcome
from banyan_charter.values import state_root
from banyan_crdt.realm import Realm


class Bundle(NamedTuple):
    """What a verifier is shown: the content of epoch n-1 (the founding for epoch 0), what it came to, and acts of n."""

    content: Content | Founding
    before: Epoch
    acts: tuple[Act, ...]


def skip(realm: Realm, known: Epoch, shown: Bundle) -> Epoch | None:
    """The epoch that a verifier of `known` goes to, or None: it stays. The signatures of the acts were checked."""
    before = shown.before
    if before.charter != known.charter or before.number < known.number or not _is(realm, shown.content, before):
        return None
    if before.number == known.number and before.id != known.id:
        return None
    acts = [a for a in shown.acts if a.number == before.number + 1]
    contents = (x for x in acts if isinstance(x, Content))
    made = {x.id: e for x in contents if (e := attempted(realm, before, x)) is not None}
    found = outcome(before, acts, made)
    return made[found.content] if found.content and _vouched(known, found.content, found.counted) else None


def _is(realm: Realm, content: Content | Founding, epoch: Epoch) -> bool:
    """Whether the epoch is what this content came to."""
    if isinstance(content, Founding):
        return epoch == first_epoch(content) and content.id == id_of(
            realm, founding_body(content.name, content.seats, content.parameters)
        )
    root = state_root(tuple(epoch.seats.values()), epoch.parameters)
    named = epoch.charter, epoch.number, epoch.id, root
    return named == (content.charter, content.number, id_of(realm, body_of(Content, content[1:-1])), content.state)


def _vouched(known: Epoch, content: ContentId, c: VoteCount) -> bool:
    """Whether one certificate has commits by more than 2/3 of the known votes, by roots that are known."""
    keys, number = c.who[content].keys, c.who[content].after.number
    votes = [s for s in known.seats.values() if s.votes]
    total = (1 << len(votes)) - 1
    for f in c.certificates:
        if f.content == content:
            signed = sum(
                1 << k for k, s in enumerate(votes) if keys.get((s.member, s.root, number - s.since), 0) & f.commits
            )
            if enough(signed, total):
                return True
    return False


def bundle(ledger: ActLedger, number: int) -> Bundle:
    """What shows epoch `number`, which stands in the ledger: only the acts of its certificate."""
    before, c = ledger.epochs[number - 1], ledger.counts[number]
    found = next(f for f in c.certificates if f.content == ledger.epochs[number].id)
    earlier: Content | Founding = ledger.founding
    if number > 1:
        earlier = next(a for a in ledger.acts(number - 1) if isinstance(a, Content) and a.id == before.id)
    acts = [
        a
        for a in ledger.acts(number)
        if a.id == found.content or (not isinstance(a, Content) and a.content == found.content)
    ]
    return Bundle(earlier, before, tuple(acts))


def way(ledger: ActLedger, known: int) -> Iterator[int]:
    """The numbers by which a verifier of epoch `known` gets to the last, each as far as known votes reach."""
    last = len(ledger.epochs) - 1
    while known < last:
        low, high = known + 1, last
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if _reaches(ledger, known, middle) else (low, middle - 1)
        yield low
        known = low


def _reaches(ledger: ActLedger, known: int, number: int) -> bool:
    return _vouched(ledger.epochs[known], ledger.epochs[number].id, ledger.counts[number])
