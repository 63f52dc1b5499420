"""Live events in a browser, the picture of the network, and two people who talk in a browser without scripts."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import trio
from PIL import Image
from playwright.sync_api import Page, Route

from banyan_web.oauth import logins
from tests.web.browser import broken, in_browser, meanwhile, needs_chromium
from tests.web.door import Door, open_node
from tests.web.test_page import call


@needs_chromium
async def test_a_post_appears_in_a_browser_at_another_node_as_it_comes(tmp_path: Path) -> None:
    async with open_node(tmp_path / "a") as one:
        addresses = (await call(one, "id"))["addresses"]
        async with open_node(tmp_path / "b", addresses[:1]) as two:
            an, _ = await one.person("An")
            Image.new("RGB", (60, 40), (200, 30, 30)).save(tmp_path / "a.png")
            blob = (await call(one, "media.put", path=str(tmp_path / "a.png")))["blob"]

            def look(page: Page) -> tuple[str, str, int, list[str]]:
                page.goto(two.url + "/network")
                page.locator(".map circle").nth(1).wait_for()
                peers = page.locator("#net tbody tr").count()
                page.goto(two.url + "/live")
                page.locator("#live-state", has_text="Connected").wait_for()
                shown = [{"blob": blob, "description": "đỏ"}]
                meanwhile(partial(call, one, "post", text="vừa mới viết <b>", media=shown, by=an))
                row = page.locator("#live li", has_text="vừa mới viết")
                row.wait_for()
                name = row.locator("a").inner_text()
                row.locator("a").click()
                page.wait_for_selector("html[data-checked=yes]")
                page.locator("figure img").evaluate("(image) => image.decode()")  # its bytes are at the other node
                page.goto(one.url + "/network")
                page.locator("#live-state", has_text="Live").wait_for()
                page.locator("#net-peers [data-cell=ms]", has_text="ms").wait_for()
                page.locator("#net-spreads tr", has_text="An").locator(".told").first.wait_for()
                page.goto(two.url + "/")  # posts come into the list by themselves
                page.locator("article .text", has_text="vừa mới viết").wait_for()
                meanwhile(partial(call, one, "post", text="và nữa", by=an))
                page.locator("article.new .text", has_text="và nữa").wait_for()
                page.locator("article > .proof").nth(1).wait_for()
                return name, page.locator(".proof summary").first.inner_text(), peers, broken(page)

            with trio.fail_after(180):  # each step in the browser has its own limit
                while not await call(two, "peers"):
                    await trio.sleep(0.05)
                found = await in_browser(look, locale="en-GB")
            assert found == ("An", "✓ Verified: signed by An", 1, [])
            (peer,) = await call(one, "peers")
            (peer_of_one,) = [row["peer"] for row in await call(two, "peers")]
            assert (peer["behind"], peer["lacks"], peer["neighbour"]) == (0, 0, True)
            (far,) = (await call(one, "distances"))["distances"]
            assert far["peer"] == peer["peer"]
            assert 0 < far["ms"] < 60_000
            with trio.fail_after(60):  # a look at the gossip is made now and then
                while len(spread := [row for row in (await call(one, "spreads"))["spreads"] if row["uri"]]) < 2:
                    await trio.sleep(0.05)
            assert [(row["source"], len(row["told"])) for row in spread] == [(None, 1)] * 2
            with trio.fail_after(60):
                while not (heard := await _heard(two, spread)):
                    await trio.sleep(0.05)
            assert {(row["source"], tuple(row["told"])) for row in heard} == {(peer_of_one, ())}
            room = await call(two, "room")
            assert sum(row["entries"] for row in room["origins"]) == room["entries"]
            assert {row["peer"] for row in room["origins"]} >= {peer_of_one}


@needs_chromium
async def test_a_post_that_comes_between_a_page_and_its_stream_is_put_in(tmp_path: Path) -> None:
    async with open_node(tmp_path) as door:
        an, _ = await door.person("An")
        await call(door, "post", text="từ trước", by=an)

        def look(page: Page) -> int:
            held = list[Route]()
            page.route("**/live/events*", lambda route: held.append(route))
            page.goto(door.url + "/")
            page.locator("article .text", has_text="từ trước").wait_for()
            while not held:
                page.wait_for_timeout(20)
            meanwhile(partial(call, door, "post", text="giữa chừng", by=an))
            held[0].continue_()
            page.locator("article.new .text", has_text="giữa chừng").wait_for()
            return page.locator("article").count()

        assert await in_browser(look) == 2


async def _heard(door: Door, spread: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Which of these messages the gossip brought to this node."""
    entries = {row["entry"] for row in spread}
    return [row for row in (await call(door, "spreads"))["spreads"] if row["entry"] in entries]


@needs_chromium
async def test_two_people_talk_in_a_browser_without_scripts_on_a_narrow_screen(tmp_path: Path) -> None:
    async with open_node(tmp_path) as door:
        an, _ = await door.person("An")
        binh, _ = await door.person("Bình")
        for did, name in ((an, "An"), (binh, "Bình")):
            logins.set_password(door.store, did, name, "mật khẩu rất dài")
        narrow = {"viewport": {"width": 320, "height": 640}, "java_script_enabled": False, "locale": "vi-VN"}

        def enter(page: Page, who: str) -> None:
            page.goto(door.url + "/")
            page.get_by_role("link", name="Đăng nhập").click()
            page.locator("input[name=name]").fill(who)
            page.locator("input[name=password]").fill("mật khẩu rất dài")
            page.get_by_role("button", name="Đăng nhập").click()

        def first(page: Page) -> None:
            enter(page, "An")
            page.get_by_label("Bạn muốn nói gì?").fill("Có ai không?")
            page.get_by_role("button", name="Đăng").first.click()
            page.get_by_text("Có ai không?").wait_for()

        def second(page: Page) -> tuple[int, str]:
            enter(page, "Bình")
            page.goto(door.url + "/")
            page.get_by_role("link", name="Trả lời").click()
            page.get_by_label("Trả lời An").fill("Có tôi")
            page.get_by_role("button", name="Đăng", exact=True).click()
            page.get_by_text("Có tôi").wait_for()
            return page.locator("article").count(), page.locator("article.d1 .text").inner_text()

        await in_browser(first, **narrow)
        assert await in_browser(second, **narrow) == (2, "Có tôi")
        thread = await call(door, "feed", account=binh)
        assert thread["posts"][0]["reply_name"] == "An"
