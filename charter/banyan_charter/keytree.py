"""The keys of a seat: one for each number of an epoch, all fixed by one root of 32 bytes.

Whoever has the seed of a number can make those of all later numbers and none of earlier ones (forward security, as in
Bellare and Miner 1999). A member destroys a number's seed when the epoch stands, so what is stolen later signs no old
number anew. The keys are the leaves of a Merkle tree, so a verifier that knows the root checks the key of any number.

    seed i+1 = H("charter/seed", seed i)          secret i = H("charter/secret", seed i)
    leaf i   = H("charter/leaf", public key i)    node     = H("charter/node", left, right)
"""

from __future__ import annotations

from hashlib import sha256
from typing import NamedTuple

from banyan_crdt.errors import Malformed, Refused
from banyan_crdt.ids import EntryId, H, WriterKey, domain
from banyan_crdt.realm import Realm
from banyan_crdt.signing import Signer, verify

DEPTH = 12
LEAVES = 1 << DEPTH
"""Numbers for which a root has keys: at one epoch a day eleven years. Then the member renews its root."""
PATH_BYTES = 32 * DEPTH


class Signature(NamedTuple):
    """A signature by key `leaf` of a tree. `path`: the sibling hashes from the leaf up, PATH_BYTES. `sig`: 64 bytes.
    `root`: of the tree that has this key at this leaf, 32 bytes; it follows from the others."""

    leaf: int
    key: WriterKey
    path: bytes
    sig: bytes
    root: bytes


def root_of(leaf: int, key: WriterKey, path: bytes) -> bytes:
    """The root of the tree that has this key at this leaf, 32 bytes."""
    found, tag = H("charter/leaf", key), domain("charter/node")
    for k in range(0, PATH_BYTES, 32):
        other = path[k : k + 32]
        found = sha256(tag + (other + found if leaf & 1 else found + other)).digest()
        leaf >>= 1
    return found


def signature_of(fields: object) -> Signature:
    """The signature of the CBOR array [leaf, key, path, sig]. Raises Malformed. Does not check it."""
    if type(fields) is not list or len(fields) != 4:
        raise Malformed("a charter's signature is [leaf, key, path, sig]")
    leaf, key, path, sig = fields
    if type(leaf) is not int or not 0 <= leaf < LEAVES:
        raise Malformed(f"a leaf is a number below {LEAVES}")
    for name, value, size in (("key", key, 32), ("path", path, PATH_BYTES), ("sig", sig, 64)):
        if type(value) is not bytes or len(value) != size:
            raise Malformed(f"{name} is {size} bytes")
    return Signature(leaf, key, path, sig, root_of(leaf, key, path))


def check(realm: Realm, signature: Signature, what: bytes) -> None:
    """Raises BadSignature unless it signs these 32 bytes. Which root it is of is another question."""
    verify(realm, signature.key, EntryId(what), signature.sig)


class KeyTree:
    """What a member keeps offline: the seed of the lowest number that it can still sign, and the leaves of the tree,
    which are no secret."""

    def __init__(self, leaves: bytes, at: int, seed: bytes) -> None:
        self.leaves, self.at, self._seed = leaves, at, seed
        self._rows = [leaves]
        while len(self._rows[-1]) > 32:
            row = self._rows[-1]
            self._rows.append(b"".join(H("charter/node", row[k : k + 64]) for k in range(0, len(row), 64)))

    @classmethod
    def grown(cls, realm: Realm, seed: bytes, numbers: int = LEAVES) -> KeyTree:
        """A new tree from 32 random bytes: some 0.2 s. numbers: it has so many keys; the other leaves are zeros."""
        leaves, now = [], seed
        for _ in range(numbers):
            leaves.append(H("charter/leaf", Signer(realm, H("charter/secret", now)).key))
            now = H("charter/seed", now)
        return cls(b"".join(leaves).ljust(32 * LEAVES, b"\0"), 0, seed)

    @property
    def root(self) -> bytes:
        """What stands in the seat, 32 bytes."""
        return self._rows[-1]

    @property
    def secret(self) -> tuple[int, bytes]:
        """(the lowest leaf that it can sign with, its seed): what is kept, beside the leaves."""
        return self.at, self._seed

    def sign(self, realm: Realm, leaf: int, what: bytes) -> Signature:
        """Signs 32 bytes. Raises Refused for a leaf whose seed was destroyed, or beyond the last."""
        if not self.at <= leaf < LEAVES:
            lost = (
                f"the keys below {self.at} are destroyed" if leaf < self.at else f"the last is {LEAVES - 1}: renew it"
            )
            raise Refused(f"this seat has no key {leaf}: {lost}.")
        signer = Signer(realm, H("charter/secret", self._seed_of(leaf)))
        path = b"".join(row[32 * (leaf >> k ^ 1) :][:32] for k, row in enumerate(self._rows[:-1]))
        return Signature(leaf, signer.key, path, signer.sign(EntryId(what)), self.root)

    def destroy_below(self, leaf: int) -> None:
        """Forgets the seeds of all lower leaves. The caller writes the rest to disk and removes the old file."""
        if leaf > self.at:
            self._seed, self.at = self._seed_of(min(leaf, LEAVES)), min(leaf, LEAVES)

    def _seed_of(self, leaf: int) -> bytes:
        seed = self._seed
        for _ in range(self.at, leaf):
            seed = H("charter/seed", seed)
        return seed
