"""A real browser before a real door: Debian's Chromium, driven by Playwright on a thread beside the node."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import trio
from playwright.sync_api import Page, sync_playwright

from banyan_web import door_logins
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
    secret = door_logins.open_session(door.store, door_logins.Person(did, name))
    return {"name": "banyan", "value": secret, "url": door.url}


@contextmanager
def browsing(**context: Any) -> Iterator[Page]:
    """A page whose `window.broken` has what ran or wanted to run against the policy. context: of Playwright's
    `new_context`, such as `locale`, `color_scheme`, `viewport`, `java_script_enabled`."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        try:
            page = browser.new_context(**context).new_page()
            page.set_default_timeout(15_000)
            page.add_init_script(_WATCH)
            yield page
        finally:
            browser.close()


async def in_browser(look: Callable[[Page], T], **context: Any) -> T:
    """What `look` finds, on a thread, while the node goes on."""

    def run() -> T:
        with browsing(**context) as page:
            return look(page)

    return await trio.to_thread.run_sync(run)


def checked(page: Page, url: str) -> None:
    """Opens a page with posts, and waits until all are checked."""
    page.goto(url)
    page.wait_for_selector("html[data-checked=yes]")


def broken(page: Page) -> list[str]:
    found: list[str] = page.evaluate("window.broken")
    return found
