"""The browser checks what a node shows: it finds nothing at an honest one, and the lie at one that lies."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trio
from PIL import Image
from playwright.sync_api import Page

from banyan_node.home.audit import OPERATOR, Actor
from banyan_node.idempotency import RecordKey
from banyan_node.server.http_server import Bind, serve_app
from banyan_web.app import door_app
from banyan_web.door_files import DoorFiles
from banyan_web.endpoint import DoorContext, Firehose, ServerInfo
from banyan_web.firehose.tail import RUNS, Tail
from banyan_web.mastodon.link_cards import LinkCards
from banyan_web.mastodon.push.crypto import PushIdentity
from banyan_web.mastodon.push.subscriptions import PushSubscribers
from banyan_web.mastodon.streaming.hub import Hub
from banyan_web.outbound_http import OutboundHttp
from banyan_web.page.formats import account_path
from tests.web.browser import broken, checked, in_browser, needs_chromium
from tests.web.door import Door, open_node
from tests.web.test_page import call

Alter = Callable[[dict[str, Any]], None]


class Liar:
    """A node whose door alters the rows that it shows, and gives out what was signed as it is."""

    def __init__(self, backend: Any, alter: Alter, picture: bytes | None) -> None:
        self._backend, self._alter, self._picture = backend, alter, picture

    async def call(
        self, name: str, params: Mapping[str, Any], by: Actor = OPERATOR, once: RecordKey | None = None
    ) -> Any:
        found = await self._backend.call(name, params)
        if name == "feed":
            for row in found["posts"]:
                self._alter(row)
        if name == "profile.get":
            self._alter(found)
        if name in ("media.show", "media.shown") and self._picture is not None:
            found["size"] = len(self._picture)
        return found

    async def answer(self, name: str, params: Mapping[str, Any]) -> Any:
        return await self._backend.answer(name, params)

    async def piece(self, blob: str, offset: int, length: int) -> bytes:
        raw: bytes = await self._backend.piece(blob, offset, length)
        return raw if self._picture is None else self._picture[offset : offset + length]

    async def events(self, params: Mapping[str, str]) -> AsyncGenerator[Any, None]:
        found: AsyncGenerator[Any, None] = await self._backend.events(params)
        return found


@asynccontextmanager
async def lying(door: Door, alter: Alter, picture: bytes | None = None) -> AsyncIterator[str]:
    """Another door of the same node. picture: what it serves in the place of every picture. Gives its URL."""
    shutdown = trio.Event()

    def app(url: str) -> Any:
        liar = Liar(door.node.backend, alter, picture)
        pushes = PushSubscribers(PushIdentity(bytes(32)), OutboundHttp())
        cards = LinkCards("off", OutboundHttp(), url)
        tails, files = (Tail(door.node.backend), Tail(door.node.backend, RUNS)), DoorFiles(door.node.home)
        return door_app(
            DoorContext(
                liar,
                door.store,
                url,
                ServerInfo("liar.example", "Liar"),
                Firehose(*tails),
                files,
                parts=(Hub(), pushes, cards),
            )
        )

    async with trio.open_nursery() as nursery:

        async def serve(task_status: Any) -> None:
            await serve_app(app, Bind.at("127.0.0.1:0"), shutdown=shutdown, task_status=task_status)

        endpoint = await nursery.start(serve)
        try:
            yield endpoint.url
        finally:
            shutdown.set()


def verdicts(page: Page) -> dict[str, str]:
    """By the text that a post shows: what stands under it."""
    posts = page.locator("article.post").all()
    return {one.locator(".text").text_content() or "": one.locator("> .proof summary").inner_text() for one in posts}


@needs_chromium
async def test_an_honest_node_is_verified_in_the_browser(tmp_path: Path) -> None:
    async with open_node(tmp_path / "node") as door:
        an, _ = await door.person("An")
        binh, _ = await door.person("Bình <b>")
        picture = tmp_path / "a.png"
        Image.new("RGB", (60, 40), (200, 30, 30)).save(picture)
        blob = (await call(door, "media.put", path=str(picture)))["blob"]
        first = (await call(door, "post", text="Chào #cây https://a.example/?x=1&y\r\n  và 🌳 \u202e", by=an))["uri"]
        await call(door, "post", text="ảnh", media=[{"blob": blob, "description": "màu đỏ"}], warning="đỏ", by=an)
        await call(door, "edit", uri=first, text="Chào mọi người #cây")
        await call(door, "reply", uri=first, text="và tôi", by=binh)
        await call(door, "quote", uri=first, text="xem này", by=binh)
        await call(door, "repost", uri=first, by=binh)
        await call(door, "delete", uri=(await call(door, "post", text="xoá", by=an))["uri"])

        await call(door, "profile.set", fields={"bio": "phở\n\nbún", "Quê": "Huế"}, by=an)

        def look(page: Page) -> tuple[dict[str, str], str, str, str, list[str]]:
            checked(page, door.url + account_path(an))
            profile = page.locator(".profile > .proof summary").inner_text()
            checked(page, door.url)
            said, sum_ = verdicts(page), page.locator("#check-sum").inner_text()
            last = page.locator("article.post").last.locator("> .proof")
            last.locator("summary").click()
            return said, sum_, profile, last.inner_text(), broken(page)

        said, sum_, profile, panel, ran = await in_browser(look, locale="en-GB")
        assert {text: verdict.partition(":")[0] for text, verdict in said.items()} == dict.fromkeys(said, "✓ Verified")
        assert said["và tôi"] == "✓ Verified: signed by Bình <b>"
        assert len(said) == 4
        assert sum_ == "Your browser checked all 4 posts on this page: verified."
        assert profile == "✓ Verified: signed by An"
        for word in ("Signature (Ed25519)", "Header", "Key that signed", an):
            assert word in panel
        assert ran == []


@needs_chromium
async def test_a_node_that_lies_is_found_by_the_browser(tmp_path: Path) -> None:
    async with open_node(tmp_path) as door:
        an, _ = await door.person("An")
        binh, _ = await door.person("Bình")
        for text in ("text", "author", "name", "warning", "edit", "reply", "invented", "true"):
            await call(door, "post", text=text, by=an, **({"warning": "W"} if text == "warning" else {}))

        def alter(row: dict[str, Any]) -> None:
            match row.get("text"):
                case "text":
                    row["text"] = "text, but other"
                case "author":
                    row["account"], row["name"] = binh, "Bình"
                case "name":
                    row["name"] = "Ann"
                case "warning":
                    row["warning"] = None
                case "edit":
                    row["edited"] = True
                case "reply":
                    row["reply_to"], row["reply_name"] = f"{binh}/{'0' * 32}", "Bình"
                case "invented":
                    row["uri"] = row["uri"][:-8] + "00000000"

        def look(page: Page, url: str) -> dict[str, str]:
            checked(page, url + account_path(an))
            return verdicts(page)

        async with lying(door, alter) as url:
            said = await in_browser(lambda page: look(page, url), locale="en-GB")
            vietnamese = await in_browser(lambda page: look(page, url), locale="vi-VN")
        assert said == {
            "text, but other": "✗ Not what was signed: the text differs",
            "author": "✗ Not what was signed: the signed log of this account has no such post, or has deleted it",
            "name": "✗ Not what was signed: the name differs from the signed profile",
            "warning": "✗ Not what was signed: the content warning differs",
            "edit": "✗ Not what was signed: an edit is hidden, or claimed",
            "reply": "✗ Not what was signed: it answers another post, or none",
            "invented": "✗ Not what was signed: the signed log of this account has no such post, or has deleted it",
            "true": "✓ Verified: signed by An",
        }
        assert vietnamese["true"] == "✓ Đã kiểm chứng: An đã ký"


@needs_chromium
async def test_another_picture_and_another_profile_are_found_too(tmp_path: Path) -> None:
    async with open_node(tmp_path / "node") as door:
        an, _ = await door.person("An")
        for name, colour in (("a", (200, 30, 30)), ("b", (30, 30, 200))):
            Image.new("RGB", (60, 40), colour).save(tmp_path / f"{name}.png")
        blob = (await call(door, "media.put", path=str(tmp_path / "a.png")))["blob"]
        await call(door, "post", text="ảnh", media=[{"blob": blob}], by=an)
        await call(door, "profile.set", fields={"bio": "true"}, by=an)

        def alter(row: dict[str, Any]) -> None:
            if "fields" in row:
                row["fields"]["bio"] = "send money to me"

        def look(page: Page, url: str) -> tuple[str, str, str]:
            checked(page, url + account_path(an))
            page.locator("article.lied").wait_for()
            proofs = page.locator(".profile > .proof summary, article > .proof summary").all_inner_texts()
            return proofs[0], proofs[1], page.locator("#check-sum").inner_text()

        async with lying(door, alter, (tmp_path / "b.png").read_bytes()) as url:
            profile, post, sum_ = await in_browser(lambda page: look(page, url), locale="en-GB")
        assert profile == "✗ Not what was signed: the profile differs"
        assert post == "✗ Not what was signed: a picture has other bytes than its author signed"
        assert "0 verified, 1 not what was signed" in sum_
