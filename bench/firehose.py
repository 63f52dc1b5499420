"""The firehose and idle streams: 10 consumers at 1,000 events a second; then 2,000 apps that only listen.

One process runs a node with a door, and publishes posts at fixed times, even if the node is behind (open loop). Another
reads: each consumer has a connection of its own and counts every event. A post's clock runs from its planned time to
the moment at which a consumer has its line. Then as many apps open a stream of the Mastodon API on the same node and
hear nothing; what its process grew by, divided by their number, is what one costs.

python -m bench firehose --json
python -m bench firehose --form cbor --json        # signed entries, compressed with the dictionary
"""

from __future__ import annotations

import json
import re
import resource
import shutil
import time
from argparse import ArgumentParser
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import trio

from banyan_node.client.follower import AsyncPieces, FrameDecompressor
from banyan_node.client.wire import Address
from banyan_node.node import Node
from banyan_web.door_store import DoorStore
from banyan_web.firehose.encodings import dictionaries
from banyan_web.startup import open_door
from bench.harness import anon_mb, arguments, at_least, finish, interleaved, latencies_ms, median, say, workplace
from bench.rig.child import Line
from bench.rig.people import TEXT_BYTES
from bench.rig.processes import Child, new_home

CONSUMERS, WARM, USERS = 10, 200, 20
LATE_S = 15.0
"""How long after the last planned time an event may still come, seconds."""
SETTLE_S = 3.0


def many_files() -> None:
    """Lets this process have as many connections as the system allows."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


async def door(nodes: list[Node], line: Line, params: dict[str, Any]) -> None:
    """A node with a door, which publishes when it is asked to."""
    many_files()
    (node,) = nodes
    account = (await node.backend.call("account.create", {"name": "publisher"}))["account"]
    users = [f"user {n}" for n in range(USERS)]
    for name in users:
        await node.backend.call("account.create", {"name": name, "hosted": True})
    tokens = DoorStore(node.home.door)
    token = tokens.mint(account, "bench", ("read", "firehose"))  # without a limit of requests
    tokens.close()
    async with trio.open_nursery() as nursery:
        endpoint = await nursery.start(open_door, node)
        line.say({"host": endpoint.host, "port": endpoint.port, "token": token})
        async for asked in line:
            match asked:
                case {"publish": count, "rate": rate, "from": first}:
                    line.say(await _publish(node, users, first, count, rate))
                case "anon":
                    line.say(anon_mb())
        nursery.cancel_scope.cancel()


async def _publish(node: Node, users: Sequence[str], first: int, count: int, rate: float) -> list[float]:
    """The planned times. All are durable in the end, or this fails."""
    start = time.monotonic() + 0.1
    beats = [start + k / rate for k in range(count)]
    async with trio.open_nursery() as nursery:
        for k, beat in enumerate(beats):
            await trio.sleep(max(0.0, beat - time.monotonic()))
            given = {"as": users[k % USERS], "text": f"{first + k} ".ljust(TEXT_BYTES, "x")}
            nursery.start_soon(node.backend.call, "post", given)
    return beats


_NUMBERS = re.compile(rb"(\d+) xxxxxxxx")
"""The texts of posts, in whatever stands around them."""


class Reader:
    """One consumer. at: when it had each post, by its number. bytes: that came, without the frames of HTTP."""

    def __init__(self) -> None:
        self.at: dict[int, float] = {}
        self.twice = self.bytes = 0

    async def read_packed(self, where: dict[str, Any], opened: trio.Event) -> None:
        """Signed entries, compressed: a piece has whole frames."""
        (known,) = [one for one in dictionaries().values() if one.of == "cbor"]
        unpacking, pieces = FrameDecompressor(known.raw), AsyncPieces(Address(where["host"], where["port"]), 60)
        token = {"authorization": f"Bearer {where['token']}"}
        path = f"/v1/firehose?collection=post&format=cbor&compress={known.hash}"
        refused = await pieces.begin("GET", path, None, token)
        assert refused is None, refused
        opened.set()
        while (piece := await pieces.next()) is not None:
            raw, now = unpacking.feed(piece), time.monotonic()
            self.bytes += len(piece)
            for found in _NUMBERS.finditer(raw):
                self._note(int(found[1]), now)

    def _note(self, number: int, now: float) -> None:
        self.twice += number in self.at
        self.at[number] = now

    async def read(self, stream: trio.SocketStream) -> None:
        rest = b""
        async for more in stream:
            now = time.monotonic()
            *lines, rest = (rest + more).split(b"\n")
            for text in lines:
                if not text.startswith(b'{"kind":"create"'):
                    continue  # a note, or the frame of a chunk
                self.bytes += len(text) + 1
                self._note(int(json.loads(text)["content"]["text"].split()[0]), now)


async def _open(where: dict[str, Any], path: str) -> trio.SocketStream:
    """A connection whose answer has begun."""
    stream = await trio.open_tcp_stream(where["host"], where["port"])
    head = f"GET {path} HTTP/1.1\r\nHost: {where['host']}\r\nAuthorization: Bearer {where['token']}\r\n\r\n"
    await stream.send_all(head.encode())
    answer = await stream.receive_some(65_536)
    assert answer.startswith(b"HTTP/1.1 200"), answer[:200]
    return stream


async def readers(nodes: list[Node], line: Line, params: dict[str, Any]) -> None:
    """The consumers, and the apps that only listen."""
    many_files()
    where, made = params["where"], [Reader() for _ in range(CONSUMERS)]
    async with trio.open_nursery() as nursery:
        for reader in made:
            if params["form"] == "cbor":
                nursery.start_soon(reader.read_packed, where, opened := trio.Event())
                await opened.wait()
            else:
                nursery.start_soon(reader.read, await _open(where, "/v1/firehose?collection=post"))
        line.say("open")
        async for asked in line:
            match asked:
                case "held":
                    line.say(min(len(reader.at) for reader in made))
                case "all":
                    line.say([[[*sorted(reader.at.items())], reader.twice, reader.bytes] for reader in made])
                case {"idle": count}:
                    held = [await _open(where, "/api/v1/streaming/public") for _ in range(count)]
                    line.say(len(held))
        nursery.cancel_scope.cancel()


# -- the bench's side


def once(folder: Path, events: int, rate: int, idle: int, form: str) -> dict[str, Any]:
    place = folder / "firehose"
    home = new_home(place)
    try:
        with Child("bench.firehose:door", [home], {"http.address": "127.0.0.1:0"}) as node:
            where = node.hear()
            with Child("bench.firehose:readers", [], where=where, form=form) as consumers:
                consumers.hear()
                node.ask({"publish": WARM, "rate": 200, "from": 0})
                _until(consumers, WARM)
                say(f"{CONSUMERS} consumers read; publishing {events:,} posts at {rate}/s")
                beats = node.ask({"publish": events, "rate": rate, "from": WARM})
                _until(consumers, WARM + events)
                told = consumers.ask("all")
                waits = [at - beats[n - WARM] for row, *_ in told for n, at in row if n >= WARM]
                twice, size = sum(again for _, again, _ in told), sum(size for *_, size in told)
                missed = CONSUMERS * (WARM + events) - sum(len(row) for row, *_ in told)
                say(f"{missed} missed, {twice} twice, {latencies_ms(waits)}")
                time.sleep(SETTLE_S)
                before = node.ask("anon")
                held = consumers.ask({"idle": idle})
                time.sleep(SETTLE_S)
                each = (node.ask("anon") - before) * 1e3 / held
                say(f"{held:,} idle streams: {each:.1f} kB each")
            each_bytes = size / CONSUMERS / (WARM + events)
            found = {"waits": waits, "missed": missed, "twice": twice, "bytes": each_bytes}
            return {**found, "idle_kb": each, "held": held}
    finally:
        shutil.rmtree(place)


def _until(consumers: Child, count: int) -> None:
    """Waits until every consumer has so many events, or the time is over."""
    end = time.monotonic() + LATE_S
    while time.monotonic() < end and consumers.ask("held") < count:
        time.sleep(0.1)


def main(argv: Sequence[str] | None = None) -> None:
    def more(parser: ArgumentParser) -> None:
        parser.add_argument("--form", choices=("ndjson", "cbor"), default="ndjson", help="default: ndjson")
        parser.add_argument("--rate", type=at_least(1), default=1_000, help="posts a second; default: 1000")
        parser.add_argument("--seconds", type=at_least(1), help="default: 60, with --quick 5")
        parser.add_argument("--idle", type=at_least(1), help="idle streams; default: 2000, with --quick 200")

    args = arguments("firehose", __doc__, argv, rounds=1, more=more)
    events = args.rate * (args.seconds or (5 if args.quick else 60))
    idle = args.idle or (200 if args.quick else 2_000)
    with workplace(args.folder) as folder:
        rows = interleaved(args.rounds, {"": partial(once, folder, events, args.rate, idle, args.form)})[""]
    waits = [wait for row in rows for wait in row["waits"]]
    finish(
        args,
        "firehose",
        **latencies_ms(waits),
        max_ms=round(max(waits) * 1e3, 1),
        missed=sum(row["missed"] for row in rows),
        twice=sum(row["twice"] for row in rows),
        bytes_per_event=round(median([row["bytes"] for row in rows]), 1),
        idle_kb=round(median([row["idle_kb"] for row in rows]), 1),
        sizes={
            "form": args.form,
            "consumers": CONSUMERS,
            "rate": args.rate,
            "events": events,
            "text_bytes": TEXT_BYTES,
            "idle": min(row["held"] for row in rows),
        },
    )


if __name__ == "__main__":
    main()
