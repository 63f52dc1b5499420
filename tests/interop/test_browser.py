"""A web app of another origin, in a real browser: what it asks goes through the rules for other origins (CORS), and its
streams through the browser's own WebSocket and EventSource. What it says, the masto library says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import trio
from playwright.sync_api import Page

from banyan_web.oauth.logins import set_password
from tests.interop.packages import HERE, MODULES, needs_packages
from tests.node.real import converged
from tests.web.browser import in_browser, meanwhile, needs_chromium
from tests.web.door import open_node
from tests.web.login_page import PASSWORD
from tests.web.test_statuses import picture


class Files(SimpleHTTPRequestHandler):
    """The app, and the packages that it imports."""

    def translate_path(self, path: str) -> str:
        path = path.partition("?")[0]
        if path.startswith("/packages/"):
            return str(MODULES / path.removeprefix("/packages/"))
        return str(HERE / "page" / (path.strip("/") or "index.html"))

    def log_message(self, *said: Any) -> None: ...


@contextmanager
def served() -> Iterator[str]:
    """The address of the app."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Files) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://localhost:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


@needs_packages
@needs_chromium
async def test_a_web_app_of_another_origin_logs_in_posts_listens_and_logs_out(tmp_path: Path) -> None:
    (tmp_path / "phở.png").write_bytes(picture("green", (300, 200)))
    async with open_node(tmp_path / "a") as here, open_node(tmp_path / "b", [here.node.edge.addresses[0]]) as there:
        an, _ = await here.person("an")
        binh, _ = await there.person("binh")
        await trio.to_thread.run_sync(set_password, here.store, an, "an", PASSWORD)
        nodes = [here.node, there.node]
        await converged(nodes)
        await here.node.backend.call("follow", {"account": binh})
        await there.node.backend.call("post", {"text": "Chào An"})
        await converged(nodes)

        async def answered() -> None:
            """binh answers what an wrote."""
            await converged(nodes)
            (post,) = (await there.node.backend.call("feed", {"account": an}))["posts"]
            await there.node.backend.call("reply", {"uri": post["uri"], "text": "Ngon!"})
            await there.node.backend.call("post", {"text": "Tin của Bình"})

        with served() as url:
            await in_browser(partial(_story, url, here.url, tmp_path / "phở.png", answered), locale="en")


def _story(url: str, node: str, file: Path, answered: Any, page: Page) -> None:
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.goto(url)
    page.fill("[name=server]", node)
    page.click("text=Log in")
    page.wait_for_url(node + "/login**")
    page.fill("[name=name]", "an")
    page.fill("[name=password]", PASSWORD)
    page.keyboard.press("Enter")
    page.click("button[value=allow]")
    page.wait_for_url(url)
    page.locator("#name", has_text="an").wait_for()
    page.locator("#home article", has_text="Chào An").wait_for()
    page.locator("#state", has_text="Listening").wait_for()

    page.fill("[name=text]", "Phở sáng nay")
    page.set_input_files("[name=picture]", file)
    page.click("text=Post")
    mine = page.locator("#home article", has_text="Phở sáng nay")
    mine.wait_for()
    assert mine.locator("img").evaluate("async (image) => (await image.decode(), image.naturalWidth)") == 300
    mine.locator(".favourite").click()
    mine.locator(".favourite", has_text="♥ 1").wait_for()
    mine.locator(".open").click()
    page.locator("#thread article").wait_for()
    meanwhile(answered)
    page.locator("#thread article", has_text="Ngon!").wait_for()
    page.locator("#home article", has_text="Tin của Bình").wait_for()
    page.locator("#public article", has_text="Tin của Bình").wait_for()

    page.click("#logout")
    page.locator("#state", has_text="Logged out: The access token is invalid").wait_for()
    page.reload()
    page.locator("#state", has_text="Nobody").wait_for()
    assert not wrong
