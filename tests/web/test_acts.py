"""What the node itself did reaches open streams and webhooks, and tells of moderators only who may hear of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import trio

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
        kinds = ["hidden", "withheld", "labelled", "returned", "create"]
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

        given = {"account": an, "posts": [uri]}
        async with trio.open_nursery() as nursery:
            for name in tokens:
                await nursery.start(follow, name)
            label = (await call("decision.add", {**given, "verdict": "label", "text": "ý"}))["id"]
            await call("decision.undo", {"id": label})
            await call("decision.add", {**given, "verdict": "withhold", "order": "Lệnh 1"})
            await until(lambda: all(len(some) >= 2 for some in told.values()) and len(told["admin"]) >= 3)
            await until(lambda: len(backend.events) >= 5)
            nursery.cancel_scope.cancel()
        for name in ("firehose", "admin"):
            assert [event["kind"] for event in told[name]] == ["labelled", "returned", "withheld"]
            assert [event.get("said") for event in told[name]] == [["ý"], None, ["Lệnh 1", "", "", "0"]]
        assert [event["kind"] for event in told["read"]] == ["returned", "gone"]
        assert all("said" not in event for event in told["read"])
        assert {event["uri"] for some in told.values() for event in some} == {uri}
        by_hook: dict[str, list[str]] = {"few": [], "all": []}
        for _, body in backend.came:
            said = json.loads(body)
            by_hook[hooks[said["webhook"]]] += [event["kind"] for event in said["events"]]
        assert by_hook == {"few": ["returned", "gone"], "all": ["labelled", "returned", "withheld"]}
        again = await whole(tokens["firehose"], collection="post")
        assert [event["kind"] for event in again] == ["create", "labelled", "returned", "withheld"]
        assert {event["content"] and event["content"]["text"] for event in again} == {None}
