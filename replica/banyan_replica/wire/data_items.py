"""The items of `data`, the most frequent message. They are read and written by hand; GRAMMAR has their grammar."""

from __future__ import annotations

from typing import Any

from banyan_crdt.errors import Malformed
from banyan_crdt.ids import AccountId
from banyan_replica.wire.fields import B32, BYTES, U16, read_bytes, read_list, read_rows
from banyan_replica.wire.messages import MAX_PROOF, CheckpointItem, Content, ControlItem, Item, RunItem

CONTROL, RUN, CHECKPOINT = 0, 1, 2
"""Kinds of items."""

GRAMMAR = {
    "item": (
        f"[{CONTROL}, account: b32, entries: [* control], contents] / [{RUN}, run: bstr, contents]\n"
        f"/ [{RUN}, run: bstr, contents, proof: [1*{MAX_PROOF} header: bstr]] / [{CHECKPOINT}, checkpoint: bstr]"
    ),
    "contents": "[* content]",
    "content": "null / bstr / [* [op: u16, bytes: bstr]]",
}


def encode_item(item: Item) -> list[Any]:
    """The array of an item, for CBOR."""
    if isinstance(item, RunItem):  # most are
        made = [RUN, item.run, _plain(item.contents)]
        return [*made, list(item.proof)] if item.proof else made
    if isinstance(item, ControlItem):
        return [CONTROL, item.account, [list(e) for e in item.entries], _plain(item.contents)]
    return [CHECKPOINT, item.checkpoint]


def _plain(contents: list[Content]) -> list[Any]:
    return [[list(pair) for pair in c] if type(c) is list else c for c in contents]


def encode_items(items: list[Item]) -> list[Any]:
    """The array of items, for CBOR."""
    return [encode_item(i) for i in items]


def size_of(item: Item) -> int:
    """The approximate bytes of the item in a frame. Use it for packing only: credit counts exact frames."""
    if isinstance(item, CheckpointItem):
        return len(item.checkpoint) + 8
    size = len(item.run) if isinstance(item, RunItem) else sum([len(x) + 3 for e in item.entries for x in e])
    return 40 + size + sum([content_size(c) for c in item.contents])


def content_size(content: Content) -> int:
    """The approximate bytes of an entry's content in a frame."""
    if content is None:
        return 1
    return len(content) + 3 if isinstance(content, bytes) else sum(len(raw) + 8 for _, raw in content)


def decode_item(v: Any) -> Item:
    """The inverse of `encode_item`. Raises Malformed."""
    if type(v) is list and len(v) == 3 and v[0] == RUN:  # most are
        return RunItem(read_bytes(v[1]), _contents(v[2]))
    if type(v) is list and len(v) == 4 and v[0] == CONTROL:
        return ControlItem(AccountId(B32.read(v[1])), read_list(v[2]), _contents(v[3]))
    if type(v) is list and len(v) == 4 and v[0] == RUN:
        if not 0 < len(read_list(v[3])) <= MAX_PROOF:
            raise Malformed(f"a proof has 1 to {MAX_PROOF} headers, this one {len(v[3])}")
        return RunItem(read_bytes(v[1]), _contents(v[2]), [read_bytes(h) for h in v[3]])
    if type(v) is list and len(v) == 2 and v[0] == CHECKPOINT:
        return CheckpointItem(read_bytes(v[1]))
    raise Malformed("a data item is [0, account, entries, contents], [1, run, contents(, proof)] or [2, checkpoint]")


def decode_items(v: Any) -> list[Item]:
    """The inverse of `encode_items`. Raises Malformed."""
    return [decode_item(i) for i in read_list(v)]


def _contents(v: Any) -> list[Content]:
    return [c if c is None or type(c) is bytes else _pairs(c) for c in read_list(v)]


def _pairs(c: Any) -> list[tuple[int, bytes]]:
    return [(U16.read(op), BYTES.read(raw)) for op, raw in read_rows(c, 2)]
