"""The door under load: a home timeline of 40, and posts, asked by 16 clients at once.

The store has 100,000 posts by 5,000 accounts; the one that reads follows 500. The node runs in a process of its own
with the door as `banyan up --http` opens it: in the node itself, and by one and two workers. The clients are another
process on the same machine; each has a connection, asks again as soon as it has the whole answer, and connects anew now
and then. The clock of a request runs from its first byte sent to the last byte of its answer.

home        GET /api/v1/timelines/home?limit=40: the newest page
older       the same, of posts before a fixed one
post        POST /api/v1/statuses, durable; each by the next of up to 1,000 accounts, because a log takes 10,000 entries
            and 2,000 more each day: on a store that is kept (`--folder`) one author would be refused in the second run
nothing     GET /api/v1/custom_emojis, an empty list: what is not reading
tagged      home, for somebody who also follows five tags, of which posts with common ones are

With `--posts 2` somebody posts so often a second meanwhile.

python -m bench door --json
python -m bench door --folder /var/tmp/banyan --way 1 --kind home
"""

from __future__ import annotations

import json
import selectors
import socket
import time
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

import trio

from banyan_node.node import Node
from banyan_web.door_store import DoorStore
from banyan_web.mastodon.entity_ids import status_id
from banyan_web.startup import open_door
from bench.harness import BenchError, anon_mb, arguments, at_least, finish, latencies_ms, say, workplace
from bench.rig.child import Line
from bench.rig.processes import Child
from bench.social import Plan, built, word

FULL, QUICK = Plan(5_000, 100_000, 500, 100, 50, 200), Plan(100, 4_000, 50, 100, 50, 200)
WAYS, KINDS = (0, 1, 2), ("home", "older", "post", "nothing", "tagged")
TAGS = [word(n) for n in (0, 1, 2, 20, 100)]
CLIENTS, SECONDS, SETTLE_S = 16, 10.0, 3.0
AGAIN = 400
"""Requests of one connection."""
AUTHORS = 1_000
"""Accounts that post in turn, at most."""
FULL_AT = 8_000
"""Posts of an account that posts no more: its log is nearly full."""
AGO_MS = 30 * 24 * 3_600_000


async def door(nodes: list[Node], line: Line, params: dict[str, Any]) -> None:
    """A node with a door."""
    (node,) = nodes
    hosted = (await node.backend.call("account.list", {"limit": AUTHORS}))["accounts"]
    shown = [await node.backend.call("profile.get", {"account": row["account"]}) for row in hosted]
    free = [row["account"] for row in shown if row["posts"] < FULL_AT]
    if not free:
        raise BenchError("the logs of all authors in this store are nearly full; take another --folder")
    tokens, scopes = DoorStore(node.home.door), ("read", "write", "host")  # without a limit of requests
    with tokens.writing():
        token = tokens.mint(params["me"], "bench", scopes)
        authors = [tokens.mint(account, "bench", scopes) for account in free]
    tokens.close()
    async with trio.open_nursery() as nursery:
        endpoint = await nursery.start(open_door, node)
        line.say({"host": endpoint.host, "port": endpoint.port, "token": token, "authors": authors})
        async for asked in line:
            for tag in asked["tags"] if isinstance(asked, dict) else ():
                given = {"tag": tag, "undo": asked["undo"], "as": params["me"]}
                await node.backend.call("tag.follow", given)
            workers = [] if node.door is None else [one.pid for one in node.door.workers]
            line.say({"workers": workers})
        node.shutdown.set()


class Asking:
    """One client: it sends a request, reads the answer whole, and sends the next. requests: of all clients, in turn."""

    def __init__(self, address: tuple[str, int], requests: Iterator[bytes]) -> None:
        self._address, self._requests = address, requests
        self._connect()

    def _connect(self) -> None:
        self.line = socket.create_connection(self._address)
        self.line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.asked = 0

    def ask(self) -> None:
        self.asked += 1
        self._raw, self._end = bytearray(), -1
        self.began = time.perf_counter()
        self.line.sendall(next(self._requests))

    def read(self) -> bool:
        """Whether the answer is whole. Raises BenchError for one that is no 200."""
        more = self.line.recv(1 << 18)
        if not more:
            raise BenchError("the door closed a connection in the middle of an answer")
        self._raw += more
        if self._end < 0 and (head := self._raw.find(b"\r\n\r\n")) >= 0:
            text = bytes(self._raw[:head]).lower()
            self._end = head + 4 + int(text.partition(b"content-length:")[2].split(b"\r\n")[0])
        whole = 0 <= self._end <= len(self._raw)
        if whole and not self._raw.startswith(b"HTTP/1.1 200"):
            status, said = self._raw.split(b"\r\n")[0].decode(), self._raw[-500:].decode("utf-8", "replace")
            raise BenchError(f"the door answers {status}: {said.rpartition(chr(13))[2].strip()}")
        return whole

    def renew(self, poll: selectors.BaseSelector) -> None:
        poll.unregister(self.line)
        self.line.close()
        self._connect()
        poll.register(self.line, selectors.EVENT_READ, self)


def load(
    address: tuple[str, int], requests: Sequence[bytes], clients: int, seconds: float, pause_s: float = 0
) -> tuple[list[float], float]:
    """How long each request took, and all of them together, seconds. requests: asked in turn. pause_s: of all clients,
    behind each answer."""
    times, each = list[float](), cycle(requests)
    with selectors.DefaultSelector() as poll:
        for one in [Asking(address, each) for _ in range(clients)]:
            poll.register(one.line, selectors.EVENT_READ, one)
            one.ask()
        began = time.perf_counter()
        end, open_ = began + seconds, clients
        while open_:
            ready = poll.select(30)
            if not ready:
                raise BenchError("the door did not answer for 30 s")
            for key, _ in ready:
                one = key.data
                if not one.read():
                    continue
                now = time.perf_counter()
                times.append(now - one.began)
                if now > end:
                    poll.unregister(one.line)
                    one.line.close()
                    open_ -= 1
                    continue
                time.sleep(pause_s)
                if one.asked == AGAIN:
                    one.renew(poll)
                one.ask()
        return times, time.perf_counter() - began


async def clients(nodes: list[Node], line: Line, params: dict[str, Any]) -> None:
    """The process of the clients."""
    async for asked in line:
        raws = [one.encode() for one in asked["requests"]]
        pause_s = asked.get("pause_s", 0)
        times, took = load((asked["host"], asked["port"]), raws, asked["clients"], asked["seconds"], pause_s)
        line.say({"times": times, "took": took})


def requests(where: dict[str, Any], kind: str, before: str) -> list[str]:
    tokens = where["authors"] if kind == "post" else [where["token"]]
    return [request(where, kind, before, token) for token in tokens]


def request(where: dict[str, Any], kind: str, before: str, token: str) -> str:
    path, body = "/api/v1/timelines/home?limit=40", ""
    if kind == "older":
        path += f"&max_id={before}"
    if kind == "nothing":
        path = "/api/v1/custom_emojis"
    if kind == "post":
        path, body = "/api/v1/statuses", json.dumps({"status": "x" * 140})
    head = f"{'POST' if body else 'GET'} {path} HTTP/1.1\r\nHost: {where['host']}\r\n"
    head += f"Authorization: Bearer {token}\r\n"
    more = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n" if body else ""
    return f"{head}{more}\r\n{body}"


def measure(
    home: Path, about: dict[str, Any], workers: int, kinds: Sequence[str], seconds: float, posts: int
) -> dict[str, Any]:
    """Of one way to serve: what each kind of request takes, by one client and by all. posts: a second, meanwhile."""
    found: dict[str, Any] = {}
    before = status_id(about["roots"]["wide"], int(time.time() * 1000) - AGO_MS)
    flags = {"http.address": "127.0.0.1:0", "http.workers": str(workers), "node.role": "platform"}
    with (
        Child("bench.door:door", [home], flags, **about) as node,
        Child("bench.door:clients", []) as asking,
        Child("bench.door:clients", []) as posting,
    ):
        where = node.hear()
        time.sleep(SETTLE_S)
        pids = [node.pid, *node.ask("workers")["workers"]]
        for kind in kinds:
            if kind == "tagged":
                node.ask({"tags": TAGS, "undo": False})
            given = {"host": where["host"], "port": where["port"], "requests": requests(where, kind, before)}
            if posts:
                also = {**given, "requests": requests(where, "post", before)}
                posting.say({**also, "clients": 1, "seconds": min(3.0, seconds) + seconds, "pause_s": 1 / posts})
            alone = asking.ask({**given, "clients": 1, "seconds": min(3.0, seconds)})
            used = [cpu_of(pid) for pid in pids]
            told = asking.ask({**given, "clients": CLIENTS, "seconds": seconds})
            spent = [round((cpu_of(pid) - was) / told["took"], 2) for pid, was in zip(pids, used, strict=True)]
            found[kind] = {
                "per_second": round(len(told["times"]) / told["took"]),
                **latencies_ms(told["times"]),
                "alone": {"per_second": round(len(alone["times"]) / alone["took"]), **latencies_ms(alone["times"])},
                "node_cpu": spent[0],
                "workers_cpu": spent[1:],
            }
            if posts:
                posting.hear()
            if kind == "tagged":
                node.ask({"tags": TAGS, "undo": True})
            say(f"{workers} workers, {kind}: {found[kind]}")
        found["anon_mb"] = anon_mb(node.pid)
    return found


def cpu_of(pid: int) -> float:
    """CPU seconds of a process, without those that it started."""
    fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def main(argv: Sequence[str] | None = None) -> None:
    def more(parser: ArgumentParser) -> None:
        parser.add_argument("--way", action="append", type=at_least(0), help="workers, 0: none; may be given again")
        parser.add_argument("--kind", action="append", choices=KINDS, help="only this; may be given again")
        parser.add_argument("--posts", type=at_least(0), default=0, help="a second, beside what is measured")
        parser.add_argument("--seconds", type=at_least(1), help="of each; default: 10, with --quick 2")

    args = arguments("door", __doc__, argv, rounds=1, more=more)
    seconds = float(args.seconds or (2 if args.quick else SECONDS))
    cases: dict[str, Any] = {}
    with workplace(args.folder) as folder:
        plan = QUICK if args.quick else FULL
        home, about = built(folder, plan)
        for workers in args.way or WAYS:
            cases[f"{workers} workers"] = measure(home, about, workers, args.kind or KINDS, seconds, args.posts)
    finish(args, "door", sizes={**plan._asdict(), "clients": CLIENTS}, cases=cases)


if __name__ == "__main__":
    main()
