"""What moderators decide reaches what is open: streams of apps, and pages in a browser."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from playwright.sync_api import Page
from trio_websocket import open_websocket_url

from tests.node.real import converged, make_home, make_node, running
from tests.web.browser import broken, in_browser, meanwhile, needs_chromium
from tests.web.door import Door, open_node
from tests.web.lines import open_lines
from tests.web.mastodon_py import app_of, run
from tests.web.test_page import call


class Told:
    """What streams told, by the name of the stream: (event, payload)."""

    def __init__(self) -> None:
        self.of: dict[str, list[tuple[str, Any]]] = {}

    async def by_sse(self, door: Door, who: str, path: str, opened: trio.Event) -> None:
        self.of[path] = []
        async with open_lines(door.url, f"/api/v1/streaming/{path}", door.token(who, "read")) as lines:
            event = ""
            opened.set()
            async for line in lines:
                if line.startswith("event: "):
                    event = line.removeprefix("event: ").strip()
                elif line.startswith("data: "):
                    self._add(path, event, line.removeprefix("data: ").strip())

    async def by_socket(self, door: Door, who: str, stream: str, opened: trio.Event) -> None:
        name = f"socket {stream}"
        self.of[name] = []
        url = door.url.replace("http", "ws", 1)
        address = f"{url}/api/v1/streaming?access_token={door.token(who, 'read')}&stream={stream}"
        async with open_websocket_url(address) as socket:
            opened.set()
            while True:
                said = json.loads(await socket.get_message())
                self._add(name, said["event"], said["payload"])

    async def by_page(self, door: Door, opened: trio.Event) -> None:
        """What `/live/events` tells of posts that were judged."""
        self.of["page"] = []
        async with open_lines(door.url, "/live/events", None) as lines:
            event = ""
            opened.set()
            async for line in lines:
                if line.startswith("event: "):
                    event = line.removeprefix("event: ").strip()
                elif line.startswith("data: ") and event == "judged":
                    self._add("page", event, line.removeprefix("data: ").strip())

    def _add(self, name: str, event: str, payload: str) -> None:
        if event != "notification":
            self.of[name].append((event, payload if event == "delete" else json.loads(payload)))

    async def next(self) -> list[tuple[str, Any]]:
        """The next of each stream; they are taken away."""
        with trio.fail_after(180):
            while not all(self.of.values()):
                await trio.sleep(0.02)
        return [told.pop(0) for told in self.of.values()]


async def listen(nursery: trio.Nursery, *streams: Callable[[trio.Event], Awaitable[None]]) -> None:
    """Returns when all are open."""
    for stream in streams:
        opened = trio.Event()
        nursery.start_soon(stream, opened)
        with trio.fail_after(180):
            await opened.wait()


@pytest.mark.parametrize("workers", ["0", "1"])
async def test_open_streams_hear_what_moderators_decide_and_take_back(tmp_path: Path, workers: str) -> None:
    async with open_node(tmp_path, http__workers=workers) as door:
        an, _ = await door.person("An")
        binh, _ = await door.person("Bình")
        chi, _ = await door.person("Chi")
        dung, _ = await door.person("Dũng")
        node, admin, told = door.node.backend.call, door.client(chi, "admin"), Told()
        await node("follow", {"account": an, "as": binh})
        post = await run(app_of(door, an).status_post, "mua ngay #rao")
        # who follows only somebody who reposted it has it too
        await node("follow", {"account": chi, "as": dung})
        await run(app_of(door, chi).status_reblog, post["id"])

        async def decide(verdict: str, **more: Any) -> int:
            made = await admin.post("/v1/admin/decisions", account=an, posts=[uri], verdict=verdict, **more)
            return int(made["id"])

        uri = post["uri"]
        async with trio.open_nursery() as nursery:
            await listen(
                nursery,
                partial(told.by_sse, door, binh, "user"),
                partial(told.by_sse, door, binh, "public"),
                partial(told.by_sse, door, binh, "hashtag?tag=rao"),
                partial(told.by_socket, door, binh, "user"),
                partial(told.by_socket, door, chi, "public:local"),
            )
            number = await decide("label", text="Quảng cáo")
            for event, status in await told.next():
                assert (event, status["id"], status["spoiler_text"]) == ("status.update", post["id"], "Quảng cáo")
            await admin.ask("DELETE", f"/v1/admin/decisions/{number}")
            for event, status in await told.next():
                assert (event, status["id"], status["spoiler_text"]) == ("status.update", post["id"], "")
            opened = trio.Event()
            nursery.start_soon(told.by_sse, door, dung, "user?", opened)
            await opened.wait()
            for verdict, more in (("hide", {}), ("withhold", {"order": "Lệnh 1"})):
                number = await decide(verdict, **more)
                assert await told.next() == [("delete", post["id"])] * 6
                await admin.ask("DELETE", f"/v1/admin/decisions/{number}")
                for event, status in await told.next():
                    assert (event, status["id"]) == ("status.update", post["id"])
            await node("edit", {"uri": uri, "text": "mua mai #rao"})
            for event, status in await told.next():
                assert (event, status["id"]) == ("status.update", post["id"])
                assert "mua mai" in status["content"]
            await node("content.withhold", {"uri": uri, "order": "Lệnh 2"})
            assert await told.next() == [("delete", post["id"])] * 6
            await node("content.release", {"uri": uri})
            await told.next()
            await node("delete", {"uri": uri})
            assert await told.next() == [("delete", post["id"])] * 6
            nursery.cancel_scope.cancel()
        assert not any(told.of.values())


@pytest.mark.parametrize(("workers", "restarts"), [("0", False), ("1", False), ("0", True)])
async def test_open_streams_hear_when_content_that_was_released_comes_from_a_peer(
    tmp_path: Path, workers: str, restarts: bool
) -> None:
    home = make_home(tmp_path / "b")
    async with AsyncExitStack() as stack:
        door = await stack.enter_async_context(open_node(tmp_path / "a", http__workers=workers))
        an, _ = await door.person("An")
        binh, _ = await door.person("Bình")
        await door.node.backend.call("follow", {"account": an, "as": binh})
        post = await run(app_of(door, an).status_post, "mua ngay #rao")
        async with running(make_node(home, door.node.edge.addresses)) as other:
            await converged([door.node, other])

        async def released() -> None:
            node = door.node.backend.call
            await node("content.withhold", {"uri": post["uri"], "order": "Lệnh 1", "erase": True})
            answer = await node("content.release", {"uri": post["uri"]})
            assert (answer["released"], answer["kept"]) == (1, 0)

        told = Told()
        if restarts:
            await released()
            await stack.aclose()
            door = await stack.enter_async_context(open_node(tmp_path / "a", http__workers=workers))
        async with trio.open_nursery() as nursery:
            await listen(
                nursery,
                partial(told.by_sse, door, binh, "user"),
                partial(told.by_sse, door, binh, "public"),
                partial(told.by_sse, door, binh, "hashtag?tag=rao"),
                partial(told.by_socket, door, binh, "user"),
                partial(told.by_socket, door, binh, "public:local"),
                partial(told.by_page, door),
            )
            if not restarts:
                await released()
                *apps, (_, page) = await told.next()
                assert apps == [("delete", post["id"])] * 5
                assert (page["uri"], page["shown"]) == (post["uri"], False)
            async with running(make_node(home, door.node.edge.addresses)):
                *apps, (_, page) = await told.next()
                for event, status in apps:
                    assert (event, status["id"], status["content"][:8]) == ("status.update", post["id"], "<p>mua n")
                assert (page["uri"], page["shown"], page["text"]) == (post["uri"], True, "mua ngay #rao")
            nursery.cancel_scope.cancel()
        assert not any(told.of.values()), "once"


@needs_chromium
async def test_pages_that_are_open_show_what_moderators_decided(tmp_path: Path) -> None:
    async with open_node(tmp_path) as door:
        an, _ = await door.person("An")
        one = (await call(door, "post", text="bài một", by=an))["uri"]
        two = (await call(door, "post", text="bài hai", by=an))["uri"]

        def look(page: Page) -> list[str]:
            def decide(verdict: str, uri: str, **more: Any) -> int:
                asked = partial(call, door, "decision.add", verdict=verdict, account=an, posts=[uri], **more)
                return int(meanwhile(asked)["id"])

            def undo(number: int) -> None:
                meanwhile(partial(call, door, "decision.undo", id=number))

            with page.expect_response("**/live/events"):
                page.goto(door.url + "/")
            first, second = (page.locator(f"article[data-uri='{uri}']") for uri in (one, two))
            page.locator("article > .proof").nth(1).wait_for()
            number = decide("label", one, text="Quảng cáo")
            first.locator(".label", has_text="Quảng cáo").wait_for()
            first.locator("> .proof").wait_for()
            undo(number)
            first.locator(".label").wait_for(state="detached")
            decide("hide", two)
            second.wait_for(state="detached")
            assert first.count() == 1
            page.locator("#check-sum", has_text="all 1 posts").wait_for()
            page.goto(door.url + "/live")
            page.locator("#live-state", has_text="Connected").wait_for()
            three = meanwhile(partial(call, door, "post", text="bài ba", by=an))["uri"]
            row = page.locator("#live li", has_text="bài ba")
            row.wait_for()
            number = decide("label", three, text="Quảng cáo")
            page.locator("#live li .text", has_text="Quảng cáo").wait_for()
            assert row.count() == 0
            undo(number)
            row.wait_for()
            decide("hide", three)
            row.wait_for(state="detached")
            return broken(page)

        with trio.fail_after(180):
            assert await in_browser(look, locale="en-GB") == []
