"""Pages by ids of a timeline that the node orders otherwise within a millisecond: none skipped, none told twice."""

from __future__ import annotations

from typing import Any

import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from banyan_crdt.ids import AccountId, CellKey, account_to_text
from banyan_schema.social import Target, post_to_text
from banyan_web.mastodon.paging import PageBounds, PageLine, line, page

places = st.tuples(
    st.integers(0, 3),  # milliseconds
    st.integers(0, 2),  # what the node adds below them
    st.integers(0, 2),  # account
    st.integers(0, 99),  # key
    st.booleans(),  # whether it is a repost, by the next account
)


def cursor_of(one: tuple[int, int, int, int, bool]) -> str:
    ms, more, account, key, _ = one
    return f"{ms:012x}{more:04x}" + bytes([account + 1] * 32 + [key] * 16).hex()


def row_of(one: tuple[int, int, int, int, bool]) -> dict[str, Any]:
    ms, _, account, key, is_repost = one
    target = Target(AccountId(bytes([account + 1] * 32)), CellKey(bytes([key] * 16)))
    by = {"account": account_to_text(AccountId(bytes([account + 2] * 32))), "time_ms": ms}
    return {"uri": post_to_text(target), "time_ms": ms, "reposted": [by] if is_repost else []}


@settings(deadline=None)
@given(st.sets(places, max_size=40), st.integers(1, 9), st.booleans())
def test_pages_of_any_size_give_each_once_in_the_order_of_ids(
    said: set[tuple[int, int, int, int, bool]], limit: int, rising: bool
) -> None:
    # of one account and key the node has one line at a time
    held = {cursor_of(one): row_of(one) for one in said}

    async def feed(limit: int, before: str | None = None, after: str | None = None) -> dict[str, Any]:
        if after is not None:
            found = sorted(place for place in held if place > after)
        else:
            found = sorted((place for place in held if before is None or place < before), reverse=True)
        some = found[:limit]
        more = some[-1] if len(found) > limit else None
        rows = [held[place] for place in (some if after is None else some[::-1])]
        return {"posts": rows, "before": None if after else more, "after": more if after else None}

    async def read() -> list[PageLine]:
        seen: list[PageLine] = []
        place: str | None = "0" if rising else None
        while True:
            at = PageBounds(None, place, True, limit) if rising else PageBounds(place, None, False, limit)
            found, further = await page(feed, at)
            seen = found + seen if rising else seen + found
            if not found or not further:
                return seen
            assert len(found) == limit or rising, "whoever is told of more was given all that was asked for"
            place = found[0].id if rising else found[-1].id

    wanted = sorted({line(row).id for row in held.values()}, reverse=True)
    assert [one.id for one in trio.run(read)] == wanted
