"""Whatever a page doesn't show, no stream shows, and the other way round: readers with random wishes, and everybody
speaks in all ways, and edits it, while one WebSocket of each reader listens to all that there is."""

from __future__ import annotations

import json
import random
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
import trio

from banyan_node.operator_errors import CallError
from banyan_reading.interaction_rules import ACTS, InteractionRules
from banyan_schema.social.post import WHO
from banyan_web.mastodon.entity_ids import thing_id
from tests.needs import NIGHT
from tests.web.door import Client, Door, open_node
from tests.web.test_streaming import socket_of

PEOPLE, READERS = 9, 5
TAGS, WORDS, LANGS = ("tết", "phở"), ("mưa", "nắng", "gió"), (None, "vi", "en-US")
KINDS = ("post", "post", "reply", "reply", "quote", "repost", "edit", "edit", "let", "hide", "follow", "leave")
CONTEXTS = ("home", "public", "thread", "notifications", "account")


class World:
    def __init__(self, door: Door, seed: int) -> None:
        self.door, self.rng = door, random.Random(f"visibility {seed}")
        self.call = door.node.backend.call
        self.readers: dict[str, Client] = {}
        self.people: list[str] = []
        self.lists: dict[str, list[str]] = {}

    async def meet(self) -> None:
        for n in range(PEOPLE):
            did, client = await self.door.person(f"an{n}")
            self.people.append(did)
            if n < READERS:
                self.readers[did] = client
        for did in self.people:
            if self.rng.random() < 0.2:
                await self.call("lock", {"as": did})
        for did in self.rng.sample(self.people, 2):
            await self.call("decision.add", {"account": did, "verdict": "limit"})
        for did in self.readers:
            await self._wish(did)

    async def _wish(self, did: str) -> None:
        rng, others = self.rng, [one for one in self.people if one != did]
        for other in others:
            if rng.random() < 0.6:
                with suppress(CallError):  # it blocks the reader
                    await self.call("follow", {"account": other, "as": did})
                if rng.random() < 0.4:
                    langs = rng.choice([None, ["vi"], ["en"]])
                    wish = {"account": other, "reposts": rng.random() < 0.5, "langs": langs, "as": did}
                    await self.call("follow.wish", wish)
            if rng.random() < 0.15:
                await self.call(rng.choice(["block", "mute"]), {"account": other, "as": did})
        for tag in rng.sample(TAGS, rng.randrange(3)):
            await self.call("tag.follow", {"tag": tag, "as": did})
        for word in rng.sample(WORDS, rng.randrange(3)):
            contexts = None if rng.random() < 0.3 else rng.sample(CONTEXTS, rng.randint(1, 3))
            does = {"contexts": contexts, "action": rng.choice(["hide", "warn"])}
            await self.call("filters.set", {"title": word, "words": [{"words": word}], **does, "as": did})
        self.lists[did] = []
        for replies in rng.sample(["list", "followed", "none", "all"], 2):
            asked: dict[str, Any] = {"title": replies, "replies": replies, "exclusive": rng.random() < 0.3, "as": did}
            made = (await self.call("list.set", asked))["id"]
            self.lists[did].append(thing_id(made))
            await self.call("list.add", {"id": made, "accounts": rng.sample(others, 4), "as": did})

    async def speak(self, many: int) -> None:
        said = list[str]()
        for n in range(many):
            rng, who = self.rng, self.rng.choice(self.people)
            text = " ".join(
                [f"bài {n}", *rng.sample(WORDS, rng.randrange(2)), *("#" + t for t in TAGS if rng.random() < 0.3)]
            )
            given: dict[str, Any] = {"text": text, "as": who}
            if (lang := rng.choice(LANGS)) is not None:
                given["lang"] = lang
            if rng.random() < 0.4:
                given["policy"] = {act: rng.choice(WHO) for act in ACTS}
            kind = rng.choice(KINDS) if len(said) > 3 else "post"
            if kind != "post":
                given["uri"] = rng.choice(said)
            if kind == "let":
                policy = {act: rng.choice(WHO) for act in ACTS}
                await self.call("edit", {"uri": given["uri"], "policy": policy})
                continue
            if kind == "hide":
                with suppress(CallError):  # it answers nothing of theirs
                    await self.call("thread.hide", {"uri": given["uri"], "as": who, "undo": rng.random() < 0.3})
                continue
            if kind in ("follow", "leave"):  # a reader that follows gets no stream of what was said before
                other = rng.choice([one for one in self.people if one != who])
                with suppress(CallError):
                    if kind == "leave" or who not in self.readers:
                        await self.call("follow", {"account": other, "undo": kind == "leave", "as": who})
                continue
            if kind == "repost":
                given = {"uri": given["uri"], "as": who}
            if kind == "edit":
                del given["as"]
                await self.call("edit", given | {"mentions": rng.sample(self.people, rng.randrange(3))})
                continue
            with suppress(CallError):  # of one who blocks them
                answer = await self.call(kind, given)
                if kind != "repost":
                    said.append(answer["uri"])

    def pages(self, reader: str) -> dict[tuple[str, ...], tuple[str, dict[str, Any]]]:
        """Streams, and the pages that show the same."""
        found: dict[tuple[str, ...], tuple[str, dict[str, Any]]] = {
            ("user",): ("home", {}),
            ("public",): ("public", {}),
            ("public:local",): ("public", {"local": "true"}),
        }
        for tag in TAGS:
            found["hashtag", tag] = f"tag/{tag}", {}
            found["hashtag:local", tag] = f"tag/{tag}", {"local": "true"}
        return found | {("list", id_): (f"list/{id_}", {}) for id_ in self.lists[reader]}

    async def shown(self, client: Client, path: str, params: dict[str, Any]) -> set[str]:
        found, below = set[str](), dict[str, Any]()
        while rows := await client.get(f"/api/v1/timelines/{path}", limit=40, **params, **below):
            found |= {_id(row) for row in rows}
            below = {"max_id": rows[-1]["id"]}
        return found


def _id(status: Any) -> str:
    return str((status["reblog"] or status)["id"])


@pytest.mark.parametrize("seed", range(12 if NIGHT else 2))
async def test_streams_show_what_pages_show(tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(InteractionRules, "why_not", lambda *_: None)  # they write at nodes that do not ask
    async with open_node(tmp_path / "a") as door, trio.open_nursery() as nursery:
        world = World(door, seed)
        await world.meet()
        heard: dict[str, dict[tuple[str, ...], dict[str, str]]] = {did: {} for did in world.readers}

        async def listen(did: str, socket: Any) -> None:
            while True:
                told = json.loads(await socket.get_message())
                has = heard[did].setdefault(tuple(told["stream"]), {})
                if told["event"] == "update":
                    status = json.loads(told["payload"])
                    has[status["id"]] = _id(status)
                elif told["event"] == "delete":
                    has.pop(told["payload"], None)

        async with AsyncExitStack() as open_:
            for did, client in world.readers.items():
                socket = await open_.enter_async_context(socket_of(door, client.token or "", ""))
                for stream in world.pages(did):
                    names = ("stream", "tag" if stream[0].startswith("hashtag") else "list")
                    await socket.send_message(
                        json.dumps({"type": "subscribe", **dict(zip(names, stream, strict=False))})
                    )
                nursery.start_soon(listen, did, socket)
            with trio.fail_after(60):
                while sum(map(len, door.hub.channels.values())) < sum(len(world.pages(did)) for did in world.readers):
                    await trio.sleep(0.02)
            await world.speak(50)
            await world.call("post", {"text": "xong #tết #phở", "as": world.people[0]})
            for did, client in world.readers.items():
                for stream, (path, params) in world.pages(did).items():
                    wanted = await world.shown(client, path, params)
                    with trio.move_on_after(10):
                        while {*heard[did].get(stream, {}).values()} != wanted:
                            await trio.sleep(0.05)
                            wanted = await world.shown(client, path, params)
                    got = {*heard[did].get(stream, {}).values()}
                    assert got == wanted, (world.people.index(did), stream, got - wanted, wanted - got)
            nursery.cancel_scope.cancel()
