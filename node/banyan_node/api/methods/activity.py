"""What the writers of an account did lately, so that its owner sees where a thief began; which posts come and go."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Literal

from msgspec import Meta

from banyan_crdt.entry import Entry
from banyan_crdt.errors import BanyanError
from banyan_crdt.ids import CellKey, LogId, WriterKey
from banyan_crdt.ops import Op, Put, Tomb, decode_body, part_of
from banyan_crdt.parts import open_part
from banyan_node.api.declare import MethodTable, NodeView, Request, Response
from banyan_node.api.json_types import (
    EntryHex,
    KeyRef,
    Milliseconds,
    Own,
    PostUri,
    WriterHex,
    entry_hex,
    uri,
    writer_hex,
)
from banyan_node.hosting import hosted
from banyan_reading.answers import PostView
from banyan_replica.intake.own_tips import own_tips
from banyan_schema.registry import SOCIAL
from banyan_schema.social import POST, Post, Target
from banyan_storage.arrivals import arrival_of
from banyan_storage.reader import StoreReader

METHODS = MethodTable()
LATE_MS = 3_600_000
"""An entry that came after one that is dated so much later may be dated back."""
NAMED = 20
"""Posts that a preview names."""
Mark = Literal["deletes", "copied home", "branch", "dated back"]
Does = Literal["post", "edit", "delete", "other"]


class ActivityRequest(Request, frozen=True, forbid_unknown_fields=True):
    """writer: only of this one; default: of all."""

    account: Own = None
    writer: KeyRef | None = None
    limit: Annotated[int, Meta(ge=1, le=1_000)] = 50


class Activity(Response, frozen=True):
    """One entry. uri, text: of the post that it is about; text: null if the content is not held. counts: whether it
    counts. arrived_ms: null if that is not known any more. marks: what a thief's entries may have: it deletes; this
    node's key wrote it, and not here, as a copied home does; it is on a branch of a forked log; it came after entries
    that are dated later."""

    entry: EntryHex
    writer: WriterHex
    log: int
    seq: int
    time_ms: Milliseconds
    arrived_ms: Milliseconds | None
    does: Does
    uri: PostUri | None
    text: str | None
    counts: bool
    own: bool
    marks: list[Mark]


class Activities(Response, frozen=True):
    """The newest first, by the time that their writers noted."""

    entries: list[Activity]


class PostLine(Response, frozen=True):
    uri: PostUri
    time_ms: Milliseconds
    text: str


class PostChanges(Response, frozen=True):
    """Posts that are shown again, and posts that are shown no more: how many, and some of them."""

    back: int
    gone: int
    back_posts: list[PostLine]
    gone_posts: list[PostLine]


@METHODS.look("account.activity", "not_found")
def activity(at: NodeView, ask: ActivityRequest) -> Activities:
    """What the writers of an account wrote lately, also what does not count, with marks where a thief may have been."""
    account = hosted.account_of(at, ask.account)
    hosted.control_at(at, account)
    writer = None if ask.writer is None else WriterKey(bytes.fromhex(ask.writer))
    found = list[tuple[Entry, bool]]()
    for log in at.store.logs(account):
        if log.log and writer in (None, log.writer):
            found += _newest(at.store, log, ask.limit)
    found = sorted(found, key=lambda each: (each[0].header.time, each[0].id), reverse=True)[: ask.limit]
    rows = [_row(at, entry, counts) for entry, counts in found]
    return Activities(_dated_back(rows))


def _newest(store: StoreReader, log: LogId, limit: int) -> list[tuple[Entry, bool]]:
    length = store.head(log).length
    beside = sorted(store.loose(log), key=lambda entry: entry.header.time)[-limit:]
    chain = store.chain(log, max(0, length - limit), length)
    return [*((entry, True) for entry in chain), *((entry, False) for entry in beside)]


def _row(at: NodeView, entry: Entry, counts: bool) -> Activity:
    log, n = entry.log_id, at.store.number_of(entry.id)
    came = None if n is None else arrival_of(at.store.txn, n)
    does, target, text = _about(at.store, entry)
    own = bool(own_tips(at.store, log))
    marks = list[Mark]()
    if does == "delete":
        marks.append("deletes")
    if log.writer == at.here.writer and not own:
        marks.append("copied home")
    if not counts and at.store.head(log).flag:
        marks.append("branch")
    return Activity(
        entry=entry_hex(entry.id),
        writer=writer_hex(log.writer),
        log=log.log,
        seq=entry.header.seq,
        time_ms=entry.header.time >> 16,
        arrived_ms=None if came is None else came.time_ms,
        does=does,
        uri=None if target is None else uri(target),
        text=text,
        counts=counts,
        own=own,
        marks=marks,
    )


def _dated_back(rows: list[Activity]) -> list[Activity]:
    """Marks those that came after one that is dated much later."""
    latest, late = 0, set[str]()
    for row in sorted((r for r in rows if r.arrived_ms is not None), key=lambda r: r.arrived_ms or 0):
        if row.time_ms < latest - LATE_MS:
            late.add(row.entry)
        latest = max(latest, row.time_ms)
    for row in rows:
        if row.entry in late:
            row.marks.append("dated back")
    return rows


def _about(store: StoreReader, entry: Entry) -> tuple[Does, Target | None, str | None]:
    """What the entry does, to which post, and the words of that post."""
    for at, op in enumerate(_ops(entry)):
        if isinstance(op, Tomb) and op.coll == POST:
            return "delete", Target(entry.account, op.key), None
        if isinstance(op, Put) and op.coll == POST:
            return "edit" if op.refs else "post", Target(entry.account, op.key), _text(store, entry, at, op)
    return "other", None, None


def _ops(entry: Entry) -> tuple[Op, ...]:
    try:
        return decode_body(entry.ops).ops
    except BanyanError:
        return ()


def _text(store: StoreReader, entry: Entry, at: int, op: Put) -> str | None:
    raw, part = store.part(entry.id, at), part_of(op)
    said = None if raw is None or part is None else SOCIAL.decode(op.coll, op, open_part(part, raw))
    return said.text if isinstance(said, Post) else None


def changes_of(before: Mapping[CellKey, PostView], after: Mapping[CellKey, PostView]) -> PostChanges:
    """Between the posts that were shown and those that are."""
    back, gone = _only(after, before), _only(before, after)
    return PostChanges(len(back), len(gone), _lines(back[:NAMED]), _lines(gone[:NAMED]))


def _only(here: Mapping[CellKey, PostView], there: Mapping[CellKey, PostView]) -> list[PostView]:
    return [view for key, view in here.items() if key not in there]


def _lines(views: Iterable[PostView]) -> list[PostLine]:
    return [PostLine(uri(view.target), max(0, view.time_ms), view.post.text) for view in views]
