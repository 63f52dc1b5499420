"""Totals: digests that show whether two nodes hold the same, and the size of the graph."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from banyan_crdt.ids import is_checkpoint
from banyan_node.api.declare import CommitView, Declared, Looking, Nothing, Request, Response
from banyan_node.api.texts import DigestHex, digest_hex
from banyan_node.hosting import hosted

METHODS = Declared()


class DigestRequest(Request, frozen=True, forbid_unknown_fields=True):
    """account: only of this one."""

    account: Annotated[str | None, Meta(title="an account", description="A DID, or a name hosted here.")] = None


class Digest(Response, frozen=True):
    """digest: of all logs. views: of all that is shown, with content."""

    digest: DigestHex
    views: DigestHex
    entries: int
    lacking_parts: int


class GraphFiguresRequest(Request, frozen=True, forbid_unknown_fields=True):
    """digest: also that of all logs, which takes a second for every some 50,000 accounts."""

    digest: bool = False


class GraphFigures(Response, frozen=True):
    """digest: null unless it was asked for."""

    accounts: int
    follows: int
    posts: int
    replies: int
    reactions: int
    reposts: int
    entries: int
    bytes: int
    digest: DigestHex | None


class GraphSize(Response, frozen=True):
    """hosted: accounts whose keys this node holds. accounts, posts: of all that are held here. nodes: linked peers."""

    hosted: int
    accounts: int
    posts: int
    nodes: int


@METHODS.read("digest", slow=True)
def digest(at: CommitView, ask: DigestRequest) -> Digest:
    """Two digests, which are equal on nodes that hold the same: of all, or of one account."""
    q, store = at.queries(), at.store
    if ask.account is not None:
        account = hosted.account_of(at, ask.account)
        heads, shown = store.account_digest(account), q.views_digest(account)
        entries = sum(head.length for log, head in store.heads(account).items() if not is_checkpoint(log))
        return Digest(digest_hex(heads), digest_hex(shown), entries, q.lacking_parts())
    return Digest(digest_hex(store.digest()), digest_hex(q.views_digest()), store.counts().entries, q.lacking_parts())


@METHODS.read("graph.stats", slow=True)
def graph_stats(at: CommitView, ask: GraphFiguresRequest) -> GraphFigures:
    """The size of the graph that is held here."""
    s = at.queries().graph_stats(ask.digest)
    return GraphFigures(
        accounts=s.accounts,
        follows=s.follows,
        posts=s.posts,
        replies=s.replies,
        reactions=s.reactions,
        reposts=s.reposts,
        entries=s.entries,
        bytes=s.stored_bytes,
        digest=None if s.digest is None else digest_hex(s.digest),
    )


@METHODS.look("graph.size")
def graph_size(at: Looking, ask: Nothing) -> GraphSize:
    """A few numbers that cost nothing, for pages that everybody may ask for."""
    linked = sum(link.greeted for link in at.seen.links)
    return GraphSize(hosted.count(at), at.store.counts().accounts, at.queries().post_count(None), linked)
