"""What an account says to itself. Others carry it and cannot read it.

| collection | op | cell | element | content |
|---|---|---|---|---|
| keyring | add | one for the account | secret, writer | [secret b16, writer b32, wrapped b80] |
| private | put | what it is | | [secret b16, sealed] |

A secret has a random name of 16 bytes. It is wrapped for each writer that may write everything (banyan_crdt.sealing).
What is sealed is [kind, content] (private_kinds.py). The key of its cell is made with the secret, so it tells nothing.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from typing import NamedTuple

from banyan_crdt.codec import encode
from banyan_crdt.ids import AccountId, CellKey, Ref, WriterKey
from banyan_crdt.ops import Add, Put
from banyan_crdt.sealing import SEALED_MORE, SIZES, WRAPPED_BYTES, open_sealed, seal
from banyan_schema.collection import Collection, OpDraft, cell_key
from banyan_schema.fields import HASH, KEY, blob
from banyan_schema.layout import Layout
from banyan_schema.private_kinds import PrivateRecord, said_in, text_of


class WrappedSecret(NamedTuple):
    """A secret, wrapped for one writer."""

    secret: CellKey
    writer: WriterKey
    box: bytes


class SealedContent(NamedTuple):
    """Something sealed under the secret of this name."""

    secret: CellKey
    box: bytes


KEYS = Collection("keyring", "set", Layout(WrappedSecret, tuple, (KEY, HASH, blob("a wrapped secret", WRAPPED_BYTES))))
SEALED = Collection(
    "private", "register", Layout(SealedContent, tuple, (KEY, blob("private content", SIZES[-1] + SEALED_MORE)))
)
KEYRING, PRIVATE = KEYS.id, SEALED.id
COLLECTIONS = (KEYS, SEALED)


def hand_over(salt: bytes, wrapped: WrappedSecret) -> OpDraft:
    """Gives a writer a secret. salt: the account's, 32 bytes."""
    op = Add(KEYRING, cell_key(salt, b"keyring"), cell_key(salt, b"keyring", wrapped.secret, wrapped.writer), None)
    return OpDraft(op, KEYS.encode(wrapped))


def private_key(secret: bytes, said: PrivateRecord) -> CellKey:
    """The cell of a thing, 16 bytes. secret: 32 bytes."""
    told = encode([said.kind.encode(), said.name])
    return CellKey(hmac.digest(secret, b"banyan/1/private\0" + told, "sha256")[:16])


def say_privately(
    account: AccountId, name: CellKey, secret: bytes, said: PrivateRecord, nonce: bytes, replaces: Iterable[Ref] = ()
) -> OpDraft:
    """name: of the secret. nonce: 24 random bytes. replaces: the live writes of its cell. Raises ValueError past a
    limit."""
    key = private_key(secret, said)
    box = seal(secret, account + PRIVATE + key, text_of(said), nonce)
    return OpDraft(Put(PRIVATE, key, tuple(replaces), None), SEALED.encode(SealedContent(name, box)))


def read_privately(account: AccountId, key: CellKey, secret: bytes, sealed: SealedContent) -> PrivateRecord | None:
    """None if it cannot be opened or is of a kind that is not known here."""
    raw = open_sealed(secret, account + PRIVATE + key, sealed.box)
    return None if raw is None else said_in(raw)
