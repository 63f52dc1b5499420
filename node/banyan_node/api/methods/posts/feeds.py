"""Timelines: of one account, of those that one follows, of a list, of everybody."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from itertools import islice, takewhile
from typing import Annotated, Literal

from msgspec import Meta

from banyan_crdt.ids import AccountId
from banyan_node.api import json_types as js
from banyan_node.api.declare import CommitView, MethodTable, ReaderRequest, Response
from banyan_node.api.event_stream import cursor_of
from banyan_node.api.methods.people.notices import home_read
from banyan_node.api.methods.posts.post_rows import AccountName, PostRow, now_ms, reader_of, visibility_of
from banyan_node.api.row_cache import RowCache
from banyan_node.hosting import home_timeline, hosted
from banyan_node.hosting.home_timeline import Lines, Rank
from banyan_node.hosting.visibility import Visibility
from banyan_node.operator_errors import bad_request, not_found
from banyan_reading.answers import CURSOR_BYTES, PostView, RepostView, TimelineLine
from banyan_reading.timelines import cursor_ms
from banyan_reading.visibility import PlaceKind, ViewPlace, in_langs
from banyan_schema.private_kinds import AccountList
from banyan_schema.social import Target
from banyan_schema.social.post import tag_fold

METHODS = MethodTable()
MOST = 1_000
ASIDE = 1_000
"""Posts of everybody that are looked at for a page, where few are what was asked for."""
CANDIDATES = 1_000
"""Posts that an order other than by time looks at: the newest of the home timeline."""
MERGED = 200
"""Accounts whose timelines are merged for a page. Of more, the posts of all accounts are read by time."""
AWAY_MS = 24 * 3_600_000
"""How far back it looks if the reader has not noted what was read."""
Because = Literal["own", "followed", "reposted", "listed", "asked", "public"]


class FeedRequest(ReaderRequest):
    """account: only its posts. all: the public posts of all accounts held here. in_list: of those on a list of the
    reader's. quotes: the posts that quote this one, without those of accounts that its author blocks or does not let
    quote it, and those that its author hid. Default: of the
    account that reads and those it follows. as: the account that reads. replies: whether to include replies; reposted
    ones are. reposts: whether to include what these accounts reposted. langs: only posts in these languages, and
    those that name none. rank: the order. newest: pages follow one another for ever. catch_up: one page of what those
    whom one follows reposted, answered and reacted to most, since the place that one noted as read, or for a day.
    explain: say of each post why it is shown, and why there. local: with all, only of accounts hosted here; remote:
    only of others. media: only posts with pictures, films or sounds. tag: only posts with this tag. after: the posts
    next to that place which are newer."""

    in_list: js.ThingRef | None = None
    quotes: js.PostRef | None = None
    replies: bool = True
    reposts: bool = True
    langs: Annotated[list[str] | None, Meta(description="Such as vi and en.")] = None
    account: Annotated[str | None, Meta(title="an account", description="A DID, or a name hosted here.")] = None
    all: bool = False
    rank: Rank = "newest"
    explain: bool = False
    local: bool = False
    remote: bool = False
    media: bool = False
    tag: str | None = None
    before: Annotated[str | None, Meta(title="a place in a feed", description="`before` of the page above.")] = None
    after: Annotated[str | None, Meta(title="a place in a feed", description="`after` of the page below.")] = None
    limit: Annotated[int, Meta(ge=0, le=MOST)] = 20


class Explanation(Response):
    """because: why the post is in this timeline: it is the reader's own, of one that the reader follows or listed, it
    was reposted by such (by: who), it is of the account asked for, or public. place_ms: the time that places it. order:
    why it stands where it stands. score: of that order."""

    because: Because
    by: list[AccountName]
    place_ms: js.Milliseconds
    order: str
    score: int


class Feed(Response):
    """Newest first. before: give it to get the next page; null on the last page. after: the same, of the page that was
    asked for with `after`. explained: of each post, if that was asked. cursor: for `since` of `events`, to hear of
    what comes after this page was made."""

    posts: list[PostRow]
    before: js.FeedCursor | None
    after: js.FeedCursor | None
    explained: list[Explanation]
    cursor: js.EventCursor


class _Shown:
    """A post of a page, and who reposted it where it stands because of that."""

    placed = home_timeline.newest(home_timeline.HomeCandidate(0))

    def __init__(self, view: PostView) -> None:
        self.view = view
        self.reposted: list[RepostView] = []

    @property
    def place_ms(self) -> int:
        return self.reposted[0].time_ms if self.reposted else self.view.time_ms


@METHODS.read("feed", "refused")
def feed(at: CommitView, ask: FeedRequest) -> Feed:
    """Posts, newest first, without those of accounts that the reading account blocks or mutes.

    Of a page, a post that several reposted is one row, where the latest of them stands."""
    reader = reader_of(at, ask.by)
    if sum((ask.account is not None, ask.all, ask.in_list is not None, ask.quotes is not None)) > 1:
        raise bad_request("'account', 'all', 'in_list' and 'quotes' exclude one another; choose one.")
    if (ask.local or ask.remote) and not (ask.all and ask.local != ask.remote):
        raise bad_request("'local' or 'remote', one of them, goes with 'all'.")
    visibility = _visibility(at, ask, reader)
    after = js.place_of(ask.after, CURSOR_BYTES, "in a feed", "after")
    if after is not None and (ask.before or ask.rank != "newest"):
        raise bad_request("'after' goes with the order newest, and without 'before'.")
    further, rows = None, RowCache(at, visibility)
    with _lines(at, ask, visibility) as lines:
        if ask.rank == "newest":
            some = lines(js.place_of(ask.before, CURSOR_BYTES, "in a feed"), after)
            looked, blocked = ask.limit * js.LOOKED, set[AccountId]()
            if ask.all or ask.quotes:
                looked = min(looked, ASIDE)
            quoted = None if ask.quotes is None else js.target_of(ask.quotes)
            if quoted is not None:
                blocked.update(at.queries().blocks(quoted.account))
            shows = partial(visibility.shows, blocked=blocked, quoted=quoted)
            page, before = _page(rows, ask, shows, some, ask.limit, looked, takes=_placed(at, ask))
            if after is not None:
                page, further, before = page[::-1], before, None
        else:
            page, before = _ranked(at, ask, visibility, lines, rows), None
    explained = [_explain(rows, ask, reader, one) for one in page] if ask.explain else []
    cursor = cursor_of(at.queries().reader)
    return Feed(rows.rows([(one.view, one.reposted) for one in page]), before, further, explained, cursor)


@contextmanager
def _lines(at: CommitView, ask: FeedRequest, visibility: Visibility) -> Iterator[Lines]:
    """What gives the lines of the timeline that is asked for."""
    q, reposts = at.queries(), ask.reposts and not ask.all
    if ask.quotes:
        yield partial(q.quoting, js.target_of(ask.quotes))
        return
    if ask.account or ask.all:
        accounts = _accounts(at, ask)
        if accounts is None:
            yield partial(q.everybody, ask.replies)
        else:
            yield lambda before, after: q.lines(accounts, before, reposts, after)
        return
    if ask.in_list:
        members = visibility.members(ask.in_list)
        merging = home_timeline.listed(q, at.kept, (visibility.reader, ask.in_list), members, reposts)
    else:
        merging = home_timeline.home(q, at.kept, visibility.reader or hosted.my_account(at), visibility, reposts)
    with merging as lines:
        yield lines


def _accounts(at: CommitView, ask: FeedRequest) -> list[AccountId] | None:
    """Whose timelines are merged; None: they are too many, and the posts of all are read by time."""
    if ask.account:
        return [hosted.account_of(at, ask.account)]
    if ask.local and hosted.count(at) <= MERGED:
        return hosted.ids(at)
    return None


def _placed(at: CommitView, ask: FeedRequest) -> Callable[[TimelineLine], bool] | None:
    """Whether a line is of an account that is hosted where the request wants it; None: all are."""
    if not (ask.local or ask.remote):
        return None
    here = cache(partial(hosted.is_hosted, at.store))
    return lambda line: here(line.account) == ask.local


def _visibility(at: CommitView, ask: FeedRequest, reader: AccountId | None) -> Visibility:
    if not ask.in_list:
        kind: PlaceKind = "account" if ask.account else "public" if ask.all else "thread" if ask.quotes else "home"
        return visibility_of(at, reader, ViewPlace(kind))
    own = hosted.account_of(at, ask.by)
    held, name = at.private(own), js.key_of(ask.in_list)
    if held.get(AccountList(name, "")) is None:
        raise not_found(f"There is no list {ask.in_list}.")
    return visibility_of(at, own, ViewPlace("list", ask.in_list)).with_list(name, ask.in_list)


def _page(
    rows: RowCache,
    ask: FeedRequest,
    shows: Callable[[PostView], bool],
    lines: Iterable[TimelineLine],
    limit: int,
    looked: int,
    takes: Callable[[TimelineLine], bool] | None = None,
) -> tuple[list[_Shown], js.FeedCursor | None]:
    """At most `limit` posts, of `looked` lines that are read, and where the next page begins."""
    page, last, further = dict[Target, _Shown](), b"", iter(lines)
    while limit and (some := [*islice(further, max(1, min(limit - len(page), looked)))]):
        if len(page) == limit or looked == 0:
            return [*page.values()], js.feed_cursor(last)
        looked -= len(some)
        views, last = rows.views(filter(takes, some)), some[-1].cursor
        for view in filter(None, map(views.get, some)):
            if _wanted(ask, view) and shows(view):
                one = page.setdefault(view.target, _Shown(view))
                if view.reposted is not None and one.view.reposted is not None:
                    one.reposted.append(view.reposted)
    return [*page.values()], None


def _wanted(ask: FeedRequest, view: PostView) -> bool:
    post = view.post
    if not ask.replies and post.reply is not None and view.reposted is None:
        return False
    if ask.media and not post.media:
        return False
    if ask.tag is not None and tag_fold(ask.tag) not in map(tag_fold, post.tags):
        return False
    return not ask.langs or in_langs(post.lang, ask.langs)


def _ranked(at: CommitView, ask: FeedRequest, visibility: Visibility, lines: Lines, rows: RowCache) -> list[_Shown]:
    reader = visibility.reader
    if ask.account or ask.all or ask.quotes or reader is None:
        raise bad_request(f"The order {ask.rank} is of the home timeline, or of a list.")
    if ask.before:
        raise bad_request(f"The order {ask.rank} has one page; leave `before` out.")
    q = at.queries()
    noted = home_read(at.private(reader))
    since_ms = now_ms() - AWAY_MS if noted is None else cursor_ms(noted) + 1
    recent = takewhile(lambda line: line.ms >= since_ms, lines(None, None))
    page, _ = _page(rows, ask, visibility.shows, recent, CANDIDATES, CANDIDATES * js.LOOKED)
    known = [a for a in q.follows(reader) if visibility.sees(a)]
    for one, found in zip(page, q.responses([one.view.target for one in page], known), strict=True):
        one.placed = home_timeline.ORDERS[ask.rank](home_timeline.HomeCandidate(one.place_ms, *found))
    page.sort(key=lambda one: (one.placed.score, one.place_ms), reverse=True)
    return page[: ask.limit]


def _explain(rows: RowCache, ask: FeedRequest, reader: AccountId | None, one: _Shown) -> Explanation:
    author = one.view.target.account
    because: Because
    if one.reposted:
        because, by = "reposted", [r.by for r in one.reposted]
    elif ask.account or ask.all or ask.quotes:
        because, by = "public" if ask.all else "asked", [author]
    elif ask.in_list:
        because, by = "listed", [author]
    else:
        because, by = "own" if author == reader else "followed", [author]
    return Explanation(
        because, [AccountName(js.did(a), rows.name(a)) for a in by], one.place_ms, one.placed.why, one.placed.score
    )
