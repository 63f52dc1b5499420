"""Copies of what orders of the alliance withhold here: the same text and media in another post, of whomever.

An exact copy is withheld as what it copies. What has the same words, or a medium of it, and a copy of a text so short
that anybody may write it, are for a person to judge. Posts are compared once the views show them, whatever way they
came: written here, of a peer, imported, edited; when an order comes, those that the search index finds.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import suppress

from banyan_crdt.ids import H
from banyan_duties.commitment import NO_DIGEST, digest_of
from banyan_node.context import Context
from banyan_reading.queries import Queries
from banyan_reading.search.indexer import changed_posts
from banyan_reading.search.query import SearchQuery, Term, fold, words_of
from banyan_schema.social import Post, Target
from banyan_storage.alliance_tables import COPIES, ORDERED_CONTENT, OrderedContent
from banyan_storage.errors import StorageError
from banyan_storage.local_tables import WITHHELD
from banyan_storage.views import journal

SHORT = 20
"""Letters. A copy of a text without media that has fewer is judged by a person."""
AT_ONCE, FOUND = 200, 200
"""Posts that one step compares, and that are looked at when an order comes."""
NOBODY = 1 << 62
_EMPTY = (NO_DIGEST, digest_of("", []))


def digest(post: Post) -> bytes:
    """What copies of it have too."""
    return digest_of(post.text, [item.blob for item in post.media])


def _near(post: Post) -> Iterator[bytes]:
    words = words_of(fold(post.text))
    if sum(map(len, words)) >= SHORT:
        yield H("order/near", " ".join(words).encode())
    for item in post.media:
        yield H("order/near", item.blob)


def note(ctx: Context, original: Target, digests: list[bytes], said: Post | None) -> None:
    """Has copies of a post looked for, that an order withholds. digests: as the order has it, and of what it says here.
    said: what it says, if it is held."""
    exactly = said is None or bool(said.media) or len(said.text) >= SHORT
    keys = dict.fromkeys((d for d in digests if d not in _EMPTY), exactly)
    for key in keys | dict.fromkeys([] if said is None else _near(said), False):
        if not ORDERED_CONTENT.has(ctx.store, key):
            ORDERED_CONTENT.put(ctx.store, key, OrderedContent(original.raw, keys.get(key, False)))


def end(ctx: Context, covered: Collection[Target]) -> None:
    """Looks no more for copies of posts that no order covers."""
    for key, of in [*ORDERED_CONTENT.rows(ctx.store)]:
        if Target.of(of.post) not in covered:
            ORDERED_CONTENT.put(ctx.store, key, None)
    for copy, original in [*COPIES.rows(ctx.store)]:
        if Target.of(original) not in covered:
            COPIES.put(ctx.store, copy, None)


def older(ctx: Context, said: Post) -> Iterator[Target]:
    """Posts that are here already, and may be copies."""
    words = words_of(fold(said.text))[:FOUND]
    if sum(map(len, words)) >= SHORT:
        with suppress(StorageError):
            found = ctx.search.open().find(SearchQuery([Term((word,), False) for word in words[:20]]), (), None)
            yield from (post for _, (_, post) in zip(range(FOUND), found, strict=False))


def changed(ctx: Context, q: Queries) -> tuple[list[Target], bool]:
    """Posts that came or changed since the last call, and whether there are more. The first call gives those that the
    journal still has."""
    if not ORDERED_CONTENT.any(ctx.store):
        ctx.compared = NOBODY
        return [], False
    after = journal.first(q.reader.txn) if ctx.compared == NOBODY else ctx.compared
    changes = journal.changes(q.reader.txn, after, AT_ONCE)
    ctx.compared = changes[-1].number if changes else journal.last(q.reader.txn)
    return changed_posts(q, changes or ()), bool(changes) and ctx.compared < journal.last(q.reader.txn)


def compare(ctx: Context, q: Queries, post: Target) -> tuple[Target, bool] | None:
    """The withheld post that this one copies, and whether exactly; None: none."""
    view = None if WITHHELD.has(ctx.store, post) else q.post(post, hidden=True)
    keys = () if view is None else (digest(view.post), *_near(view.post))
    for key in keys:
        of = ORDERED_CONTENT.get(ctx.store, key)
        if of is not None and of.post != post.raw:
            return Target.of(of.post), of.exactly
    return None
