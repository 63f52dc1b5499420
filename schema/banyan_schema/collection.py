"""A collection: one kind of thing that accounts say. It defines the cells, their content, and what views get from them;
and reads them.

The kernel knows a collection only as an id, and merges its cells by their operations. The rest is here, one file per
collection, in the folder social/. registry.py finds every module there with a tuple `COLLECTIONS`; no other code must
know it. Schemas matter in views only: a node that does not know a collection still carries its entries.

A cell's key is an HMAC under the account's salt, so the structure, which is never erased, does not disclose who follows
whom. The content says it in clear and can be erased. Content that cannot be read by its collection's schema is treated
as missing.

A slot is one register, or one element of one set. A view needs only a small part of what a slot shows. This part is the
slot's **seed**: bytes that the store keeps with the slot, so that rows can be removed after the content is erased.
`facts` turns a seed into facts, from which views make rows.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any, Generic, Literal, NamedTuple, TypeAlias, TypeVar

from banyan_crdt.cells import Cells
from banyan_crdt.codec import encode
from banyan_crdt.ids import CellKey, Coll, Ref, coll
from banyan_crdt.ops import Add, Count, Del, Op, Put, Text
from banyan_crdt.parts import content_of, make_part
from banyan_schema.layout import Layout

C = TypeVar("C")

Merge = Literal["register", "set", "counter", "text"]
"""How concurrent operations of one cell are merged; docs/protocol.md, section 8."""
OPERATIONS: dict[Merge, type[Put] | type[Add] | type[Count] | type[Text]] = {
    "register": Put,
    "set": Add,
    "counter": Count,
    "text": Text,
}


class Fact(NamedTuple):
    """What a slot tells views. Every view that shows facts of this kind makes a row of it, for any collection.

    `key`: the key of the row. The kinds that are shown, with their keys: `recent` (whether it answers, 1 byte, and its
    time, 8), `replies` and `quotes` (the post that is answered or quoted, 48 bytes, and a time), `conversations` (8
    bytes that stand for the first post of a conversation, and a time), `shares` (the time of a repost), `reactions` (a
    post, then the length of an emoji, 1 byte, and the emoji), `reposts` (a post), `follows`, `followers`, `blocks` and
    `mutes` (an account, 32 bytes), `notices` (notices.py), and those of groups: `group_joins` and `joined_groups` (a
    group, 48 bytes), `group_acts` (what, 1 byte, a group, and an account or a post), `group_posts` (the digest of a
    group, 8 bytes, and a time); of events: `events` (when it begins, 8 bytes), `group_events` (a group's digest and
    that), `event_replies` (an event, 48 bytes, and the answer); `locked` (a letter), and `follow_answers` (the answer,
    1 byte, and an account); `handles` and `handles_said` (length, handle, account), `handle_claims` (length and
    handle); `moved_to` and `moved_from` (an account), `officials` (an account), `policies` (of a post, 1 byte),
    `hidden` (the key of a post and another post), `broadcasts` (notices.py); of channels: `channel_episodes` (a
    channel, 48 bytes, season, number and time, 8 each), `new_episodes` (a channel and a time), `channel_subscribers`
    and `subscriptions` (a channel); `labels` (what is labelled, 48 bytes), `label_appeals` (an account).
    """

    kind: str
    key: bytes


MAX_SEED = 462
"""The most bytes of a seed: a store keeps it with its slot (41 bytes) and a place (8) in a row of at most 511."""
Facts: TypeAlias = tuple[Fact, ...]
SeedIn: TypeAlias = Callable[[bytes, bytes], bytes | None]
"""(time of the entry, 8 bytes; bytes of a part) -> the seed, or None if the part has no content of the collection."""


class OpDraft(NamedTuple):
    """An operation without its part, and the content of that part (None: the operation has no part)."""

    op: Op
    content: bytes | None


class Blobs(NamedTuple):
    """The blobs that content of a collection names. field: the name of the field that names them; shorter content names
    none. named: the value of that field -> roots, 32 bytes each; first what is small, such as previews."""

    field: str
    named: Callable[[Any], Iterable[bytes]]


def no_seed(time: bytes, values: list[Any]) -> bytes:
    """The empty seed of a collection that tells views nothing."""
    return b""


def no_facts(seed: bytes) -> Facts:
    """No facts, for such a collection."""
    return ()


@dataclass(frozen=True)
class Collection(Generic[C]):
    """One collection. Raises ValueError if a register or a set has no layout, or if a counter or a text has one.

    `layout`: of the content of a register or a set. A counter has no content; the content of a text is its characters.
    `limits`: the most bytes of UTF-8, by the name of each string in the content.
    `seed`: (time of the entry, 8 bytes; values of the content's fields) -> seed. `seeds`: its version; raise it by one
    if `seed` gives another value for the same content. `facts`: seed -> facts. `kinds`: the kinds of these facts.
    `quick`: (layout, `seed_in`) -> a faster `seed_in` with the same results, or None. `blobs`: which blobs its content
    names, or None if it never names any.
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
    blobs: Blobs | None = None

    def __post_init__(self) -> None:
        if (self.layout is None) == (self.merge in ("register", "set")):
            raise ValueError(
                f"collection '{self.name}': a register or a set has a layout, a counter or a text has none"
            )

    @cached_property
    def id(self) -> Coll:
        """Made from the name, 8 bytes."""
        return coll(self.name)

    @property
    def version(self) -> int:
        """1, plus one for each field that was added since."""
        return 1 if self.layout is None else 1 + len(self.layout.fields) - self.layout.least

    @property
    def op(self) -> type[Put] | type[Add] | type[Count] | type[Text]:
        """The operation that writes its cells."""
        return OPERATIONS[self.merge]

    def encode(self, content: C) -> bytes:
        """The bytes of content. Raises ValueError past a limit of a field."""
        assert self.layout is not None, f"collection '{self.name}' has no content with fields"
        return self.layout.encode(content)

    def decode(self, raw: bytes) -> C | None:
        """The content, or None if these bytes are not content of this collection. Never raises."""
        return None if self.layout is None else self.layout.decode(raw)

    def seed_of(self, time: bytes, content: bytes) -> bytes | None:
        """The seed, or None if these bytes are not content of this collection. `time`: of the entry, 8 bytes."""
        values = None if self.layout is None else self.layout.values(content)
        return None if values is None else self.seed(time, values)

    def blobs_in(self, content: bytes) -> tuple[bytes, ...]:
        """The roots of the blobs that content names, each once. Never raises."""
        if self.blobs is None or self.layout is None:
            return ()
        values = self.layout.values(content)
        value = None if values is None else values[self.layout.names.index(self.blobs.field)]
        return () if value is None else tuple(dict.fromkeys(self.blobs.named(value)))

    @cached_property
    def seed_in(self) -> SeedIn:
        """`seed_of` for the bytes of a part that were checked before."""

        def seed_in(time: bytes, part: bytes) -> bytes | None:
            return self.seed_of(time, content_of(part))

        return seed_in if self.quick is None or self.layout is None else self.quick(self.layout, seed_in)


def cell_key(salt: bytes, *parts: bytes) -> CellKey:
    """HMAC-SHA256 of the parts under the account's salt (32 bytes), the first 16 bytes. The parts are framed, so
    ("ab", "c") and ("a", "bc") differ."""
    return CellKey(hmac.digest(salt, b"banyan/1/cell\0" + encode(list(parts)), "sha256")[:16])


def seal(draft: OpDraft, part_salt: bytes) -> tuple[Op, bytes | None]:
    """The finished operation, and the bytes of its part or None. `part_salt`: 16 random bytes, new for each part."""
    if draft.content is None:
        return draft.op, None
    part, raw = make_part(part_salt, draft.content)
    assert isinstance(draft.op, Put | Add | Text)
    return draft.op._replace(part=part), raw


def undo(collection: Coll, live: Iterable[Ref]) -> OpDraft:
    """Removes elements of sets: a reaction, a repost, a follow. `live`: the adds to cover, all that are known."""
    return OpDraft(Del(collection, tuple(live)), None)


# Cells as values, with the content that is held; it works for every collection, with or without a view, and views show
# the same (a test compares). A register shows its last live write. If that one's content is not held or is not
# readable, it shows nothing, because an older value would be wrong. An element shows its last live add with content.

ContentOf: TypeAlias = Callable[[Ref], bytes | None]
"""Operation -> its content without the salt, or None if it is not held."""
UNREADABLE = "\ufffd"
"""Shown for a character of a text whose content is not held, or does not have this character."""


def registers(of: Collection[C], cells: Cells, content_of: ContentOf) -> dict[CellKey, C]:
    """What each register of the collection shows, by key. Registers that show nothing are left out."""
    out: dict[CellKey, C] = {}
    for (at, key), writes in cells.registers.items():
        if at == of.id:
            (_, entry, op), _ = writes[0]
            raw = content_of(Ref(entry, op))
            content = None if raw is None else of.decode(raw)
            if content is not None:
                out[key] = content
    return out


def elements(of: Collection[C], cells: Cells, content_of: ContentOf) -> dict[CellKey, dict[CellKey, C]]:
    """What each element of each set of the collection shows, by key and element."""
    out: dict[CellKey, dict[CellKey, C]] = {}
    for (at, key), found in cells.sets.items():
        for elem, adds in found.items() if at == of.id else ():
            for (_, entry, op), _ in reversed(adds):
                raw = content_of(Ref(entry, op))
                content = None if raw is None else of.decode(raw)
                if content is not None:
                    out.setdefault(key, {})[elem] = content
                    break
    return out


def counters(of: Collection[C], cells: Cells) -> dict[CellKey, int]:
    """The sum of each counter of the collection, by key."""
    return {key: count for (coll, key), count in cells.counters.items() if coll == of.id}


def texts(of: Collection[C], cells: Cells, content_of: ContentOf) -> dict[CellKey, str]:
    """Each text of the collection, by key. Character i of an insertion is code point i of its content, read as
    UTF-8."""
    inserted: dict[Ref, str] = {}

    def character(ref: Ref, offset: int) -> str:
        if ref not in inserted:
            inserted[ref] = _utf8(content_of(ref) or b"")
        return inserted[ref][offset : offset + 1] or UNREADABLE

    return {
        key: "".join([character(*at) for at in found]) for (coll, key), found in cells.texts.items() if coll == of.id
    }


def _utf8(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return ""
