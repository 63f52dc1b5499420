"""What an order commits to: its items, of which the public sees only their number and a root.

    item = [account 32, key 16, digest 32]          a post, and the digest of what it says (zeros: none was known)
    leaf = H("order/leaf", salt 16, account, key, digest)
    root = of the tree of RFC 6962 over the leaves in ascending order, whose nodes are H("order/node", left, right)

Each item has a salt of its own. So whoever knows the public part finds out nothing by trying posts, and a platform that
shows one item with its salt discloses no other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import NamedTuple

from banyan_crdt.codec import decode, encode
from banyan_crdt.errors import BanyanError, Malformed
from banyan_crdt.ids import AccountId, CellKey, H
from banyan_schema.address import Target
from banyan_schema.social.order import MOST_ITEMS, OrderNotice

NO_DIGEST = bytes(32)


class OrderItem(NamedTuple):
    """A post that an order names. `digest`: of its content (`digest_of`), by which copies are found."""

    salt: bytes
    post: Target
    digest: bytes = NO_DIGEST

    @property
    def leaf(self) -> bytes:
        """32 bytes; without the salt nobody knows what it stands for."""
        return H("order/leaf", self.salt, self.post.raw, self.digest)


def digest_of(text: str, blobs: Sequence[bytes]) -> bytes:
    """Of what a post says, 32 bytes: its text, and the roots of its pictures and films."""
    return H("order/copy", encode([text.encode(), list(blobs)]))


def root_of(leaves: Sequence[bytes]) -> bytes:
    """32 bytes. Leaves in ascending order, at least one."""
    if len(leaves) == 1:
        return leaves[0]
    half = 1 << (len(leaves) - 1).bit_length() - 1
    return H("order/node", root_of(leaves[:half]), root_of(leaves[half:]))


def path_of(leaves: Sequence[bytes], leaf: bytes) -> list[tuple[bool, bytes]]:
    """From the leaf up to the root: the hash on the other side, and whether that is on the right."""
    if len(leaves) == 1:
        return []
    half = 1 << (len(leaves) - 1).bit_length() - 1
    if leaf < leaves[half]:
        return [*path_of(leaves[:half], leaf), (True, root_of(leaves[half:]))]
    return [*path_of(leaves[half:], leaf), (False, root_of(leaves[:half]))]


def committed(items: Sequence[OrderItem]) -> tuple[int, bytes]:
    """(count, root). Raises ValueError with a sentence."""
    if not 1 <= len(items) <= MOST_ITEMS:
        raise ValueError(f"an order names 1 to {MOST_ITEMS} posts, and this one {len(items)}: give several orders")
    leaves = sorted({item.leaf for item in items})
    if len(leaves) < len(items) or len({item.post for item in items}) < len(items):
        raise ValueError("an order names no post twice")
    return len(leaves), root_of(leaves)


def encode_items(items: Sequence[OrderItem]) -> bytes:
    """What goes to platforms in scope."""
    return encode([[item.salt, *item.post, item.digest] for item in items])


def decode_items(raw: bytes, order: OrderNotice) -> tuple[OrderItem, ...]:
    """The items of this order. Raises Malformed."""
    return _of_order(_items(raw), order)


def joined_items(pieces: Iterable[bytes], order: OrderNotice) -> bytes:
    """Several `encode_items`, as one. Raises Malformed if they are not the items of this order."""
    return encode_items(_of_order(tuple(item for raw in pieces for item in _items(raw)), order))


def _of_order(found: tuple[OrderItem, ...], order: OrderNotice) -> tuple[OrderItem, ...]:
    with suppress(ValueError):
        if committed(found) == (order.count, order.root):
            return found
    raise Malformed("these are not the items to which the order commits")


def _items(raw: bytes) -> tuple[OrderItem, ...]:
    try:
        return tuple(_item(one) for one in _rows(decode(raw, 2)))
    except (BanyanError, ValueError) as why:
        raise Malformed(f"these are no items of an order: {why}") from None


def _rows(v: object) -> list[object]:
    if type(v) is not list:
        raise ValueError("they are a list")
    return v


def _item(v: object) -> OrderItem:
    sizes = (16, 32, 16, 32)
    if (
        type(v) is not list
        or len(v) != 4
        or any(type(b) is not bytes or len(b) != n for b, n in zip(v, sizes, strict=True))
    ):
        raise ValueError("an item is [salt 16, account 32, key 16, digest 32]")
    return OrderItem(v[0], Target(AccountId(v[1]), CellKey(v[2])), v[3])
