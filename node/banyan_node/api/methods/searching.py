"""Finds posts by what they say."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, field

from banyan_crdt.ids import AccountId
from banyan_node.api.declare import CommitView, Declared, Request, Response
from banyan_node.api.methods.reading import LOOKED, PostRow, PostRows, lens_of, reader_of
from banyan_node.api.texts import Reader, place_of
from banyan_node.hosting import hosted
from banyan_node.operator_errors import CallError
from banyan_node.upkeep.searching import Searching
from banyan_storage.errors import IndexDamaged
from banyan_storage.search.words import BadQuestion, Question, mark_of_account, read_question, with_any_tag

METHODS = Declared()
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


class Found(Response, frozen=True):
    """Newest first. before: give it to get the next page; null on the last page. behind: how many changes of posts are
    not in the index yet."""

    posts: list[PostRow]
    before: str | None
    behind: int


@METHODS.read("search", "refused", slow=True, apart=False)
def search(at: CommitView, ask: SearchRequest) -> Found:
    """Finds public posts by their words, without those that the reader does not see."""
    if at.search is None:
        raise CallError("refused", "Search needs an index, and this store's folder cannot be written.")
    try:
        question = with_any_tag(ask.tags) if ask.tags and not ask.question.strip() else read_question(ask.question)
    except BadQuestion as why:
        text = str(why)
        raise CallError("bad_request", f"{text[:1].upper()}{text[1:]}.") from None
    place = place_of(ask.before, ROW_BYTES, "in a search")
    below = None if place is None else int.from_bytes(place, "big") & LAST_ROW
    try:
        return _page(at, at.search, ask, question, below)
    except IndexDamaged:
        at.search.make_again(at.search.open())
        raise CallError(
            "building", "The search index was damaged, and is made again now; ask again soon.", 503
        ) from None


def _page(at: CommitView, search: Searching, ask: SearchRequest, question: Question, below: int | None) -> Found:
    q = at.queries()
    lens = lens_of(at, reader_of(at, ask.by), "public")
    marks = [mark_of_account(n, _account(at, a)) for n, a in question.accounts]
    index, behind = search.current(q)
    rows, posts, before, last = PostRows(q, at.blobs, lens), list[PostRow](), None, None
    for n, (row, target) in enumerate(index.find(question, marks, below)):
        if len(posts) == ask.limit or n == LOOKED * ask.limit:
            before = last
            break
        last = row.to_bytes(ROW_BYTES, "big").hex()
        if ask.local and not hosted.is_hosted(at.store, target.account):
            continue
        view = q.post(target)
        if view is not None and lens.shows(target.account, view.post):
            posts.append(rows.row(view))
    return Found(posts, before, behind)


def _account(at: CommitView, text: str) -> AccountId:
    return hosted.account_of(at, None if text == "me" else text)
