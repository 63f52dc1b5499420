"""How soon a published post is durable at others: 1 publisher, 20 other nodes, two processes, 200 entries a second.

Every node has its own keys, store, links and membership; the nodes form the overlay themselves. One process runs the
publisher and 10 receivers, the other 10 receivers. Posts are published at fixed times, even if the node is behind (open
loop). A post's clock runs from its planned time to the event that a receiver sends after its commit.

python -m bench live --json
"""

from __future__ import annotations

import shutil
import time
from argparse import ArgumentParser
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import trio

from banyan_node.node import Node
from bench.harness import anon_mb, arguments, at_least, finish, interleaved, latencies_ms, median, say, workplace
from bench.rig.child import Line
from bench.rig.heard import Heard
from bench.rig.people import TEXT_BYTES
from bench.rig.processes import Child, new_home

RECEIVERS = 20
WARM = 100
"""Posts before those that count: with them the gossip's tree settles."""
LATE_S = 15.0
"""How long after the last planned time a post may still arrive, seconds."""


async def crowd(nodes: list[Node], line: Line, params: dict[str, Any]) -> None:
    """Nodes that join one network and receive posts; the first node of the first process is the publisher."""
    publisher = nodes[0] if params["publishes"] else None
    account = ""
    if publisher is not None:
        made = await publisher.backend.call("account.create", {"name": "publisher", "hosted": True})
        account = made["account"]
        line.say({"address": publisher.edge.addresses[0], "account": account})
    joined = await line.hear()
    receivers = [n for n in nodes if n is not publisher]
    for node in receivers:
        await node.backend.call("peers.add", {"addr": joined["address"]})
    heard = [Heard() for _ in receivers]
    async with trio.open_nursery() as nursery:
        for node, ears in zip(receivers, heard, strict=True):
            ready = trio.Event()
            nursery.start_soon(ears.listen, node, joined["account"], ready)
            await ready.wait()
        line.say("joined")
        while True:
            try:
                asked = await line.hear()
            except trio.EndOfChannel:
                nursery.cancel_scope.cancel()
                return
            match asked:
                case {"publish": count, "rate": rate} if publisher is not None:
                    line.say(await _publish(publisher, account, count, rate))
                case "held":
                    line.say(min(len(h.at) for h in heard))
                case "heard":
                    cpu, mb = time.process_time(), anon_mb()
                    line.say({"at": [h.at for h in heard], "cpu_s": cpu, "anon_mb": mb, "nodes": len(nodes)})


async def _publish(node: Node, account: str, count: int, rate: float) -> list[float]:
    """The planned times, and how many posts were durable in the end: all, or this fails."""
    start = time.monotonic() + 0.1
    beats = [start + k / rate for k in range(count)]
    async with trio.open_nursery() as nursery:
        for k, beat in enumerate(beats):
            await trio.sleep(max(0.0, beat - time.monotonic()))
            given = {"as": account, "text": f"post {k}: ".ljust(TEXT_BYTES, "x")}
            nursery.start_soon(node.backend.call, "post", given)
    return beats


# -- the bench's side


def once(folder: Path, posts: int, rate: int) -> dict[str, Any]:
    place = folder / "live"
    homes = [new_home(place / str(n)) for n in range(1 + RECEIVERS)]
    half = 1 + RECEIVERS // 2
    try:
        with (
            Child("bench.live:crowd", homes[:half], publishes=True) as here,
            Child("bench.live:crowd", homes[half:], publishes=False) as there,
        ):
            met = here.hear()
            for process in (here, there):
                process.ask(met)
            time.sleep(3.0)  # neighbours are found
            here.ask({"publish": WARM, "rate": 50})
            _until([here, there], WARM)
            say(f"{RECEIVERS} nodes joined; publishing {posts:,} posts at {rate}/s")
            beats = here.ask({"publish": posts, "rate": rate})
            _until([here, there], WARM + posts)
            told = [process.ask("heard") for process in (here, there)]
            waits = [
                at - beat for side in told for row in side["at"] for beat, at in zip(beats, row[WARM:], strict=False)
            ]
            found = {
                "waits": waits,
                "delivered": 100.0 * len(waits) / (posts * RECEIVERS),
                "anon_mb": sum(side["anon_mb"] for side in told) / (1 + RECEIVERS),
                "cpu_s": sum(side["cpu_s"] for side in told),
            }
            say(f"{found['delivered']:.2f} % delivered, {latencies_ms(waits)}")
            return found
    finally:
        shutil.rmtree(place)


def _until(processes: Sequence[Child], count: int) -> None:
    """Waits until every receiver holds so many posts, or the time is over."""
    end = time.monotonic() + LATE_S
    while time.monotonic() < end and any(process.ask("held") < count for process in processes):
        time.sleep(0.1)


def main(argv: Sequence[str] | None = None) -> None:
    def more(parser: ArgumentParser) -> None:
        parser.add_argument("--rate", type=at_least(1), default=200, help="posts a second; default: 200")
        parser.add_argument("--seconds", type=at_least(1), help="default: 30, with --quick 3")

    args = arguments("live", __doc__, argv, rounds=1, more=more)
    seconds = args.seconds or (3 if args.quick else 30)
    posts = args.rate * seconds
    with workplace(args.folder) as folder:
        rows = interleaved(args.rounds, {"": partial(once, folder, posts, args.rate)})[""]
    waits = [w for row in rows for w in row["waits"]]
    finish(
        args,
        "live",
        delivered=round(min(row["delivered"] for row in rows), 3),
        **latencies_ms(waits),
        max_ms=round(max(waits) * 1e3, 1),
        anon_mb=round(median([row["anon_mb"] for row in rows]), 1),
        cpu_s=round(median([row["cpu_s"] for row in rows]), 1),
        sizes={"receivers": RECEIVERS, "processes": 2, "rate": args.rate, "posts": posts, "text_bytes": TEXT_BYTES},
    )


if __name__ == "__main__":
    main()
