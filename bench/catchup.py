"""How fast a new or returning node fetches what its peer holds: real nodes, libp2p + noise + yamux, LMDB, views.

Five cases, each between two processes of one node each:

runs              100,000 posts of about 300 B by 20 writers, to a node that holds nothing
singles           one post each by 20,000 writers, to a node that was away: it agreed with its peer on the accounts, and
                  lacks the posts
singles_stranger  the same from a peer that it never met: first both find out what differs
singles_fresh     the same to a node that holds nothing: each writer costs two signatures (inception with grant, post)
hundred_more      100 posts published at once while the two are connected: from publishing to durable at the other

The clock runs from the moment the newcomer has its peer's hello (dialling, TCP, noise and yamux come before and are
reported as dial_ms) until its last commit holds every entry and lacks no content. Then the clock stops, and heads and
views are compared. The holder's own people do nothing meanwhile: while they do, a stranger gets `limits.strangers_cpu`.

python -m bench catchup --json
"""

from __future__ import annotations

import itertools
import os
import shutil
import time
from argparse import ArgumentParser
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import trio
import trio.testing

from banyan_crdt.ids import AccountId, account_from_text
from banyan_node.admission.throttle import BUSY_S
from banyan_node.context import Context
from banyan_node.hosting import hosted
from banyan_node.node import Node
from banyan_storage.tables import ENTRIES, LACKING
from bench.harness import (
    BenchError,
    anon_mb,
    arguments,
    cpu_s,
    finish,
    interleaved,
    latencies_ms,
    median,
    say,
    workplace,
)
from bench.rig.child import Line
from bench.rig.people import copied, forget_meetings, runs_home, singles_homes, social_post
from bench.rig.processes import Child, new_home

CASES = ("runs", "singles", "singles_stranger", "singles_fresh", "hundred_more")
QUICK = ("runs", "singles", "hundred_more")
LOOK_S = 0.005
"""The time between two questions to the newcomer about how much it holds: the resolution of the clock."""
BATCH = 100
BATCHES_A_LOG = 40
"""A log may hold 10,000 entries on its first day."""
APART_S = 0.05


async def holder(nodes: list[Node], line: Line, params: dict[str, Any]) -> None:
    """The node that has everything."""
    node = nodes[0]
    authors = [await _account(node, f"author {n}") for n in range(params.get("authors", 0))]
    found = await node.backend.call("digest", {})
    await trio.sleep(BUSY_S)  # until then it works for its own people, and strangers get a part of a core
    line.say({"address": node.edge.addresses[0], "entries": found["entries"]})
    cpu, batches = cpu_s(), itertools.count()
    while True:
        match await line.hear():
            case "digest":
                line.say(await node.backend.call("digest", {}))
            case "spent":
                line.say(_spent(cpu))
            case {"publish": count}:
                line.say(await _publish(node, authors, itertools.islice(batches, count)))


async def newcomer(nodes: list[Node], line: Line, params: dict[str, Any]) -> None:
    """The node that lacks something."""
    node = nodes[0]
    line.say("ready")
    while True:
        match await line.hear():
            case {"dial": address, "entries": entries}:
                line.say(await _catch_up(node, address, entries))
            case {"watch": count}:
                line.say(await watch(node, line, count))
            case "digest":
                line.say(await node.backend.call("digest", {}))


async def _account(node: Node, name: str) -> str:
    made = await node.backend.call("account.create", {"name": name, "hosted": True})
    return str(made["account"])


def _spent(before: float) -> dict[str, float]:
    return {"cpu_s": cpu_s() - before, "anon_mb": anon_mb()}


async def _catch_up(node: Node, address: str, entries: int) -> dict[str, float]:
    context = node.context
    assert context is not None
    dialled = await dial(node, address)
    began, cpu, moved = time.perf_counter(), cpu_s(), _moved(node)
    first = 0.0
    before, _ = await _committed(node)
    while True:
        await trio.sleep(LOOK_S)
        held, lacking = await _committed(node)
        if not first and held > before:
            first = time.perf_counter() - began
        if held >= entries and not lacking:
            return {
                "seconds": time.perf_counter() - began,
                "dial_ms": (began - dialled) * 1e3,
                "first_ms": first * 1e3,
                "cpu_s": cpu_s() - cpu,
                "anon_mb": anon_mb(),
                "bytes": context.engine.sizes().used,
                "moved": _moved(node) - moved,
            }


async def _committed(node: Node) -> tuple[int, int]:
    """Entries held as of the last commit, and missing pieces of content. The replica's thread answers this: reading the
    store from another thread would take the interpreter's lock from it every few milliseconds."""
    loop, asked, found = trio.lowlevel.current_trio_token(), trio.Event(), list[tuple[int, int]]()

    def look(context: Context, now: float) -> None:
        with context.store.snapshot() as reader:
            found.append((reader.txn.count(ENTRIES), reader.txn.count(LACKING)))
        loop.run_sync_soon(asked.set)

    node.worker.post(look)
    await asked.wait()
    return found[0]


def _moved(node: Node) -> float:
    """Bytes of frames so far, in both directions."""
    found = (node.metrics.registry.get_sample_value(f"banyan_{way}_bytes_total") for way in ("received", "sent"))
    return sum(n or 0.0 for n in found)


async def dial(node: Node, address: str) -> float:
    """Returns once the peer's hello is there: the time at which it was dialled."""
    up = trio.Event()
    node.nursery.start_soon(_linked, node, up)
    await trio.testing.wait_all_tasks_blocked()
    dialled = time.perf_counter()
    node.nursery.start_soon(partial(node.backend.call, "peers.add", {"addr": address}))
    await up.wait()
    return dialled


async def _linked(node: Node, up: trio.Event) -> None:
    events = await node.backend.events({})
    async for event in events:
        if event["event"] == "peer_up":
            up.set()
            break
    await events.aclose()


async def _publish(node: Node, authors: list[str], batches: Iterable[int]) -> list[float]:
    """The time at which each batch was given to the node, on the clock that all processes of a machine share."""
    at: list[float] = []
    for k in batches:
        await node.worker.call(partial(_write, account_from_text(authors[k // BATCHES_A_LOG]), k, at))
        await trio.sleep(APART_S)
    return at


def _write(account: AccountId, k: int, at: list[float], context: Context, now: float) -> None:
    """Batch k, as one call of a program that publishes through its node."""
    salt = hosted.salt_of(context, account)
    drafts = [social_post(salt, os.urandom(16), k * BATCH + n) for n in range(BATCH)]
    at.append(time.monotonic())
    context.replica.writes.publish(hosted.writable_log(context, account), context.device, drafts, now)


async def watch(node: Node, line: Line, count: int) -> list[float]:
    """The time at which each batch was committed here; events are told after the commit."""
    at: list[float] = []
    events = await node.backend.events({})
    held = 0
    line.say("watching")
    with trio.move_on_after(60 + count * (APART_S + 0.2)):
        async for event in events:
            held += event["entries"] if event["event"] == "entries" else 0
            while len(at) < count and held >= (len(at) + 1) * BATCH:
                at.append(time.monotonic())
            if len(at) == count:
                break
    await events.aclose()
    return at


# -- the bench's side


def plus_hundred(writes: Child, comes: Child, batches: int) -> tuple[list[float], int]:
    """Seconds from publishing a batch at one node to its commit at the other, for those that came; how many did not."""
    comes.ask({"watch": batches})
    time.sleep(0.3)
    sent, seen = writes.ask({"publish": batches}), comes.hear()
    return [b - a for a, b in zip(sent, seen, strict=False)], len(sent) - len(seen)


def once(
    folder: Path, source: Path | None, start: Path | None, batches: int = 0, strangers: bool = False
) -> dict[str, Any]:
    """The figures of one newcomer: of its catch-up, and of `batches` published after it.

    The holder starts with the home `source`, the newcomer with `start`; None: with nothing. `strangers`: the two do not
    remember each other.
    """
    authors = -(-batches // BATCHES_A_LOG)
    here, there = folder / "holder", folder / "newcomer"
    copied(source, here) if source else new_home(here)
    copied(start, there) if start else new_home(there)
    if strangers:
        forget_meetings(there)
    try:
        with (
            Child("bench.catchup:holder", [here], authors=authors) as holds,
            Child("bench.catchup:newcomer", [there]) as comes,
        ):
            known, _ = holds.hear(), comes.hear()
            found: dict[str, Any] = comes.ask({"dial": known["address"], "entries": known["entries"]})
            found["holder"] = holds.ask("spent")
            if holds.ask("digest") != comes.ask("digest"):
                raise BenchError("the newcomer has as many entries as its peer and not the same heads and views")
            found["entries"] = known["entries"]
            if batches:
                found["waits"], found["lost"] = plus_hundred(holds, comes, batches)
            return found
    finally:
        shutil.rmtree(here)
        shutil.rmtree(there)


def main(argv: Sequence[str] | None = None) -> None:
    def more(parser: ArgumentParser) -> None:
        parser.add_argument("--case", action="append", choices=CASES, help="only this; may be given again")

    args = arguments("catchup", __doc__, argv, more=more)
    wanted = args.case or (QUICK if args.quick else CASES)
    writers, each, singles, batches = (20, 400, 800, 10) if args.quick else (20, 5_000, 20_000, 100)
    with workplace(args.folder) as folder:
        runs: dict[str, Callable[[], dict[str, Any]]] = {}
        counted = {case: writers * each if case == "runs" else singles for case in CASES}
        if "runs" in wanted or "hundred_more" in wanted:
            full = runs_home(folder, writers, each)
            runs["runs"] = partial(once, folder, full, None, batches=batches if "hundred_more" in wanted else 0)
        if any(case.startswith("singles") for case in wanted):
            full, away = singles_homes(folder, singles)
            ways = {
                "singles": partial(once, folder, full, away),
                "singles_stranger": partial(once, folder, full, away, strangers=True),
                "singles_fresh": partial(once, folder, full, None),
            }
            runs |= {name: way for name, way in ways.items() if name in wanted}
        found = interleaved(args.rounds, {k: _told(k, run) for k, run in runs.items()})
    cases: dict[str, dict[str, Any]] = {k: _case(rows, counted[k]) for k, rows in found.items()}
    shared: dict[str, Any] = {}
    if "runs" in cases:  # elsewhere the accounts take more of the disk than the posts
        stored = median([row["bytes"] for row in found["runs"]])
        cases["runs"]["bytes_per_entry"] = round(stored / counted["runs"])
        shared = {k: cases["runs"][k] for k in ("entries_per_second", "anon_mb", "bytes_per_entry")}
    if "hundred_more" in wanted:
        waits = [w for row in found["runs"] for w in row["waits"]]
        lost = sum(row["lost"] for row in found["runs"])
        cases["hundred_more"] = {"batches": len(waits), "entries_a_batch": BATCH, "lost": lost, **latencies_ms(waits)}
        shared |= latencies_ms(waits)
    sizes = {"writers": writers, "entries_each": each, "single_writers": singles, "text_bytes": 190}
    finish(args, "catchup", **shared, sizes=sizes, cases=cases)


def _told(name: str, run: Callable[[], dict[str, Any]]) -> Callable[[], dict[str, Any]]:
    def told() -> dict[str, Any]:
        found: dict[str, Any] = run()
        say(f"{name}: {found['entries']:,} entries in {found['seconds']:.2f} s")
        return found

    return told


def _case(rows: list[dict[str, Any]], entries: int) -> dict[str, Any]:
    """`entries`: the posts; control entries are not counted."""
    seconds = [row["seconds"] for row in rows]
    return {
        "entries": entries,
        "seconds": round(median(seconds), 3),
        "entries_per_second": round(entries / median(seconds)),
        "spread": [round(entries / s) for s in sorted(seconds, reverse=True)],
        "dial_ms": round(median([row["dial_ms"] for row in rows]), 1),
        "first_commit_ms": round(median([row["first_ms"] for row in rows]), 1),
        "moved_bytes_per_entry": round(median([row["moved"] for row in rows]) / entries),
        "newcomer_cpu_s": round(median([row["cpu_s"] for row in rows]), 3),
        "holder_cpu_s": round(median([row["holder"]["cpu_s"] for row in rows]), 3),
        "anon_mb": round(median([row["anon_mb"] for row in rows]), 1),
        "holder_anon_mb": round(median([row["holder"]["anon_mb"] for row in rows]), 1),
    }


if __name__ == "__main__":
    main()
