"""Why one sees a post: who signed it, how it came here, what proves it, what was changed, and who else has it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Literal

from banyan_crdt.entry import Entry
from banyan_crdt.errors import BadSignature
from banyan_crdt.ids import EntryId, LogId, Ref, WriterKey
from banyan_crdt.ops import Grant, Put, decode_body, part_of
from banyan_crdt.parts import open_part
from banyan_crdt.signing import verify
from banyan_node.api.declare import MethodTable, NodeView, Request, Response
from banyan_node.api.json_types import (
    Did,
    EntryHex,
    EntryText,
    Milliseconds,
    PostRef,
    PostUri,
    did,
    entry_hex,
    target_of,
    uri,
)
from banyan_node.api.methods.post_rows import MediaShownRow, name_of, shown_media
from banyan_node.api.methods.post_writes import missing
from banyan_node.hosting import hosted
from banyan_reading.answers import PostView
from banyan_replica.status import LinkView
from banyan_schema.registry import SOCIAL
from banyan_schema.social import POST, Audience, Post, Target
from banyan_storage.arrivals import arrival_of
from banyan_storage.reader import StoreReader

METHODS = MethodTable()
MOST_VERSIONS = 100


class WhyRequest(Request, frozen=True, forbid_unknown_fields=True):
    uri: PostRef


class SignatureProof(Response, frozen=True):
    """One signature covers a run of entries that are linked by their hashes. entry: the last of the run, which is
    signed. seq: its position in the log. entries: from the post's own entry to that one. signature: 128 hexadecimal
    digits, Ed25519. valid: whether both hold; they were checked for this answer."""

    entry: EntryHex
    seq: int
    entries: int
    signature: str
    valid: bool


class Version(Response, frozen=True):
    """A write of the post. text, tags, audience: null if its content is not held any more. The others: what stood
    beside it."""

    entry: EntryHex
    time_ms: Milliseconds
    text: str | None
    warning: str | None
    tags: list[str] | None
    lang: str | None
    audience: Audience | None
    media: list[MediaShownRow]


class Holder(Response, frozen=True):
    """holds: whether a linked peer has the entry, as far as it told; unknown until we compared."""

    peer: str
    holds: Literal["yes", "no", "unknown"]


class Why(Response, frozen=True):
    """writer: the key of the device that signed. here: it is this node's. granted: the entry of the account's
    control log that lets it write. log, seq: where the entry stands. time_ms: when it was written, by the author's
    clock. arrived_ms: when it came here. from_peer: from whom; null if it was written or imported here. Both are
    null if that is not known any more. proof: null if the signature is not here. versions: all writes of the post,
    the shown one last."""

    uri: PostUri
    account: Did
    name: str
    writer: str
    here: bool
    granted: EntryHex | None
    entry: EntryHex
    log: int
    seq: int
    time_ms: Milliseconds
    arrived_ms: Milliseconds | None
    from_peer: str | None
    proof: SignatureProof | None
    versions: list[Version]
    holders: list[Holder]


@METHODS.look("why", "not_found")
def why(at: NodeView, ask: WhyRequest) -> Why:
    """Explains a post: who signed it, when and from whom it came, which signature proves it, what it said before its
    edits, and which linked peers hold it."""
    q, target = at.queries(), target_of(ask.uri)
    view = q.post(target)
    shown = None if view is None else q.ref(view.place)
    entry = None if shown is None else at.store.entry(shown.entry)
    place = None if shown is None else at.store.place(shown.entry)
    if view is None or entry is None or place is None:
        raise missing(q, target)
    log, seq = place
    number = at.store.number_of(entry.id)
    came = None if number is None else arrival_of(at.store.txn, number)
    return Why(
        uri=uri(target),
        account=did(target.account),
        name=name_of(q, target.account),
        writer=log.writer.hex(),
        here=log.writer == at.here.writer,
        granted=_granted(at, log),
        entry=entry_hex(entry.id),
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


def _granted(at: NodeView, log: LogId) -> EntryText | None:
    """The last entry of the account's control log that grants the writer."""
    path = hosted.control_at(at, log.account).path
    return next((entry_hex(entry.id) for entry in reversed(path) if _grants(entry, log.writer)), None)


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
    return SignatureProof(entry_hex(end.id), last, len(chain), (end.sig or b"").hex(), linked)


def _versions(at: NodeView, view: PostView) -> list[Version]:
    """All that are held, by time; the shown one last. Two devices may have written at once, and one of them shows."""
    target = view.target
    live = at.queries().live(target.account, Put(POST, target.key, (), None))
    shown = at.queries().ref(view.place)
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
            entry_hex(entry.id),
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
