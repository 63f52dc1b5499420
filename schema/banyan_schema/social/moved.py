"""Moves: an account says that it moved to another one, and that one says that it also was the first.

| collection | op | cell | element | content |
|---|---|---|---|---|
| moved.to | put | one for the account | | [account] |
| moved.from | add | one for the account | the other account | [account] |

Both must agree. docs/social.md has the rules.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from banyan_crdt.ids import AccountId, Ref
from banyan_crdt.ops import Add, Put
from banyan_schema.collection import Collection, Draft, Fact, Facts, cell_key
from banyan_schema.fields import ACCOUNT
from banyan_schema.layout import Layout
from banyan_schema.notices import names, told_by


@dataclass(frozen=True, slots=True)
class MovedTo:
    """The account that says it goes on as `account`."""

    account: AccountId


@dataclass(frozen=True, slots=True)
class MovedFrom:
    """The account that says it also was `account`."""

    account: AccountId


def _seed(time: bytes, values: list[Any]) -> bytes:
    """The other account, 32 bytes."""
    return bytes(values[0])


def _to(seed: bytes) -> Facts:
    return Fact("moved_to", seed), told_by("move"), *names(seed)


_TO = Collection(
    "moved.to",
    "register",
    Layout(MovedTo, lambda said: (said.account,), (ACCOUNT,)),
    seed=_seed,
    kinds=frozenset({"moved_to", "broadcasts", "notices"}),
    facts=_to,
)
_FROM = Collection(
    "moved.from",
    "set",
    Layout(MovedFrom, lambda said: (said.account,), (ACCOUNT,)),
    seed=_seed,
    kinds=frozenset({"moved_from", "notices"}),
    facts=lambda seed: (Fact("moved_from", seed), *names(seed)),
)
COLLECTIONS = (_TO, _FROM)
MOVED_TO, MOVED_FROM = (collection.id for collection in COLLECTIONS)


def move_to(salt: bytes, account: AccountId, replaces: Iterable[Ref] = ()) -> Draft:
    """Says that the account goes on as another one. `salt`: the account's, 32 bytes. `replaces`: the live writes. Take
    it back with `undo`."""
    return Draft(Put(MOVED_TO, cell_key(salt, b"moved.to"), tuple(replaces), None), _TO.encode(MovedTo(account)))


def moved_from(salt: bytes, account: AccountId) -> Draft:
    """Says that the account also was another one. `salt`: the account's, 32 bytes. Take it back with `undo`."""
    name = b"moved.from"
    op = Add(MOVED_FROM, cell_key(salt, name), cell_key(salt, name, account), None)
    return Draft(op, _FROM.encode(MovedFrom(account)))
