"""When a post was written, and when it was edited."""

from __future__ import annotations

from collections.abc import Iterable

from banyan_crdt.ops import Put, decode_body
from banyan_crdt.shapes import is_first_write
from banyan_reading.answers import PostView
from banyan_reading.queries import Queries
from banyan_schema.address import Target
from banyan_schema.social import POST
from banyan_schema.social.post import time_in
from banyan_storage.entry_records import decode_line
from banyan_storage.slots import ms_of
from banyan_storage.tables import ENTRIES, part_place, u48


def edited_ms(ask: Queries, view: PostView) -> int | None:
    """When the shown write replaced an earlier one, in milliseconds since 1970; None if it is the first."""
    return edits(ask, [view]).get(view.place)


def edits(ask: Queries, views: Iterable[PostView]) -> dict[bytes, int]:
    """The same of many, by their places; without those that are first writes."""
    at_entry = dict[bytes, list[PostView]]()
    for view in views:
        at_entry.setdefault(u48(part_place(view.place)[0]), []).append(view)
    found = dict[bytes, int]()
    for key, raw in ask.reader.txn.get_many(ENTRIES, sorted(at_entry)):
        for view in at_entry[key]:
            n, at = part_place(view.place)
            line = decode_line(n, raw)
            if not is_first_write(line.ops, POST, view.target.key):
                op = decode_body(line.ops).ops[at]
                if isinstance(op, Put) and op.refs:
                    found[view.place] = line.time >> 16
    return found


def written_ms(ask: Queries, post: Target) -> int | None:
    """The time that orders a post in a timeline; None if it is not shown. Raises ViewBuilding."""
    seed = ask.seed(post, POST)
    return ms_of(time_in(seed)) if seed else None
