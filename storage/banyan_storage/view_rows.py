"""What a person reads, as rows: a pure function of one slot's live operations and the content that is held.

A slot is one register, or one element of one set. Its live operations stand in `CELLS`, in the order of their stamps
(time, entry id, op index), so the last of them is the one that shows. A register shows its last write or, where that
one's content is not held, nothing: an older text would be a lie. An element shows its last add whose content is held.

`SHOWN` keeps what each slot shows as a stamp and a seed, the little of the content that its rows are made of. So rows
can be taken away after the content is gone, and, since no two slots ever give the same row, without a look at others.

Rows name accounts by this store's own four-byte numbers, and posts by account id and key, since a post may be answered
before anybody here has heard of its author.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from banyan_crdt.ids import CellKey, Coll, EntryId, Ref, Time
from banyan_crdt.ops import Add, Put
from banyan_crdt.social import (
    BLOCK,
    FOLLOW,
    MUTE,
    POST,
    REACTION,
    RELATIONS,
    REPOST,
    Content,
    Post,
    ProfileField,
    Reaction,
    Relate,
    Repost,
    Target,
    decode_content,
)

from .engine import Table

REGISTER, ELEMENT = b"\x01", b"\x02"
"""The kind of a slot."""

NUMBERS = Table("account_numbers")
"""account 32 -> account number 4"""
NUMBERED = Table("accounts_by_number")
"""account number 4 -> account 32"""
CELLS = Table("cells", dupsort=True)
"""slot: account number 4 | coll 8 | kind 1 | key 16 | element 16 (a set) -> live stamps: time 8 | entry id 32 | op 2"""
TOMBS = Table("tombs")
"""account number 4 | coll 8 | key 16 -> nothing"""
COVERS = Table("covers", dupsort=True)
"""account number 4 | entry id 32 | op 2, not live when covered -> coll 8 (by a del) or coll 8 | key 16 (by a put)"""
SHOWN = Table("shown")
"""slot -> stamp 42 | seed"""
TIMELINE = Table("timeline")
"""account number 4 | time 8 | post key 16 -> entry id 32 | op 2"""
REPLIES = Table("replies")
"""parent account 32 | parent key 16 | time 8 | account number 4 | post key 16 -> entry id 32 | op 2"""
REACTIONS = Table("reactions")
"""target account 32 | target key 16 | length 1 | emoji | account number 4 | cell key and element 32 -> nothing"""
REPOSTS = Table("reposts")
"""target account 32 | target key 16 | account number 4 | cell key and element 32 -> nothing"""
FOLLOWS = Table("follows")
"""account number 4 | target account 32 | cell key and element 32 -> nothing; so are blocks and mutes"""
FOLLOWERS = Table("followers")
"""target account 32 | account number 4 | cell key and element 32 -> nothing"""
BLOCKS = Table("blocks")
MUTES = Table("mutes")

ROW_TABLES = (TIMELINE, REPLIES, REACTIONS, REPOSTS, FOLLOWS, FOLLOWERS, BLOCKS, MUTES)
VIEW_TABLES = (NUMBERS, NUMBERED, CELLS, TOMBS, COVERS, SHOWN, *ROW_TABLES)
RELATION_TABLES: dict[Coll, Table] = {FOLLOW: FOLLOWS, BLOCK: BLOCKS, MUTE: MUTES}

_KIND_PUT = 1
_PUT = Put(Coll(bytes(8)), CellKey(bytes(16)), (), None)
_ADD = Add(Coll(bytes(8)), CellKey(bytes(16)), CellKey(bytes(16)), None)
_LENGTH_BYTES = {0x58: 1, 0x59: 2, 0x5A: 4}
_REGISTER_SIZE = 4 + 8 + 1 + 16

Row = tuple[Table, bytes, bytes]
"""Table, key, value."""
ContentOf = Callable[[Ref], bytes | None]
"""The content of an operation of a counted entry, if it is held here."""


class Shown(NamedTuple):
    """What one slot shows."""

    stamp: bytes
    content: Content


def register_slot(account: bytes, coll: Coll, key: CellKey) -> bytes:
    return account + coll + REGISTER + key


def element_slot(account: bytes, coll: Coll, key: CellKey, elem: CellKey) -> bytes:
    return account + coll + ELEMENT + key + elem


def slot_of(account: bytes, op: Put | Add) -> bytes:
    if isinstance(op, Put):
        return account + op.coll + REGISTER + op.key
    return account + op.coll + ELEMENT + op.key + op.elem


def stamp_bytes(time: Time, ref: Ref) -> bytes:
    return time.to_bytes(8, "big") + ref.entry + ref.op.to_bytes(2, "big")


def ref_bytes(ref: Ref) -> bytes:
    return ref.entry + ref.op.to_bytes(2, "big")


def ref_of(stamp: bytes) -> Ref:
    """From a stamp, or from the 34 bytes that a row holds."""
    return Ref(EntryId(stamp[-34:-2]), int.from_bytes(stamp[-2:], "big"))


def coll_of(slot: bytes) -> Coll:
    return Coll(slot[4:12])


def read_slot(slot: bytes, raw: bytes) -> Content | None:
    """`raw` as content of the slot's schema."""
    return decode_content(coll_of(slot), _PUT if slot[12] == _KIND_PUT else _ADD, raw)


def shown(slot: bytes, live: Sequence[bytes], content_of: ContentOf) -> Shown | None:
    """`live`: the slot's stamps in ascending order."""
    for stamp in reversed(live):
        raw = content_of(ref_of(stamp))
        content = None if raw is None else read_slot(slot, raw)
        if content is not None:
            return Shown(stamp, content)
        if len(slot) == _REGISTER_SIZE:
            return None
    return None


def post_time(stamp: bytes, post: Post) -> bytes:
    """Where a post stands in a timeline: at the time that its author claims, so that an edit does not move it and an
    imported post keeps its place, and never later than its entry."""
    if post.created_ms is None or post.created_ms >> 48:
        return stamp[:8]
    return min(stamp[:8], (post.created_ms << 16).to_bytes(8, "big"))


def seed_of(show: Shown) -> bytes:
    """What the rows need of the content."""
    content = show.content
    if isinstance(content, Post):
        time = post_time(show.stamp, content)
        return time if content.reply is None else time + target_bytes(content.reply.parent)
    if isinstance(content, Reaction):
        return target_bytes(content.target) + content.emoji.encode()
    if isinstance(content, Repost):
        return target_bytes(content.target)
    if isinstance(content, Relate):
        return content.target
    assert isinstance(content, ProfileField)
    return b""


def rows_of(slot: bytes, stamp: bytes, seed: bytes) -> list[Row]:
    account, coll, unique = slot[:4], slot[4:12], slot[13:]
    if coll == POST:
        time, parent, ref = seed[:8], seed[8:], stamp[8:]
        rows = [(TIMELINE, account + time + unique, ref)]
        if parent:
            rows.append((REPLIES, parent + time + account + unique, ref))
        return rows
    if coll == REACTION:
        emoji = seed[48:]
        return [(REACTIONS, seed[:48] + bytes((len(emoji),)) + emoji + account + unique, b"")]
    if coll == REPOST:
        return [(REPOSTS, seed + account + unique, b"")]
    if coll in RELATIONS:
        rows = [(RELATION_TABLES[Coll(coll)], account + seed + unique, b"")]
        if coll == FOLLOW:
            rows.append((FOLLOWERS, seed + account + unique, b""))
        return rows
    return []  # a profile is a handful of fields, read from its slots


def without_salt(part: bytes) -> bytes:
    """The content in a part that was checked when it was stored: 82 50 salt16, then a byte string (RFC 8949)."""
    return part[19 + _LENGTH_BYTES.get(part[18], 0) :]


def target_bytes(target: Target) -> bytes:
    return target.account + target.key
