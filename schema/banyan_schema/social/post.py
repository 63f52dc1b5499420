"""A post: a register that is written once, and again by each edit.

| op | cell | content |
|---|---|---|
| put | time and nonce | [text, [root, parent] or null, quote or null, language or null, created ms or null] |

A root, a parent and a quote are targets: [account b32, key b16]. A tomb deletes a post for good: no later write of its
key shows.

Most posts that a store receives have one shape: a short text, a time, nothing else. `quick_seeds` recognises these by
the positions of their bytes, which it learns from the layout's own output.
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
"""The most bytes of UTF-8 of a text and of a language tag (the longest common form of BCP 47)."""


class ReplyTo(NamedTuple):
    """`root`: the post that opened the conversation. `parent`: the post that is answered. In a first answer they are
    the same."""

    root: Target
    parent: Target


@dataclass(frozen=True, slots=True)
class Post:
    """The content of a post. `text`: at most MAX_TEXT bytes of UTF-8. `lang`: a language tag. `created_ms`:
    milliseconds since 1970, claimed by the author; views place the post there, but never after its entry."""

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
    """The time of a post in a timeline, 8 bytes. It is the time that the author claims, so that an edit does not move
    the post and an imported post keeps its place, but never later than the entry's. `entry_time`: 8 bytes."""
    if created_ms is None or created_ms >> 48:
        return entry_time
    claimed = (created_ms << 16).to_bytes(8, "big")
    return claimed if claimed < entry_time else entry_time


def _seed(time: bytes, values: list[Any]) -> bytes:
    """The post's time, 8 bytes; for an answer also the post that it answers, 48 bytes."""
    at, reply = post_time(time, values[4]), values[1]
    return at if reply is None else at + reply[1].raw


def _facts(seed: bytes) -> Facts:
    standing = Fact("timeline", seed[:8])
    return (standing,) if len(seed) == 8 else (standing, Fact("replies", seed[8:] + seed[:8]))


SHORTEST, LONGEST = 24, 240
"""The bytes of text in a post of the usual shape."""


def quick_seeds(layout: Layout[Any], slowly: SeedIn) -> SeedIn:
    """The same as `slowly`, in a third of the time for a post of the usual shape. This is the hot path of ingest.

    In such a part the salt is followed by the heads of content and text, the text, the fields without a value, the head
    of the time, and the time. Their bytes and positions are learned from the layout's own output.
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
    """The key of a new post, 16 bytes. `nonce`: 16 random bytes. `now_ms`: the time of its entry, milliseconds since
    1970, which is public anyway.

    With the time in front the keys of an account rise, so stores write their indexes of posts at the end of the
    account's range. Readers must not depend on this: a key may be any 16 bytes.
    """
    key = cell_key(salt, b"post", nonce)
    return key if now_ms is None else CellKey(now_ms.to_bytes(6, "big") + key[:10])


def write_post(key: CellKey, post: Post, replaces: Iterable[Ref] = ()) -> Draft:
    """A new post (with a key from `post_key`), or an edit (with the same key; `replaces`: its live writes). Raises
    ValueError past a limit."""
    return Draft(Put(POST, key, tuple(replaces), None), encode_post(post))


def encode_post(post: Post) -> bytes:
    """The bytes of the content. Raises ValueError with a sentence past a limit."""
    return LAYOUT.encode(post)


def delete_post(key: CellKey) -> Draft:
    """Deletes the post for good: no later write of the key shows."""
    return Draft(Tomb(POST, key), None)
