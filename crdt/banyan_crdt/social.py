"""The social schema: which cells a profile, a post, a reaction, a repost, a follow, a block and a mute are, and what
their content says. Schemas act in views only: a node that does not know one carries its entries all the same.

A cell's key is an HMAC under the account's salt, so that the structure, which is never erased, tells nobody who follows
whom; the content says it in clear and can be erased. Content that does not read as its collection's schema is no
content: `decode_content` answers None on hostile bytes and never raises.

| collection | op | cell | element | content |
|---|---|---|---|---|
| profile | put | field | | [field, value] |
| post | put | time and nonce | | [text, [root, parent] or null, quote or null, language or null, created ms or null] |
| reaction | add | the post reacted to | the emoji | [account, key, emoji] |
| repost | add | one for the account | the post | [account, key] |
| follow, block, mute | add | one for the account | the target | [account] |

A root, a parent and a quote are targets: [account b32, key b16].
"""

from __future__ import annotations

import hmac
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias

from banyan_crdt.codec import decode, encode
from banyan_crdt.errors import BanyanError
from banyan_crdt.ids import AccountId, CellKey, Coll, Ref, account_from_text, account_to_text, coll
from banyan_crdt.ops import Add, Del, Op, Put, Tomb
from banyan_crdt.parts import make_part

PROFILE = coll("profile")
POST = coll("post")
REACTION = coll("reaction")
REPOST = coll("repost")
FOLLOW = coll("follow")
BLOCK = coll("block")
MUTE = coll("mute")

Relation = Literal["follow", "block", "mute"]
RELATIONS: dict[Coll, Relation] = {FOLLOW: "follow", BLOCK: "block", MUTE: "mute"}
_RELATION_COLLS: dict[Relation, Coll] = {name: code for code, name in RELATIONS.items()}

MAX_FIELD = 64
MAX_VALUE = 4_096
MAX_TEXT = 32_768
MAX_EMOJI = 64
MAX_LANG = 35
"""Bytes of UTF-8; a language tag is BCP 47's longest common form."""


class Target(NamedTuple):
    """A post, wherever it is held."""

    account: AccountId
    key: CellKey


class ReplyTo(NamedTuple):
    """The post that opened the conversation, and the one that is answered (the same in a first answer)."""

    root: Target
    parent: Target


@dataclass(frozen=True, slots=True)
class ProfileField:
    field: str
    value: str


@dataclass(frozen=True, slots=True)
class Post:
    """`created_ms`: milliseconds since 1970, the author's claim; views place the post there, never after its entry."""

    text: str
    reply: ReplyTo | None = None
    quote: Target | None = None
    lang: str | None = None
    created_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Reaction:
    target: Target
    emoji: str


@dataclass(frozen=True, slots=True)
class Repost:
    target: Target


@dataclass(frozen=True, slots=True)
class Relate:
    """A follow, a block or a mute of `target`."""

    relation: Relation
    target: AccountId


Content: TypeAlias = ProfileField | Post | Reaction | Repost | Relate


class Draft(NamedTuple):
    """An operation whose part is still to be salted, and its content (None: the operation has no part)."""

    op: Op
    content: bytes | None


def cell_key(salt: bytes, *parts: bytes) -> CellKey:
    """HMAC-SHA256 of the parts under the account's salt, 16 bytes. Framed, so that ("ab", "c") is not ("a", "bc")."""
    return CellKey(hmac.digest(salt, b"banyan/1/cell\0" + encode(list(parts)), "sha256")[:16])


def seal(draft: Draft, part_salt: bytes) -> tuple[Op, bytes | None]:
    """The finished operation and the part that travels with it. `part_salt`: 16 random bytes, new for each part."""
    if draft.content is None:
        return draft.op, None
    part, raw = make_part(part_salt, draft.content)
    assert isinstance(draft.op, Put | Add)
    return draft.op._replace(part=part), raw


# --- writing ---------------------------------------------------------------------------------------------------------


def set_profile(salt: bytes, field: str, value: str, replaces: Iterable[Ref] = ()) -> Draft:
    """`replaces`: the live writes of that field."""
    name = _text("a profile field's name", field, MAX_FIELD)
    content = encode([name, _text(f"the profile field '{field}'", value, MAX_VALUE)])
    return Draft(Put(PROFILE, cell_key(salt, b"profile", name), tuple(replaces), None), content)


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


def delete_post(key: CellKey) -> Draft:
    """For good: no later write of the key shows."""
    return Draft(Tomb(POST, key), None)


def react(salt: bytes, target: Target, emoji: str) -> Draft:
    raw = _text("an emoji", emoji, MAX_EMOJI)
    op = Add(REACTION, cell_key(salt, b"reaction", *target), cell_key(salt, b"reaction", raw), None)
    return Draft(op, encode([*target, raw]))


def repost(salt: bytes, target: Target) -> Draft:
    return Draft(Add(REPOST, cell_key(salt, b"repost"), cell_key(salt, b"repost", *target), None), encode([*target]))


def relate(salt: bytes, relation: Relation, target: AccountId) -> Draft:
    """Follow, block or mute."""
    name = relation.encode()
    op = Add(_RELATION_COLLS[relation], cell_key(salt, name), cell_key(salt, name, target), None)
    return Draft(op, encode([target]))


def undo(collection: Coll, live: Iterable[Ref]) -> Draft:
    """Takes back a reaction, a repost, a follow, a block or a mute. `live`: the adds to cover, all that are known."""
    return Draft(Del(collection, tuple(live)), None)


def encode_post(post: Post) -> bytes:
    reply = [list(t) for t in post.reply] if post.reply else None
    quote = list(post.quote) if post.quote else None
    if post.created_ms is not None and not 0 <= post.created_ms < 1 << 64:
        raise ValueError(f"created_ms is {post.created_ms}; milliseconds since 1970 are meant")
    lang = _text("a language tag", post.lang, MAX_LANG) if post.lang is not None else None
    return encode([_text("a post", post.text, MAX_TEXT), reply, quote, lang, post.created_ms])


def _text(what: str, text: str, most: int) -> bytes:
    """NFC, so that what looks the same is the same; raises ValueError past the limit or on a lone surrogate."""
    raw = unicodedata.normalize("NFC", text).encode()
    if len(raw) > most:
        raise ValueError(f"{what} has {len(raw)} bytes; {most} is the most: shorten it")
    return raw


# --- reading ---------------------------------------------------------------------------------------------------------


def decode_content(collection: Coll, op: Op, content: bytes) -> Content | None:
    """What the content of `op` says, or None where it is not its collection's schema. Never raises."""
    reader = _READERS.get((collection, type(op)))
    if reader is None:
        return None
    try:
        value = decode(content, 3)
        if type(value) is not list:
            return None
        return reader(collection, value)
    except (_NotThisSchema, BanyanError, ValueError):
        return None


def plain_post(content: bytes) -> int | None:
    """`created_ms` of most posts, those without a reply and a quote, read by position; -1 where it is not given.

    None where `content` is anything else, which may still be a post: then `decode_content` says.
    """
    try:
        size = content[1]
        if size == 0x58 and content[2] >= 24:
            text, end = 3, 3 + content[2]
        elif 0x40 <= size < 0x58:
            text, end = 2, size - 0x3E
        elif size == 0x59 and 0 < content[2] < 0x80:
            text, end = 4, 4 + (content[2] << 8 | content[3])
        else:
            return None
        tail = content[end:]
        if content[0] != 0x85 or not tail.startswith(b"\xf6\xf6"):
            return None
        content[text:end].decode()
        if 0x40 <= tail[2] < 0x58:
            lang = tail[2] - 0x40
            tail[3 : 3 + lang].decode()
            tail = b"\xf6\xf6\xf6" + tail[3 + lang :]
        if tail.startswith(b"\xf6\xf6\xf6\x1b") and len(tail) == 12 and tail[4:8] != b"\0\0\0\0":
            return int.from_bytes(tail[4:], "big")
        return -1 if tail == b"\xf6\xf6\xf6\xf6" else None
    except (IndexError, UnicodeDecodeError):
        return None


class _NotThisSchema(Exception):
    pass


def _fields(value: list[Any], n: int) -> list[Any]:
    if len(value) != n:
        raise _NotThisSchema
    return value


def _str(value: Any, most: int) -> str:
    """Raises UnicodeDecodeError, a ValueError, on what is not UTF-8."""
    if type(value) is not bytes or len(value) > most:
        raise _NotThisSchema
    return value.decode()


def _account(value: Any) -> AccountId:
    if type(value) is not bytes or len(value) != 32:
        raise _NotThisSchema
    return AccountId(value)


def _target(account: Any, key: Any) -> Target:
    if type(account) is not bytes or len(account) != 32 or type(key) is not bytes or len(key) != 16:
        raise _NotThisSchema
    return Target(AccountId(account), CellKey(key))


def _pair(value: Any) -> list[Any]:
    if type(value) is not list:
        raise _NotThisSchema
    return _fields(value, 2)


def _read_profile(_: Coll, value: list[Any]) -> Content:
    field, text = _fields(value, 2)
    return ProfileField(_str(field, MAX_FIELD), _str(text, MAX_VALUE))


def _read_post(_: Coll, value: list[Any]) -> Content:
    text, reply, quote, lang, created = _fields(value, 5)
    if created is not None and type(created) is not int:
        raise _NotThisSchema
    return Post(
        _str(text, MAX_TEXT),
        None if reply is None else ReplyTo(*(_target(*_pair(t)) for t in _pair(reply))),
        None if quote is None else _target(*_pair(quote)),
        None if lang is None else _str(lang, MAX_LANG),
        created,
    )


def _read_reaction(_: Coll, value: list[Any]) -> Content:
    account, key, emoji = _fields(value, 3)
    return Reaction(_target(account, key), _str(emoji, MAX_EMOJI))


def _read_repost(_: Coll, value: list[Any]) -> Content:
    return Repost(_target(*_fields(value, 2)))


def _read_relate(collection: Coll, value: list[Any]) -> Content:
    (target,) = _fields(value, 1)
    return Relate(RELATIONS[collection], _account(target))


_READERS = {
    (PROFILE, Put): _read_profile,
    (POST, Put): _read_post,
    (REACTION, Add): _read_reaction,
    (REPOST, Add): _read_repost,
    (FOLLOW, Add): _read_relate,
    (BLOCK, Add): _read_relate,
    (MUTE, Add): _read_relate,
}


# --- addresses -------------------------------------------------------------------------------------------------------


def post_to_text(target: Target) -> str:
    """`did:banyan:z.../<key in hex>`."""
    return f"{account_to_text(target.account)}/{target.key.hex()}"


def post_from_text(text: str) -> Target:
    """Raises ValueError with a sentence when `text` is no post."""
    account, slash, key = text.partition("/")
    if not slash or len(key) != 32 or any(c not in "0123456789abcdef" for c in key):
        raise ValueError(f"'{text}' is not a post: expected <account>/<32 hexadecimal digits>")
    return Target(account_from_text(account), CellKey(bytes.fromhex(key)))
