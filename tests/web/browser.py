"""A real browser before a real door: Debian's Chromium, driven by Playwright on a thread beside the node.

One runs for all tests of a process. Each look has a context of its own, in which nothing is left of another.
"""

from __future__ import annotations

import atexit
import shutil
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from contextlib import ExitStack, closing
from functools import cache
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

import trio
from playwright.sync_api import Page, sync_playwright

from banyan_web.oauth import logins
from tests.needs import skipped_without
from tests.web.door import Door

T = TypeVar("T")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
needs_chromium = skipped_without(None if CHROMIUM else "there is no Chromium")
_WATCH = """
window.broken = [];
window.alert = window.confirm = window.prompt = window.print = () => window.broken.push('a script ran');
document.addEventListener('securitypolicyviolation', (event) =>
  window.broken.push(event.violatedDirective + ' ' + event.blockedURI));
"""


def logged_in(door: Door, did: str, name: str) -> Any:
    """The cookie of a browser in which somebody is logged in."""
    secret = logins.open_session(door.store, logins.Person(did, name))
    return {"name": "banyan", "value": secret, "url": door.url}


class _Browser:
    """A thread of its own, because what Playwright makes belongs to one."""

    def __init__(self) -> None:
        self._asked = SimpleQueue[tuple[Callable[[Page], Any], dict[str, Any], Future[Any]] | None]()
        self.token: trio.lowlevel.TrioToken | None = None
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()
        atexit.register(self._end)

    def ask(self, look: Callable[[Page], T], context: dict[str, Any], token: trio.lowlevel.TrioToken) -> T:
        self.token, found = token, Future[T]()
        self._asked.put((look, context, found))
        return found.result()

    def _end(self) -> None:
        self._asked.put(None)
        self._thread.join()

    def _run(self) -> None:
        with sync_playwright() as playwright, ExitStack() as ends:
            launch, flags = playwright.chromium.launch, ["--no-sandbox", "--disable-gpu"]
            browser = cache(lambda: ends.enter_context(closing(launch(executable_path=CHROMIUM, args=flags))))
            while (asked := self._asked.get()) is not None:
                look, context, found = asked
                try:
                    with closing(browser().new_context(**context)) as fresh:
                        page = fresh.new_page()
                        page.set_default_timeout(60_000)  # a busy machine is no failure
                        page.add_init_script(_WATCH)
                        seen = look(page)
                except BaseException as why:
                    found.set_exception(why)
                else:
                    found.set_result(seen)


_browser = cache(_Browser)


async def in_browser(look: Callable[[Page], T], **context: Any) -> T:
    """What `look` finds, on another thread, while the node goes on. The page's `window.broken` has what ran or wanted
    to run against the policy. context: of Playwright's `new_context`, such as `locale`, `color_scheme`, `viewport`,
    `java_script_enabled`."""
    browser, token = _browser(), trio.lowlevel.current_trio_token()
    return await trio.to_thread.run_sync(lambda: browser.ask(look, context, token))


def meanwhile(does: Callable[..., Awaitable[T]], *given: Any) -> T:
    """What it returns, where the node is. For what looks: `trio.from_thread.run`, of a thread that is not trio's."""
    return trio.from_thread.run(does, *given, trio_token=_browser().token)


def checked(page: Page, url: str) -> None:
    """Opens a page with posts, and waits until all are checked."""
    page.goto(url)
    page.wait_for_selector("html[data-checked=yes]")


def broken(page: Page) -> list[str]:
    found: list[str] = page.evaluate("window.broken")
    return found
