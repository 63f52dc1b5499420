"""What a small node hears beside what it follows: bytes in, and how soon, while everybody writes.

Two platforms hold all accounts of a network; a small node with default settings has an account that follows some of
them, and knows one platform. Each node is a process of its own. All accounts write posts one by one at the first
platform, in a random order, at a fixed rate. `in_per_wanted`: bytes of frames that came to the small node, by the bytes
of the posts of those that it follows. `idle_kb_a_minute`: the same before, while nobody writes. `p50_ms`, `p99_ms`:
from the commit at the first platform to that at the small node. `points`: what the platforms charged the small node.

python -m bench small --json
"""

from __future__ import annotations

import random
import time
from argparse import ArgumentParser
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import trio

from banyan_crdt.ids import AccountId, account_to_text
from banyan_crdt.run import encode_run
from banyan_node.context import Context
from banyan_node.node import Node
from banyan_replica.wire.data_items import size_of
from banyan_replica.wire.messages import RunItem
from bench.harness import BenchError, arguments, at_least, finish, interleaved, latencies_ms, median, say, workplace
from bench.hosted import watch
from bench.rig.child import Line
from bench.rig.people import Account, copied, known_account, runs_home, social_post
from bench.rig.processes import Child, new_home

LOOK_S, SETTLE_S, IDLE_S, LATE_S = 0.1, 5.0, 30.0, 15.0


async def platform(nodes: list[Node], line: Line, params: dict[str, Any]) -> None:
    """Either platform. The first one writes for all accounts."""
    (here,) = nodes
    line.say(here.edge.addresses[0])
    people = list[Account]()
    async for asked in line:
        match asked:
            case {"dial": address}:
                await here.backend.call("peers.add", {"addr": address})
                line.say("dialled")
            case {"holds": entries}:
                line.say(await _until_held(here, entries))
            case "entries":
                line.say((await here.backend.call("status", {}))["entries"])
            case {"people": writers}:
                people = await here.worker.call(partial(_people, writers))
                line.say([account_to_text(one.id) for one in people])
            case {"publish": numbers, "rate": rate}:
                line.say(await _publish(here, [people[n] for n in numbers], rate))
            case {"points": peer}:
                line.say(await here.worker.call(lambda ctx, now: ctx.replica.peers.points(peer, now)))


async def _until_held(here: Node, entries: int) -> int:
    while (held := (await here.backend.call("status", {}))["entries"]) < entries:
        await trio.sleep(LOOK_S)
    return int(held)


def _people(writers: int, ctx: Context, now: float) -> list[Account]:
    accounts = {log.writer: log.account for log, _ in ctx.store.all_heads() if log.log}
    return [known_account(n, accounts[known_account(n, AccountId(b"")).device.key]) for n in range(writers)]


async def _publish(here: Node, writers: Sequence[Account], rate: float) -> list[tuple[float, int]]:
    """Of each post when it was given to the replica, and its bytes on the way."""
    start, out = time.monotonic(), list[tuple[float, int]]()
    for k, writer in enumerate(writers):
        await trio.sleep(max(0.0, start + k / rate - time.monotonic()))
        out.append((time.monotonic(), await here.worker.call(partial(_write, writer, k))))
    return out


def _write(one: Account, k: int, ctx: Context, now: float) -> int:
    draft = social_post(one.salt, b"live" + k.to_bytes(12, "big"), k)
    (written,) = ctx.replica.writes.publish(one.log, one.device, [draft], now)
    return size_of(RunItem(encode_run(written.entries, written.base, written.skips), list(written.contents)))


async def small(nodes: list[Node], line: Line, params: dict[str, Any]) -> None:
    """The small node: a hobbyist's, with default settings."""
    (here,) = nodes
    made = await here.backend.call("account.create", {"name": "Lan", "hosted": True})
    for did in params["follows"]:
        await here.backend.call("follow", {"as": made["account"], "account": did})
    await here.backend.call("peers.add", {"addr": params["dial"]})
    line.say((await here.backend.call("id", {}))["peer_id"])
    async for asked in line:
        match asked:
            case {"holds": entries}:
                line.say(await _until_held(here, entries))
            case "received":
                line.say(_received(here))
            case {"watch": posts, "within": within}:
                line.say(await watch(here, line, posts, within))


def _received(node: Node) -> float:
    return node.metrics.registry.get_sample_value("banyan_received_bytes_total") or 0.0


# -- the bench's side


def once(folder: Path, source: Path, writers: int, follows: int, posts: int, rate: float) -> dict[str, Any]:
    rng = random.Random(1)
    followed = sorted(rng.sample(range(writers), follows))
    numbers = [rng.randrange(writers) for _ in range(posts)]
    wanted = [k for k, n in enumerate(numbers) if n in set(followed)]
    homes = [copied(source, folder / "first"), new_home(folder / "second"), new_home(folder / "small")]
    flags = {"node.role": "platform"}
    with (
        Child("bench.small:platform", homes[:1], flags) as first,
        Child("bench.small:platform", homes[1:2], flags) as second,
    ):
        addresses = [first.hear(), second.hear()]
        second.ask({"dial": addresses[0]})
        people = first.ask({"people": writers})
        second.ask({"holds": first.ask("entries")})
        chosen = [people[n] for n in followed]
        with Child(
            "bench.small:small", homes[2:], {"interest.mode": "follows"}, dial=addresses[1], follows=chosen
        ) as lan:
            peer = lan.hear()
            say(f"the small node holds {lan.ask({'holds': 2 * follows})} entries")
            time.sleep(SETTLE_S)
            before = lan.ask("received")
            time.sleep(IDLE_S)
            quiet = lan.ask("received")
            lan.ask({"watch": len(wanted), "within": posts / rate + LATE_S})
            written = first.ask({"publish": numbers, "rate": rate})
            at = lan.hear()
            came = lan.ask("received") - quiet
            points = [one.ask({"points": peer}) for one in (first, second)]
    if len(at) < len(wanted):
        raise BenchError(f"{len(wanted) - len(at)} of {len(wanted)} posts did not come")
    worth = sum(written[k][1] for k in wanted)
    found = {
        "in_per_wanted": came / worth,
        "idle_kb_a_minute": (quiet - before) / 1e3 / IDLE_S * 60,
        "everything": sum(size for _, size in written) / worth,
        "points": sum(points),
        "waits": [b - written[k][0] for k, b in zip(wanted, at, strict=True)],
    }
    say(f"{found['in_per_wanted']:.2f} bytes in for a byte wanted, {latencies_ms(found['waits'])}")
    return found


def main(argv: Sequence[str] | None = None) -> None:
    def more(parser: ArgumentParser) -> None:
        parser.add_argument("--writers", type=at_least(10), help="default: 10,000")
        parser.add_argument("--follows", type=at_least(1), help="default: 300")
        parser.add_argument("--posts", type=at_least(10), help="default: 20,000")
        parser.add_argument("--rate", type=float, default=200.0, help="posts a second; default: 200")

    args = arguments("small", __doc__, argv, rounds=1, more=more)
    writers = args.writers or (200 if args.quick else 10_000)
    follows = args.follows or (20 if args.quick else 300)
    posts = args.posts or (400 if args.quick else 20_000)
    with workplace(args.folder) as folder:
        source = runs_home(folder, writers, 1)
        found = interleaved(args.rounds, {"small": partial(once, folder, source, writers, follows, posts, args.rate)})
    rows = found["small"]
    figures = {
        name: round(median([row[name] for row in rows]), 3)
        for name in ("in_per_wanted", "idle_kb_a_minute", "everything", "points")
    }
    case = {**figures, **latencies_ms([w for row in rows for w in row["waits"]])}
    sizes = {"writers": writers, "follows": follows, "posts": posts, "rate": args.rate}
    finish(args, "small", sizes=sizes, cases={"small": case})


if __name__ == "__main__":
    main()
