"""A node of chosen accounts, the default of every hobbyist, hears of people whom nobody there follows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trio

from banyan_node.home.folder import Home
from banyan_node.node import Node
from tests.node.real import make_home, make_node, running

pytestmark = pytest.mark.trio
WITHIN_S = 60.0
"""Generous: it takes a second or two where nothing else runs."""
ALL = {"follow", "reply", "reaction", "mention", "quote", "repost"}


async def call(node: Node, method: str, **params: Any) -> Any:
    return await node.backend.call(method, params)


async def hears(node: Node, author: str, *kinds: str) -> None:
    """Returns once these kinds of notices of the author are told."""
    found = set[str]()
    with trio.fail_after(WITHIN_S):
        while not found.issuperset(kinds):
            await trio.sleep(0.1)
            notices = (await call(node, "notifications", each=True))["notices"]
            found = {row["kind"] for row in notices if author in [account["account"] for account in row["accounts"]]}


async def reached(node: Node, uri: str) -> None:
    """Returns once the post is in the feed."""
    with trio.fail_after(WITHIN_S):
        while uri not in [post["uri"] for post in (await call(node, "feed"))["posts"]]:
            await trio.sleep(0.1)


async def followers(node: Node) -> list[str]:
    return [row["account"] for row in (await call(node, "followers"))["accounts"]]


def hobbyist(home: Home, platform: Node) -> Node:
    return make_node(home, platform.edge.addresses, node__role="hobbyist")


async def test_two_hobbyists_hear_each_other_through_a_platform_also_after_one_was_away(tmp_path: Path) -> None:
    platform, homes = make_node(make_home(tmp_path / "platform")), [make_home(tmp_path / name) for name in ("a", "b")]
    async with running(platform, 300):
        binh = hobbyist(homes[1], platform)
        async with running(binh, 280):
            binh_id = (await call(binh, "account.create", name="bình"))["account"]
            async with running(hobbyist(homes[0], platform), 120) as an:
                an_id = (await call(an, "account.create", name="an"))["account"]
                first = (await call(an, "post", text="Chào cả nhà!"))["uri"]
                await call(binh, "follow", account=an_id)
                await hears(an, binh_id, "follow")
                assert await followers(an) == [binh_id]
                await reached(binh, first)
                said = [(await call(binh, "reply", uri=first, text="Chào An!"))["uri"]]
                await call(binh, "react", uri=first, emoji="🌳")
                await call(binh, "repost", uri=first)
                said += [(await call(binh, "quote", uri=first, text="Nghe này"))["uri"]]
                said += [(await call(binh, "post", text="Gửi An", mentions=[an_id]))["uri"]]
                await hears(an, binh_id, *ALL)
                opened = [(await call(an, "thread", uri=uri))["posts"][-1]["text"] for uri in said]
                assert opened == ["Chào An!", "Nghe này", "Gửi An"]
                assert [post["uri"] for post in (await call(an, "feed", quotes=first))["posts"]] == [said[1]]
                await call(binh, "follow", account=an_id, undo=True)
                with trio.fail_after(WITHIN_S):
                    while await followers(an):
                        await trio.sleep(0.1)
            chi = (await call(platform, "account.create", name="chi"))["account"]
            await call(platform, "post", text="An đâu rồi?", mentions=[an_id], **{"as": "chi"})
            async with running(hobbyist(homes[0], platform), 120) as an:
                await hears(an, chi, "mention")
                await hears(an, binh_id, *(ALL - {"follow"}))
