"""Official channels: a platform says that an account is the voice of an office, a service or a paper.

| op | cell | element | content |
|---|---|---|---|
| add | one for the account | the other account | [account, title] |

Urgent posts of such an account are told to those who follow it. docs/social.md has the rules.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from banyan_crdt.ids import AccountId
from banyan_crdt.ops import Add
from banyan_schema.collection import Collection, Draft, Fact, cell_key
from banyan_schema.fields import ACCOUNT, text
from banyan_schema.layout import Layout
from banyan_schema.notices import names

MAX_TITLE = 256
"""The most bytes of UTF-8 of what the account is the voice of."""


@dataclass(frozen=True, slots=True)
class Official:
    """The account that says it, a platform, verified that `account` speaks for what `title` names."""

    account: AccountId
    title: str


def _seed(time: bytes, values: list[Any]) -> bytes:
    """The account, 32 bytes."""
    return bytes(values[0])


COLLECTION = Collection(
    "official",
    "set",
    Layout(
        Official,
        lambda said: (said.account, said.title),
        (ACCOUNT, text("the title of an official channel", MAX_TITLE)),
    ),
    limits={"title": MAX_TITLE},
    seed=_seed,
    kinds=frozenset({"officials", "notices"}),
    facts=lambda seed: (Fact("officials", seed), *names(seed)),
)
OFFICIAL = COLLECTION.id
COLLECTIONS = (COLLECTION,)


def attest(salt: bytes, said: Official) -> Draft:
    """Says that an account is official; another title is the same element. `salt`: the platform's account's, 32 bytes.
    Take it back with `undo`."""
    name = b"official"
    op = Add(OFFICIAL, cell_key(salt, name), cell_key(salt, name, said.account), None)
    return Draft(op, COLLECTION.encode(said))
