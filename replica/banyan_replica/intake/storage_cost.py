"""What an item of a stranger costs on the disk: its own bytes, and the rows that are made of it.

No entry may take more disk than it is charged for, whatever it says. So each operation has a price beside its bytes,
because cells, covered writes and views have rows of it, most of them in places that are as good as random.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from heapq import nlargest

from banyan_crdt.checkpoint import Checkpoint, encode_checkpoint
from banyan_crdt.columns import Entries
from banyan_crdt.ops import Add, Body, Del, Put, part_of
from banyan_crdt.run import Run
from banyan_replica.intake.prepare import CheckedControl, CheckedRun
from banyan_replica.wire.messages import Content, pieces
from banyan_schema.social import POST

ACCOUNT_PRICE, LOG_PRICE, ENTRY_PRICE, SIGNATURE_PRICE = 1_000, 350, 220, 160
"""Bytes of disk that each costs beside its own bytes: rows of accounts, logs, heads, ids and chains. Measured, as those
below, on many shapes of what strangers may send (tests/replica/test_untrusted.py)."""
OP_PRICE, REF_PRICE, PART_PRICE = 160, 110, 450
"""The same of an operation, of a write that it replaces or covers, and of the content that it names: what it shows."""
COPIES, COPIED = 3, 160
"""Views store the content of an element of a set COPIES times, at most COPIED bytes of it each time."""
NAMED, NAMING = 330, 3.6
"""A post may name 10 accounts in so many bytes, and views make a row of each: NAMING bytes for each of these bytes."""
SPREAD = 1.25
"""Own bytes take so much more, because no page is quite full."""
FOUND_PRICE, WORD_PRICE, FOUND = 250, 35, 2.8
"""What a post takes in the index of the search: its row, each different word, and FOUND bytes for each of its bytes."""
_WORDS = re.compile(b"[0-9A-Za-z%c-%c]+" % (0x80, 0xFF))
_LETTERS = bytes(range(0x80))
_CHARACTER = 3
"""Bytes of a character of Chinese or Japanese, each of which is a word."""


def cost(item: CheckedRun | CheckedControl, places: Sequence[int], stored: int) -> int:
    """What `stored` of the item's entries cost, those in the places: if not all are stored, the dearest of them."""
    signatures = stored if isinstance(item, CheckedControl) else 1
    return _of_stored(item, places, stored) + ENTRY_PRICE * stored + SIGNATURE_PRICE * signatures


def cost_of_content(raw: bytes) -> int:
    """What content costs that comes after the entry that names it; of a post, if its kind is not known."""
    return int(len(raw) * SPREAD) + _found(raw)


def _found(content: Content) -> int:
    """What the content of posts takes in the index of the search."""
    total = 0
    for _, raw in pieces(content):
        words = set(_WORDS.findall(raw.lower()))
        number = sum(max(1, len(word.translate(None, _LETTERS)) // _CHARACTER) for word in words)
        total += FOUND_PRICE + WORD_PRICE * number + int(FOUND * len(raw))
    return total


def cost_of_checkpoint(new: Checkpoint, before: Checkpoint | None) -> int:
    """What a checkpoint costs in the place of another one."""
    size = len(encode_checkpoint(new)) - (0 if before is None else len(encode_checkpoint(before)))
    return int(max(0, size) * SPREAD) + SIGNATURE_PRICE


def _of_stored(item: CheckedRun | CheckedControl, places: Sequence[int], stored: int) -> int:
    if isinstance(item, CheckedControl):
        each = _of_control(item, places)
    elif (puts := item.run.puts) is not None:  # most are
        ops = _ops(item.run)
        if stored == len(ops):
            size = sum(map(len, ops)) + sum(_size(item.contents, k) for k in range(min(stored, len(item.contents))))
            found = sum(_found(raw) for coll, raw in zip(puts.colls, item.contents, strict=False) if coll == POST)
            return int(size * SPREAD) + (OP_PRICE + PART_PRICE) * stored + sum(map(_naming, puts.sizes)) + found
        fixed = OP_PRICE + PART_PRICE
        each = [int((len(ops[k]) + _size(item.contents, k)) * SPREAD) + fixed + _naming(puts.sizes[k]) for k in places]
        posts = [puts.colls[k] == POST and k < len(item.contents) for k in places]
        each = [
            price + (_found(item.contents[k]) if is_post else 0)
            for price, is_post, k in zip(each, posts, places, strict=True)
        ]
    else:
        ops = _ops(item.run)
        each = [_of_body(len(ops[k]), item.run.bodies[k], _content(item.contents, k)) for k in places]
    return sum(each) if stored >= len(each) else sum(nlargest(stored, each))


def _ops(run: Run) -> Sequence[bytes]:
    """The operations of its entries, without making the entries."""
    return run.entries.columns.ops if isinstance(run.entries, Entries) else [entry.ops for entry in run.entries]


def _of_control(item: CheckedControl, places: Sequence[int]) -> list[int]:
    return [int((len(item.entries[k].ops) + _size(item.contents, k)) * SPREAD) for k in places]


def _content(contents: Sequence[Content], k: int) -> Content:
    """The content that came with an entry. Content of which only the hash came costs nothing yet."""
    return contents[k] if k < len(contents) else None


def _size(contents: Sequence[Content], k: int) -> int:
    content = _content(contents, k)
    return len(content) if isinstance(content, bytes) else sum(len(raw) for _, raw in pieces(content))


def _naming(size: int) -> int:
    """What the accounts cost that a post names. size: of the content that is declared, here or not."""
    return int(min(size, NAMED) * NAMING)


def _of_body(size: int, body: Body, content: Content) -> int:
    """size: bytes of the operations. content: what came of theirs."""
    rows, came = OP_PRICE * len(body.ops), pieces(content)
    size += sum(len(raw) for _, raw in came)
    rows += sum(_found(raw) for at, raw in came if at < len(body.ops) and getattr(body.ops[at], "coll", None) == POST)
    for op in body.ops:
        if isinstance(op, Put | Del):
            rows += REF_PRICE * len(op.refs)
        part = part_of(op)
        if part is not None:
            rows += PART_PRICE + (COPIES * min(part.size, COPIED) if isinstance(op, Add) else 0)
            rows += _naming(part.size) if isinstance(op, Put) else 0
    return int(size * SPREAD) + rows
