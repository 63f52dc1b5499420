"""A withheld post is 451 with its order, for programs, apps and pages; its conversation says so."""

from __future__ import annotations

from pathlib import Path

from banyan_web.page.formats import post_path
from tests.web.door import open_node
from tests.web.test_platform import platform

ORDER = {"order": "QĐ 12", "basis": "NĐ 147", "scope": "VN", "days": 30}


async def test_everybody_who_asks_for_a_withheld_post_gets_its_order(tmp_path: Path) -> None:
    async with open_node(tmp_path) as door:
        an, _ = await door.person("An")
        app, node = door.client(an, "read", "write"), door.node.backend.call
        post = await app.ask("POST", "/api/v1/statuses", json={"status": "một tin"})
        answer = await app.ask("POST", "/api/v1/statuses", json={"status": "hai", "in_reply_to_id": post["id"]})
        uris = {one["text"]: one["uri"] for one in (await node("feed", {"account": an}))["posts"]}
        uri, below = uris["một tin"], (await node("thread", {"uri": uris["một tin"]}))["posts"][1]["uri"]
        await node("content.withhold", {"uri": uri, **ORDER})
        anybody = door.client().http
        for client, path in (
            (platform(door), f"/v1/posts/{uri}"),
            (platform(door), f"/v1/posts/{uri}/why"),
            (app, f"/api/v1/statuses/{post['id']}"),
        ):
            refused = await client.get(path, 451)
            by = refused["withheld"]
            assert [by[name] for name in ("by", "order", "basis", "scope")] == [None, "QĐ 12", "NĐ 147", "VN"]
            assert by["until_ms"] == by["since_ms"] + 30 * 86_400_000
            assert "QĐ 12; NĐ 147; VN; until 20" in refused["error"]
        assert (await app.get(f"/api/v1/statuses/{answer['id']}"))["id"] == answer["id"]
        found = await platform(door).get(f"/v1/posts/{below}/thread")
        assert (found["gone"]["word"], found["gone"]["withheld"]["order"]) == ("withheld", "QĐ 12")
        for shown in (uri, below):
            page = await anybody.get(post_path(shown))
            assert "QĐ 12; NĐ 147; VN" in page.text, page.text
        await platform(door).get(f"/v1/posts/{uri[:-8]}00000000", 404)
