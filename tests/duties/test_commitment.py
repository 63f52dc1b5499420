"""What an order commits to, and that its public part tells nothing of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from banyan_crdt.codec import encode
from banyan_crdt.errors import Malformed
from banyan_crdt.ids import AccountId, CellKey, H
from banyan_duties.commitment import OrderItem, committed, decode_items, digest_of, encode_items, root_of
from banyan_schema.address import Target
from banyan_schema.social.order import MOST_ITEMS, OrderNotice


def item(n: int, salt: bytes = b"s" * 16) -> OrderItem:
    return OrderItem(salt, Target(AccountId(b"a" * 32), CellKey(n.to_bytes(16, "big"))))


def notice(items: list[OrderItem]) -> OrderNotice:
    return OrderNotice("vn", "", "", 60, 0, *committed(items))


@pytest.mark.parametrize("many", [1, 2, 3, 7, MOST_ITEMS])
def test_items_are_read_as_they_were_committed_to_in_any_order(many: int) -> None:
    items = [item(n) for n in range(many)]
    assert committed(items) == committed(items[::-1])
    assert list(decode_items(encode_items(items), notice(items))) == items


def test_the_tree_has_the_shape_of_rfc_6962() -> None:
    a, b, c = (bytes([n]) * 32 for n in range(3))
    assert root_of([a, b, c]) == H("order/node", H("order/node", a, b), c)


def test_other_items_another_count_and_another_salt_are_refused() -> None:
    items = [item(n) for n in range(3)]
    order = notice(items)
    for wrong in ([], items[:2], [*items[:2], item(2, b"t" * 16)], [*items[:2], item(9)]):
        with pytest.raises(Malformed, match="to which the order commits"):
            decode_items(encode_items(wrong), order)
    with pytest.raises(Malformed, match="to which the order commits"):
        decode_items(encode_items(items), replace(order, count=4))
    for raw in (b"", b"\xff", encode([[b"s" * 15, b"a" * 32, b"k" * 16, bytes(32)]]), encode([1])):
        with pytest.raises(Malformed, match="these are no items of an order"):
            decode_items(raw, order)


def test_what_an_order_cannot_name_is_said_in_a_sentence() -> None:
    with pytest.raises(ValueError, match="names 1 to 1000 posts, and this one 1001: give several"):
        committed([item(n) for n in range(1_001)])
    with pytest.raises(ValueError, match="names 1 to 1000 posts, and this one 0"):
        committed([])
    with pytest.raises(ValueError, match="no post twice"):
        committed([item(1), item(1, b"t" * 16)])


def test_one_post_has_another_leaf_in_each_order() -> None:
    assert item(1).leaf != item(1, b"t" * 16).leaf
    assert digest_of("a", []) != digest_of("a", [bytes(32)]) != digest_of("b", [bytes(32)])
