"""Three clients that nobody here wrote, each through the whole story, over two nodes that gossip."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import pytest
import trio

from banyan_web.mastodon.streaming import endpoints
from banyan_web.oauth.logins import set_password
from tests.interop.by_masto import Masto, library
from tests.interop.by_mastodon_py import MastodonPy
from tests.interop.by_toot import Toot, shell
from tests.interop.packages import needs_packages
from tests.interop.said import Client
from tests.interop.story import STORY, Scene
from tests.web.door import Door, open_node
from tests.web.login_page import PASSWORD
from tests.web.test_statuses import picture


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mastodon.py closes a stream at the next heartbeat."""
    monkeypatch.setattr(endpoints, "HEARTBEAT_S", 0.2)
    monkeypatch.setattr(endpoints, "HEARTBEAT_S", 0.2)


@asynccontextmanager
async def clients(name: str, folder: Path) -> AsyncIterator[tuple[Client, Client]]:
    if name == "Mastodon.py":
        yield MastodonPy(), MastodonPy()
    elif name == "toot":
        async with shell(folder) as opened:
            an, binh = (cast("Client", Toot(opened)) for _ in range(2))  # but for what it lacks
            yield an, binh
    else:
        async with library() as made:
            yield Masto(made), Masto(made)


async def arrived(door: Door, name: str, client: Client) -> None:
    did, _ = await door.person(name)
    await trio.to_thread.run_sync(set_password, door.store, did, name, PASSWORD)
    await client.log_in(door, name, PASSWORD)


@pytest.mark.parametrize("name", ["Mastodon.py", "toot", pytest.param("masto", marks=needs_packages)])
async def test_a_client_lives_through_the_whole_story(tmp_path: Path, name: str) -> None:
    (tmp_path / "phở.png").write_bytes(picture("green", (300, 200)))
    left_out = set[str]()
    async with (
        open_node(tmp_path / "a") as here,
        open_node(tmp_path / "b", [here.node.edge.addresses[0]]) as there,
        clients(name, tmp_path) as (an, binh),
    ):
        await arrived(here, "an", an)
        await arrived(there, "binh", binh)
        scene = Scene(here, there, an, binh, tmp_path / "phở.png")
        for step in STORY:
            if step.needs & an.LACKS:
                left_out |= step.needs & an.LACKS
                continue
            with trio.fail_after(60):
                try:
                    await step.do(scene)
                except BaseException as error:
                    error.add_note(f"{name}: {step.says}")
                    raise
        await an.close()
    assert left_out == {word for word in an.LACKS if not word.startswith(("listen ", "every bookmarks"))}
