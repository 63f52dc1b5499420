"""When a post was written, and when it was edited."""

from __future__ import annotations

from banyan_crdt.ops import Put, decode_body
from banyan_crdt.single import is_first_write
from banyan_schema.address import Target
from banyan_schema.social import POST

from .answers import PostView
from .queries import Queries
from .slots import shown_at
from .view_rows import register_slot


def edited_ms(ask: Queries, view: PostView) -> int | None:
    """When the shown write replaced an earlier one, in milliseconds since 1970; None if it is the first."""
    entry = ask.reader.entry(view.ref.entry)
    if entry is None or is_first_write(entry.ops, POST, view.target.key):
        return None
    op = decode_body(entry.ops).ops[view.ref.op]
    return entry.header.time >> 16 if isinstance(op, Put) and op.refs else None


def written_ms(ask: Queries, post: Target) -> int | None:
    """The time that orders a post in a timeline; None if it is not shown. Raises ViewBuilding."""
    ask.need()
    number = ask.number(post.account)
    shown = shown_at(ask.reader.txn, register_slot(number, POST, post.key)) if number else b""
    return int.from_bytes(shown[8:14], "big") if shown else None
