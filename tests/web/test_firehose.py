"""The firehose over HTTP: nothing is missed and nothing told twice, whoever stops: the consumer, or the node."""

from __future__ import annotations

import json
import random
from base64 import b64decode
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import h11
import pytest
import trio

from banyan_crdt.codec import decode
from banyan_crdt.run import decode_control, decode_run, verify_run
from banyan_node.operator_errors import CallError
from banyan_web.door_store import Token
from banyan_web.firehose import encodings, requests, subscription, tail
from banyan_web.firehose.requests import owner_of
from banyan_web.open_streams import StreamEnd
from tests.web.door import Client, Door, open_node
from tests.web.lines import LineStream, open_lines

NOTES = ("begin", "heartbeat", "end")


@asynccontextmanager
async def stream(client: Client, **params: Any) -> AsyncIterator[Events]:
    """The lines of a firehose, as they come."""
    async with open_lines(client.url, "/v1/firehose", client.token, params) as lines:
        yield Events(lines)


class Events:
    def __init__(self, lines: LineStream) -> None:
        self._lines = lines

    def __aiter__(self) -> Events:
        return self

    async def __anext__(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(await anext(self._lines))
        return found


async def whole(client: Client, **params: Any) -> list[dict[str, Any]]:
    """The events of all that is held."""
    async with stream(client, since="begin", follow="0", **params) as lines:
        found = [line async for line in lines]
    assert (found[0]["kind"], found[-1]["kind"], found[-1]["why"]) == ("begin", "end", "caught_up")
    return found[1:-1]


async def write(door: Door, texts: list[str], at_once: int = 16) -> None:
    """Posts them, so many at a time; one at a time in their order."""
    if at_once == 1:
        for text in texts:
            await door.node.backend.call("post", {"text": text})
        return
    limiter = trio.CapacityLimiter(at_once)

    async def one(text: str) -> None:
        async with limiter:
            await door.node.backend.call("post", {"text": text})

    async with trio.open_nursery() as nursery:
        for text in texts:
            nursery.start_soon(one, text)


async def test_a_stream_tells_what_arrives_and_what_was_there(tmp_path: Path) -> None:
    async with open_node(tmp_path / "home") as door:
        an, client = await door.person("an")
        await write(door, ["trước"])
        held = await whole(client, collection="post")
        assert [event["content"]["text"] for event in held] == ["trước"]
        async with stream(client) as lines:
            begin = await anext(lines)
            assert begin["kind"] == "begin"
            assert begin["cursor"] == held[-1]["cursor"]
            uri = (await client_post(door, "sau"))["uri"]
            event = await anext(lines)
            assert (event["kind"], event["collection"], event["account"], event["uri"]) == ("create", "post", an, uri)
            assert (event["content"]["text"], event["hosted"], event["counts"]) == ("sau", True, True)
            await door.node.backend.call("edit", {"uri": uri, "text": "hai"})
            await door.node.backend.call("react", {"uri": uri, "emoji": "🌸"})
            await door.node.backend.call("delete", {"uri": uri})
            found = [await anext(lines) for _ in range(3)]
        said = [("update", "post"), ("create", "reaction"), ("delete", "post")]
        assert [(event["kind"], event["collection"]) for event in found] == said
        assert await whole(client, collection="reaction,follow") == [found[1]]
        params = {"collection[]": ["reaction", "post"], "account": an, "since": event["cursor"], "follow": "0"}
        async with stream(client, **params) as lines:
            again = [line async for line in lines][1:-1]
        assert again == [{**found[0], "content": None, "held": False}, *found[1:]], "it was deleted meanwhile"


async def client_post(door: Door, text: str) -> Any:
    return await door.node.backend.call("post", {"text": text})


async def test_who_may_read_and_what_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_node(tmp_path / "home") as door:
        an, client = await door.person("an")
        assert await door.client().get("/v1/firehose", 401)
        await door.client(an, "write").get("/v1/firehose", 403)
        await whole(door.client(an, "firehose"))
        for params, status in (
            ({"since": "yesterday"}, 400),
            ({"since": "0" * 16 + "-1"}, 410),
            ({"sinse": "begin"}, 400),
            ({"collection": "potato"}, 400),
            ({"shard": "g"}, 400),
            ({"account": "nobody"}, 422),
            ({"format": "xml"}, 400),
            ({"proof": "maybe"}, 422),
            ({"consumer": "a/b"}, 422),
        ):
            assert (await client.get("/v1/firehose", status, **params))["error"], params
        assert (await client.http.head("/v1/firehose")).headers["content-type"] == "application/x-ndjson"
        monkeypatch.setattr(requests, "MOST", 1)
        async with stream(client) as lines:
            await anext(lines)
            await client.get("/v1/firehose", 429)


async def test_a_browser_continues_by_its_last_event(tmp_path: Path) -> None:
    async with open_node(tmp_path / "home") as door:
        _, client = await door.person("an")
        await write(door, ["một", "hai", "ba"], 1)
        every = await whole(client)
        sse = {"accept": "text/event-stream"}

        async def read(headers: dict[str, str], **params: str) -> str:
            answer = await client.http.get("/v1/firehose", params={"follow": "0", **params}, headers=sse | headers)
            assert answer.headers["content-type"] == "text/event-stream"
            return answer.text

        blocks = (await read({}, since="begin")).strip().split("\n\n")
        assert blocks[0].startswith(f"id: {every[0]['cursor'].partition('-')[0]}-0\nevent: begin\n")
        plain = [block.split("\n") for block in blocks[1:-1]]
        assert [json.loads(data.removeprefix("data: ")) for _, data in plain] == every
        assert [id_.removeprefix("id: ") for id_, _ in plain] == [event["cursor"] for event in every]
        rest = (await read({"last-event-id": every[-2]["cursor"]})).strip().split("\n\n")
        assert [json.loads(block.split("data: ")[1]) for block in rest[1:-1]] == every[-1:]


async def test_what_is_told_can_be_verified_without_trust_in_this_node(tmp_path: Path) -> None:
    async with open_node(tmp_path / "home") as door:
        _, client = await door.person("an")
        await write(door, ["một", "hai"])
        assert door.node.context is not None
        realm = door.node.context.realm
        for event in await whole(client, proof="1"):
            proof = event["proof"]
            if event["kind"] == "account":
                entry = decode_control(realm, decode(_raw(proof["control"]), 3)) if proof["control"] else None
            else:
                run = decode_run(realm, _raw(proof["run"]))
                verify_run(realm, run)
                entry = run.entries[0]
            assert entry is None or entry.id.hex() == event["entry"]


def _raw(text: str) -> bytes:
    return b64decode(text)


class Consumer:
    """Reads for ever, is killed at random and continues from its last cursor."""

    def __init__(self, seed: int, token: str) -> None:
        self.random, self.token = random.Random(seed), token
        self.cursor = "begin"
        self.seen: list[str] = []
        self.killed = 0

    async def run(self, where: list[str], until: str) -> None:
        """where: the address of the node now. until: a text; its post is the last."""
        while True:
            with suppress(OSError, h11.RemoteProtocolError, trio.BrokenResourceError):
                if await self._read(where[0], until):
                    return
            self.killed += 1
            await trio.sleep(0.02)

    async def _read(self, url: str, until: str) -> bool:
        left = self.random.randrange(1, 400)
        params = {"since": self.cursor, "collection": "post"}
        async with open_lines(url, "/v1/firehose", self.token, params) as lines:
            async for text in lines:
                line = json.loads(text)
                self.cursor = line["cursor"]
                if line["kind"] in NOTES:
                    continue
                self.seen.append(line["content"]["text"])
                if self.seen[-1] == until:
                    return True
                left -= 1
                if not left:
                    return False
        return False


async def test_nothing_is_missed_and_nothing_told_twice_whoever_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tail, "KEPT_EVENTS", 50)  # so that many are behind what is kept
    where, texts = [""], [str(n) for n in range(1_200)]
    async with trio.open_nursery() as nursery:
        async with open_node(tmp_path / "home") as door:
            an, _ = await door.person("an")
            token, where[0] = door.token(an, "firehose"), door.url
            consumers = [Consumer(seed, token) for seed in range(10)]
            for consumer in consumers:
                nursery.start_soon(consumer.run, where, "the last")
            await write(door, texts[:600])
        async with open_node(tmp_path / "home") as door:  # the node was stopped, and runs again
            where[0] = door.url
            await write(door, texts[600:])
            await write(door, ["the last"])
            with trio.fail_after(60):
                while any(consumer.seen[-1:] != ["the last"] for consumer in consumers):
                    await trio.sleep(0.05)
    for consumer in consumers:
        assert consumer.seen == consumers[0].seen, "in one order"
        assert len(consumer.seen) == len(set(consumer.seen)) == len(texts) + 1
        assert consumer.killed > 2
    assert {*consumers[0].seen} == {*texts, "the last"}


async def test_a_named_consumer_gets_again_what_it_did_not_confirm(tmp_path: Path) -> None:
    async with open_node(tmp_path / "home") as door:
        an, client = await door.person("an")
        await client.get("/v1/firehose/consumers/index", 404)
        await client.post("/v1/firehose/consumers/index/ack", 422, cursor="yesterday")
        async with stream(client, consumer="index", collection="post") as lines:
            await anext(lines)
            await write(door, ["một", "hai", "ba"], 1)
            first, second, _third = [await anext(lines) for _ in range(3)]
        done = await client.post("/v1/firehose/consumers/index/ack", cursor=second["cursor"])
        assert done["cursor"] == second["cursor"]
        late = await client.post("/v1/firehose/consumers/index/ack", cursor=first["cursor"])
        assert late["cursor"] == second["cursor"], "a late one does not take back what is confirmed"
        far = second["cursor"].partition("-")[0] + "-999999"
        await client.post("/v1/firehose/consumers/index/ack", 410, cursor=far)
    async with open_node(tmp_path / "home") as door:
        client = door.client(an)  # another token of the same account
        async with stream(client, consumer="index", collection="post", follow="0") as lines:
            again = [line["content"]["text"] async for line in lines if line["kind"] not in NOTES]
        assert again == ["ba"]
        back = await client.post("/v1/firehose/consumers/index/ack", cursor=first["cursor"], back=True)
        assert back["cursor"] == first["cursor"]
        (row,) = (await client.get("/v1/firehose/consumers"))["consumers"]
        assert (row["name"], row["cursor"]) == ("index", first["cursor"])
        other = door.client((await door.person("bình"))[0])
        assert await other.get("/v1/firehose/consumers") == {"consumers": []}
        await client.ask("DELETE", "/v1/firehose/consumers/index")
        await client.ask("DELETE", "/v1/firehose/consumers/index", 404)


def test_apps_that_register_under_one_name_have_consumers_of_their_own() -> None:
    one, two = (Token(id_, None, "App", ("read",), 0, None, client) for id_, client in (("1", "x"), ("2", "y")))
    assert owner_of(one) != owner_of(two)
    assert owner_of(one) == owner_of(one._replace(id="3")), "another token of the same app"


async def test_a_silent_stream_sends_its_cursor_and_a_stopping_node_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscription, "HEARTBEAT_S", 0.2)
    async with open_node(tmp_path / "home") as door:
        _, client = await door.person("an")
        async with stream(client, collection="follow") as lines:
            begin = await anext(lines)
            await write(door, ["which is not wanted"])
            beat = await anext(lines)
            while beat["cursor"] == begin["cursor"]:
                beat = await anext(lines)
            assert beat["kind"] == "heartbeat"
            door.node.shutdown.set()
            rest = [line async for line in lines]
            assert (rest[-1]["kind"], rest[-1]["why"]) == ("end", "shutdown")
            assert rest[-1]["cursor"] == (await door.node.backend.call("firehose", {}))["cursor"]


async def test_who_is_ahead_of_what_is_kept_is_not_led_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail, "PAUSE_S", 30.0)  # what is kept goes on so seldom
    async with open_node(tmp_path) as door:
        _, client = await door.person("an")
        async with stream(client, since="begin") as first:
            await anext(first)
            await write(door, ["một"], at_once=1)
            async for line in first:  # it was read, and the pause begins
                if line["kind"] not in NOTES and line["content"].get("text") == "một":
                    break
            await write(door, ["hai", "ba"], at_once=1)
            async with stream(client, since="begin", collection="post") as ahead:
                seen = [line async for line in until(ahead, "ba")]
                door.node.shutdown.set()
                end = await anext(ahead)
        assert (end["kind"], end["why"]) == ("end", "shutdown")
        assert end["cursor"] == seen[-1]["cursor"]


async def test_of_what_was_dropped_from_the_end_nothing_is_given_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tail, "KEPT_EVENTS", 2)
    async with open_node(tmp_path) as door, trio.open_nursery() as nursery:
        await door.person("an")
        backend = door.node.backend
        begin, end = tail.place_of((await backend.call("firehose", {}))["cursor"]), tail.Tail(backend)
        nursery.start_soon(end.run)
        with end.followed(), trio.fail_after(60):
            while end.end is None:
                await trio.sleep(0.01)
            await write(door, ["một", "hai", "ba", "bốn"], 1)
            last = tail.place_of((await backend.call("firehose", {}))["cursor"])
            while end.end < last:
                await trio.sleep(0.01)
            assert end.after(last) == []
            assert end.after(begin) is None, "who is there reads the store"
        nursery.cancel_scope.cancel()


async def until(lines: Events, text: str) -> AsyncIterator[dict[str, Any]]:
    """Lines up to that of a post."""
    async for line in lines:
        yield line
        if line["kind"] not in NOTES and line["content"]["text"] == text:
            return


async def test_a_slow_consumer_is_slowed_and_then_told_where_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscription, "SLOW_S", 0.5)
    async with open_node(tmp_path / "home") as door:
        _, client = await door.person("an")
        texts = [f"{n} " + "dài " * 6_000 for n in range(400)]
        await write(door, texts)
        async with stream(client, since="begin", collection="post") as lines:
            await anext(lines)
            await trio.sleep(3)  # the buffers of the system are full
            found = [line async for line in lines]
        assert (found[-1]["kind"], found[-1]["why"]) == ("end", "slow")
        assert found[-1]["cursor"] == found[-2]["cursor"]
        assert 1 < len(found) < 300
        async with stream(client, since=found[-1]["cursor"], collection="post", follow="0") as lines:
            rest = [line async for line in lines]
        assert len(found) - 1 + len(rest) - 2 == len(texts)


class Failing:
    """A node whose firehose cannot be read at times."""

    def __init__(self, node: Any) -> None:
        self._node, self.fails = node, 0

    async def call(self, name: str, params: Mapping[str, Any]) -> Any:
        if self.fails:
            self.fails -= 1
            raise CallError("building", "The views are being built.", 503)
        return await self._node.call(name, params)

    async def events(self, params: Mapping[str, str]) -> AsyncGenerator[Any, None]:
        found: AsyncGenerator[Any, None] = await self._node.events(params)
        return found


async def test_a_reading_that_fails_ends_no_stream_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tail, "AGAIN_S", 0.1)
    async with open_node(tmp_path / "home") as door:
        await door.person("an")
        source = Failing(door.node.backend)
        end = tail.Tail(source)
        begin = (await door.node.backend.call("firehose", {}))["cursor"]
        pieces = subscription.follow(
            source, end, subscription.FirehoseFilter(), begin, encodings.Lines(), StreamEnd(end.wake)
        )
        async with trio.open_nursery() as nursery, aclosing(pieces):
            await anext(pieces)
            source.fails = 3  # the readings of the end, which begin now
            nursery.start_soon(end.run)
            with trio.fail_after(60):
                while source.fails:
                    await trio.sleep(0.01)
                await write(door, ["một", "hai"], 1)
                seen: list[str] = []
                while len(seen) < 2:
                    events = map(json.loads, (await anext(pieces)).splitlines())
                    seen += [event["content"]["text"] for event in events if event["kind"] not in NOTES]
            assert seen == ["một", "hai"]
            nursery.cancel_scope.cancel()
