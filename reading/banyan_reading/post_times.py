"""When a post was written, and when it was edited: what the rows say (questions.py)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from banyan_crdt.ops import Op, Put, decode_body
from banyan_crdt.parts import content_of
from banyan_crdt.shapes import is_first_write
from banyan_reading.answers import PostView
from banyan_schema.address import Target
from banyan_schema.registry import SOCIAL
from banyan_schema.social import POST, Post
from banyan_schema.social.post import time_in
from banyan_storage.entry_records import decode_line, is_first_post
from banyan_storage.reader import StoreReader
from banyan_storage.slots import ms_of
from banyan_storage.tables import RowLayout, number

if TYPE_CHECKING:
    from banyan_reading.view_reader import ViewReader

_PLACE = RowLayout("arrival 6 | op 2")
POLICIES = 32
"""So many changes of the policy alone are looked through, one behind another."""


def edits(ask: ViewReader, views: Iterable[PostView]) -> dict[bytes, int]:
    at = [(view, view.write[_PLACE.arrival], view.write[_PLACE.op]) for view in views]
    records, found = ask.records([arrival for _, arrival, _ in at]), dict[bytes, int]()
    for view, arrival, op in at:
        raw = records.get(arrival)
        if raw is None or is_first_post(raw, view.target.key):
            continue
        line = decode_line(number(arrival), raw)
        if not is_first_write(line.ops, POST, view.target.key):
            said_ms = _said_ms(ask.reader, view, decode_body(line.ops).ops[number(op)], line.time >> 16)
            if said_ms is not None:
                found[view.write] = said_ms
    return found


def _said_ms(reader: StoreReader, view: PostView, op: Op, ms: int) -> int | None:
    """op, ms: the write that is shown, and when it was written. None: the first write said the same."""
    for _ in range(POLICIES):
        if not isinstance(op, Put) or not op.refs:
            return None
        (name, at), shown = op.refs[-1], view.post
        entry, raw = reader.entry(name), reader.part(name, at)
        ops = () if entry is None or entry.account != view.target.account else decode_body(entry.ops).ops[at : at + 1]
        if entry is None or raw is None or not ops or not isinstance(op := ops[0], Put) or op.key != view.target.key:
            break
        before = SOCIAL.decode(POST, op, content_of(raw))
        if not isinstance(before, Post) or replace(before, policy=shown.policy) != shown:
            break
        ms = entry.header.time >> 16
    return ms


def written_ms(ask: ViewReader, post: Target) -> int | None:
    seed = ask.seed(post, POST)
    return ms_of(time_in(seed)) if seed else None
