"""Addresses: how an account names a post, or another cell, of any account, whether it is held or not."""

from __future__ import annotations

from hashlib import sha256
from typing import NamedTuple

from banyan_crdt.ids import AccountId, CellKey, account_from_text, account_to_text

SHORT_BYTES = 16


class Target(NamedTuple):
    """A post: its account (32 bytes) and its key in that account (16 bytes)."""

    account: AccountId
    key: CellKey

    @classmethod
    def of(cls, raw: bytes) -> Target:
        """Of its 48 bytes."""
        return cls(AccountId(raw[:32]), CellKey(raw[32:]))

    @property
    def raw(self) -> bytes:
        """48 bytes: the account, then the key."""
        return self.account + self.key


def conversation(root: Target) -> bytes:
    """8 bytes that stand for the conversation that this post opened, where a row has no room for its 48. Another post
    may have the same, so a reader compares the posts themselves."""
    return sha256(root.raw).digest()[:8]


def short(target: Target) -> bytes:
    """16 bytes that stand for a post where its 48 are too many."""
    return sha256(target.raw).digest()[:SHORT_BYTES]


def post_to_text(target: Target) -> str:
    """`did:banyan:z.../<key in hex>`."""
    return f"{account_to_text(target.account)}/{target.key.hex()}"


def post_from_text(text: str) -> Target:
    """The inverse of `post_to_text`. Raises ValueError with a sentence if `text` is no post."""
    account, slash, key = text.partition("/")
    if not slash or len(key) != 32 or any(c not in "0123456789abcdef" for c in key):
        raise ValueError(f"'{text[:60]}' is not a post: expected <account>/<32 hexadecimal digits>")
    return Target(account_from_text(account), CellKey(bytes.fromhex(key)))
