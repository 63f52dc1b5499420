"""When a post was written, and when it was edited."""

from __future__ import annotations

from banyan_crdt.ops import Put, decode_body
from banyan_crdt.single import is_first_write
from banyan_reading.answers import PostView
from banyan_reading.queries import Queries
from banyan_schema.address import Target
from banyan_schema.social import POST
from banyan_storage.records import decode_line
from banyan_storage.slots import shown_at
from banyan_storage.tables import ENTRIES, part_place, u48
from banyan_storage.view_rows import register_slot


def edited_ms(ask: Queries, view: PostView) -> int | None:
    """When the shown write replaced an earlier one, in milliseconds since 1970; None if it is the first."""
    n, at = part_place(view.place)
    raw = ask.reader.txn.get(ENTRIES, u48(n))
    if raw is None:
        return None
    line = decode_line(n, raw)
    if is_first_write(line.ops, POST, view.target.key):
        return None
    op = decode_body(line.ops).ops[at]
    return line.time >> 16 if isinstance(op, Put) and op.refs else None


def written_ms(ask: Queries, post: Target) -> int | None:
    """The time that orders a post in a timeline; None if it is not shown. Raises ViewBuilding."""
    ask.need()
    number = ask.number(post.account)
    shown = shown_at(ask.reader.txn, register_slot(number, POST, post.key)) if number else b""
    return int.from_bytes(shown[8:14], "big") if shown else None
