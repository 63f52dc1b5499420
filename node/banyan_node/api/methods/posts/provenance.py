"""Why one sees a post: who signed it, how it came here, what proves it, what was changed, and who else has it; and what
the writers of an account did lately."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Annotated, Literal

from msgspec import Meta

from banyan_crdt.entry import Entry
from banyan_crdt.errors import BadSignature, BanyanError
from banyan_crdt.ids import CellKey, EntryId, LogId, Ref, WriterKey
from banyan_crdt.ops import CellOp, Grant, Op, Put, Tomb, decode_body, part_of
from banyan_crdt.parts import open_part
from banyan_crdt.signing import verify
from banyan_node.api import json_types as js
from banyan_node.api.declare import MethodTable, NodeView, PostOf, Request, Response
from banyan_node.api.methods.posts.post_rows import MediaShownRow, name_of, shown_media
from banyan_node.api.methods.posts.post_writes import missing
from banyan_node.hosting import hosted
from banyan_reading.answers import PostView
from banyan_replica.intake.own_tips import own_tips
from banyan_replica.status import LinkView
from banyan_schema.registry import SOCIAL
from banyan_schema.social import POST, Audience, Post, Target
from banyan_storage.arrivals import arrival_of
from banyan_storage.reader import StoreReader

METHODS = MethodTable()
MOST_VERSIONS = 100


class SignatureProof(Response):
    """One signature covers a run of entries that are linked by their hashes. entry: the last of the run, which is
    signed. seq: its position in the log. entries: from the post's own entry to that one. signature: 128 hexadecimal
    digits, Ed25519. valid: whether both hold; they were checked for this answer."""

    entry: js.EntryHex
    seq: int
    entries: int
    signature: str
    valid: bool


class Version(Response):
    """A write of the post. text, tags, audience: null if its content is not held any more. The others: what stood
    beside it."""

    entry: js.EntryHex
    time_ms: js.Milliseconds
    text: str | None
    warning: str | None
    tags: list[str] | None
    lang: str | None
    audience: Audience | None
    media: list[MediaShownRow]


class Holder(Response):
    """holds: whether a linked peer has the entry, as far as it told; unknown until we compared."""

    peer: str
    holds: Literal["yes", "no", "unknown"]


class Why(Response):
    """writer: the key of the device that signed. here: it is this node's. granted: the entry of the account's
    control log that lets it write. log, seq: where the entry stands. time_ms: when it was written, by the author's
    clock. arrived_ms: when it came here. from_peer: from whom; null if it was written or imported here. Both are
    null if that is not known any more. proof: null if the signature is not here. versions: all writes of the post,
    the shown one last."""

    uri: js.PostUri
    account: js.Did
    name: str
    writer: str
    here: bool
    granted: js.EntryHex | None
    entry: js.EntryHex
    log: int
    seq: int
    time_ms: js.Milliseconds
    arrived_ms: js.Milliseconds | None
    from_peer: str | None
    proof: SignatureProof | None
    versions: list[Version]
    holders: list[Holder]


@METHODS.look("why", "not_found")
def why(at: NodeView, ask: PostOf) -> Why:
    """Explains a post: who signed it, when and from whom it came, which signature proves it, what it said before its
    edits, and which linked peers hold it."""
    q, target = at.queries(), js.target_of(ask.uri)
    view = q.post(target)
    shown = None if view is None else q.ref(view.write)
    entry = None if shown is None else at.store.entry(shown.entry)
    place = None if shown is None else at.store.place(shown.entry)
    if view is None or entry is None or place is None:
        raise missing(q, target)
    log, seq = place
    number = at.store.number_of(entry.id)
    came = None if number is None else arrival_of(at.store.txn, number)
    return Why(
        uri=js.uri(target),
        account=js.did(target.account),
        name=name_of(q, target.account),
        writer=log.writer.hex(),
        here=log.writer == at.here.writer,
        granted=_granted(at, log),
        entry=js.entry_hex(entry.id),
        log=log.log,
        seq=seq,
        time_ms=entry.header.time >> 16,
        arrived_ms=None if came is None else came.time_ms,
        from_peer=came.peer or None if came else None,
        proof=_proof(at.store, log, seq),
        versions=_versions(at, view),
        holders=[
            Holder(link.peer, "yes" if came and link.peer == came.peer else _holds(link, log, seq))
            for link in at.seen.links
            if link.greeted
        ],
    )


def _granted(at: NodeView, log: LogId) -> js.EntryText | None:
    """The last entry of the account's control log that grants the writer."""
    path = hosted.control_at(at, log.account).path
    return next((js.entry_hex(entry.id) for entry in reversed(path) if _grants(entry, log.writer)), None)


def _grants(entry: Entry, writer: WriterKey) -> bool:
    return any(isinstance(op, Grant) and op.writer == writer for op in decode_body(entry.ops).ops)


def _proof(store: StoreReader, log: LogId, seq: int) -> SignatureProof | None:
    """None if the signature above the entry is not here."""
    last = store.next_signed(log, seq)
    chain = [] if last is None else store.chain(log, seq, last + 1)
    if last is None or not chain or chain[-1].sig is None:
        return None
    linked = all(below.id == above.header.prev for below, above in pairwise(chain))
    end = chain[-1]
    try:
        verify(store.realm, log.writer, end.id, end.sig or b"")
    except BadSignature:
        linked = False
    return SignatureProof(js.entry_hex(end.id), last, len(chain), (end.sig or b"").hex(), linked)


def _versions(at: NodeView, view: PostView) -> list[Version]:
    """All that are held, by time; the shown one last. Two devices may have written at once, and one of them shows."""
    target = view.target
    live = at.queries().live(target.account, Put(POST, target.key, (), None))
    shown = at.queries().ref(view.write)
    waiting = [shown, *[ref for ref in live if ref != shown]]
    found = [*_writes(at, target, waiting)]
    return [*sorted(found[:0:-1], key=lambda version: version.time_ms), *found[:1]]


def _writes(at: NodeView, target: Target, waiting: list[Ref]) -> Iterator[Version]:
    """These writes of a post, and those that they replaced."""
    store, seen = at.store, {*waiting}
    while waiting and len(seen) <= MOST_VERSIONS:
        ref = waiting.pop(0)
        entry = store.entry(EntryId(ref.entry))
        ops = () if entry is None else decode_body(entry.ops).ops
        op = ops[ref.op] if ref.op < len(ops) else None
        if entry is None or not isinstance(op, Put) or op.key != target.key:
            continue
        raw, part = store.part(entry.id, ref.op), part_of(op)
        said = None if raw is None or part is None else SOCIAL.decode(op.coll, op, open_part(part, raw))
        post = said if isinstance(said, Post) else None
        yield Version(
            js.entry_hex(entry.id),
            entry.header.time >> 16,
            None if post is None else post.text,
            None if post is None else post.warning,
            None if post is None else list(post.tags),
            None if post is None else post.lang,
            None if post is None else post.audience,
            [shown_media(at.blobs, item) for item in post.media] if post else [],
        )
        waiting += [older for older in op.refs if older not in seen]
        seen.update(op.refs)


def _holds(link: LinkView, log: LogId, seq: int) -> Literal["yes", "no", "unknown"]:
    differs = link.differences.get(log)
    if differs is not None:
        return "yes" if differs.length > seq else "no"
    return "yes" if link.equal or link.compared else "unknown"


# What the writers of an account did lately, so that its owner sees where a thief began; which posts come and go.

LATE_MS = 3_600_000
"""An entry that came after one that is dated so much later may be dated back."""
NAMED = 20
"""Posts that a preview names."""
Mark = Literal["deletes", "copied home", "branch", "dated back"]
Does = Literal["post", "edit", "delete", "other"]


class ActivityRequest(Request):
    """writer: only of this one; default: of all."""

    account: js.Own = None
    writer: js.KeyRef | None = None
    limit: Annotated[int, Meta(ge=1, le=1_000)] = 50


class Activity(Response):
    """One entry. collection: of its first operation; null: of none. uri, text: of the post that it is about; text:
    null if the content is not held. counts: whether it counts. arrived_ms: null if that is not known any more. marks:
    what a thief's entries may have: it deletes; this node's key wrote it, and not here, as a copied home does; it is on
    a branch of a forked log; it came after entries that are dated later."""

    entry: js.EntryHex
    writer: js.WriterHex
    log: int
    seq: int
    time_ms: js.Milliseconds
    arrived_ms: js.Milliseconds | None
    does: Does
    collection: str | None
    uri: js.PostUri | None
    text: str | None
    counts: bool
    own: bool
    marks: list[Mark]


class Activities(Response):
    """The newest first, by the time that their writers noted."""

    entries: list[Activity]


class PostLine(Response):
    uri: js.PostUri
    time_ms: js.Milliseconds
    text: str


class PostChanges(Response):
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
        entry=js.entry_hex(entry.id),
        writer=js.writer_hex(log.writer),
        log=log.log,
        seq=entry.header.seq,
        time_ms=entry.header.time >> 16,
        arrived_ms=None if came is None else came.time_ms,
        does=does,
        collection=next((_name(op) for op in _ops(entry)), None),
        uri=None if target is None else js.uri(target),
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


def _name(op: Op) -> str | None:
    known = SOCIAL.by_id.get(op.coll) if isinstance(op, CellOp) else None
    return None if known is None else known.name


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
    return [PostLine(js.uri(view.target), max(0, view.time_ms), view.post.text) for view in views]
