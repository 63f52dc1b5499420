"""The forms of the firehose tell the same: lines, compressed pieces, WebSocket, and signed entries."""

from __future__ import annotations

import json
import subprocess
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import trio
import zstandard
from trio_websocket import ConnectionClosed, ConnectionRejected, WebSocketConnection, open_websocket_url

from banyan_crdt.firehose import END, FrameReader, RunsVerifier, VerifiedEntry
from banyan_node.client import AsyncClient, Place, v1
from banyan_node.client.follower import FrameDecompressor
from banyan_node.operator_errors import CallError
from banyan_web.firehose import encodings, endpoints, requests
from tests.js.test_client import CLIENT, needs_node
from tests.web.door import Client, Door, open_node
from tests.web.test_firehose import NOTES, whole, write

TEXTS = [f"bài {n}" for n in range(30)]


async def raw(client: Client, **params: str) -> tuple[dict[str, str], bytes]:
    """Headers and bytes of all that is held."""
    given = {"since": "begin", "follow": "0", **params}
    plain = {"accept-encoding": "identity"}
    async with client.http.stream("GET", "/v1/firehose", params=given, headers=plain) as answer:
        assert answer.status_code == 200, await answer.aread()
        return dict(answer.headers), b"".join([piece async for piece in answer.aiter_raw()])


def events(lines: bytes | str) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in lines.splitlines()]
    return [one for one in found if one["kind"] not in NOTES]


async def test_a_compressed_stream_tells_the_same_with_and_without_a_dictionary(tmp_path: Path) -> None:
    async with open_node(tmp_path / "home") as door:
        _, client = await door.person("an")
        await write(door, TEXTS)
        plain = await whole(client)
        _, lines = await raw(client)
        headers, packed = await raw(client, compress="zstd")
        assert headers["content-type"] == "application/zstd"
        assert "content-encoding" not in headers, "decoders of HTTP clients read one frame"
        assert events(FrameDecompressor(None).feed(packed)) == plain
        listed = (await door.client().get("/v1/firehose/dictionaries"))["dictionaries"]
        assert {one["format"] for one in listed} == {"ndjson", "cbor"}
        (known,) = [one for one in listed if one["format"] == "ndjson"]
        answer = await door.client().http.get(f"/v1/firehose/dictionaries/{known['hash']}")
        assert sha256(answer.content).hexdigest() == known["hash"]
        assert "immutable" in answer.headers["cache-control"]
        headers, smaller = await raw(client, compress=known["hash"])
        assert (headers["content-type"], headers["dictionary"]) == ("application/zstd", known["hash"])
        pieces, unpacking = (
            [smaller[at : at + 100] for at in range(0, len(smaller), 100)],
            FrameDecompressor(answer.content),
        )
        assert events(b"".join(map(unpacking.feed, pieces))) == plain, "whatever the pieces are"
        assert len(smaller) < len(packed) < len(lines) / 2
        await client.get("/v1/firehose", 400, compress="gzip")
        await client.get("/v1/firehose", 400, compress=known["hash"], format="cbor")
        await door.client().get("/v1/firehose/dictionaries/0", 404)
        assert len(encodings.pack(b"x" * 1000, None)) < 40


async def test_a_client_that_accepts_zstd_decodes_the_stream_by_itself(tmp_path: Path) -> None:
    async with open_node(tmp_path / "home") as door:
        _, client = await door.person("an")
        await write(door, TEXTS)
        plain = await whole(client)
        answer = await client.http.get("/v1/firehose", params={"since": "begin", "follow": "0"})
        kind = (answer.headers["content-encoding"], answer.headers["content-type"])
        assert kind == ("zstd", "application/x-ndjson")
        assert events(answer.text) == plain, "httpx decoded it"
        for accepted in ("gzip", "zstd;q=0", "zstd;q=0.000", "identity"):
            given = await client.http.get("/v1/firehose", params={"follow": "0"}, headers={"accept-encoding": accepted})
            assert "content-encoding" not in given.headers


async def test_each_piece_of_an_encoded_stream_can_be_read_when_it_comes() -> None:
    async def pieces() -> AsyncGenerator[bytes, None]:
        for text in TEXTS:
            yield text.encode()

    decoder = zstandard.ZstdDecompressor().decompressobj()
    first, rest = encodings.encoded(b"first", pieces())
    async with aclosing(rest):
        assert decoder.decompress(first) == b"first"
        for text in TEXTS:
            assert decoder.decompress(await anext(rest)) == text.encode()
        assert decoder.decompress(await anext(rest)) == b""
        assert decoder.eof


FORMS: dict[str, tuple[dict[str, str], str]] = {
    "lines": ({}, "identity"),
    "server-sent events": ({"format": "sse"}, "identity"),
    "frames": ({"format": "cbor"}, "identity"),
    "packed": ({"compress": "zstd"}, "identity"),
    "packed frames": ({"format": "cbor", "compress": "zstd"}, "identity"),
    "encoded": ({}, "zstd"),
    "encoded frames": ({"format": "cbor"}, "zstd"),
}
"""Parameters, and which encodings the client takes."""


def why_ended(form: str, told: bytes) -> str:
    """What the last line or frame of a whole stream says."""
    params, encodings = FORMS[form]
    if params.get("compress") or encodings == "zstd":
        unpacked = b""
        while told:
            frame = zstandard.ZstdDecompressor().decompressobj()
            unpacked += frame.decompress(told)
            assert frame.eof, f"{form}: a frame of zstd is not closed"
            told = frame.unused_data
        told = unpacked
    if params.get("format") != "cbor":
        last = json.loads(told.strip().splitlines()[-1].removeprefix(b"data: "))
        assert last["kind"] == "end"
        return str(last["why"])
    reader = FrameReader()
    *_, last_frame = reader.feed(told)
    assert (reader.is_whole, last_frame.kind) == (True, END)
    return str(last_frame.values[1].decode())


@pytest.mark.parametrize("workers", ["0", "1"])
async def test_a_stream_that_the_node_ends_says_so_in_every_form(tmp_path: Path, workers: str) -> None:
    async with open_node(tmp_path / "home", http__workers=workers) as door:
        await door.person("an")
        ended, left = dict[tuple[str, str], bytes](), trio.Event()

        async def follow(form: str, why: str, token: str, task_status: Any = trio.TASK_STATUS_IGNORED) -> None:
            params, encodings = FORMS[form]
            asked, headers = {"since": "begin", **params}, {"accept-encoding": encodings}
            told = b""
            async with door.client().http.stream(
                "GET", "/v1/firehose", params=asked, headers={**headers, "authorization": f"Bearer {token}"}
            ) as answer:
                pieces = answer.aiter_raw()
                told += await anext(pieces)
                task_status.started()
                async for piece in pieces:
                    told += piece
            ended[form, why] = told
            if len(ended) == len(FORMS):
                left.set()

        async with trio.open_nursery() as nursery:
            revoked = []
            for form in FORMS:
                token = door.store.mint(None, form, ("firehose",))
                await nursery.start(follow, form, "shutdown", door.store.mint(None, f"{form} stays", ("firehose",)))
                await nursery.start(follow, form, "revoked", token)
                revoked.append(token)
            socket_token = door.store.mint(None, "socket", ("firehose",))
            async with socket(Client(door.url, socket_token), "since=begin") as line:
                await line.get_message()
                for token in [*revoked, socket_token]:
                    await trio.to_thread.run_sync(door.store.revoke, token)
                with trio.fail_after(60):
                    last = [message async for message in messages(line)][-1]
                    await left.wait()
                assert json.loads(last.splitlines()[-1])["why"] == "revoked"
                assert line.closed is not None
                assert line.closed.code == 1008
            door.node.shutdown.set()
        assert len(ended) == 2 * len(FORMS)
        assert {key: why_ended(key[0], told) for key, told in ended.items()} == {key: key[1] for key in ended}


async def test_signed_entries_come_over_the_door_and_are_verified_in_python(tmp_path: Path) -> None:
    async with open_node(tmp_path / "home") as door:
        _, client = await door.person("an")
        await write(door, TEXTS[:10])
        middle = (await door.node.backend.call("firehose", {}))["cursor"]
        await write(door, TEXTS[10:])
        assert door.node.context is not None
        realm = door.node.context.realm
        for since, texts in (("begin", TEXTS), (middle, TEXTS[10:])):
            headers, stream = await raw(client, format="cbor", since=since, frontier="1")
            assert headers["content-type"] == "application/vnd.banyan.firehose"
            verifier, told = RunsVerifier(realm), list[VerifiedEntry]()
            reader = FrameReader()
            for one in reader.feed(stream):
                if found := verifier.take(one):
                    told += found.entries
            assert reader.is_whole
            contents = [content for one in told for content in one.contents.values()]
            for text in texts:
                assert sum(text.encode() in content for content in contents) >= 1, text
            if since == middle:
                assert not any("bài 3".encode() == content[-6:] for content in contents)
        await client.get("/v1/firehose", 400, format="cbor", proof="1")
        posts, _ = await raw(client, format="cbor", collection="post", compress="zstd")
        assert posts["content-type"] == "application/zstd"


@needs_node
async def test_signed_entries_are_verified_by_the_light_client(tmp_path: Path) -> None:
    async with open_node(tmp_path / "home") as door:
        _, client = await door.person("an")
        await write(door, TEXTS[:12])
        middle = (await door.node.backend.call("firehose", {}))["cursor"]
        await write(door, TEXTS[12:])
        for name, since, count in (("all", "begin", 30), ("rest", middle, 18)):
            path = tmp_path / name
            path.write_bytes((await raw(client, format="cbor", since=since))[1])
            said = await trio.to_thread.run_sync(_light_client, path)
            assert sorted(said["texts"]) == sorted(TEXTS[30 - count :])
            assert said["why"] == "caught_up"
            assert said["caught"] == said["tried"] > 10, "a node that alters anything is caught"


def _light_client(path: Path) -> Any:
    done = subprocess.run(
        ["node", "test/firehose.js", str(path)], cwd=CLIENT, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    return json.loads(done.stdout)


@asynccontextmanager
async def socket(client: Client, query: str) -> AsyncIterator[WebSocketConnection]:
    url = client.url.replace("http://", "ws://") + f"/v1/firehose?{query}"
    headers = [] if client.token is None else [(b"Authorization", f"Bearer {client.token}".encode())]
    async with open_websocket_url(url, extra_headers=headers) as line:
        try:
            yield line
        finally:  # where the server closes first, the library leaves it open
            await trio.aclose_forcefully(line._stream)


async def messages(line: WebSocketConnection) -> AsyncIterator[Any]:
    """Until the other side closes."""
    with suppress(ConnectionClosed):
        while True:
            yield await line.get_message()


async def test_a_websocket_tells_the_same_and_takes_confirmations(tmp_path: Path) -> None:
    async with open_node(tmp_path / "home") as door:
        an, client = await door.person("an")
        await write(door, TEXTS[:5])
        plain = await whole(client)
        (hash,) = [one.hash for one in encodings.dictionaries().values() if one.of == "ndjson"]
        lines = b""
        async with socket(client, f"since=begin&follow=0&compress={hash}") as line:
            unpacking = FrameDecompressor(encodings.dictionaries()[hash].raw)
            async for message in messages(line):
                lines += unpacking.feed(message)
        assert events(lines) == plain
        async with socket(client, "since=begin&consumer=index&collection=post") as line:
            found: list[dict[str, Any]] = []
            with trio.fail_after(60):
                while len(found) < 5:
                    found += events(await line.get_message())
                await line.send_message(json.dumps({"ack": found[2]["cursor"]}))
                answer = json.loads(await line.get_message())
                assert (answer["kind"], answer["cursor"]) == ("ack", found[2]["cursor"])
                await line.send_message("potato")
                assert json.loads(await line.get_message())["kind"] == "refused"
                await write(door, ["sau"])
                assert events(await line.get_message())[0]["content"]["text"] == "sau"
        assert (await client.get("/v1/firehose/consumers/index"))["cursor"] == found[2]["cursor"]
        for who, query in ((door.client(), ""), (door.client(an, "write"), ""), (client, "since=yesterday")):
            with pytest.raises(ConnectionRejected):
                async with socket(who, query):
                    pass
        async with socket(client, "since=now") as line:
            await line.get_message()
            door.node.shutdown.set()
            with trio.fail_after(60):
                last = [json.loads(message.splitlines()[-1]) async for message in messages(line)][-1]
        assert last["why"] == "shutdown"


async def test_filters_by_platform_and_label_take_what_the_schema_says(tmp_path: Path) -> None:
    async with open_node(tmp_path / "home") as door:
        lotus, client = await door.person("lotus")
        office, _ = await door.person("office")
        call = door.node.backend.call
        await call("profile.set", {"fields": {"domain": "lotus.example"}})
        await call("official.verify", {"account": office, "title": "Sở Y tế"})
        for name in (lotus, office):
            await call("post", {"as": name, "text": f"of {name}"})
        assert {event["account"] for event in await whole(client, collection="post")} == {lotus, office}
        for label, accounts in ((lotus, {office}), (office, set())):
            found = await whole(client, label=f"official:{label}")
            assert {event["account"] for event in found} == accounts
        await client.get("/v1/firehose", 400, label="red")
        assert await whole(client, platform=lotus) == []


async def test_a_frontier_cursor_of_any_length_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_node(tmp_path / "home") as door:
        an, client = await door.person("an")
        await write(door, TEXTS[:3], 1)
        found = await client.get("/v1/firehose/frontier")
        await write(door, ["sau"], 1)
        given = {"since": found["frontier"], "follow": False, "collection": ["post"]}
        answer = await client.http.post("/v1/firehose", json=given)
        assert [event["content"]["text"] for event in events(answer.content)] == ["sau"]
        monkeypatch.setattr(requests, "APP_CURSOR", 10)
        assert "scope firehose" in (await door.client(an, "read").post("/v1/firehose", 403, **given))["error"]
        monkeypatch.setattr(endpoints, "FRONTIER_BYTES", 1_000)
        answer = await client.http.post("/v1/firehose", json={**given, "since": "f1." + "A" * 1_000})
        assert answer.status_code == 413
        assert (await client.http.post("/v1/firehose", content=b"x")).status_code == 415
        assert (await client.get("/v1/firehose/frontier", 410, since="0" * 16 + "-1"))["code"] == "cursor_gone"


async def test_the_client_follows_compressed_over_a_restart_and_confirms(tmp_path: Path) -> None:
    place: Place | None = None
    told: list[str] = []

    async def read(door: Door, token: str, until: str) -> Place | None:
        async with AsyncClient(door.url, token) as client:
            given: dict[str, Any] = {"consumer": "index", "compress": True, "collection": "post", "frontier_s": 1}
            async with client.follow(place, "begin", **given) as stream:
                async for event in stream:
                    told.append(event.content["text"])
                    if told[-1] == until:
                        break
                confirmed = await stream.ack()
                assert stream.place is not None
                assert confirmed.cursor == stream.place.cursor
            assert (await client.ask(v1.consumers())).consumers == [confirmed]
            return stream.place

    async with open_node(tmp_path / "home") as door:
        an, _ = await door.person("an")
        token = door.token(an, "read")
        await write(door, TEXTS[:5], 1)
        place = await read(door, token, TEXTS[4])
    async with open_node(tmp_path / "home") as door:
        assert place is not None
        place = Place(place.cursor, door.url, place.frontier, door.url)  # a free port: it has another address
        await write(door, TEXTS[5:8], 1)
        await read(door, token, TEXTS[7])
    assert told == TEXTS[:8]


async def test_a_store_that_becomes_another_ends_all_that_has_its_cursors(tmp_path: Path) -> None:
    async with open_node(tmp_path / "home") as door, trio.open_nursery() as nursery:
        _, client = await door.person("an")
        await write(door, TEXTS[:3])
        old = (await door.node.backend.call("firehose", {}))["cursor"]
        events = await door.node.backend.events({})
        at = (await anext(events))["cursor"]
        last = dict[str, bytes]()

        async def read(form: str) -> None:
            last[form] = (await raw(client, format=form, since="begin", follow="1", consumer=form))[1]

        async def hear() -> None:
            async with socket(client, "since=begin") as line:
                async for message in messages(line):
                    last["socket"] = message if isinstance(message, bytes) else message.encode()

        for form in ("ndjson", "sse", "cbor"):
            nursery.start_soon(read, form)
        nursery.start_soon(hear)
        with trio.fail_after(60):
            while len((await client.get("/v1/firehose/consumers"))["consumers"]) < 3 or "socket" not in last:
                await trio.sleep(0.02)
            await door.node.worker.call(lambda ctx, now: ctx.logs.put_back(ctx.replica))
            while len(last) < 4 or b"restored" not in last["socket"]:
                await trio.sleep(0.02)
            assert [event async for event in events if event["event"] != "entries"] == []
        for form, said in last.items():
            assert b"restored" in said[-400:], form
        for query in ({"since": old}, {"consumer": "ndjson"}, {"consumer": "cbor", "format": "cbor"}):
            await client.get("/v1/firehose", 410, **query)
        await client.get("/v1/firehose/frontier", 410, since=old)
        await client.post("/v1/firehose/consumers/sse/ack", 410, cursor=old)
        with pytest.raises(CallError, match="another store"):
            await door.node.backend.events({"since": at})
        assert len(await whole(client, collection="post")) == 3
