"""The Merkle tree of RFC 6962 with SHA-256, sections 2.1 to 2.1.3, and its two proofs.

A perfect subtree has 2^level leaves and begins at a multiple of that; its name is (level, index), and (0, n) is leaf n.
Every hash of the tree is made of those of perfect subtrees, which never change as the log grows.

A proof is a list of hashes of ranges of leaves. `_siblings` says which ranges, for the side that makes a proof and for
the side that checks it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import TypeAlias

from banyan_crdt.errors import Reject

Hashes: TypeAlias = Callable[[int, int], bytes]
"""(level, index) -> the hash of that perfect subtree, 32 bytes."""
EMPTY = sha256(b"").digest()
"""The root of a tree without leaves."""
MOST_LEAVES = (1 << 63) - 1


class BadProof(Reject):
    """A proof does not show what it should."""


def leaf_hash(entry: bytes) -> bytes:
    """SHA-256(0x00 || entry)."""
    return sha256(b"\0" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 || left || right)."""
    return sha256(b"\1" + left + right).digest()


def range_hash(hashes: Hashes, start: int, end: int) -> bytes:
    """The hash of the leaves [start, end), a range that occurs in a tree: start is 0, or a multiple of a power of two
    that is not less than the length."""
    found = b""
    while start < end:
        level = ((end - start) & -(end - start)).bit_length() - 1  # of the last perfect subtree
        end -= 1 << level
        right = hashes(level, end >> level)
        found = node_hash(right, found) if found else right
    return found or EMPTY


def root_hash(hashes: Hashes, size: int) -> bytes:
    """The root of the first `size` leaves."""
    return range_hash(hashes, 0, size)


def _siblings(size: int, to: Callable[[int, int], bool], inside: int) -> tuple[int, list[tuple[int, int]]]:
    """Goes down from the root to a range of leaves, always to the side where leaf `inside` is, until `to(start, end)`:
    where that range starts, and the ranges on the other side, lowest first."""
    start, end, found = 0, size, list[tuple[int, int]]()
    while not to(start, end):
        middle = start + (1 << (end - start - 1).bit_length() - 1)
        if inside < middle:
            found.append((middle, end))
            end = middle
        else:
            found.append((start, middle))
            start = middle
    return start, found[::-1]


def _inclusion(index: int, size: int) -> list[tuple[int, int]]:
    if not 0 <= index < size:
        raise BadProof(f"a log of {size} entries has no entry {index}")
    return _siblings(size, lambda start, end: end - start == 1, index)[1]


def _consistency(old: int, size: int) -> list[tuple[int, int]]:
    """The subtree that ends at `old` first, unless that is the whole old tree, whose root is known."""
    if old > size:
        raise BadProof(f"a log of {old} entries cannot become one of {size}: a log only grows")
    if not old:
        return []
    start, ranges = _siblings(size, lambda _, end: end == old, old - 1)
    return [(start, old), *ranges] if start else ranges


def inclusion_proof(hashes: Hashes, index: int, size: int) -> list[bytes]:
    """That entry `index` is in the tree of `size`: hashes from the leaf's sibling up. Raises BadProof if it is not."""
    return [range_hash(hashes, *one) for one in _inclusion(index, size)]


def consistency_proof(hashes: Hashes, old: int, size: int) -> list[bytes]:
    """That the tree of `size` begins with that of `old`. Empty from 0, and from `size` itself. Raises BadProof."""
    return [range_hash(hashes, *one) for one in _consistency(old, size)]


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """leaf: the hash of the entry. Raises BadProof."""
    found = leaf
    for other, (start, _) in zip(proof, _fitting(proof, _inclusion(index, size)), strict=True):
        found = node_hash(found, other) if start > index else node_hash(other, found)
    if found != root:
        raise BadProof(f"entry {index} is not in this log of {size}: the proof comes to another root")


def verify_consistency(old: int, old_root: bytes, size: int, root: bytes, proof: Sequence[bytes]) -> None:
    """Raises BadProof."""
    ranges = _fitting(proof, _consistency(old, size))
    before = after = old_root
    if not old:
        before, after = EMPTY, root if size else EMPTY
    for other, (start, end) in zip(proof, ranges, strict=True):
        if end == old:
            before = after = other
        elif start < old:
            before, after = node_hash(other, before), node_hash(other, after)
        else:
            after = node_hash(after, other)
    if (before, after) != (old_root, root):
        raise BadProof(f"the log of {size} entries does not begin with the known log of {old}: it was rewritten")


def _fitting(proof: Sequence[bytes], ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    if len(proof) != len(ranges) or any(len(one) != 32 for one in proof):
        raise BadProof(f"a proof of {len(proof)} hashes; {len(ranges)} of 32 bytes are meant")
    return ranges
