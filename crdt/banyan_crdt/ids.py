"""Ids: typed byte strings, and the one hash function that makes them.

An id is a SHA-256 over a domain tag and the named bytes, so a header cannot be mistaken for a body, a part or a key.
The NewTypes are not interchangeable; mypy checks this.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import NamedTuple, NewType

AccountId = NewType("AccountId", bytes)
"""32 bytes: the entry id of the account's inception."""
WriterKey = NewType("WriterKey", bytes)
"""32 bytes: an Ed25519 public key that signs entries."""
EntryId = NewType("EntryId", bytes)
"""32 bytes: H("entry", realm id || header). The signature is not hashed."""
PartHash = NewType("PartHash", bytes)
"""32 bytes: H("part", CBOR [salt, content])."""
Coll = NewType("Coll", bytes)
"""8 bytes: the first 8 of H("coll", name)."""
CellKey = NewType("CellKey", bytes)
"""16 bytes: a cell's key or a set's element, an HMAC under the account's salt."""
RealmId = NewType("RealmId", bytes)
"""32 bytes: the network that an entry belongs to. It is hashed into every entry id and signature."""

Time = int
"""Milliseconds since 1970 << 16 | counter; strictly rising within a log."""

ZERO_WRITER = WriterKey(bytes(32))
"""The writer in the name of a control log, which several keys may write. 32 zero bytes."""


class LogId(NamedTuple):
    """The name of one writer's numbered log in one account. `log`: 32 bits.

    The control log is `LogId(account, ZERO_WRITER, 0)`. Log 0 of any other writer names that writer's checkpoint
    (checkpoint.py). Use `is_control` and `is_checkpoint` to tell them apart.
    """

    account: AccountId
    writer: WriterKey
    log: int


class Ref(NamedTuple):
    """The name of one operation: the entry, and the operation's index in it (16 bits)."""

    entry: EntryId
    op: int


class Head(NamedTuple):
    """Where a log stands: how many entries count, the id of the last of them (None: none counts), and flag 1 if the log
    is forked or frozen. For a checkpoint: its n, its id, and flag 0."""

    length: int
    id: EntryId | None
    flag: int


def control_log(account: AccountId) -> LogId:
    """The name of the account's control log."""
    return LogId(account, ZERO_WRITER, 0)


def checkpoint_log(account: AccountId, writer: WriterKey) -> LogId:
    """The name of a writer's checkpoint in the frontier."""
    return LogId(account, writer, 0)


def is_control(log: LogId) -> bool:
    """Whether this names a control log."""
    return not log.log and log.writer == ZERO_WRITER


def is_checkpoint(log: LogId) -> bool:
    """Whether this names a checkpoint."""
    return not log.log and log.writer != ZERO_WRITER


def H(tag: str, *parts: bytes) -> bytes:
    """SHA-256("banyan/1/" || tag || 0x00 || parts...), 32 bytes."""
    return hashlib.sha256(_DOMAINS[tag] + b"".join(parts)).digest()


def domain(tag: str) -> bytes:
    """What `H` hashes before the parts, for loops that hash by themselves."""
    return _DOMAINS[tag]


class _Domains(dict[str, bytes]):
    """The bytes that are hashed before the parts, by tag; there are about twenty tags."""

    def __missing__(self, tag: str) -> bytes:
        self[tag] = before = b"banyan/1/" + tag.encode() + b"\0"
        return before


_DOMAINS = _Domains()


def coll(name: str) -> Coll:
    """The id of a collection, 8 bytes. Anybody may choose a new name (`vn.example.sticker`)."""
    return Coll(H("coll", name.encode())[:8])


def key_digest(key: WriterKey) -> bytes:
    """H("key", key), 32 bytes. A key slot commits to this, so the key itself stays hidden until it signs."""
    return H("key", key)


MOST_LETTERS = 44
"""Of an account's 32 bytes in base58."""
_B58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_PREFIX = "did:banyan:z"
TEXTS = 4_096
"""Accounts whose text form is cached: a node that posts for a few accounts writes their texts with every post."""


@lru_cache(TEXTS)
def account_to_text(account: AccountId) -> str:
    """`did:banyan:z<base58btc of the 32 bytes>`."""
    return _PREFIX + base58(account)


def base58(raw: bytes) -> str:
    """base58btc of any bytes."""
    n, digits = int.from_bytes(raw, "big"), []
    while n:
        n, r = divmod(n, 58)
        digits.append(_B58[r])
    zeros = len(raw) - len(raw.lstrip(b"\0"))
    return "1" * zeros + "".join(reversed(digits))


def of_base58(text: str) -> bytes | None:
    """The inverse of `base58`; None if a letter is none of it. Slow for long texts."""
    if any(c not in _B58 for c in text):
        return None
    n = 0
    for c in text:
        n = n * 58 + _B58.index(c)
    zeros = len(text) - len(text.lstrip("1"))
    return bytes(zeros) + n.to_bytes((n.bit_length() + 7) // 8, "big")


@lru_cache(TEXTS)
def account_from_text(text: str) -> AccountId:
    """The inverse of `account_to_text`. Raises ValueError with a sentence if `text` is no account."""
    body = text.removeprefix(_PREFIX)
    if body == text or not body or any(c not in _B58 for c in body):
        raise ValueError(f"'{text[:60]}' is not an account: expected {_PREFIX}... in base58 letters")
    if len(body) > MOST_LETTERS:  # said at once: to read a number of a million digits takes an hour
        raise ValueError(f"'{text[:60]}' is not an account: it has {len(body)} letters, at most {MOST_LETTERS} fit")
    raw = of_base58(body) or b""
    if len(raw) != 32:
        raise ValueError(f"'{text[:60]}' is not an account: it holds {len(raw)} bytes, not 32")
    return AccountId(raw)
