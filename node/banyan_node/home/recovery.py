"""The keys of an account that are made from 24 words that no file holds: its recovery key, and what a handover moves to
a user's paper (its root key, and a writer that is handed what the account said to itself).

Key number n is derived from the words only. So one sheet of paper serves every account, and a commitment can be made
without a node. The invariants:

- A node gets a public commitment, never the words. Only a recovery gives it the seed of one key.
- The next key stays on paper, so a thief of the current seed cannot rotate the key.
- No key derived from recovery words is a key derived from a master, although both are written as 24 words
  (mnemonic.py).
"""

import secrets
from typing import NamedTuple

from nacl.bindings import crypto_sign_seed_keypair

from banyan_crdt.ids import WriterKey, key_digest
from banyan_crdt.ops import Slot
from banyan_node.home.keystore import Keys
from banyan_node.home.mnemonic import Paper, read, spell
from banyan_node.operator_errors import WrongWords

GENERATIONS = 256
"""Rotations of a recovery key that are searched for the one that an account commits to."""


def new_words() -> str:
    """24 new random words. They are stored nowhere: show them once."""
    return spell(secrets.token_bytes(32), Paper.RECOVERY)


def commitment(words: str) -> str:
    """The digests of the first two keys, 128 hexadecimal digits: an account is opened with them. Raises BadBackup."""
    keys = _keys(words)
    return (_digest(_seed(keys, 0)) + _digest(_seed(keys, 1))).hex()


def slot_of(text: str) -> Slot:
    """The key slot of a commitment. Raises ValueError."""
    digits = text.strip().lower()
    if len(digits) != 128 or not set(digits) <= set("0123456789abcdef") or digits[:64] == digits[64:]:
        raise ValueError(
            f"a recovery commitment is two different key digests, 128 hexadecimal digits, and this has {len(digits)}"
            " characters; `banyan keys words` makes one"
        )
    return Slot(bytes.fromhex(digits[:64]), bytes.fromhex(digits[64:]))


def seed_for(words: str, current: bytes) -> bytes:
    """The seed of the key whose digest is `current`. Raises BadBackup, WrongWords."""
    keys = _keys(words)
    for generation in range(GENERATIONS):
        seed = _seed(keys, generation)
        if _digest(seed) == current:
            return seed
    raise WrongWords(
        "These words are complete, but they are not the recovery words of this account, so nothing was changed; find"
        " the paper of this account (the words of `banyan keys backup` are others)."
    )


def first_digests(keys: Keys, count: int) -> frozenset[bytes]:
    """The commitments of accounts whose recovery words were mistaken for the words of this master."""
    return frozenset(_digest(_seed(keys, generation)) for generation in range(count))


def rotation(words: str, following: bytes) -> tuple[bytes, bytes]:
    """(seed of the key whose digest is `following`, digest of the key after it). Raises as `seed_for`."""
    seed = seed_for(words, following)
    keys = _keys(words)
    generation = next(g for g in range(GENERATIONS) if _seed(keys, g) == seed)
    return seed, _digest(_seed(keys, generation + 1))


class SlotKeys(NamedTuple):
    """What a slot moves to: the seed of a paper's first key, and the digest of the key after it."""

    seed: bytes
    following: bytes


def first_root(words: str) -> SlotKeys:
    """The first root key of a paper. Raises BadBackup."""
    keys = _keys(words)
    return SlotKeys(_root(keys, 0), _digest(_root(keys, 1)))


def first_recovery(words: str) -> SlotKeys:
    """The first recovery key of a paper. Raises BadBackup."""
    keys = _keys(words)
    return SlotKeys(_seed(keys, 0), _digest(_seed(keys, 1)))


def next_root(words: str, following: bytes) -> bytes | None:
    """The seed of the root key whose digest is `following`, if the paper makes it. Raises BadBackup."""
    keys = _keys(words)
    seeds = (_root(keys, generation) for generation in range(GENERATIONS))
    return next((seed for seed in seeds if _digest(seed) == following), None)


def carrier(words: str) -> bytes:
    """The seed of the writer that a handover hands what the account said to itself. Raises BadBackup."""
    return _keys(words).derive("handed writer")


def carrier_key(words: str) -> WriterKey:
    """The public key of that writer. Raises BadBackup."""
    public, _ = crypto_sign_seed_keypair(carrier(words))
    return WriterKey(public)


def root_digest(words: str, generation: int) -> bytes:
    """The digest of a root key of the paper. Raises BadBackup."""
    return _digest(_root(_keys(words), generation))


def _root(keys: Keys, generation: int) -> bytes:
    return keys.derive("handed root", generation.to_bytes(8, "big"))


def _keys(words: str) -> Keys:
    return Keys(read(words, Paper.RECOVERY))


def _seed(keys: Keys, generation: int) -> bytes:
    return keys.derive("recovery", generation.to_bytes(8, "big"))


def _digest(seed: bytes) -> bytes:
    public, _ = crypto_sign_seed_keypair(seed)
    return key_digest(WriterKey(public))
