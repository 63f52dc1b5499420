"""How fast a node writes: every entry is signed alone, hashed, judged, stored with its views, and synced to the disk.

Three cases, each on one running node:

batched      a program publishes 500 posts a call, in turn for 8 accounts; the next call waits until they are durable
publishers   64 publishers with an account each; each posts one at a time and waits until its post is durable
control_api  the same 64 as clients of the control API, over HTTP on loopback, in another process

python -m bench create --json
"""

from __future__ import annotations

import os
import time
from argparse import ArgumentParser
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import trio

from banyan_crdt.ids import AccountId, account_from_text
from banyan_node.context import Context
from banyan_node.home.folder import Home
from banyan_node.hosting import hosted
from banyan_node.node import Node
from banyan_node.server.control_client import AsyncControlClient
from bench.harness import anon_mb, arguments, at_least, finish, interleaved, latencies_ms, median, say, workplace
from bench.rig.child import Line
from bench.rig.people import TEXT_BYTES, social_post
from bench.rig.processes import Child, new_home

CASES = ("batched", "publishers", "control_api")
BATCH = 500
ACCOUNTS = 8
PUBLISHERS = 64


async def writer(nodes: list[Node], line: Line, params: dict[str, Any]) -> None:
    """The node that writes."""
    node = nodes[0]
    accounts = [
        (await node.backend.call("account.create", {"name": f"publisher {n}", "hosted": True}))["account"]
        for n in range(PUBLISHERS)
    ]
    line.say("ready")
    while True:
        match await line.hear():
            case {"batched": entries}:
                cpu = time.process_time()
                seconds = await _batched(node, accounts[:ACCOUNTS], entries)
                line.say({"seconds": seconds, "cpu_s": time.process_time() - cpu, "anon_mb": anon_mb()})
            case {"publishers": posts}:
                cpu = time.process_time()
                found = await _publish(partial(node.backend.call, "post"), accounts, posts)
                line.say({**found, "cpu_s": time.process_time() - cpu})
            case "cpu":
                line.say(time.process_time())
            case "accounts":
                line.say(accounts)


async def client(nodes: list[Node], line: Line, params: dict[str, Any]) -> None:
    """A program of 64 publishers that calls the node over HTTP; it runs no node itself."""
    async with AsyncControlClient.from_home(Home(Path(params["node"]))) as control:
        line.say("ready")
        while True:
            asked = await line.hear()

            async def call(given: dict[str, Any]) -> Any:
                return await control.call("post", **given)

            line.say(await _publish(call, asked["accounts"], asked["posts"]))


async def _batched(node: Node, accounts: list[str], entries: int) -> float:
    ids = [account_from_text(a) for a in accounts]
    began = time.perf_counter()
    for k in range(entries // BATCH):
        await node.worker.call(partial(_write, ids[k % len(ids)], k * BATCH), together=True)
    return time.perf_counter() - began


def _write(account: AccountId, first: int, context: Context, now: float) -> None:
    """Posts as if they came one by one: each ends a run, so each is signed."""
    salt, log = hosted.salt_of(context, account), hosted.writable_log(context, account)
    for n in range(first, first + BATCH):
        draft = social_post(salt, os.urandom(16), n)
        context.replica.writes.publish(log, context.device, [draft], now, push=False)


async def _publish(post: Any, accounts: list[str], posts: int) -> dict[str, Any]:
    """Every account writes `posts`, one after the other. Returns the seconds of all, and of each."""
    waits: list[float] = []

    async def one(account: str) -> None:
        for n in range(posts):
            began = time.perf_counter()
            await post({"as": account, "text": f"post {n}: ".ljust(TEXT_BYTES, "x")})
            waits.append(time.perf_counter() - began)

    began = time.perf_counter()
    async with trio.open_nursery() as nursery:
        for account in accounts:
            nursery.start_soon(one, account)
    return {"seconds": time.perf_counter() - began, "waits": waits}


# -- the bench's side


def once(folder: Path, wanted: Sequence[str], entries: int, posts: int) -> dict[str, dict[str, Any]]:
    """One fresh node, all cases in turn."""
    found: dict[str, dict[str, Any]] = {}
    home = new_home(folder / f"writer-{os.urandom(4).hex()}")
    with Child("bench.create:writer", [home]) as node:
        node.hear()
        if "batched" in wanted:
            found["batched"] = node.ask({"batched": entries})
            say(f"batched: {entries:,} entries in {found['batched']['seconds']:.2f} s")
        if "publishers" in wanted:
            found["publishers"] = node.ask({"publishers": posts})
            say(f"publishers: {posts * PUBLISHERS:,} posts in {found['publishers']['seconds']:.2f} s")
        if "control_api" in wanted:
            accounts = node.ask("accounts")
            with Child("bench.create:client", [], node=str(home)) as program:
                program.hear()
                cpu = node.ask("cpu")
                found["control_api"] = program.ask({"accounts": accounts, "posts": max(5, posts // 4)})
                found["control_api"]["cpu_s"] = node.ask("cpu") - cpu
            say(f"control_api: {max(5, posts // 4) * PUBLISHERS:,} posts in {found['control_api']['seconds']:.2f} s")
    return found


def main(argv: Sequence[str] | None = None) -> None:
    def more(parser: ArgumentParser) -> None:
        parser.add_argument("--case", action="append", choices=CASES, help="only this; may be given again")
        parser.add_argument("--entries", type=at_least(BATCH), help="in batches; default: 20,000, with --quick 4,000")

    args = arguments("create", __doc__, argv, more=more)
    wanted = args.case or CASES
    entries = (args.entries or (4_000 if args.quick else 20_000)) // BATCH * BATCH
    posts = 20 if args.quick else 100
    with workplace(args.folder) as folder:
        rows = interleaved(args.rounds, {"": lambda: once(folder, wanted, entries, posts)})[""]
    cases: dict[str, dict[str, Any]] = {}
    shared: dict[str, Any] = {}
    if "batched" in wanted:
        cases["batched"] = {"entries": entries, "a_call": BATCH, **_rate(entries, [row["batched"] for row in rows])}
        shared |= {"entries_per_second": cases["batched"]["entries_per_second"]}
        shared |= {"anon_mb": round(median([row["batched"]["anon_mb"] for row in rows]), 1)}
    for case in ("publishers", "control_api"):
        if case in wanted:
            done = len(rows[0][case]["waits"])
            waits = [w for row in rows for w in row[case]["waits"]]
            rate = _rate(done, [row[case] for row in rows])
            cases[case] = {"publishers": PUBLISHERS, "posts": done, **rate, **latencies_ms(waits)}
    if "publishers" in wanted:
        shared |= {k: cases["publishers"][k] for k in ("p50_ms", "p99_ms")}
    finish(args, "create", **shared, sizes={"text_bytes": TEXT_BYTES}, cases=cases)


def _rate(entries: int, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """`cpu_us_per_entry`: of the node's process."""
    seconds, cpu = (median([row[key] for row in rows]) for key in ("seconds", "cpu_s"))
    return {
        "seconds": round(seconds, 3),
        "entries_per_second": round(entries / seconds),
        "cpu_us_per_entry": round(cpu / entries * 1e6),
    }


if __name__ == "__main__":
    main()
