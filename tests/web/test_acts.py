"""What the node itself did reaches open streams and webhooks, and tells of moderators only who may hear of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import trio

from banyan_crdt.firehose import FrameReader, NodeAct, RunsVerifier
from tests.web.door import Client, open_node
from tests.web.test_firehose import stream, whole
from tests.web.test_platform_webhooks import Backend, backend, until

__all__ = ["backend"]


@pytest.mark.parametrize("workers", ["0", "1"])
async def test_streams_and_webhooks_are_told_of_decisions_by_scope(
    tmp_path: Path, backend: Backend, workers: str
) -> None:
    async with open_node(tmp_path, http__local_webhooks="true", http__workers=workers) as door:
        an, _ = await door.person("an")
        call = door.node.backend.call
        uri = (await call("post", {"text": "một"}))["uri"]
        tokens = {
            "read": door.client(an, "read"),
            "firehose": door.client(an, "firehose"),
            "admin": door.client(an, "read", "admin"),
        }
        kinds = ["hidden", "withheld", "labelled", "returned", "limited", "suspended", "lifted", "create"]
        hooks = {}
        for name, scopes in (("few", ("read", "host")), ("all", ("read", "host", "firehose"))):
            platform = Client(door.url, door.store.mint(None, name, scopes))
            hooks[(await platform.post("/v1/webhooks", url=backend.url, events=kinds))["id"]] = name
            await platform.http.aclose()
        told: dict[str, list[Any]] = {name: [] for name in tokens}

        async def follow(name: str, task_status: Any = trio.TASK_STATUS_IGNORED) -> None:
            async with stream(tokens[name]) as lines:
                await anext(lines)
                task_status.started()
                async for event in lines:
                    told[name].append(event)

        assert door.node.context is not None
        verifier, reader = RunsVerifier(door.node.context.realm), FrameReader()
        signed = list[NodeAct]()

        async def follow_signed(task_status: Any = trio.TASK_STATUS_IGNORED) -> None:
            asked = {"format": "cbor", "since": "now"}
            plain = {"accept-encoding": "identity"}
            async with tokens["firehose"].http.stream("GET", "/v1/firehose", params=asked, headers=plain) as answer:
                pieces = answer.aiter_raw()
                for _ in reader.feed(await anext(pieces)):
                    task_status.started()
                async for piece in pieces:
                    for one in reader.feed(piece):
                        if (found := verifier.take(one)) is not None:
                            signed.extend(found.acts)

        given = {"account": an, "posts": [uri]}
        async with trio.open_nursery() as nursery:
            for name in tokens:
                await nursery.start(follow, name)
            await nursery.start(follow_signed)
            for verdict in ("limit", "suspend"):
                made = await call("decision.add", {"account": an, "verdict": verdict})
                await call("decision.undo", {"id": made["id"]})
            label = (await call("decision.add", {**given, "verdict": "label", "text": "ý"}))["id"]
            await call("decision.undo", {"id": label})
            await until(lambda: all(some for some in told.values()) and len(told["admin"]) >= 6)
            await until(lambda: len(backend.events) >= 7 and len(signed) >= 6)  # it is told while it is given out
            await call("decision.add", {**given, "verdict": "withhold", "order": "Lệnh 1"})
            await until(lambda: all(len(some) >= 2 for some in told.values()) and len(told["admin"]) >= 7)
            await until(lambda: len(backend.events) >= 9 and len(signed) >= 7)
            nursery.cancel_scope.cancel()
        every = ["limited", "lifted", "suspended", "lifted", "labelled", "returned", "withheld"]
        said = [[], ["limited"], [], ["suspended"], ["ý"], [], ["Lệnh 1", "", "", "0"]]
        for name in ("firehose", "admin"):
            assert [event["kind"] for event in told[name]] == every
            assert [event.get("said", []) for event in told[name]] == said
        assert ([act.kind for act in signed], [act.said for act in signed]) == (every, said)
        assert [event["kind"] for event in told["read"]] == ["returned", "gone"]
        assert all("said" not in event for event in told["read"])
        assert {event["uri"] for some in told.values() for event in some} == {uri, None}
        by_hook: dict[str, list[str]] = {"few": [], "all": []}
        for _, body in backend.came:
            sent = json.loads(body)
            by_hook[hooks[sent["webhook"]]] += [event["kind"] for event in sent["events"]]
        assert by_hook == {"few": ["returned", "gone"], "all": every}
        again = await whole(tokens["firehose"], collection="post")
        assert [event["kind"] for event in again] == ["create", *[kind for kind in every if kind != "returned"]]
        assert {event["content"] and event["content"]["text"] for event in again} == {None}
