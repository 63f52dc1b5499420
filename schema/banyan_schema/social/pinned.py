"""A post that an account pins to its profile: an element of its one set of these.

| op | cell | element | content |
|---|---|---|---|
| add | one for the account | the post | [key] |

Only a post of the account itself can be named. It is shown while the post is.
"""

from __future__ import annotations

from dataclasses import dataclass

from banyan_crdt.ids import CellKey
from banyan_crdt.ops import Add
from banyan_schema.collection import Collection, Draft, cell_key
from banyan_schema.fields import KEY
from banyan_schema.layout import Layout


@dataclass(frozen=True, slots=True)
class Pinned:
    """The post `key` of the same account."""

    key: CellKey


LAYOUT = Layout(Pinned, lambda said: (said.key,), (KEY,))
COLLECTION = Collection("pinned", "set", LAYOUT)
"""It tells views nothing: a profile reads it from its slots."""
PINNED = COLLECTION.id
COLLECTIONS = (COLLECTION,)


def pin(salt: bytes, key: CellKey) -> Draft:
    """Pins a post. `salt`: the account's, 32 bytes. Take it back with `undo`."""
    op = Add(PINNED, cell_key(salt, b"pinned"), cell_key(salt, b"pinned", key), None)
    return Draft(op, LAYOUT.encode(Pinned(key)))
