"""Pages for everybody: what axe-core finds, narrow screens, the keyboard."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Page

from banyan_web.page.formats import account_path, post_path
from tests.needs import ROOT, skipped_without
from tests.web.browser import checked, in_browser, logged_in, needs_chromium
from tests.web.door import open_node
from tests.web.test_page import call

AXE = ROOT / "js" / "node_modules" / "axe-core" / "axe.min.js"
FIRST_PAGE = 100_000
"""Bytes that a page with posts has on the line at the first visit, with style and programs."""
needs_axe = skipped_without(None if AXE.exists() else "no axe-core here: run `npm ci` in js")


@needs_axe
@needs_chromium
async def test_axe_finds_nothing(tmp_path: Path) -> None:
    async with open_node(tmp_path / "node") as door:
        an, _ = await door.person("An")
        binh, _ = await door.person("Bình")
        Image.new("RGB", (60, 40), (200, 30, 30)).save(tmp_path / "a.png")
        blob = (await call(door, "media.put", path=str(tmp_path / "a.png")))["blob"]
        closes = int(time.time() * 1000) + 3_600_000
        first = (await call(door, "post", text="ảnh #cây", media=[{"blob": blob, "description": "đỏ"}], by=an))["uri"]
        await call(door, "post", text="?", warning="!", poll={"options": ["a", "b"], "closes_ms": closes}, by=binh)
        await call(door, "reply", uri=first, text="hay", by=binh)
        await call(door, "profile.set", fields={"bio": "bio", "Quê": "Huế"}, by=an)
        await call(door, "react", uri=first, emoji="🌳", by=binh)
        group = (await call(door, "group.create", name="Vườn", by=an))["uri"]
        begins = int(time.time() * 1000) + 3_600_000
        event = (await call(door, "event.create", title="Tết", begins=begins, zone="UTC", by=an))["uri"]
        channel = (await call(door, "channel.set", title="Kênh", by=an))["uri"]
        places = [
            "/",
            account_path(an),
            post_path(first),
            "/network",
            "/live",
            "/about",
            "/search?q=x",
            "/login",
            "/@-",
        ]
        inner = ["/home", "/notifications", "/compose", "/settings", "/lists", "/drafts", "/more", "/own"]
        inner += [
            f"/{kind}/{post_path(uri)[2:]}"
            for kind, uri in (
                ("groups", group),
                ("events", event),
                ("channels", channel),
                ("edit", first),
                ("delete", first),
                ("history", first),
            )
        ]
        session = logged_in(door, an, "An")

        def look(page: Page, paths: list[str], cookies: list[Any]) -> tuple[list[str], int]:
            wrong, passed = list[str](), 0
            page.context.add_cookies(cookies)
            page.context.add_init_script(path=AXE)
            for path in paths:
                page.goto(door.url + path)
                if page.locator("article").count():
                    page.wait_for_selector("html[data-checked=yes]")
                for scheme in ("dark", "light"):  # which changes colours, and nothing else
                    page.emulate_media(color_scheme=scheme)
                    rules = "runOnly: ['color-contrast']," if scheme == "light" else ""
                    found = page.evaluate(f"axe.run({{{rules} resultTypes: ['violations'], selectors: false}})")
                    passed += len(found["passes"])
                    wrong += [f"{path}: {one['id']} {one['nodes'][0]['html'][:200]}" for one in found["violations"]]
            return wrong, passed

        seen = [
            await in_browser(partial(look, paths=["/", "/about"], cookies=[]), locale="en-GB"),
            await in_browser(partial(look, paths=[*places, *inner], cookies=[session]), locale="vi-VN"),
        ]
        assert [wrong for wrong, _ in seen] == [[], []]
        assert sum(passed for _, passed in seen) > 150


@needs_chromium
async def test_pages_fit_320_pixels_and_are_reached_by_keyboard(tmp_path: Path) -> None:
    async with open_node(tmp_path) as door:
        an, _ = await door.person("An")
        await call(door, "post", text="x" * 300 + " https://example.org/" + "y" * 200, by=an)

        def look(page: Page) -> tuple[list[str], str, str]:
            wide = []
            checked(page, door.url)
            weight = page.evaluate("performance.getEntries().reduce((sum, one) => sum + (one.transferSize ?? 0), 0)")
            assert weight < FIRST_PAGE, weight
            for path in ("/", f"/@{an}", "/about", "/network", "/live", "/search?q=x", "/login", "/own"):
                page.goto(door.url + path)
                if page.evaluate("document.documentElement.scrollWidth") > 320:
                    wide.append(path)
            checked(page, door.url)
            page.keyboard.press("Tab")
            at = page.evaluate("document.activeElement.textContent")
            page.keyboard.press("Enter")
            return wide, at, page.evaluate("document.activeElement.id")

        look_there = partial(in_browser, look, viewport={"width": 320, "height": 640}, locale="en-GB")
        assert await look_there() == ([], "Skip to the content", "content")
