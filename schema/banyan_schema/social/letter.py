"""Letters: what an account says to some others alone. Everybody carries them, and who is meant reads them.

| collection | op | cell | content |
|---|---|---|---|
| letter | put | a name | [sealed] |
| letter.reader | put | `reader_key` | [name b16, writer b32, wrapped b80] |

A letter is sealed under a secret of its own (banyan_crdt.sealing), which is wrapped for each writer of those who may
read it. Who may is public, and how long it is in a few steps. Keys are not made with the account's salt, so a reader
finds what is for it.
"""

from __future__ import annotations

from typing import NamedTuple

from banyan_crdt.ids import AccountId, CellKey, H, WriterKey
from banyan_crdt.ops import Put
from banyan_crdt.sealing import SEALED_MORE, SIZES, WRAPPED_BYTES, open_sealed, seal
from banyan_schema.collection import Collection, OpDraft
from banyan_schema.fields import HASH, KEY, blob
from banyan_schema.layout import Layout

MAX_LETTER = SIZES[-1] - 2
"""Bytes that a letter says."""


class Letter(NamedTuple):
    """box: sealed under the secret of the letter."""

    box: bytes


class LetterReader(NamedTuple):
    """The secret of the letter of this name, wrapped for one writer."""

    letter: CellKey
    writer: WriterKey
    box: bytes


LETTERS = Collection("letter", "register", Layout(Letter, tuple, (blob("a letter", SIZES[-1] + SEALED_MORE),)))
READERS = Collection(
    "letter.reader", "register", Layout(LetterReader, tuple, (KEY, HASH, blob("a wrapped secret", WRAPPED_BYTES)))
)
COLLECTIONS = (LETTERS, READERS)


def keys_of(writer: WriterKey) -> bytes:
    """What the keys of all cells begin with that hand this writer a secret, 8 bytes."""
    return H("letter.reader", writer)[:8]


def reader_key(name: CellKey, writer: WriterKey) -> CellKey:
    """The cell that hands this writer the secret of this letter."""
    return CellKey(keys_of(writer) + name[:8])


def write_letter(account: AccountId, name: CellKey, secret: bytes, said: bytes, nonce: bytes) -> OpDraft:
    """secret: 32 bytes, new for each letter; nonce: 24 random ones. Raises ValueError past MAX_LETTER."""
    box = seal(secret, account + LETTERS.id + name, said, nonce)
    return OpDraft(Put(LETTERS.id, name, (), None), LETTERS.encode(Letter(box)))


def hand_letter(name: CellKey, writer: WriterKey, box: bytes) -> OpDraft:
    """Lets a writer read it. box: the secret, wrapped for the writer."""
    said = READERS.encode(LetterReader(name, writer, box))
    return OpDraft(Put(READERS.id, reader_key(name, writer), (), None), said)


def read_letter(account: AccountId, name: CellKey, secret: bytes, letter: Letter) -> bytes | None:
    """What it says; None if this secret does not open it."""
    return open_sealed(secret, account + LETTERS.id + name, letter.box)
