"""Finds posts by what they say."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Annotated

from msgspec import Meta, field

from banyan_crdt.ids import AccountId
from banyan_node.api.declare import CommitView, MethodTable, Request, Response
from banyan_node.api.json_types import PostUri, Reader, place_of, uri
from banyan_node.api.methods.post_rows import LOOKED, PostRow, PostRows, reader_of, visibility_of
from banyan_node.hosting import hosted
from banyan_node.operator_errors import CallError
from banyan_reading.search.indexer import SearchIndex
from banyan_reading.search.query import BadQuestion, SearchQuery, mark_of_account, read_question, with_any_tag
from banyan_reading.visibility import ViewPlace
from banyan_storage.errors import IndexDamaged

METHODS = MethodTable()
MOST, MOST_TAGS = 200, 200
ROW_BYTES, LAST_ROW = 8, (1 << 63) - 1
"""A place is the number of a row of the index."""


class SearchRequest(Request, frozen=True, forbid_unknown_fields=True):
    """question: words, all of which must be there; "a phrase"; the beginning of a word (phở*); -without; #tag;
    from:ACCOUNT, to:ACCOUNT, since:2026-01-31, until:2026-02-28, lang:vi, has:media, has:poll, has:link, has:warning,
    is:reply, is:quote. A word with marks is found with these marks only, any other with and without. local: only
    posts of accounts hosted here. tags: instead of a question: posts with at least one of these. by: the account that
    reads."""

    question: str = ""
    tags: Annotated[list[str], Meta(max_length=MOST_TAGS)] = field(default_factory=list)
    local: bool = False
    by: Reader = None
    before: Annotated[str | None, Meta(title="a place", description="`before` of the page before.")] = None
    limit: Annotated[int, Meta(ge=1, le=MOST)] = 20


class TaggedRequest(Request, frozen=True, forbid_unknown_fields=True):
    tags: Annotated[list[str], Meta(min_length=1, max_length=MOST_TAGS)]
    before: Annotated[str | None, Meta(title="a place", description="`before` of the page before.")] = None
    limit: Annotated[int, Meta(ge=1, le=MOST)] = 20


class TagPage(Response, frozen=True):
    """Newest first, also of accounts that a reader does not see. before: give it to get the next page; null on the last
    page."""

    posts: list[PostUri]
    before: str | None


class SearchPage(Response, frozen=True):
    """Newest first. before: give it to get the next page; null on the last page. behind: how many changes of posts are
    not in the index yet."""

    posts: list[PostRow]
    before: str | None
    behind: int


@METHODS.read("search", "refused", slow=True, apart=False)
def search(at: CommitView, ask: SearchRequest) -> SearchPage:
    """Finds public posts by their words, without those that the reader does not see."""
    by_tags = bool(ask.tags) and not ask.question.strip()
    with _asked(at) as index:
        question = with_any_tag(ask.tags) if by_tags else read_question(ask.question)
        return _page(at, index, ask, question, _below(ask.before))


@METHODS.read("tagged", "refused", slow=True, apart=False)
def tagged(at: CommitView, ask: TaggedRequest) -> TagPage:
    """The addresses of public posts with at least one of these tags, for programs that have the posts."""
    with _asked(at) as search:
        index, _ = search.current(at.queries())
        found = [*islice(index.find(with_any_tag(ask.tags), (), _below(ask.before)), ask.limit + 1)]
    page = found[: ask.limit]
    return TagPage([uri(target) for _, target in page], _row(page[-1][0]) if len(found) > ask.limit else None)


@contextmanager
def _asked(at: CommitView) -> Iterator[SearchIndex]:
    """Raises CallError for what is wrong with the question, or the index."""
    if at.search is None:
        raise CallError("refused", "Search needs an index, and this store's folder cannot be written.")
    try:
        yield at.search
    except BadQuestion as why:
        text = str(why)
        raise CallError("bad_request", f"{text[:1].upper()}{text[1:]}.") from None
    except IndexDamaged:
        at.search.make_again(at.search.open())
        raise CallError(
            "building", "The search index was damaged, and is made again now; ask again soon.", 503
        ) from None


def _below(before: str | None) -> int | None:
    place = place_of(before, ROW_BYTES, "in a search")
    return None if place is None else int.from_bytes(place, "big") & LAST_ROW


def _row(row: int) -> str:
    return row.to_bytes(ROW_BYTES, "big").hex()


def _page(
    at: CommitView, search: SearchIndex, ask: SearchRequest, question: SearchQuery, below: int | None
) -> SearchPage:
    q = at.queries()
    visibility = visibility_of(at, reader_of(at, ask.by), ViewPlace("public"))
    marks = [mark_of_account(n, _account(at, a)) for n, a in question.accounts]
    index, behind = search.current(q)
    rows, posts, before, last = PostRows(q, at.blobs, visibility), list[PostRow](), None, None
    for n, (row, target) in enumerate(index.find(question, marks, below)):
        if len(posts) == ask.limit or n == LOOKED * ask.limit:
            before = last
            break
        last = _row(row)
        if ask.local and not hosted.is_hosted(at.store, target.account):
            continue
        view = q.post(target)
        if view is not None and visibility.shows(view):
            posts.append(rows.row(view))
    return SearchPage(posts, before, behind)


def _account(at: CommitView, text: str) -> AccountId:
    return hosted.account_of(at, None if text == "me" else text)
