"""An account whose keys are in a browser: it writes there, the node takes what is signed, its paper brings it back."""

from __future__ import annotations

import json
from base64 import b64encode
from pathlib import Path

import httpx
import trio
from playwright.sync_api import Page

from banyan_node.home.recovery import next_root
from tests.web.browser import broken, in_browser, needs_chromium
from tests.web.door import open_node
from tests.web.test_page import call

SEEN = 10.0
"""Seconds in which what is signed in the browser is at another node."""


@needs_chromium
async def test_a_browser_makes_keys_and_writes_and_the_node_never_sees_them(tmp_path: Path) -> None:
    async with open_node(tmp_path / "a", http__browser_accounts="true") as one:
        addresses = (await call(one, "id"))["addresses"][:1]
        async with open_node(tmp_path / "b", addresses) as two:
            an, _ = await one.person("An")
            theirs = (await call(one, "post", text="ai đó?", by=an))["uri"]
            sent: list[str] = []

            def write(page: Page) -> tuple[str, str, list[str]]:
                page.on("request", lambda ask: sent.append(ask.post_data or ""))
                page.goto(one.url + "/own")
                page.get_by_label("Name that others see").fill("Lan")
                page.get_by_role("button", name="Make the keys").click()
                words = page.locator(".words").inner_text()
                page.get_by_role("button", name="I have kept it").click()
                page.get_by_text("taken by the node").wait_for()
                page.reload()
                page.get_by_label("What do you want to say?").fill("khoá của tôi #riêng")
                page.get_by_role("button", name="Sign and post").click()
                page.get_by_text("taken by the node").wait_for()
                page.goto(one.url + theirs.replace("did:banyan:", "/@"))
                page.get_by_label("Answer with the keys").fill("là tôi")
                page.get_by_role("button", name="Sign and post").click()
                page.locator("article .text", has_text="là tôi").wait_for()
                page.goto(one.url + "/own")
                page.get_by_role("link", name="Your page").click()
                page.wait_for_selector("html[data-checked=yes]")
                return words, page.locator("article .proof summary").first.inner_text(), broken(page)

            words, said, wrong = await in_browser(write, locale="en-GB")
            assert (len(words.split()), said, wrong) == (24, "✓ Verified: signed by Lan", [])
            assert not any(word in text for text in sent for word in (words, "PRIVATE"))
            lan = (await call(one, "accounts.search", text="Lan"))["accounts"][0]["account"]
            with trio.fail_after(SEEN):
                while len((await call(two, "feed", account=lan))["posts"]) < 2:
                    await trio.sleep(0.05)
            assert (await call(one, "notifications", by=an))["notices"][0]["kind"] == "reply"
            assert (await call(two, "feed", account=lan))["posts"][1]["tags"] == ["riêng"]
            shown = await call(two, "account.show", account=lan)
            root = next_root(words, bytes.fromhex(shown["keys"][0]["next"]))
            assert root is not None
            await call(two, "account.take", account=lan, root=root.hex())
            await call(two, "post", text="từ nhà mới", by=lan)
            await _refuses(one.url, one.url, lan)
            await _refuses(two.url, "https://evil.example", lan)


async def _refuses(url: str, origin: str, account: str) -> None:
    """What is no archive, of nobody, or of another site."""
    async with httpx.AsyncClient(base_url=url, headers={"origin": origin}) as http:
        for archive, status in (("", 422), ("?", 422), (b64encode(b"x" * 50).decode(), 422), (7, 422)):
            answer = await http.post("/own/entries", json={"account": account, "archive": archive})
            assert answer.status_code == (403 if "evil" in origin else status), answer.text
            assert "error" in json.loads(answer.text)
