"""What reading costs on a node with many entries: methods of the API, each on a snapshot of the last commit.

home       the 50 newest posts of the 1,000 accounts that an account follows, follows, blocks and mutes read too (the
           view itself, in process)
counts     an account's followers, follows and posts, a post's answers, reactions and reposts: six counters (the same)
timeline   20 posts of the 100 accounts that this node's account follows, page by page, with names and counts
thread     a conversation: what it answers, and up to 200 answers
profile    an account's fields, counts, and the first 50 whom it follows
followers  who follows an account, all of them (the view itself: no method of the control API lists them)

Each runs on a store of 100,000 and of 1,000,000 entries, in turn, in a node without peers. Accounts and posts with many
followers and answers are drawn more often. In the larger store they have more followers and answers, so its times are
not for the same work.

At the end each node builds all its views again from the log (`store.rebuild`). Before and meanwhile a peer publishes
100 posts at once, again and again: the wait is from publishing there to the commit here.

python -m bench query --json
"""

from __future__ import annotations

import os
import random
import shutil
import time
from argparse import ArgumentParser
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import trio

from banyan_crdt.ids import AccountId, account_from_text, account_to_text
from banyan_crdt.realm import TEST
from banyan_node.context import Context
from banyan_node.hosting import hosted
from banyan_node.hosting.entry_writer import append
from banyan_node.node import Node
from banyan_reading.queries import Queries, queries
from banyan_schema.social import Target, post_to_text, relate
from bench.catchup import dial, plus_hundred, watch
from bench.harness import anon_mb, arguments, finish, interleaved, latencies_ms, median, say, workplace
from bench.rig.child import Line
from bench.rig.people import Account, copied
from bench.rig.processes import Child, new_home
from bench.rig.world import FULL, QUICK, people_of, popular_posts, worlds

KINDS = ("home", "counts", "timeline", "thread", "profile", "followers")
FOLLOWED, FOLLOWED_AT_HOME = 100, 1_000
AT_ONCE = 100
"""Follows in one entry."""
BATCHES_BEFORE = 50
AUTHORS = 20
"""Accounts that the peer publishes in: enough for 800 batches."""


async def reader(nodes: list[Node], line: Line, params: dict[str, Any]) -> None:
    """The node that is asked."""
    node, people = nodes[0], people_of(Path(params["homes"][0]))
    rng = random.Random(7)
    await node.backend.call("account.create", {"name": "reader", "hosted": False})
    for who in rng.sample(people, FOLLOWED):
        await node.backend.call("follow", {"account": account_to_text(who.id)})
    home = await _at_home(node, rng.sample(people, min(FOLLOWED_AT_HOME, len(people))))
    line.say("ready")
    while True:
        match await line.hear():
            case {"dial": address}:
                line.say(await dial(node, address))
            case {"watch": count}:
                line.say(await watch(node, line, count))
            case "rebuild":
                line.say(await node.backend.call("store.rebuild", {}))
            case "built":
                views = (await node.backend.call("store.views", {}))["views"]
                line.say(all(view["built"] for view in views))
            case {"kinds": kinds, "count": count}:
                times = {
                    kind: await _times(_asks(node, people, kind, random.Random(kind), home), count) for kind in kinds
                }
                line.say({"times": times, "anon_mb": anon_mb()})


async def _at_home(node: Node, others: list[Account]) -> AccountId:
    """An account that follows all of them."""
    made = await node.backend.call("account.create", {"name": "home", "hosted": True})
    account = account_from_text(made["account"])

    def follow(ctx: Context, now: float) -> None:
        salt = hosted.salt_of(ctx, account)
        for at in range(0, len(others), AT_ONCE):
            drafts = [relate(salt, "follow", who.id) for who in others[at : at + AT_ONCE]]
            append(ctx, account, drafts, now)

    await node.worker.call(follow)
    return account


async def _times(asks: Iterator[Callable[[], Awaitable[Any]]], count: int) -> list[float]:
    times = []
    for _, ask in zip(range(count), asks, strict=False):
        began = time.perf_counter()
        await ask()
        times.append(time.perf_counter() - began)
    return times


def _asks(
    node: Node, people: list[Account], kind: str, rng: random.Random, home: AccountId
) -> Iterator[Callable[[], Awaitable[Any]]]:
    """Yields the next request, without end."""
    call = node.backend.call
    if kind == "timeline":
        page: dict[str, Any] = {}

        async def timeline() -> None:
            found = await call("feed", {"limit": 20, **page})
            page.clear()
            if found["before"]:
                page["before"] = found["before"]

        while True:
            yield timeline
    if kind in ("home", "counts"):
        assert node.context is not None
        with queries(node.context.engine, TEST) as q:
            yield from _in_process(q, people, kind, rng, home)
    while True:
        who = people[int(len(people) * rng.random() ** 3)]
        if kind == "profile":
            yield partial(call, "profile.get", {"account": account_to_text(who.id)})
        elif kind == "thread":
            yield partial(call, "thread", {"uri": post_to_text(popular_posts(people, 1, rng)[0])})
        else:
            yield partial(trio.to_thread.run_sync, _followers, node, who.id)


def _in_process(
    q: Queries, people: list[Account], kind: str, rng: random.Random, home: AccountId
) -> Iterator[Callable[[], Awaitable[Any]]]:
    cursors: list[bytes | None] = [None]

    async def timeline() -> None:
        hidden = {*q.blocks(home), *q.mutes(home)}
        page = [*islice(q.timeline([a for a in (home, *q.follows(home)) if a not in hidden], cursors[-1]), 50)]
        cursors.append(page[-1][0] if len(page) == 50 and len(cursors) % 10 else None)

    async def counts(account: AccountId, post: Target) -> None:
        q.account_totals([account])
        q.totals([post])
        q.reactions([post])

    while True:
        who = people[int(len(people) * rng.random() ** 3)].id
        yield timeline if kind == "home" else partial(counts, who, popular_posts(people, 1, rng)[0])


def _followers(node: Node, account: AccountId) -> int:
    assert node.context is not None
    with queries(node.context.engine, TEST) as q:
        return sum(1 for _ in q.following(account))


# -- the bench's side


def rebuild(node: Child, folder: Path) -> dict[str, Any]:
    """Seconds that building all views takes, and how long a peer's +100 takes before it and meanwhile.

    The peer is a hobbyist: it holds its own accounts alone."""
    home = new_home(folder / f"peer-{os.urandom(4).hex()}")
    try:
        with Child("bench.catchup:holder", [home], {"interest.mode": "follows"}, authors=AUTHORS) as peer:
            node.ask({"dial": peer.hear()["address"]})
            before = [plus_hundred(peer, node, 1) for _ in range(BATCHES_BEFORE)]
            began, meanwhile = time.perf_counter(), list[tuple[list[float], int]]()
            node.ask("rebuild")
            while not node.ask("built"):
                meanwhile.append(plus_hundred(peer, node, 1))
            seconds = time.perf_counter() - began
    finally:
        shutil.rmtree(home)
    return {
        "seconds": round(seconds, 1),
        "lost": sum(lost for _, lost in before + meanwhile),
        "hundred_more_p50_ms": latencies_ms([w for waits, _ in before for w in waits])["p50_ms"],
        "hundred_more_meanwhile_p50_ms": latencies_ms([w for waits, _ in meanwhile for w in waits])["p50_ms"],
    }


def main(argv: Sequence[str] | None = None) -> None:
    def more(parser: ArgumentParser) -> None:
        parser.add_argument("--kind", action="append", choices=KINDS, help="only this; may be given again")

    args = arguments("query", __doc__, argv, more=more)
    kinds = args.kind or list(KINDS)
    plan, count = (QUICK, 100) if args.quick else (FULL, 300)
    with workplace(args.folder) as folder:
        homes = worlds(folder, plan)[1:]
        copies = [copied(home, folder / f"query-{n}") for n, home in enumerate(homes)]
        try:
            with Child("bench.query:reader", copies[:1]) as middle, Child("bench.query:reader", copies[1:]) as large:
                nodes = {f"{size:,}": node for size, node in zip(plan.sizes[1:], (middle, large), strict=True)}
                for node in nodes.values():
                    node.hear()
                ask = {"kinds": kinds, "count": count}
                rows = interleaved(args.rounds, {name: partial(node.ask, ask) for name, node in nodes.items()})
                rebuilt = {name: rebuild(node, folder) for name, node in nodes.items()}
        finally:
            for copy in copies:
                shutil.rmtree(copy)
    cases: dict[str, dict[str, Any]] = {}
    for kind in kinds:
        for name, answers in rows.items():
            times = [t for answer in answers for t in answer["times"][kind]]
            cases[f"{kind} of {name}"] = {"asked": len(times), **latencies_ms(times)}
            say(f"{kind} of {name}: {latencies_ms(times)}")
    for name, answer in rebuilt.items():
        cases[f"rebuild of {name}"] = answer
        say(f"rebuild of {name}: {answer}")
    largest = rows[f"{plan.sizes[2]:,}"]
    every = [t for answer in largest for kind in kinds for t in answer["times"][kind]]
    finish(
        args,
        "query",
        **latencies_ms(every),
        anon_mb=round(median([answer["anon_mb"] for answer in largest]), 1),
        sizes={
            "entries": list(plan.sizes[1:]),
            "followed": FOLLOWED,
            "followed_at_home": FOLLOWED_AT_HOME,
            "a_page": 20,
        },
        cases=cases,
    )


if __name__ == "__main__":
    main()
