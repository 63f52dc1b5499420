"""Timelines page by page, up and down: nothing is skipped and nothing told twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import trio

from tests.web.door import open_node
from tests.web.mastodon_py import app_of, run
from tests.web.test_statuses import picture


async def test_pages_go_on_where_the_last_one_ended(tmp_path: Path) -> None:
    async with open_node(tmp_path) as door:
        an, _ = await door.person("an")
        lan, _ = await door.person("lan")
        app, other = app_of(door, an), app_of(door, lan)
        await door.node.backend.call("follow", {"account": lan, "as": an})
        friends = (await door.node.backend.call("list.set", {"title": "bạn", "as": an}))["id"]
        await door.node.backend.call("list.add", {"id": friends, "accounts": [lan], "as": an})
        ids = []
        for n in range(12):
            ids.append((await run((app, other)[n % 2].status_post, f"bài {n} #thử")).id)
        ids.reverse()
        of_lan = ids[::2]
        lan_id = (await run(app.status, of_lan[0])).account.id
        with trio.fail_after(60):
            while len(await run(app.timeline_hashtag, "thử")) < 12:
                await trio.sleep(0.2)
        for name, wanted, first in (
            ("home", ids, lambda **k: app.timeline_home(**k)),
            ("public", ids, lambda **k: app.timeline_public(**k)),
            ("local", ids, lambda **k: app.timeline_local(**k)),
            ("tag", ids, lambda **k: app.timeline_hashtag("thử", **k)),
            ("local tag", ids, lambda **k: app.timeline_hashtag("THỬ", local=True, **k)),
            ("list", of_lan, lambda **k: app.timeline_list(int(friends, 16), **k)),
            ("account", of_lan, lambda **k: app.account_statuses(lan_id, **k)),
        ):
            found, pages = [], []
            page = await run(first, limit=5)
            while page:
                pages.append(page)
                found += [one.id for one in page]
                page = await run(app.fetch_next, page)
            assert found == wanted, name
            up = await run(app.fetch_previous, pages[-1])
            above = wanted[: wanted.index(pages[-1][0].id)]
            assert [one.id for one in up] == above[-5:], name
            assert [one.id for one in await run(first, since_id=wanted[2])] == wanted[:2], name
            assert await run(first, min_id=wanted[0]) == [], name
            between = await run(first, min_id=wanted[4], max_id=wanted[1])
            assert [one.id for one in between] == wanted[2:4], name


async def test_no_post_is_skipped_or_told_twice_while_others_write(tmp_path: Path) -> None:
    """Two accounts write without a pause. One reader goes up from the beginning, others go down from the top."""
    async with open_node(tmp_path) as door:
        an, client = await door.person("an")
        lan, _ = await door.person("lan")
        await door.node.backend.call("follow", {"account": lan, "as": an})
        written: set[str] = set()
        done = trio.Event()

        async def write(who: str) -> None:
            for n in range(60):
                made = await door.node.backend.call("post", {"text": f"{n}", "as": who})
                written.add(made["uri"])

        async def up() -> None:
            """Reads what is new until all is read."""
            seen: list[str] = []
            last = "0"
            while not (done.is_set() and len(seen) >= len(written)):
                page = await client.get("/api/v1/timelines/home", min_id=last, limit=7)
                seen += [one["uri"] for one in reversed(page)]
                last = page[0]["id"] if page else last
                if not page:
                    await trio.sleep(0.01)
            assert len(seen) == len(set(seen))
            assert set(seen) == written

        async def down() -> None:
            while not done.is_set():
                before = set(written)
                seen: list[str] = []
                page = await client.get("/api/v1/timelines/home", limit=7)
                while page:
                    seen += [one["uri"] for one in page]
                    page = await client.get("/api/v1/timelines/home", limit=7, max_id=page[-1]["id"])
                assert len(seen) == len(set(seen))
                assert before <= set(seen)

        with trio.fail_after(120):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(up)
                nursery.start_soon(down)
                async with trio.open_nursery() as writers:
                    writers.start_soon(write, an)
                    writers.start_soon(write, lan)
                done.set()


async def test_many_posts_of_one_millisecond_are_all_read(tmp_path: Path) -> None:
    async with open_node(tmp_path) as door:
        _, client = await door.person("an")
        said = {"text": "x", "time_ms": 1_700_000_000_000}
        rows: list[dict[str, Any]] = [{"accounts": [f"p{n}" for n in range(7)]}]
        rows += [{"row": n, "author": f"p{n % 7}", **said} for n in range(90)]
        begun = (await door.node.backend.call("import.begin", {"kind": "posts", "source": "x", "batches": 1}))["id"]
        await door.node.backend.call("import.batch", {"id": begun, "number": 0, "rows": rows})
        for start in ({}, {"min_id": "0"}):
            seen: list[str] = []
            place: dict[str, Any] = dict(start)
            while page := await client.get("/api/v1/timelines/public", limit=40, **place):
                assert [one["id"] for one in page] == sorted((one["id"] for one in page), reverse=True)
                seen += [one["id"] for one in page]
                place = {"min_id": page[0]["id"]} if start else {"max_id": page[-1]["id"]}
            assert (len(seen), len(set(seen))) == (90, 90)


async def test_a_page_has_the_name_that_its_author_has_now(tmp_path: Path) -> None:
    async with open_node(tmp_path) as door:
        an, client = await door.person("an")
        await client.http.post("/api/v1/statuses", json={"status": "bài"})

        async def names() -> set[str]:
            own = (await client.get("/api/v1/accounts/verify_credentials"))["id"]
            pages = ("/api/v1/timelines/home", "/api/v1/timelines/public", f"/api/v1/accounts/{own}/statuses")
            return {one["account"]["display_name"] for page in pages for one in await client.get(page)}

        for name in ("an", "An Nguyễn", "An"):
            await door.node.backend.call("profile.set", {"fields": {"name": name}, "as": an})
            assert await names() == {name}


async def test_a_page_has_the_picture_that_its_author_has_now(tmp_path: Path) -> None:
    async with open_node(tmp_path) as door:
        an, client = await door.person("an")
        app = app_of(door, an)
        first = await run(app.status_post, "bài")
        await run(app.status_reblog, first.id)
        own = first.account.id

        async def pictures() -> set[tuple[str, str]]:
            pages = ("/api/v1/timelines/home", "/api/v1/timelines/public", f"/api/v1/accounts/{own}/statuses")
            shown = [one["account"] for page in pages for one in await client.get(page)]
            return {(one["avatar"], one["avatar_static"]) for one in shown}

        asked = {*(await pictures())}
        for colour in ("red", "blue"):
            told = await run(app.account_update_credentials, avatar=picture(colour), avatar_mime_type="image/png")
            assert await pictures() == {(told.avatar, told.avatar_static)}
            asked |= {(told.avatar, told.avatar_static)}
        assert len(asked) == 3
        told = await run(app.account_delete_avatar)
        assert await pictures() == {(told.avatar, told.avatar_static)}
        assert told.avatar.endswith("/static/avatar.png")
