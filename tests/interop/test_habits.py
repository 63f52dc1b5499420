"""What clients do that no documentation asks for: every list walked to its end as the libraries walk it, and the same
request in all the ways in which apps write it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import trio

from banyan_web.mastodon.entity_ids import account_id, status_id, thing_id
from tests.interop.by_masto import library
from tests.interop.packages import needs_packages
from tests.web.door import Door, open_node
from tests.web.mastodon_py import app_of, run

MANY = 5
JSON = "application/json"


class Crowd:
    """an and five others, who follow each other. ids: of the others. post: that they all marked. list_: on which they
    all are."""

    def __init__(self, door: Door, an: str, others: list[str]) -> None:
        self.door, self.an, self.others = door, an, others
        self.ids = {account_id(did) for did in others}
        self.post = self.list_ = ""

    async def gather(self) -> None:
        call = self.door.node.backend.call
        first = await call("post", {"text": "Mời cả nhà", "as": self.an})
        self.list_ = (await call("list.set", {"title": "Cả nhà", "as": self.an}))["id"]
        await call("list.add", {"id": self.list_, "accounts": self.others, "as": self.an})
        row = (await call("posts.get", {"uris": [first["uri"]], "as": self.an}))["posts"][0]
        self.post = status_id(row["uri"], row["time_ms"])
        for did in self.others:
            await call("follow", {"account": self.an, "as": did})
            await call("react", {"uri": first["uri"], "emoji": "❤", "as": did})
            await call("repost", {"uri": first["uri"], "as": did})
            await call("reply", {"uri": first["uri"], "text": "Vâng", "as": did})
            await call("follow", {"account": did, "as": self.an})
        for n in range(MANY):
            due = int((time.time() + 86_400) * 1_000) + n
            await call("post", {"text": f"Nay {n}", "as": self.an})
            await call("draft.set", {"text": f"Sau {n}", "due": due, "as": self.an})


MARKED = "v1.statuses[{post}].favouritedBy.list", "v1.statuses[{post}].rebloggedBy.list"
"""Mastodon.py pages none of them; whom one mutes is not in them."""
LISTS: tuple[tuple[str, str, str], ...] = (
    ("account_followers", "me", "v1.accounts[{me}].followers.list"),
    ("account_following", "me", "v1.accounts[{me}].following.list"),
    ("list_accounts", "list", "v1.lists[{list}].accounts.list"),
    ("mutes", "", "v1.mutes.list"),
)
"""With Mastodon.py, and what it is called with; with masto. Whom one mutes is in them: they are one's own."""


@needs_packages
async def test_every_list_is_walked_to_its_end_and_nobody_is_told_twice(tmp_path: Path) -> None:
    async with open_node(tmp_path) as door, library() as masto:
        people = [(await door.person(name))[0] for name in ("an", *(f"n{n}" for n in range(MANY)))]
        at = Crowd(door, people[0], people[1:])
        await at.gather()
        app, config = app_of(door, at.an), {"url": door.url, "accessToken": door.token(at.an)}

        async def walked(path: str) -> list[Any]:
            found: list[Any] = await masto.ask("rest", config, path, {"limit": 2}, page="all")
            return found

        known = {"me": account_id(at.an), "list": thing_id(at.list_), "post": at.post}
        for path in MARKED:
            ids = [one["id"] for one in await walked(path.format(**known))]
            assert (len(ids), {*ids}) == (MANY, at.ids), path
        for did in at.others:
            await door.node.backend.call("mute", {"account": did, "as": at.an})
        for path in MARKED:
            assert await walked(path.format(**known)) == []
        for method, of, path in LISTS:
            ids = [one["id"] for one in await walked(path.format(**known))]
            assert (len(ids), {*ids}) == (MANY, at.ids), path
            page = await run(getattr(app, method), *([known[of]] if of else []), limit=2)
            assert len(page) == 2
            assert [str(one.id) for one in await run(app.fetch_remaining, page)] == ids, method
        for did in at.others:
            await door.node.backend.call("mute", {"account": did, "undo": True, "as": at.an})

        page = await run(app.scheduled_statuses, limit=2)
        every = [one.params.text for one in await run(app.fetch_remaining, page)]
        assert sorted(every) == [f"Sau {n}" for n in range(MANY)]
        assert every == [one["params"]["text"] for one in await walked("v1.scheduledStatuses.list")]

        newest = await run(app.account_statuses, known["me"], limit=2)
        down = [str(one.id) for one in await run(app.fetch_remaining, newest)]
        assert len(down) == len({*down}) == 1 + MANY
        oldest = await run(app.account_statuses, known["me"], max_id=down[-3], limit=2)
        up = [str(one.id) for one in await run(lambda: list(app.pagination_iterator(oldest, "previous")))]
        assert (len(up), {*up}) == (len(down), {*down})

        groups = await run(app.grouped_notifications, limit=3)
        pages = await run(lambda: list(app.pagination_page_iterator(groups)))
        told = [group.page_max_id for page in pages for group in page.notification_groups]
        assert len(told) == len({*told})
        counted = sum(group.notifications_count for page in pages for group in page.notification_groups)
        assert counted == len(await run(app.notifications, limit=80))

        assert len(await run(app.account_followers, account_id(at.an), limit=80)) == MANY
        for wild in (81, 1_000, 10**15):
            assert len(await run(app.timeline_home, limit=wild)) == len(await run(app.timeline_home))


async def test_one_request_may_be_written_in_many_ways(tmp_path: Path) -> None:
    async with open_node(tmp_path) as door:
        an, client = await door.person("an")
        app = app_of(door, an)
        nulls = {"spoiler_text": None, "in_reply_to_id": None, "media_ids": None, "poll": None, "language": None,
                 "visibility": None, "sensitive": None, "scheduled_at": None, "quoted_status_id": None}  # fmt: skip
        form = {"status": "bằng đơn", "media_ids[]": [], "sensitive": "0", "poll": "", "in_reply_to_id": "", "x": "y"}
        for path, given in (
            ("/api/v1/statuses", {"json": {"status": "bằng JSON", **nulls, "unknown": {"a": [1]}}}),
            ("/api/v1/statuses/", {"json": {"status": "gạch chéo"}}),
            ("//api//v1/statuses", {"json": {"status": "hai gạch chéo"}}),
            ("/api/v1/statuses", {"data": form}),
            ("/api/v1/statuses", {"files": {"status": (None, "bằng nhiều phần"), "visibility": (None, "unlisted")}}),
            ("/api/v1/statuses?status=trong+câu+hỏi", {}),
            ("/api/v1/statuses", {"content": '{"status": "a"}', "headers": {"content-type": JSON + "; charset=utf-8"}}),
        ):  # fmt: skip
            made = await client.ask("POST", door.url + path, 200, **given)
            assert (await run(app.status, made["id"])).spoiler_text == "", given
        assert {one.visibility for one in await run(app.timeline_home)} == {"public", "unlisted"}

        whole = await client.get("/api/v1/timelines/home")
        for accept in (
            "*/*",
            "application/json",
            "text/html,application/xhtml+xml,*/*;q=0.8",
            "image/webp",
            "nonsense",
        ):
            answer = await client.http.get(f"{door.url}//api/v1//timelines/home/?x=y", headers={"accept": accept})
            assert (answer.json(), answer.headers["content-type"]) == (whole, "application/json; charset=utf-8")
            missing = await client.http.get("/api/v1/statuses/7", headers={"accept": accept})
            assert (missing.status_code, missing.json()) == (404, {"error": "Record not found", "code": "not_found"})
        for path in ("/api/v1/timelines/home", "/api/v1/streaming/user", "/api/v1/accounts/verify_credentials"):
            with trio.fail_after(60):
                head = await client.http.head(path)
            assert (head.status_code, head.content) == (200, b"")
        page = await client.http.get("/api/v1/timelines/home?limit=2&with_muted=1")
        following, before = page.links["next"]["url"], page.links["prev"]["url"]
        assert following.startswith(door.url + "/api/v1/timelines/home?limit=2&with_muted=1&max_id=")
        assert len((await client.http.get(following)).json()) == 2
        assert (await client.http.get(before)).json() == []

        asked = "authorization, content-type, idempotency-key, x-requested-with"
        headers = {"origin": "https://app.example", "access-control-request-method": "POST"}
        may = await client.http.options(
            "/api/v1/statuses", headers={**headers, "access-control-request-headers": asked}
        )
        assert may.status_code in (200, 204)
        allowed = {one.strip().lower() for one in may.headers["access-control-allow-headers"].split(",")}
        assert {"*", "authorization"} <= allowed, "a star does not stand for Authorization"
        assert may.headers["access-control-allow-origin"] == "*"


async def test_yes_is_whatever_does_not_say_no(tmp_path: Path) -> None:
    """Tuba asks for tags with `resolve=hashtags`."""
    async with open_node(tmp_path) as door:
        an, client = await door.person("an")
        await door.node.backend.call("post", {"text": "Sáng nay #hanoi"})
        found = await client.get("/api/v2/search", q="hanoi", limit=4, exclude_unreviewed="true", resolve="hashtags")
        assert [tag["name"] for tag in found["hashtags"]] == ["hanoi"]
        path = f"/api/v1/accounts/{account_id(an)}/statuses"
        for no in ("false", "False", "FALSE", "0", "f", "F", "off", "OFF", ""):
            assert len(await client.get(path, only_media=no)) == 1, no
        for yes in ("true", "1", "on", "y", "media"):
            assert await client.get(path, only_media=yes) == [], yes
        wrongs: tuple[Any, ...] = ([], {}, ["true"])
        for wrong in wrongs:
            body = {"status": "x", "sensitive": wrong}
            await client.ask("POST", "/api/v1/statuses", 422, json=body)


async def test_a_slash_too_many_opens_nothing(tmp_path: Path) -> None:
    async with open_node(tmp_path) as door:
        http = door.client().http
        assert (await http.post(door.url + "//api//v1/statuses", json={"status": "x"})).status_code == 401
        found = await http.get(door.url + "//evil.example/%2F..//login")
        assert (found.status_code, "location" in found.headers) == (404, False)
