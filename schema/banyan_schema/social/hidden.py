"""An answer that the author of a conversation hides from it, or a quote that the author of what it quotes hides: an
element of that author's one set of these.

| op | cell | element | content |
|---|---|---|---|
| add | one for the account | both posts | [key, account, key] |

The first key is of a post of the account itself, below which nothing of the other post is shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from banyan_crdt.ids import CellKey
from banyan_crdt.ops import Add
from banyan_schema.address import Target
from banyan_schema.collection import Collection, Draft, Fact, Facts, cell_key
from banyan_schema.fields import ACCOUNT, KEY
from banyan_schema.layout import Layout
from banyan_schema.notices import names


@dataclass(frozen=True, slots=True)
class Hidden:
    """below: the key of a post of the same account. post: what is hidden there."""

    below: CellKey
    post: Target


def _seed(time: bytes, values: list[Any]) -> bytes:
    """The key, 16 bytes, and the other post, 48."""
    return bytes(b"".join(values[:3]))


def _facts(seed: bytes) -> Facts:
    return Fact("hidden", seed), *names(seed[16:])


COLLECTION = Collection(
    "hidden",
    "set",
    Layout(
        lambda below, account, key: Hidden(below, Target(account, key)),
        lambda said: (said.below, *said.post),
        (KEY, ACCOUNT, KEY),
    ),
    seed=_seed,
    kinds=frozenset({"hidden", "notices"}),
    facts=_facts,
)
HIDDEN = COLLECTION.id
COLLECTIONS = (COLLECTION,)


def hide(salt: bytes, said: Hidden) -> Draft:
    """Hides a post. `salt`: the account's, 32 bytes. Take it back with `undo`."""
    op = Add(HIDDEN, cell_key(salt, b"hidden"), cell_key(salt, b"hidden", said.below, *said.post), None)
    return Draft(op, COLLECTION.encode(said))
