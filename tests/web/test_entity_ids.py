"""Ids of posts and reposts: equally long, the later greater as a text and as a number."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import trio
from hypothesis import given
from hypothesis import strategies as st

from banyan_crdt.ids import AccountId, CellKey, account_to_text
from banyan_schema.address import short
from banyan_schema.social import Target, post_to_text
from banyan_web.mastodon.entity_ids import PostId, RepostId, id_of_repost, parsed, repost_id, status_id
from tests.web.door import Client, open_node

accounts = st.one_of(st.sampled_from([bytes(32), b"\xff" * 32]), st.binary(min_size=32, max_size=32)).map(AccountId)
keys = st.one_of(st.sampled_from([bytes(16), b"\xff" * 16]), st.binary(min_size=16, max_size=16)).map(CellKey)
times = st.one_of(st.integers(0, 99), st.integers(1_790_000_000_000, 1_800_000_000_000), st.just((1 << 48) - 1))
said = st.tuples(times, st.builds(Target, accounts, keys), st.one_of(st.none(), accounts))


def id_of(time_ms: int, target: Target, by: AccountId | None) -> str:
    uri = post_to_text(target)
    return status_id(uri, time_ms) if by is None else repost_id(uri, account_to_text(by), time_ms)


@given(st.lists(said, max_size=20))
def test_all_ways_to_order_ids_are_the_order_of_time(some: list[tuple[int, Target, AccountId | None]]) -> None:
    made = {one: id_of(*one) for one in some}
    assert len({*made.values()}) == len(made)
    by_text = sorted(made.values())
    assert by_text == sorted(made.values(), key=int)
    assert by_text == sorted(made.values(), key=lambda id_: (len(id_), id_))
    times = {id_: one[0] for one, id_ in made.items()}
    assert [times[id_] for id_ in by_text] == sorted(times.values())


@given(said)
def test_an_id_says_what_it_is_of(one: tuple[int, Target, AccountId | None]) -> None:
    time_ms, target, by = one
    found = parsed(str(int(id_of(*one))))
    if by is None:
        assert found == PostId(post_to_text(target), time_ms)
    else:
        assert found == RepostId(account_to_text(by), time_ms, short(target).hex())
        assert id_of_repost(found) == id_of(*one)


async def test_an_app_that_compares_ids_as_mastodon_does_has_home_in_the_order_of_time(tmp_path: Path) -> None:
    async with open_node(tmp_path) as door:
        an, client = await door.person("an")
        lan, other = await door.person("lan")
        call = door.node.backend.call
        await call("follow", {"account": lan, "as": an})
        posts = []
        for n in range(6):
            posts.append(await write((client, other)[n % 2], f"bài {n}"))
            if n % 2:
                await other.post(f"/api/v1/statuses/{posts[n - 1]['id']}/reblog")
        page: list[dict[str, Any]] = await client.get("/api/v1/timelines/home")
        times = [one["created_at"] for one in page]
        assert times == sorted(times, reverse=True)
        assert sum(one["reblog"] is not None for one in page) == 3
        ids = [one["id"] for one in page]
        assert ids == sorted(ids, key=lambda id_: (len(id_), id_), reverse=True)
        assert ids == sorted(ids, key=int, reverse=True)
        seen: list[str] = []
        while step := await client.ask(
            "GET", "/api/v1/timelines/home", params={"limit": 2} | ({"max_id": seen[-1]} if seen else {})
        ):
            seen += [one["id"] for one in step]
        assert [id_ for id_ in seen if id_ in {*ids}] == ids


async def test_a_repost_is_found_by_its_id_until_it_is_taken_back(tmp_path: Path) -> None:
    async with open_node(tmp_path) as door:
        _, client = await door.person("an")
        lan, other = await door.person("lan")
        post = await write(client, "một")
        second = await write(client, "hai")
        boost = await other.post(f"/api/v1/statuses/{post['id']}/reblog")
        await other.post(f"/api/v1/statuses/{second['id']}/reblog")
        shown = await client.get(f"/api/v1/statuses/{boost['id']}")
        assert (shown["id"], shown["reblog"]["id"]) == (boost["id"], post["id"])
        assert shown["created_at"] == boost["created_at"]
        place = parsed(boost["id"])
        assert isinstance(place, RepostId)
        asked: dict[str, Any] = {"account": place.by, "time_ms": place.time_ms}
        call = door.node.backend.call
        assert await call("repost.find", {**asked, "short": place.short}) == {"uri": post["uri"]}
        assert await call("repost.find", {**asked, "short": "0" * 32}) == {"uri": None}
        liked = await client.post(f"/api/v1/statuses/{boost['id']}/favourite")
        assert (liked["id"], liked["favourites_count"]) == (post["id"], 1)
        kept = await marked(client, boost["id"])
        assert kept == boost["id"], "an app finds the repost again up to which somebody read"
        asked = {"id[]": [boost["id"], second["id"]]}
        both = await client.ask("GET", "/api/v1/statuses", params=asked)
        assert {one["id"] for one in both} == {post["id"], second["id"]}
        assert (await client.http.request("DELETE", f"/api/v1/statuses/{boost['id']}")).status_code == 403
        await other.ask("DELETE", f"/api/v1/statuses/{boost['id']}")
        assert (await client.get(f"/api/v1/statuses/{post['id']}"))["reblogs_count"] == 0
        await client.get(f"/api/v1/statuses/{boost['id']}", 404)
        only = await client.ask("GET", "/api/v1/statuses", params=asked)
        assert [one["id"] for one in only] == [second["id"]]
        page = await client.get("/api/v1/accounts/" + boost["account"]["id"] + "/statuses")
        assert [one["reblog"]["id"] for one in page] == [second["id"]], lan


async def write(client: Client, text: str) -> dict[str, Any]:
    made: dict[str, Any] = await client.ask("POST", "/api/v1/statuses", json={"status": text})
    return made


async def marked(client: Client, id_: str) -> str:
    await client.post("/api/v1/markers", home={"last_read_id": id_})
    with trio.fail_after(60):
        found = await client.ask("GET", "/api/v1/markers", params={"timeline[]": "home"})
    return str(found["home"]["last_read_id"])
