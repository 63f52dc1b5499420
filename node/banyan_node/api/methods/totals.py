"""What is held as a whole: digests that tell whether two nodes hold the same, and how large the graph is."""

from __future__ import annotations

from banyan_node.api.declare import CommitView, Declared, Nothing, Response
from banyan_node.api.texts import DigestHex, digest_hex

METHODS = Declared()


class Digest(Response, frozen=True):
    """digest: over all logs. views: over all that is shown, content included."""

    digest: DigestHex
    views: DigestHex
    entries: int
    lacking_parts: int


class GraphTotals(Response, frozen=True):
    accounts: int
    follows: int
    posts: int
    replies: int
    reactions: int
    reposts: int
    entries: int
    bytes: int
    digest: DigestHex


@METHODS.read("digest")
def digest(at: CommitView, ask: Nothing) -> Digest:
    """Two digests, which are equal on two nodes that hold the same."""
    q, store = at.queries(), at.store
    return Digest(digest_hex(store.digest()), digest_hex(q.views_digest()), store.counts().entries, q.lacking_parts())


@METHODS.read("graph.stats")
def graph_stats(at: CommitView, ask: Nothing) -> GraphTotals:
    """How large the graph is that is held here."""
    s = at.queries().graph_stats()
    return GraphTotals(
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
