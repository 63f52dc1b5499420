"""What a person at a real Chromium waits for: a post of another node, the first page, and the check of signatures.

`timeline`, `live`: two nodes in processes of their own. The browser has a page of the second node open. A person of the
first node posts by the API of that node's door. A post's clock runs from before its request is sent to when its text
stands in the page, by the browser's own clock, which was compared with that of the bench. `timeline`: the public
timeline, where each post is put in with its picture and buttons, and the check of its signature follows; `live`: the
page of events. Posts come at random times, about one a second.

`first`: the front page of a node that has just started, with 20 posts, in a browser that kept nothing, from the start
of the navigation to `load`. `checked`: the browser fetches the signed logs of 20 accounts with 50 posts each from a
node, checks every signature and folds all posts, with the light client that the page uses. Both several times a round.

python -m bench browser --json
"""

from __future__ import annotations

import random
import shutil
import time
from argparse import ArgumentParser
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import trio
from playwright.sync_api import Page, sync_playwright

from banyan_node.node import Node
from banyan_web.door_store import DoorStore
from banyan_web.startup import open_door
from bench.harness import BenchError, arguments, at_least, finish, interleaved, latencies_ms, say, workplace
from bench.rig.child import Line
from bench.rig.processes import Child, new_home

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
PAGES = {"timeline": "/", "live": "/live"}
CASES = (*PAGES, "first", "checked")
PEOPLE, EACH, SHOWN = 20, 50, 20
"""Authors and posts of each that are checked, and posts on the first page."""
APART_S = (0.7, 1.5)
"""Between two posts."""
LATE_S = 10.0
"""How long a post may take."""
WARM, AGAIN = 3, 5
_WATCH = """
window.seenAt = {};
new MutationObserver(() => {
  for (const [, n] of document.body.textContent.matchAll(/bench (\\d+) seen/g))
    window.seenAt[n] ??= performance.timeOrigin + performance.now();
}).observe(document.body, { childList: true, subtree: true, characterData: true });
"""

_CHECK = """
async (authors) => {
  const from = document.querySelector('script[src$="/js/page/page.js"]').src;
  const [{ readArchive }, { read }, { TEST }, { accountOf }] = await Promise.all(
    ['archive', 'social', 'crypto', 'bytes'].map((name) => import(new URL(`../src/${name}.js`, from))));
  const began = performance.now();
  let posts = 0;
  for (const did of authors) {
    const file = new Uint8Array(await (await fetch(`/archives/${did}`)).arrayBuffer());
    const { accounts, isWhole } = await readArchive(TEST, file);
    if (isWhole) posts += read(accounts.get(accountOf(did))).posts.length;
  }
  return { posts, seconds: (performance.now() - began) / 1000 };
}
"""


async def door(nodes: list[Node], line: Line, params: dict[str, Any]) -> None:
    """A node with a door, which links with another when it is asked to."""
    (node,) = nodes
    account = (await node.backend.call("account.create", {"name": params["name"], "hosted": True}))["account"]
    tokens = DoorStore(node.home.door)
    token = tokens.mint(account, "bench", ("read", "write", "host"))  # without a limit of requests
    tokens.close()
    async with trio.open_nursery() as nursery:
        endpoint = await nursery.start(open_door, node)
        line.say({"url": endpoint.url, "token": token, "address": node.edge.addresses[0]})
        async for asked in line:
            match asked:
                case {"join": address}:
                    await node.backend.call("peers.add", {"addr": address})
                    line.say("joined")
                case {"people": count, "each": each}:
                    line.say([await _author(node, n, each) for n in range(count)])
        nursery.cancel_scope.cancel()


async def _author(node: Node, n: int, posts: int) -> str:
    """A new account with posts."""
    made = await node.backend.call("account.create", {"name": f"author {n}", "hosted": True})
    for k in range(posts):
        await node.backend.call("post", {"as": made["account"], "text": f"{n}.{k} " + "xin chào cả nhà " * 10})
    return str(made["account"])


# -- the bench's side


@contextmanager
def browsing() -> Iterator[Page]:
    """An empty page of a Chromium that kept nothing. Raises BenchError."""
    chromium = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if chromium is None:
        raise BenchError(f"there is no Chromium; install one of {', '.join(CHROMIUM)}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        try:
            yield browser.new_page()
        finally:
            browser.close()


def node_at(home: Path, name: str) -> Child:
    flags = {"http.address": "127.0.0.1:0", "node.role": "platform"}
    return Child("bench.browser:door", [home], flags, name=name)


def posts_seen(folder: Path, which: str, posts: int) -> list[float]:
    """Seconds that each post took."""
    place = folder / "browser"
    here, there = new_home(place / "here"), new_home(place / "there")
    try:
        with node_at(here, "An") as one, node_at(there, "Bình") as other, browsing() as page:
            home, away = one.hear(), other.hear()
            other.ask({"join": home["address"]})
            page.goto(away["url"] + PAGES[which])
            page.evaluate(_WATCH)
            with httpx.Client(base_url=home["url"], headers={"authorization": f"Bearer {home['token']}"}) as http:
                ahead = _ahead(page)
                waits = [_seen(page, http, n) - ahead for n in range(WARM + posts)][WARM:]
        say(f"{which}: {latencies_ms(waits)}")
        return waits
    finally:
        shutil.rmtree(place)


def first_page(folder: Path) -> float:
    """Seconds to the first page of a node that has just started."""
    place = folder / "browser"
    home = new_home(place / "here")
    try:
        with node_at(home, "An") as node:
            node.hear()
            node.ask({"people": 1, "each": SHOWN})
        with browsing() as page, node_at(home, "An") as node:
            page.goto(node.hear()["url"], wait_until="load")
            if (shown := page.locator("article").count()) != SHOWN:
                raise BenchError(f"the first page has {shown} posts, not {SHOWN}")
            took = page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd") / 1000
        say(f"first: {took:.3f} s")
        return float(took)
    finally:
        shutil.rmtree(place)


def all_checked(folder: Path) -> float:
    """Seconds until all posts of all authors are fetched, checked and folded."""
    place = folder / "browser"
    try:
        with node_at(new_home(place / "here"), "An") as node, browsing() as page:
            url = node.hear()["url"]
            authors = node.ask({"people": PEOPLE, "each": EACH})
            page.goto(url)
            found = page.evaluate(_CHECK, authors)
            if found["posts"] != PEOPLE * EACH:
                raise BenchError(f"the light client found {found['posts']} posts, not {PEOPLE * EACH}")
        say(f"checked: {found['seconds']:.3f} s")
        return float(found["seconds"])
    finally:
        shutil.rmtree(place)


def _ahead(page: Page) -> float:
    """Seconds that the page's clock is ahead of this process: by the question that was answered soonest."""
    found = []
    for _ in range(50):
        began = time.time()
        theirs = page.evaluate("performance.timeOrigin + performance.now()") / 1000
        ended = time.time()
        found.append((ended - began, theirs - (began + ended) / 2))
    return float(min(found)[1])


def _seen(page: Page, http: httpx.Client, n: int) -> float:
    """Posts number n, and waits until it is in the page. Raises BenchError."""
    page.wait_for_timeout(1000 * random.uniform(*APART_S))
    began = time.time()
    http.post("/api/v1/statuses", json={"status": f"bench {n} seen"}).raise_for_status()
    while time.time() - began < LATE_S:
        at = page.evaluate("(n) => window.seenAt[n] ?? null", str(n))
        if at is not None:
            return float(at) / 1000 - began
        page.wait_for_timeout(10)
    raise BenchError(f"post {n} was not seen in the page within {LATE_S:.0f} s")


def main(argv: Sequence[str] | None = None) -> None:
    def more(parser: ArgumentParser) -> None:
        parser.add_argument("--posts", type=at_least(5), help="of each page; default: 100, with --quick 8")
        parser.add_argument("--case", choices=CASES, action="append", help="only this; may be given again")

    args = arguments("browser", __doc__, argv, rounds=1, more=more)
    posts, again = args.posts or (8 if args.quick else 100), 1 if args.quick else AGAIN
    with workplace(args.folder) as folder:
        cases: dict[str, Callable[[], list[float]]] = {
            **{which: partial(posts_seen, folder, which, posts) for which in PAGES},
            "first": lambda: [first_page(folder) for _ in range(again)],
            "checked": lambda: [all_checked(folder) for _ in range(again)],
        }
        chosen = {which: cases[which] for which in args.case or cases}
        rows = interleaved(args.rounds, chosen)
    waits = {which: [wait for row in found for wait in row] for which, found in rows.items()}
    finish(
        args,
        "browser",
        cases={which: {**latencies_ms(some), "max_ms": round(max(some) * 1e3, 1)} for which, some in waits.items()},
        sizes={"posts": posts, "people": PEOPLE, "posts_each": EACH, "shown": SHOWN},
    )


if __name__ == "__main__":
    main()
