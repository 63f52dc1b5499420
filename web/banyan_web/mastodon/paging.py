"""Pages of posts, by ids: max_id, since_id, min_id, and the Link header.

The node orders a timeline by times of 8 bytes, and then by account and key. An id holds the milliseconds alone. So a
page asks from the end of a millisecond on, takes all of each millisecond that it reaches, and orders by id: then no
post is skipped or told twice, whatever is written meanwhile.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote, urlencode

from banyan_node.api.methods.posts.post_rows import PostRow
from banyan_reading.timelines import place_ms
from banyan_web.endpoint import DoorContext, DoorRequest
from banyan_web.mastodon.entity_ids import FIRST, STATUS_DIGITS, TIME_DIGITS, repost_id, status_id
from banyan_web.params import number, text

T = TypeVar("T")
LIMIT, MOST = 20, 40
READS, SPARSE = 50, 2
"""Pages of the node that one page may take where much is of one millisecond; and where little is what was asked for."""
SPARE, GROWS, LARGEST = 8, 8, 1_000
"""The first of them has so many posts more than are wanted, for few are of the millisecond at its end. Each other one
is so many times as large as the one before, up to the largest that the node gives."""
_PLACES = ("max_id", "min_id", "since_id", "offset")
_END = "f" * 100
_BEGIN = "0" * 100
Feed = Callable[..., Awaitable[dict[str, Any]]]
"""Asks the node for a page: `feed(before=, limit=)` or `feed(after=, limit=)`."""


class PageBounds(NamedTuple):
    """Of a page. below: ids are smaller than that. above: they are greater. rising: whether the page is the one next to
    `above`."""

    below: str | None
    above: str | None
    rising: bool
    limit: int


class PageLine(NamedTuple):
    """row: as JSON values, or in its type."""

    id: str
    row: Any


def bounds(ask: DoorRequest, limit: int = LIMIT, most: int = MOST) -> PageBounds:
    """Raises HttpRefusal."""
    below, above, rising = (_whole(text(ask.params, name, "")) for name in ("max_id", "since_id", "min_id"))
    return PageBounds(below, rising or above, rising is not None, number(ask.params, "limit", limit, most))


def _whole(id_: str) -> str | None:
    """An id with the zeros that clients lose which take it for a number; any text that sorts among ids will do."""
    if not id_:
        return None
    if not id_.isascii() or not id_.isdigit():
        return id_[:1_000]
    return id_[:STATUS_DIGITS].rjust(TIME_DIGITS if len(id_) <= TIME_DIGITS else STATUS_DIGITS, "0")


def line(row: dict[str, Any]) -> PageLine:
    """A row of the node under the id that it has in a timeline."""
    by = next(iter(row["reposted"]), None)
    if by is None:
        return PageLine(status_id(row["uri"], row["time_ms"]), row)
    return PageLine(repost_id(row["uri"], by["account"], by["time_ms"]), row)


def typed_line(row: PostRow) -> PageLine:
    """The same of a row in its type."""
    if not row.reposted:
        return PageLine(status_id(row.uri, row.time_ms), row)
    by = row.reposted[0]
    return PageLine(repost_id(row.uri, by.account, by.time_ms), row)


class PostPage(NamedTuple):
    """lines: the newest first. further: whether older ones may follow: some apps ask again and again if they are told
    so on the last page."""

    lines: list[PageLine]
    further: bool


async def page(feed: Feed, at: PageBounds, line_of: Callable[[Any], PageLine] = line) -> PostPage:
    """line_of: of a row that the feed gives."""
    rising = at.rising
    start = at.above if rising else at.below
    place = None if start is None else _place(start, rising)
    found: dict[str, PageLine] = {}
    size = at.limit + SPARE
    reached = -1
    for n in range(READS):
        answer = await feed(**{"after" if rising else "before": place, "limit": size})
        size = min(GROWS * size, LARGEST)
        for one in map(line_of, answer["posts"]):
            if (at.below is None or one.id < at.below) and (at.above is None or one.id > at.above):
                found[one.id] = one
        place = answer["after" if rising else "before"]
        if place is None:
            break
        ms = place_ms(place)
        end = f"{ms + FIRST:0{TIME_DIGITS}d}"
        beyond = [id_ for id_ in found if (id_[:TIME_DIGITS] < end if rising else id_[:TIME_DIGITS] > end)]
        if len(beyond) >= at.limit:
            break
        if not rising and at.above is not None and ms < _ms(at.above):
            break
        if n >= SPARSE and ms != reached:
            break
        reached = ms
    lines = sorted(found.values(), reverse=True)
    if rising:
        return PostPage(lines[-at.limit :], True)
    return PostPage(lines[: at.limit], place is not None or at.above is not None or len(lines) > at.limit)


def both(one: Feed, other: Feed) -> Feed:
    """Two timelines of typed rows as one. Of a page, what stands on the far side of the place up to which both were
    read is left out, and comes on the next one."""

    async def feed(limit: int = LIMIT, before: str | None = None, after: str | None = None) -> dict[str, Any]:
        name, rising, place = ("before", False, before) if after is None else ("after", True, after)
        given = [place, place] if place is None or "|" not in place else place.split("|")[1:]
        found = [await feed(**{name: at, "limit": limit}) for feed, at in zip((one, other), given, strict=True)]
        ends = [page[name] for page in found if page[name] is not None]
        rows: dict[str, PostRow] = {}
        for page in reversed(found):  # of a post that both have, the row of the first
            rows |= {typed_line(row).id: row for row in page["posts"]}
        if not ends:
            return {"posts": list(rows.values()), "before": None, "after": None}
        far = (min if rising else max)(map(place_ms, ends))
        again = f"{far:012x}" + (_BEGIN if rising else _END)
        on = [page[name] if page[name] is not None and place_ms(page[name]) == far else again for page in found]
        some = [row for id_, row in rows.items() if (_ms(id_) <= far if rising else _ms(id_) >= far)]
        return {"posts": some, "before": None, "after": None, name: "|".join([f"{far:012x}", *on])}

    return feed


def _place(id_: str, rising: bool) -> str:
    """Where all that is older than the millisecond of an id, and it itself, comes next."""
    ms = _ms(id_)
    return f"{ms:012x}" + (_BEGIN if rising else _END)


def _ms(id_: str) -> int:
    digits = id_[:TIME_DIGITS]
    return min(max(int(digits) - FIRST, 0), (1 << 48) - 1) if digits.isascii() and digits.isdigit() else 0


def cut(
    ask: DoorRequest, items: Sequence[T], id_of: Callable[[T], str], limit: int = LIMIT, most: int = MOST
) -> list[T]:
    """The page of a list that is whole, the greatest id first. Raises HttpRefusal."""
    at = bounds(ask, limit, most)
    size = max((len(id_of(item)) for item in items), default=0)
    below, above = (None if one is None else one.lstrip("0").rjust(size, "0") for one in (at.below, at.above))
    some = [item for item in items if (below is None or id_of(item) < below) and (above is None or id_of(item) > above)]
    return some[-at.limit :] if at.rising else some[: at.limit]


def link(web: DoorContext, ask: DoorRequest, ids: Sequence[str], further: bool = True) -> None:
    """The Link header of a page with these ids, the greatest first. further: whether older ones may follow."""
    if ids:
        places([("next", "max_id", ids[-1])] * further + [("prev", "min_id", ids[0])], web, ask)


def between(web: DoorContext, ask: DoorRequest, older: str | None, newer: str | None = None) -> None:
    """The Link header of a page whose places are no ids of posts. older: `max_id` of the next page, None on the last
    one. newer: `min_id` of what is newer."""
    said = [("next", "max_id", older), ("prev", "min_id", newer)]
    if found := [(relation, name, place) for relation, name, place in said if place is not None]:
        places(found, web, ask)


def places(said: Iterable[tuple[str, str, str]], web: DoorContext, ask: DoorRequest) -> None:
    """The Link header. said: (relation, parameter, its value)."""
    rest = [(name, value) for name, value in ask.request.query_params.multi_items() if name not in _PLACES]
    where = f"{web.url}{quote(ask.request.scope['path'])}"
    ask.headers["link"] = ", ".join(
        f'<{where}?{urlencode([*rest, (name, value)])}>; rel="{relation}"' for relation, name, value in said
    )
