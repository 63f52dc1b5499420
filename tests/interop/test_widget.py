"""A widget that nobody here wrote shows posts on somebody's home page: in a real browser, from another origin, without
a token. It asks for custom emojis before it shows anything, and walks pages by the `Link` header."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from playwright.sync_api import Page

from banyan_web.mastodon.entity_ids import account_id
from tests.interop.packages import needs_packages
from tests.interop.test_browser import served
from tests.node.real import converged
from tests.web.browser import in_browser, needs_chromium
from tests.web.door import open_node
from tests.web.test_statuses import picture

MANY = 42
"""More than one answer has."""


@needs_packages
@needs_chromium
async def test_a_widget_shows_posts_of_another_node_on_a_page_of_another_origin(tmp_path: Path) -> None:
    async with open_node(tmp_path / "a") as here, open_node(tmp_path / "b", [here.node.edge.addresses[0]]) as there:
        await here.person("an")
        binh, theirs = await there.person("binh")
        for n in range(MANY):
            await there.node.backend.call("post", {"text": f"Tin số {n} & <b>hết</b>"})
        file = await theirs.ask("POST", "/api/v2/media", files={"file": ("phở.png", picture("green", (300, 200)))})
        poll = {"options": ["Phở", "Bún"], "expires_in": 86_400}
        for more in ({"media_ids": [file["id"]]}, {"poll": poll}, {"spoiler_text": "Giấu"}):
            await theirs.ask("POST", "/api/v1/statuses", json={"status": "Mới #hanoi", **more})
        await converged([here.node, there.node])
        settings = {"instanceUrl": here.url, "maxNbPostFetch": "60", "maxNbPostShow": "60", "userId": account_id(binh)}
        tagged = {"timelineType": "hashtag", "hashtagName": "hanoi"}
        with served() as url:
            for more, count in (({"timelineType": "profile", "profileName": "@binh"}, MANY + 3), (tagged, 3)):
                await in_browser(partial(_look, url, settings | more, count))


def _look(url: str, settings: dict[str, Any], count: int, page: Page) -> None:
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
    page.goto(f"{url}widget.html#{quote(json.dumps(settings))}")
    page.locator(".mt-post").nth(count - 1).wait_for()
    assert page.locator(".mt-post").count() == count
    assert page.locator(".mt-error").count() == 0
    assert page.locator(".mt-post-header-user-name").first.inner_text() == "binh"
    assert page.locator(".mt-post-poll li").all_inner_texts() == ["Phở", "Bún"]
    image = page.locator(".mt-post-media img").first
    image.scroll_into_view_if_needed()
    assert image.evaluate("async (image) => (await image.decode(), image.naturalWidth)") > 0
    if count > MANY:
        assert page.get_by_text("Tin số 0 & <b>hết</b>").count() == 1, "the last page, as text"
    assert not wrong
