"""Tuba, a desktop app for Mastodon that nobody here wrote, through a story of two people at two real nodes.

    python -m tests.interop.tuba [--keep DIR]

It needs packages of Debian 13 (it says which), Chromium, and root: it listens at port 443. The app is
driven as a screen reader does it. Exit status 1: the app did not show what it should, or an answer was an error.
`--keep` puts pictures of the screen into a folder.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import trio
from playwright.sync_api import Page, Request

from banyan_web.oauth.logins import set_password
from tests.interop.tuba.screen import PACKAGES, Screen, missing, screen
from tests.interop.tuba.tunnel import NAME, Tunnel, certificate
from tests.node.real import converged
from tests.web.browser import in_browser
from tests.web.door import Client, Door, open_node
from tests.web.login_page import PASSWORD
from tests.web.test_statuses import picture

POLL = {"options": ["Phở", "Bún"], "expires_in": 86_400}
SIDEBAR = {
    name: (100, y)
    for name, y in (
        ("Home", 77),
        ("Notifications", 121),
        ("Conversations", 165),
        ("Favorites", 253),
        ("Bookmarks", 297),
        ("Hashtags", 341),
        ("Explore", 405),
        ("Local", 449),
        ("Federated", 493),
        ("Lists", 537),
    )
}
"""Where its pages stand on the screen."""
FIRST_CHOICE = (421, 195)
"""Of a poll on top of the timeline."""
Far = Callable[..., Any]
"""Asks the other door as binh, once both nodes know everything: verb, path, what is sent."""


def allowed(page: Page, url: str) -> str:
    """Logs in in a browser, and allows it. The address of the app that the browser then opens."""
    page.goto(url)
    page.fill("[name=name]", "an")
    page.fill("[name=password]", PASSWORD)
    page.keyboard.press("Enter")
    with page.expect_request(lambda asked: asked.url.startswith("tuba:")) as found:
        page.click("button[value=allow]")
    opened: Request = found.value
    return opened.url


def home(see: Screen, far: Far) -> None:
    see.wait("Chào An")
    see.press(description="Favorite", role="toggle button")
    see.press(description="Boost", role="toggle button")
    see.wait("an boosted", "1 boost, 1 favorite")
    see.press("Compose", role="button")
    see.write("Sáng nay trời đẹp #hanoi")  # it completes the tag
    see.press("Publish", role="button")
    see.wait("Post Privacy", gone=True)
    see.wait("Sáng nay trời đẹp #hanoi")
    found = far("GET", "/api/v1/timelines/home")
    assert "Sáng nay" in found[0]["content"], found[0]["content"]
    mine = found[0]["id"]
    far("POST", f"/api/v1/statuses/{mine}/favourite")
    far("POST", "/api/v1/statuses", status="Đẹp thật!", in_reply_to_id=mine)
    see.wait("Đẹp thật!")
    see.press(" Public post by an (*", action="status.edit-status")
    see.write("Ôi! ")
    see.press("Edit", role="button")
    see.wait("Ôi! Sáng nay")


def pictures_and_polls(see: Screen, far: Far) -> None:
    media = far(
        "POST", "/api/v2/media", files={"file": ("phở.png", picture("green", (300, 200)))}, description="bát phở"
    )
    far("POST", "/api/v1/statuses", status="Ảnh", media_ids=[media["id"]])
    see.wait("bát phở")
    asked = far("POST", "/api/v1/statuses", status="Ăn gì?", poll=POLL)
    see.wait("Ăn gì?")
    see.point(*FIRST_CHOICE)
    see.press("Vote", role="button")
    see.wait("1 voted")
    assert far("GET", f"/api/v1/polls/{asked['id']}")["options"][0]["votes_count"] == 1


def notifications(see: Screen, far: Far) -> None:
    see.point(*SIDEBAR["Notifications"])
    see.wait("binh mentioned you", "binh favorited your post")


def places(see: Screen, far: Far) -> None:
    for name, shown in (
        ("Conversations", "No Conversations"),
        ("Favorites", "Chào An"),
        ("Bookmarks", "No Bookmarks"),
        ("Hashtags", "No Hashtags"),
        ("Explore", "Chào An"),
        ("Local", "Ôi! Sáng nay"),
        ("Federated", "Ăn gì?"),
        ("Lists", "No Lists"),
    ):
        see.point(*SIDEBAR[name])
        see.wait(shown)
    see.write("Bạn bè")
    see.press("Add list", role="button")
    see.wait("No Lists", gone=True)


def people(see: Screen, far: Far) -> None:
    see.point(*SIDEBAR["Home"])
    see.press("binh", role="button")
    see.wait("Mutuals", "Unfollow", "Joined")


def ending(see: Screen, far: Far) -> None:
    see.press("Back", role="button")
    see.press(" Public post by an (*", action="status.delete-status")
    see.press("Delete", role="button")
    see.wait("Ôi! Sáng nay", gone=True)


STORY = (home, pictures_and_polls, notifications, places, people, ending)


def live(see: Screen, far: Far, keep: Path | None) -> None:
    see.press("Done", role="button")
    for step in STORY:
        try:
            step(see, far)
        finally:
            if keep is not None:
                see.picture(keep / f"{step.__name__}.png")
        print(f"{step.__name__.replace('_', ' ')}: as it should be")


async def _far(there: Door, both: list[Door], client: Client, verb: str, path: str, **given: Any) -> Any:
    nodes = [door.node for door in both]
    await converged(nodes)
    body = {"files": given.pop("files"), "data": given} if "files" in given else {"json": given}
    answer = await client.ask(verb, path, **(body if verb == "POST" else {}))
    await converged(nodes)
    return answer


async def story(folder: Path, keep: Path | None) -> list[str]:
    """What the door answered with an error."""
    flags = {"http__url": f"https://{NAME}"}
    async with (
        open_node(folder / "a", **flags) as here,
        open_node(folder / "b", [here.node.edge.addresses[0]]) as there,
    ):
        an, _ = await here.person("an")
        binh, client = await there.person("binh")
        await trio.to_thread.run_sync(set_password, here.store, an, "an", PASSWORD)
        await converged([here.node, there.node])
        await here.node.backend.call("follow", {"account": binh})
        await there.node.backend.call("follow", {"account": an})
        await there.node.backend.call("post", {"text": "Chào An"})
        await converged([here.node, there.node])
        cert, key = certificate(folder)
        tunnel = Tunnel(int(here.url.rpartition(":")[2]), cert, key)
        ask = partial(_far, there, [here, there], client)
        async with trio.open_nursery() as nursery:
            await nursery.start(tunnel.run)
            with screen(folder / "home", cert) as see:
                await trio.to_thread.run_sync(_first, see)
                browser = {"proxy": {"server": f"http://127.0.0.1:{tunnel.port}"}, "ignore_https_errors": True}
                opened = await in_browser(partial(allowed, url=see.link()), locale="en", **browser)
                see.open(opened)

                def far(verb: str, path: str, **given: Any) -> Any:
                    return trio.from_thread.run(partial(ask, verb, path, **given))

                await trio.to_thread.run_sync(live, see, far, keep)
            nursery.cancel_scope.cancel()
        asked, wrong = "", list[str]()
        for said in tunnel.said:
            if said.isdigit() and int(said) >= 400:
                wrong.append(f"{said} after {asked}")
            elif not said.isdigit():
                asked = said
        print(
            f"{sum(not said.isdigit() for said in tunnel.said)} requests, {len(wrong)} of them answered with an error"
        )
        return wrong


def _first(see: Screen) -> None:
    see.write(NAME)
    see.press("Next", role="button")
    see.wait("Confirm Authorization")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.interop.tuba", description=__doc__)
    parser.add_argument("--keep", type=Path, help="a folder for pictures of the screen")
    args = parser.parse_args()
    if lacking := missing():
        print(
            f"Not here: {', '.join(lacking)}. Run `apt-get install --no-install-recommends {PACKAGES}`.",
            file=sys.stderr,
        )
        return 2
    if os.geteuid():
        print("This listens at port 443: run it as root.", file=sys.stderr)
        return 2
    if args.keep is not None:
        args.keep.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        wrong = trio.run(story, Path(folder), args.keep)
    for line in wrong:
        print(line)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
