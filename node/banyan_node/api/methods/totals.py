"""Totals: digests that show whether two nodes hold the same, and the size of the graph."""

from __future__ import annotations

from banyan_node.api.declare import CommitView, Declared, Nothing, Response
from banyan_node.api.texts import DigestHex, digest_hex

METHODS = Declared()


class Digest(Response, frozen=True):
    """digest: of all logs. views: of all that is shown, with content."""

    digest: DigestHex
    views: DigestHex
    entries: int
    lacking_parts: int


class GraphFigures(Response, frozen=True):
    accounts: int
    follows: int
    posts: int
    replies: int
    reactions: int
    reposts: int
    entries: int
    bytes: int
    digest: DigestHex


@METHODS.read("digest", slow=True)
def digest(at: CommitView, ask: Nothing) -> Digest:
    """Two digests, which are equal on nodes that hold the same."""
    q, store = at.queries(), at.store
    return Digest(digest_hex(store.digest()), digest_hex(q.views_digest()), store.counts().entries, q.lacking_parts())


@METHODS.read("graph.stats", slow=True)
def graph_stats(at: CommitView, ask: Nothing) -> GraphFigures:
    """The size of the graph that is held here."""
    s = at.queries().graph_stats()
    return GraphFigures(
        accounts=s.accounts,
        follows=s.follows,
        posts=s.posts,
        replies=s.replies,
        reactions=s.reactions,
        reposts=s.reposts,
        entries=s.entries,
        bytes=s.stored_bytes,
        digest=digest_hex(s.digest),
    )
