"""What a thief deleted: no reader is told it, and peers give it again as soon as it counts again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from shutil import copytree
from typing import Any

import trio

from banyan_node.home.folder import Home
from banyan_node.home.keystore import Keystore
from banyan_node.node import Node
from tests.node.real import converged, make_home, make_node, restored, running

TEXTS = ["một", "hai", "ba"]


async def told(node: Node, account: str) -> list[Any]:
    """The texts of the firehose, of the archive, and of the feed."""
    given = {"since": "begin", "accounts": [account], "collections": ["post"]}
    events = (await node.backend.call("firehose", given))["events"]
    posts = (await node.backend.call("feed", {"account": account}))["posts"]
    texts = [event["content"]["text"] for event in events if event["content"] is not None]
    return sorted([*texts, *(post["text"] for post in posts)])


async def shows(nodes: Sequence[Node], account: str, texts: list[str]) -> None:
    with trio.fail_after(60):
        while [await told(node, account) for node in nodes] != [sorted(2 * texts)] * len(nodes):
            await trio.sleep(0.05)


async def test_what_a_thief_deleted_is_told_to_nobody_and_comes_back_with_the_cut(tmp_path: Path) -> None:
    home, platform = make_home(tmp_path / "an"), make_home(tmp_path / "platform")
    words = Keystore.open(home.keys).keys.words()
    async with running(make_node(platform)) as p:
        async with running(make_node(home, p.edge.addresses)) as an:
            account = (await an.backend.call("account.create", {"name": "an"}))["account"]
            uris = [(await an.backend.call("post", {"text": text}))["uri"] for text in TEXTS]
            await converged([an, p])
            await shows([an, p], account, TEXTS)
        copytree(home.path, tmp_path / "thief")
        async with running(make_node(Home(tmp_path / "thief"), p.edge.addresses)) as thief:
            for uri in uris:
                await thief.backend.call("delete", {"uri": uri})
            await converged([thief, p])
            await shows([p], account, [])
        # the words of the backup, on a machine that never had any of it
        async with running(make_node(restored(tmp_path / "new", words), p.edge.addresses)) as new:
            await converged([new, p])
            await shows([new, p], account, [])
            with trio.fail_after(60):
                while (await new.backend.call("id", {}))["account"] != account:
                    await trio.sleep(0.05)
            (stolen,) = {
                (event["writer"], event["log"])
                for event in (await p.backend.call("firehose", {"since": "begin"}))["events"]
                if event["kind"] == "delete"
            }
            await new.backend.call("account.drop", {"account": account, "writer": stolen[0], "log": stolen[1]})
            await shows([new, p], account, TEXTS)
