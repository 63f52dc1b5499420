"""Finds posts by what they say, and accounts by their names or the start of their id; accounts as lists show them."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Annotated

from msgspec import Meta, field

from banyan_crdt.ids import MOST_LETTERS, AccountId, EntryId, base58
from banyan_node.api.declare import CommitView, MethodTable, ReaderRequest, Request, Response
from banyan_node.api.json_types import AccountRef, Did, Milliseconds, PostUri, did, page_of, place_of, uri
from banyan_node.api.methods.posts.post_rows import (
    AccountName,
    HandleOf,
    MediaShownRow,
    PostRow,
    PostRows,
    account_name,
    handle_of,
    reader_of,
    shown_media,
    trusted_by,
    visibility_of,
)
from banyan_node.api.row_cache import kept_profiles
from banyan_node.hosting import hosted
from banyan_node.operator_errors import CallError, bad_request
from banyan_reading import identity, relations
from banyan_reading.answers import AccountTotals, PostView, ProfileView
from banyan_reading.queries import Queries
from banyan_reading.search import query
from banyan_reading.search.indexer import SearchIndex
from banyan_reading.visibility import ViewPlace
from banyan_schema.address import Target
from banyan_schema.social.identity import HANDLE_FIELD, is_handle
from banyan_schema.social.profile import LOCKED, LOCKED_VALUE
from banyan_storage.errors import IndexDamaged
from banyan_storage.local_tables import HOSTED
from banyan_storage.slots import ms_of

METHODS = MethodTable()
MOST_POSTS, MOST_TAGS = 200, 200
ROW_BYTES, LAST_ROW = 8, (1 << 63) - 1
"""A place is the number of a row of the index."""


class SearchRequest(ReaderRequest):
    """question: words, all of which must be there; "a phrase"; the beginning of a word (phở*); -without; #tag;
    from:ACCOUNT, to:ACCOUNT, since:2026-01-31, until:2026-02-28, lang:vi, has:media, has:poll, has:link, has:warning,
    is:reply, is:quote. A word with marks is found with these marks only, any other with and without. local: only
    posts of accounts hosted here. tags: instead of a question: posts with at least one of these. by: the account that
    reads."""

    question: str = ""
    tags: Annotated[list[str], Meta(max_length=MOST_TAGS)] = field(default_factory=list)
    local: bool = False
    before: Annotated[str | None, Meta(title="a place", description="`before` of the page before.")] = None
    limit: Annotated[int, Meta(ge=1, le=MOST_POSTS)] = 20


class TaggedRequest(Request):
    tags: Annotated[list[str], Meta(min_length=1, max_length=MOST_TAGS)]
    before: Annotated[str | None, Meta(title="a place", description="`before` of the page before.")] = None
    limit: Annotated[int, Meta(ge=1, le=MOST_POSTS)] = 20


class TagPage(Response):
    """Newest first, also of accounts that a reader does not see. before: give it to get the next page; null on the last
    page."""

    posts: list[PostUri]
    before: str | None


class SearchPage(Response):
    """Newest first. before: give it to get the next page; null on the last page. behind: how many changes of posts are
    not in the index yet."""

    posts: list[PostRow]
    before: str | None
    behind: int


@METHODS.read("search", "refused", slow=True, apart=False)
def search_posts(at: CommitView, ask: SearchRequest) -> SearchPage:
    """Finds public posts by their words, without those that the reader does not see."""
    by_tags = bool(ask.tags) and not ask.question.strip()
    with _asked(at) as index:
        question = query.with_any_tag(ask.tags) if by_tags else query.read_question(ask.question)
        return _page(at, index, ask, question, _below(ask.before))


@METHODS.read("tagged", "refused", slow=True, apart=False)
def tagged(at: CommitView, ask: TaggedRequest) -> TagPage:
    """The addresses of public posts with at least one of these tags, for programs that have the posts."""
    with _asked(at) as search:
        index, _ = search.current(at.queries())
        found = [*islice(index.find(query.with_any_tag(ask.tags), (), _below(ask.before)), ask.limit + 1)]
    page = found[: ask.limit]
    return TagPage([uri(target) for _, target in page], _found_post(page[-1][0]) if len(found) > ask.limit else None)


@contextmanager
def _asked(at: CommitView) -> Iterator[SearchIndex]:
    """Raises CallError for what is wrong with the question, or the index."""
    if at.search is None:
        raise CallError("refused", "Search needs an index, and this store's folder cannot be written.")
    try:
        yield at.search
    except query.BadQuestion as why:
        text = str(why)
        raise bad_request(f"{text[:1].upper()}{text[1:]}.") from None
    except IndexDamaged:
        at.search.make_again(at.search.open())
        raise CallError(
            "building", "The search index was damaged, and is made again now; ask again soon.", 503
        ) from None


def _below(before: str | None) -> int | None:
    place = place_of(before, ROW_BYTES, "in a search")
    return None if place is None else int.from_bytes(place, "big") & LAST_ROW


def _found_post(row: int) -> str:
    return row.to_bytes(ROW_BYTES, "big").hex()


def _page(
    at: CommitView, search: SearchIndex, ask: SearchRequest, question: query.SearchQuery, below: int | None
) -> SearchPage:
    q = at.queries()
    visibility = visibility_of(at, reader_of(at, ask.by), ViewPlace("public"))
    marks = [query.mark_of_account(n, _account(at, a)) for n, a in question.accounts]
    index, behind = search.current(q)
    rows = PostRows(q, at.blobs, visibility)

    def shown(target: Target) -> PostView | None:
        if ask.local and not hosted.is_hosted(at.store, target.account):
            return None
        view = q.post(target)
        return view if view is not None and visibility.shows(view) else None

    found = index.find(question, marks, below)
    views, before = page_of(((_found_post(row), shown(target)) for row, target in found), ask.limit)
    return SearchPage([rows.row(view) for view in views], before, behind)


def _account(at: CommitView, text: str) -> AccountId:
    return hosted.account_of(at, None if text == "me" else text)


# Accounts as lists show them, many in one call, and finding them: by the start of their id, or by their names.
#
# An account's text is base58 of its 32 bytes, most significant first. So all ids with the same start and length are one
# range of bytes, and only the first few accounts of each range are read.

PREFIX = "did:banyan:z"
FOUND_MOST = 10
"""The most candidates in an answer."""
LETTERS = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_LENGTHS = (MOST_LETTERS, MOST_LETTERS - 1)
"""Letters of nearly every id; one in 58^2 is shorter and must be given in full."""


class FindRequest(Request):
    text: Annotated[str, Meta(title="the beginning of an account's id", description="With or without did:banyan:z.")]


class FoundAccounts(Response):
    accounts: list[AccountName]


@METHODS.read("find", slow=True)
def find(at: CommitView, ask: FindRequest) -> FoundAccounts:
    """The account hosted under exactly this name. If there is none, up to 10 accounts whose id starts so, in order."""
    q, text = at.queries(), ask.text.strip().rstrip("…")
    if not text:
        raise bad_request("find needs 'text', the beginning of an account's id; it got nothing.")
    named = hosted.named(at, text)
    found = [named] if named is not None else list(islice(beginning(q, text), FOUND_MOST))
    return FoundAccounts([account_name(q, a) for a in found])


def beginning(q: Queries, text: str) -> Iterator[AccountId]:
    """Held accounts whose id starts with `text`, which may be given without `did:banyan:z` or with only the z."""
    bodies = {text.removeprefix(PREFIX)} if text.startswith("did:") else {text, text.removeprefix("z")}
    seen: set[AccountId] = set()
    for body in sorted(bodies, key=len):
        for account in _beginning(q, body):
            if account not in seen:
                seen.add(account)
                yield account


def _beginning(q: Queries, body: str) -> Iterator[AccountId]:
    if not body or len(body) > MOST_LETTERS or any(c not in LETTERS for c in body):
        return
    value = 0
    for c in body:
        value = value * 58 + LETTERS.index(c)
    for length in _LENGTHS:
        if len(body) > length:
            continue
        step = 58 ** (length - len(body))
        first, stop = value * step, (value + 1) * step
        if first >= 1 << 256:
            continue
        start = AccountId(first.to_bytes(32, "big"))
        for account in q.reader.accounts(start):
            if int.from_bytes(account, "big") >= stop:
                break
            if base58(account).startswith(body):
                yield account


# By their names, and many in one call.

MOST_ACCOUNTS = 200
"""The most accounts of a call."""
SCANNED, ENOUGH = 2_000, 4
"""So many accounts are looked at to find some by the words of their names, of which there is no index; and only until
so many times as many were found as are wanted."""
BEGIN_SO = 40
"""The most accounts that are found by the beginning of the name under which they are hosted here, and of their id."""


class ProfilesRequest(Request):
    accounts: Annotated[list[AccountRef], Meta(min_length=1, max_length=MOST_ACCOUNTS)]


class ProfileRow(Response):
    """held: whether anything of the account is here; without it all else is empty. hosted: the name under which it is
    hosted here, or null. locked: whether followers need its accept. handle: as it claims it; confirmed: whether a
    platform confirms it whose word counts here: this node's own account, and those that it follows. born_ms: when it
    was opened; last_post_ms: the time of its newest post; both by the account's own clock, null without one. The
    others as in `profile.get`."""

    account: Did
    held: bool
    hosted: str | None
    name: str
    fields: dict[str, str]
    pictures: dict[str, MediaShownRow]
    locked: bool
    follows: int
    followers: int
    posts: int
    handle: HandleOf | None
    confirmed: bool
    moved_to: AccountName | None
    born_ms: Milliseconds | None
    last_post_ms: Milliseconds | None


class Profiles(Response):
    """In the order in which they were asked, each once."""

    profiles: list[ProfileRow]


class AccountSearchRequest(ReaderRequest):
    """text: words with which words of its name, its handle or the name under which it is hosted begin, or the beginning
    of its id. following: only accounts that the reader follows. skip: leave so many of the first out. as: the account
    that reads."""

    text: Annotated[str, Meta(max_length=500)]
    following: bool = False
    skip: Annotated[int, Meta(ge=0, le=1_000)] = 0
    limit: Annotated[int, Meta(ge=1, le=MOST_ACCOUNTS)] = 20


class AccountsFound(Response):
    """First whom the reader follows, then who has most followers."""

    accounts: list[AccountName]


@METHODS.read("profiles", "refused")
def profiles(at: CommitView, ask: ProfilesRequest) -> Profiles:
    """Profiles of many accounts, without lists of others."""
    q, trusted = at.queries(), {did(one) for one in trusted_by(at)}
    asked = [*dict.fromkeys(hosted.account_of(at, one) for one in ask.accounts)]
    found, totals, moved = kept_profiles(at, asked), q.account_totals(asked), identity.moved(q, asked)
    return Profiles([_row(at, q, found[one], totals[one], moved.get(one), trusted) for one in asked])


def _row(
    at: CommitView, q: Queries, found: ProfileView, totals: AccountTotals, to: AccountId | None, trusted: set[Did]
) -> ProfileRow:
    account, texts, store = found.account, found.texts, q.reader
    home, born, locked = HOSTED.get(store, account), store.written(EntryId(account)), texts.get(LOCKED) == LOCKED_VALUE
    handle = handle_of(q, account, found) if HANDLE_FIELD in texts else None
    return ProfileRow(
        account=did(account),
        held=born is not None,
        hosted=None if home is None else home.name or None,
        name=texts.get("name", ""),
        fields=texts,
        pictures={name: shown_media(at.blobs, picture) for name, picture in found.pictures.items()},
        locked=locked,
        follows=totals.follows,
        followers=relations.count(q, account, True) if locked else totals.followers,
        posts=totals.posts,
        handle=handle,
        confirmed=handle is not None and any(one.account in trusted for one in handle.platforms),
        moved_to=None if to is None else account_name(q, to),
        born_ms=None if born is None else ms_of(born),
        last_post_ms=totals.last_ms,
    )


@METHODS.read("accounts.search", "refused", slow=True)
def search_accounts(at: CommitView, ask: AccountSearchRequest) -> AccountsFound:
    """Finds accounts by what they are called. Those whose hosted name begins so are found among all. For words of names
    it looks at those that the reader follows, then at those hosted here, then at others, at most 2,000."""
    q, reader, text = at.queries(), reader_of(at, ask.by), ask.text.strip().removeprefix("@")
    visibility, wanted = visibility_of(at, reader), query.words_of(query.exact(text))
    if not wanted:
        raise bad_request("accounts.search needs 'text', a word of a name; it got none.")
    mine = dict.fromkeys(() if reader is None else q.follows(reader))
    found = dict.fromkeys(_named_so(at, q, text))
    for account in islice(mine if ask.following else _candidates(at, mine), SCANNED):
        if len(found) >= ENOUGH * (ask.skip + ask.limit):
            break
        if account not in found and _called(at, q, account, wanted):
            found[account] = None
    seen = [one for one in found if visibility.sees(one) and (not ask.following or one in mine)]
    totals = q.account_totals(seen)
    seen.sort(key=lambda one: (one not in mine, -totals[one].followers))
    return AccountsFound([account_name(q, one) for one in seen[ask.skip : ask.skip + ask.limit]])


def _named_so(at: CommitView, q: Queries, text: str) -> Iterator[AccountId]:
    """Those that the text names without a search."""
    for spelling in dict.fromkeys((text, text.lower())):
        yield from islice(hosted.beginning(at, spelling), BEGIN_SO)
    if is_handle(text.lower()):
        yield from (account for account, found in identity.claimants(q, text.lower()) if found.platforms)
    if text.startswith("did:") or len(text) > 5:
        yield from islice(beginning(q, text), BEGIN_SO)


def _candidates(at: CommitView, mine: Iterable[AccountId]) -> Iterator[AccountId]:
    yield from mine
    yield from HOSTED.keys(at.store)
    yield from at.store.accounts()


def _called(at: CommitView, q: Queries, account: AccountId, wanted: list[str]) -> bool:
    texts, home = q.profile(account).texts, hosted.hosted(at, account)
    names = query.exact(
        " ".join([texts.get("name", ""), texts.get(HANDLE_FIELD, ""), "" if home is None else home.name])
    )
    with_marks, without = query.words_of(names), query.words_of(query.fold(names))
    return all(
        any(word.startswith(one) for word in (with_marks if query.fold(one) != one else without)) for one in wanted
    )
