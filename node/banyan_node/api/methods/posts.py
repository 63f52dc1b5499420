"""One post: as people read it, and what proves it to somebody who does not trust this node."""

from __future__ import annotations

from base64 import b64encode
from io import BytesIO

from banyan_node.api.declare import CommitView, Declared, Request, Response
from banyan_node.api.methods.reading import PostRow, PostRows, reader_of, visibility_of
from banyan_node.api.methods.social import missing
from banyan_node.api.texts import EntryHex, PostRef, PostUri, Reader, entry_hex, target_of, uri
from banyan_node.operator_errors import CallError
from banyan_storage.archive import export_proof

METHODS = Declared()


class PostGetRequest(Request, frozen=True, forbid_unknown_fields=True):
    """as: the account that reads."""

    uri: PostRef
    by: Reader = None


class ProofRequest(Request, frozen=True, forbid_unknown_fields=True):
    uri: PostRef


class PostProof(Response, frozen=True):
    """entry: that shows. archive: base64, the frames of an archive (docs/protocol.md, section 12): the account's
    control log and checkpoints, the run with that entry up to its signature, and the post's content."""

    uri: PostUri
    entry: EntryHex
    archive: str


@METHODS.read("post.get", "not_found")
def get(at: CommitView, ask: PostGetRequest) -> PostRow:
    """One post, as the account sees it that reads."""
    q, target = at.queries(), target_of(ask.uri)
    view, visibility = q.post(target), visibility_of(at, reader_of(at, ask.by))
    if view is None:
        raise missing(q, target)
    if visibility.hides(target.account):
        raise CallError("not_found", f"{ask.uri} is by somebody whom the reader blocks or mutes.", 404)
    return PostRows(q, at.blobs, visibility).row(view)


@METHODS.read("post.proof", "not_found")
def proof(at: CommitView, ask: ProofRequest) -> PostProof:
    """What proves a post: that its author's key signed it, and that this key may speak for the account. It does not
    prove that the post was not edited or deleted since."""
    q, target = at.queries(), target_of(ask.uri)
    view = q.post(target)
    shown = None if view is None else q.ref(view.place)
    place = None if shown is None else at.store.place(shown.entry)
    if shown is None or place is None:
        raise missing(q, target)
    out = BytesIO()
    if not export_proof(at.store, *place, shown.op, out):
        raise CallError("not_found", f"The signature of {ask.uri} is not held here yet.", 404)
    return PostProof(uri(target), entry_hex(shown.entry), b64encode(out.getvalue()).decode())
