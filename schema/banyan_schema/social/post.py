"""A post: a register that is written once, and again by an edit.

| op | cell | content |
|---|---|---|
| put | time and nonce | [text, [root, parent] or null, quote or null, language or null, created ms or null] |

A root, a parent and a quote are targets: [account b32, key b16]. A post ends by a tomb, for good: no later write of its
key shows.

Most of what a store ever takes in is posts of one shape: a short text, a time, nothing else. `quick_seeds` tells
those by where their bytes stand. What stands there it learns from what the layout writes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from banyan_crdt.ids import CellKey, Ref
from banyan_crdt.ops import Put, Tomb
from banyan_crdt.parts import make_part
from banyan_crdt.shapes import between

from ..address import Target
from ..collection import Collection, Draft, Fact, Facts, SeedIn, cell_key
from ..fields import TARGET, number, optional, pair, text
from ..layout import Layout

MAX_TEXT = 32_768
MAX_LANG = 35
"""Bytes of UTF-8; a language tag is BCP 47's longest common form."""


class ReplyTo(NamedTuple):
    """The post that opened the conversation, and the one that is answered (the same in a first answer)."""

    root: Target
    parent: Target


@dataclass(frozen=True, slots=True)
class Post:
    """`created_ms`: milliseconds since 1970, the author's claim; views place the post there, never after its entry."""

    text: str
    reply: ReplyTo | None = None
    quote: Target | None = None
    lang: str | None = None
    created_ms: int | None = None


def _make(text: str, reply: Any, quote: Target | None, lang: str | None, created_ms: int | None) -> Post:
    return Post(text, None if reply is None else ReplyTo(*reply), quote, lang, created_ms)


def _split(post: Post) -> tuple[Any, ...]:
    return post.text, post.reply, post.quote, post.lang, post.created_ms


LAYOUT = Layout(
    _make,
    _split,
    (
        text("a post", MAX_TEXT),
        optional(pair(TARGET)),
        optional(TARGET),
        optional(text("a language tag", MAX_LANG)),
        optional(number("created_ms, in milliseconds since 1970,")),
    ),
)


# --- what views get --------------------------------------------------------------------------------------------------


def post_time(entry_time: bytes, created_ms: int | None) -> bytes:
    """Where a post stands in a timeline: at the time that its author claims, so that an edit does not move it and an
    imported post keeps its place, and never later than its entry."""
    if created_ms is None or created_ms >> 48:
        return entry_time
    claimed = (created_ms << 16).to_bytes(8, "big")
    return claimed if claimed < entry_time else entry_time


def _seed(time: bytes, values: list[Any]) -> bytes:
    """Where it stands, 8 bytes, and of an answer the post that it answers, 48 bytes."""
    at, reply = post_time(time, values[4]), values[1]
    return at if reply is None else at + reply[1].raw


def _facts(seed: bytes) -> Facts:
    standing = Fact("timeline", seed[:8])
    return (standing,) if len(seed) == 8 else (standing, Fact("replies", seed[8:] + seed[:8]))


SHORTEST, LONGEST = 24, 240
"""Bytes of the text of a post of the usual shape."""


def quick_seeds(layout: Layout[Any], slowly: SeedIn) -> SeedIn:
    """The hot path of taking posts in: what `slowly` says, in a third of the time for a post of the usual shape.

    In such a part the salt is followed by the heads of content and text, by the text, then by the fields without a
    value and the head of the time; the time is at the end. What these bytes are, and where, is learnt from what the
    layout writes.
    """
    salt, created = b"s" * 16, b"c" * 6  # the time is written in 8 bytes

    def usual(size: int) -> tuple[bytes, ...]:
        """What stands before the salt, the text and the time."""
        values = ["x" * size, None, None, None, int.from_bytes(created, "big")]
        values += [None] * (len(layout.fields) - len(values))
        part = make_part(salt, layout.encode(layout.make(*values)))[1]
        return between(part, salt, b"x" * size, created)

    around = {size: usual(size) for size in range(SHORTEST, LONGEST + 1)}
    opens, _, tail, _ = around[SHORTEST]
    begins, width = len(opens) + len(salt), len(around[SHORTEST][1])
    at_heads, at_time = slice(begins, begins + width), slice(-6, None)
    at_text, at_tail, at_high = slice(begins + width, -6 - len(tail)), slice(-6 - len(tail), -6), slice(-6, -4)
    heads = {begins + width + size + len(tail) + 6: heads for size, (_, heads, _, _) in around.items()}

    def seed_in(time: bytes, part: bytes) -> bytes | None:
        # a time whose two high bytes are zero has a shorter form
        if part[at_heads] == heads.get(len(part)) and part[at_tail] == tail and part[at_high] != b"\0\0":
            try:
                part[at_text].decode()
            except UnicodeDecodeError:
                return None
            claimed = part[at_time] + b"\0\0"
            return claimed if claimed < time else time
        return slowly(time, part)

    return seed_in


COLLECTION = Collection(
    "post",
    "register",
    LAYOUT,
    limits={"text": MAX_TEXT, "lang": MAX_LANG},
    seed=_seed,
    kinds=frozenset({"timeline", "replies"}),
    facts=_facts,
    quick=quick_seeds,
)
POST = COLLECTION.id
COLLECTIONS = (COLLECTION,)


# --- writing ---------------------------------------------------------------------------------------------------------


def post_key(salt: bytes, nonce: bytes, now_ms: int | None = None) -> CellKey:
    """The key of a new post. `nonce`: 16 random bytes. `now_ms`: the time of its entry, which everybody sees anyway.

    With the time in front the keys of an account rise, so stores write what they index by them at the end of what the
    account has, and not all over it. Nobody else may rely on it: a key is any 16 bytes.
    """
    key = cell_key(salt, b"post", nonce)
    return key if now_ms is None else CellKey(now_ms.to_bytes(6, "big") + key[:10])


def write_post(key: CellKey, post: Post, replaces: Iterable[Ref] = ()) -> Draft:
    """A new post (its key from `post_key`), or an edit: the same key, `replaces` the live writes of it."""
    return Draft(Put(POST, key, tuple(replaces), None), encode_post(post))


def encode_post(post: Post) -> bytes:
    """Raises ValueError with a sentence past a limit."""
    return LAYOUT.encode(post)


def delete_post(key: CellKey) -> Draft:
    """For good: no later write of the key shows."""
    return Draft(Tomb(POST, key), None)
