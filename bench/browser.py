"""How soon a post is seen in a browser at another node: two nodes in processes of their own, and a real Chromium.

The browser has a page of the second node open. A person of the first node posts by the API of that node's door. A
post's clock runs from before its request is sent to when its text stands in the page, by the browser's own clock, which
was compared with that of the bench. `timeline`: the public timeline, where each post is put in with its picture and
buttons, and the check of its signature follows; `live`: the page of events. Posts come at random times, about one a
second.

python -m bench browser --json
"""

from __future__ import annotations

import random
import shutil
import time
from argparse import ArgumentParser
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import trio
from playwright.sync_api import Page, sync_playwright

from banyan_node.node import Node
from banyan_web.door_store import DoorStore
from banyan_web.opening import open_door
from bench.harness import BenchError, arguments, at_least, finish, interleaved, latencies_ms, say, workplace
from bench.rig.child import Line
from bench.rig.processes import Child, new_home

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
PAGES = {"timeline": "/", "live": "/live"}
APART_S = (0.7, 1.5)
"""Between two posts."""
LATE_S = 10.0
"""How long a post may take."""
WARM = 3
_WATCH = """
window.seenAt = {};
new MutationObserver(() => {
  for (const [, n] of document.body.textContent.matchAll(/bench (\\d+) seen/g))
    window.seenAt[n] ??= performance.timeOrigin + performance.now();
}).observe(document.body, { childList: true, subtree: true, characterData: true });
"""


async def door(nodes: list[Node], line: Line, params: dict[str, Any]) -> None:
    """A node with a door, which links with another when it is asked to."""
    (node,) = nodes
    account = (await node.backend.call("account.create", {"name": params["name"]}))["account"]
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
        nursery.cancel_scope.cancel()


# -- the bench's side


def once(folder: Path, which: str, posts: int) -> list[float]:
    """Seconds that each post took."""
    place, chromium = folder / "browser", next(filter(None, map(shutil.which, CHROMIUM)), None)
    if chromium is None:
        raise BenchError(f"there is no Chromium; install one of {', '.join(CHROMIUM)}")
    here, there = new_home(place / "here"), new_home(place / "there")
    flags = {"http.address": "127.0.0.1:0", "node.role": "platform", "http.address_rate": "0"}
    try:
        with (
            Child("bench.browser:door", [here], flags, name="An") as one,
            Child("bench.browser:door", [there], flags, name="Bình") as other,
            sync_playwright() as playwright,
        ):
            home, away = one.hear(), other.hear()
            other.ask({"join": home["address"]})
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
            page = browser.new_page()
            page.goto(away["url"] + PAGES[which])
            page.evaluate(_WATCH)
            with httpx.Client(base_url=home["url"], headers={"authorization": f"Bearer {home['token']}"}) as http:
                ahead = _ahead(page)
                waits = [_seen(page, http, n) - ahead for n in range(WARM + posts)][WARM:]
            browser.close()
        say(f"{which}: {latencies_ms(waits)}")
        return waits
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

    args = arguments("browser", __doc__, argv, rounds=1, more=more)
    posts = args.posts or (8 if args.quick else 100)
    with workplace(args.folder) as folder:
        rows = interleaved(args.rounds, {which: partial(once, folder, which, posts) for which in PAGES})
    waits = {which: [wait for row in rows[which] for wait in row] for which in PAGES}
    finish(
        args,
        "browser",
        cases={which: {**latencies_ms(some), "max_ms": round(max(some) * 1e3, 1)} for which, some in waits.items()},
        sizes={"posts": posts, "nodes": 2},
    )


if __name__ == "__main__":
    main()
