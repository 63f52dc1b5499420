"""A collection: one kind of thing that accounts say. What its cells are, what their content says, what views get of it.

The kernel knows a collection as an id and merges its cells by their operations. All else is here, one file a
collection, in the folder social/. A module there with a tuple `COLLECTIONS` is found by registry.py; nothing else has
to know of it. Schemas act in views only: a node that does not know a collection carries its entries all the same.

A cell's key is an HMAC under the account's salt, so that the structure, which is never erased, tells nobody who follows
whom; the content says it in clear and can be erased. Content that does not read as its collection's schema is no
content.

A slot is one register, or one element of one set. Of what it shows a view needs little: that is its **seed**, bytes
that the store keeps beside the slot, so that rows can be taken away after the content is gone. `facts` turns a seed
into what views are told.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any, Generic, Literal, NamedTuple, TypeAlias, TypeVar

from banyan_crdt.codec import encode
from banyan_crdt.ids import CellKey, Coll, Ref, coll
from banyan_crdt.ops import Add, Count, Del, Op, Put, Text
from banyan_crdt.parts import content_of, make_part

from .layout import Layout

C = TypeVar("C")

Merge = Literal["register", "set", "counter", "text"]
"""How concurrent operations of one cell become one state; docs/protocol.md, section 8."""
OPERATIONS: dict[Merge, type[Put] | type[Add] | type[Count] | type[Text]] = {
    "register": Put,
    "set": Add,
    "counter": Count,
    "text": Text,
}


class Fact(NamedTuple):
    """What a slot states to views. Those that show facts of its kind make a row of it, whatever collection it is of.

    `key`: what the row is found by. Kinds that are shown are `timeline` (its key: a time, 8 bytes), `replies` (the post
    that is answered, 48 bytes, and a time), `reactions` (a post, then the length of an emoji and the emoji), `reposts`
    (a post), `follows`, `followers`, `blocks` and `mutes` (an account).
    """

    kind: str
    key: bytes


Facts: TypeAlias = tuple[Fact, ...]
SeedIn: TypeAlias = Callable[[bytes, bytes], bytes | None]
"""Of the time of an entry and a part's bytes: the seed, None where the part has no content of the collection."""


class Draft(NamedTuple):
    """An operation whose part is still to be salted, and its content (None: the operation has no part)."""

    op: Op
    content: bytes | None


def no_seed(time: bytes, values: list[Any]) -> bytes:
    return b""


def no_facts(seed: bytes) -> Facts:
    return ()


@dataclass(frozen=True)
class Collection(Generic[C]):
    """`limits`: bytes of UTF-8, by the name that a string has in the content.

    `layout`: of the content of a register or a set. A counter has no content, and that of a text is its characters.

    `seed`: of the time of the entry (8 bytes) and the values of the content's fields; `seeds`: one more whenever it is
    another one for the same content. `facts`: of a seed; `kinds`: those that such facts can have.
    `quick`: makes of the layout and of the usual `seed_in` a faster one that says the same.
    """

    name: str
    merge: Merge
    layout: Layout[C] | None = None
    limits: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    seed: Callable[[bytes, list[Any]], bytes] = no_seed
    seeds: int = 1
    kinds: frozenset[str] = frozenset()
    facts: Callable[[bytes], Facts] = no_facts
    quick: Callable[[Layout[Any], SeedIn], SeedIn] | None = None

    def __post_init__(self) -> None:
        if (self.layout is None) == (self.merge in ("register", "set")):
            raise ValueError(
                f"collection '{self.name}': a register or a set has a layout, a counter or a text has none"
            )

    @cached_property
    def id(self) -> Coll:
        return coll(self.name)

    @property
    def version(self) -> int:
        """1, and one more for each field that was added since."""
        return 1 if self.layout is None else 1 + len(self.layout.fields) - self.layout.least

    @property
    def op(self) -> type[Put] | type[Add] | type[Count] | type[Text]:
        """The operation that writes its cells."""
        return OPERATIONS[self.merge]

    def encode(self, content: C) -> bytes:
        """Raises ValueError past a limit."""
        assert self.layout is not None, f"collection '{self.name}' has no content with fields"
        return self.layout.encode(content)

    def decode(self, raw: bytes) -> C | None:
        """None where these bytes are not its content. Never raises."""
        return None if self.layout is None else self.layout.decode(raw)

    def seed_of(self, time: bytes, content: bytes) -> bytes | None:
        """None where these bytes are not its content. `time`: of the entry, 8 bytes."""
        values = None if self.layout is None else self.layout.values(content)
        return None if values is None else self.seed(time, values)

    @cached_property
    def seed_in(self) -> SeedIn:
        """`seed_of` the content in a part's bytes that were checked before."""

        def seed_in(time: bytes, part: bytes) -> bytes | None:
            return self.seed_of(time, content_of(part))

        return seed_in if self.quick is None or self.layout is None else self.quick(self.layout, seed_in)


def cell_key(salt: bytes, *parts: bytes) -> CellKey:
    """HMAC-SHA256 of the parts under the account's salt, 16 bytes. Framed, so that ("ab", "c") is not ("a", "bc")."""
    return CellKey(hmac.digest(salt, b"banyan/1/cell\0" + encode(list(parts)), "sha256")[:16])


def seal(draft: Draft, part_salt: bytes) -> tuple[Op, bytes | None]:
    """The finished operation and the part that travels with it. `part_salt`: 16 random bytes, new for each part."""
    if draft.content is None:
        return draft.op, None
    part, raw = make_part(part_salt, draft.content)
    assert isinstance(draft.op, Put | Add | Text)
    return draft.op._replace(part=part), raw


def undo(collection: Coll, live: Iterable[Ref]) -> Draft:
    """Takes back elements of sets: a reaction, a repost, a follow. `live`: the adds to cover, all that are known."""
    return Draft(Del(collection, tuple(live)), None)
