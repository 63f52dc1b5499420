"""What a charter costs those that catch up, and live posts: rounds with and without one, in turn.

A charter of 100 members, whose lists hold all 400 writers, each with 12 posts. Two real nodes with default settings,
each in a process of its own: one has everything, the other nothing. `plain` without a charter, `charter` with it in
force at both. `catchup_s`: from the hello until the newcomer's last commit holds every entry and lacks no content.
Then posts are published one by one at the first node, by people that both hold: `p50_ms` and `p99_ms` until they are
committed at the other. `ratios`: charter by plain, the median of the pairs.

python -m bench hosted --json
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Sequence
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import trio

from banyan_charter.hosting import Standing
from banyan_crdt.ids import account_from_text, account_to_text
from banyan_crdt.ops import Host
from banyan_node.admission.throttle import BUSY_S
from banyan_node.context import Context
from banyan_node.node import Node
from banyan_replica.intake.author import EntryDraft
from banyan_schema.social.alliance import HostedBatch, list_hosted
from bench.catchup import _catch_up
from bench.harness import BenchError, arguments, cpu_s, finish, interleaved, latencies_ms, median, say, workplace
from bench.orders import charter, follow
from bench.rig.child import Line
from bench.rig.people import (
    BIRTH_MS,
    Account,
    copied,
    filling,
    index_posts,
    kept,
    known_account,
    open_account,
    post,
    root_of,
    social_post,
    write_in_turn,
)
from bench.rig.processes import Child, new_home

MEMBERS, WRITERS, POSTS, LIVE = 100, 400, 12, 200
LOOK_S, APART_S = 0.02, 0.03


async def node(nodes: list[Node], line: Line, params: dict[str, Any]) -> None:
    """Either node. It follows a charter, if there is one, then does what it is asked."""
    (here,), number, told = nodes, count(1_000), await line.hear()
    if told["acts"]:
        await here.worker.call(partial(follow, told["acts"]))
        while await here.worker.call(lambda ctx, now: len(ctx.replica.room.interest or ()) < told["held"]):
            await trio.sleep(LOOK_S)
    await trio.sleep(BUSY_S)
    found = await here.backend.call("digest", {})
    line.say({"address": here.edge.addresses[0], "entries": found["entries"]})
    cpu = cpu_s()
    while True:
        match await line.hear():
            case {"dial": address, "entries": entries}:
                line.say(await _catch_up(here, address, entries))
            case {"publish": posts}:
                writers = [known_account(n, account_from_text(did)) for n, did in told["writers"]]
                at = list[float]()
                for k in range(posts):
                    await here.worker.call(partial(_write, writers[k % len(writers)], next(number), at))
                    await trio.sleep(APART_S)
                line.say(at)
            case {"watch": posts}:
                line.say(await watch(here, line, posts, 60 + posts * APART_S))
            case "spent":
                line.say(cpu_s() - cpu)
            case "digest":
                line.say(await here.backend.call("digest", {}))


def _write(account: Account, n: int, at: list[float], ctx: Context, now: float) -> None:
    at.append(time.monotonic())
    draft = social_post(account.salt, b"live" + n.to_bytes(12, "big"), n)
    ctx.replica.writes.publish(account.log, account.device, [draft], now)


async def watch(here: Node, line: Line, posts: int, within: float) -> list[float]:
    """When each of so many entries was committed here, as far as that was within so many seconds."""
    at, events = list[float](), await here.backend.events({})
    line.say("watching")
    with trio.move_on_after(within):
        async for event in events:
            at += [time.monotonic()] * (event["entries"] if event["event"] == "entries" else 0)
            if len(at) >= posts:
                break
    await events.aclose()
    return at


def alliance_home(folder: Path, members: int, writers: int, posts: int) -> Path:
    """A home that holds the members, their lists of all writers, and the posts; and who they are, in people.json."""

    def make(place: Path) -> None:
        with filling(new_home(place)) as author:
            people = [open_account(author, n)[0] for n in range(members + writers)]
            work = list[tuple[Account, Sequence[EntryDraft]]]()
            for n, member in enumerate(people[:members]):
                listed = people[members + n :: members]
                for one in listed:
                    author.control(one.id, root_of(one.number), Host(member.id), BIRTH_MS)
                made = list_hosted(
                    member.salt, HostedBatch(0, int(Standing.HOSTED), b"".join(one.id for one in listed))
                )
                assert made.content is not None
                work.append((member, [EntryDraft((made.op,), (made.content,))]))
            work += [(one, [post(one, k) for k in range(posts)]) for one in people[members:]]
            write_in_turn(author, iter(work), each_signed=True)
        index_posts(place)
        (place / "people.json").write_text(json.dumps([account_to_text(one.id) for one in people]))

    return kept(folder, f"alliance-{members}x{writers}x{posts}", make)


def once(folder: Path, source: Path, acts: list[str], members: int, live: int) -> dict[str, Any]:
    """One newcomer's figures."""
    here, there = copied(source, folder / "holder"), new_home(folder / "newcomer")
    dids = json.loads((source / "people.json").read_text())
    writers = list(enumerate(dids))[members:]
    flags = {"node.role": "platform"}
    try:
        with Child("bench.hosted:node", [here], flags) as holds, Child("bench.hosted:node", [there], flags) as comes:
            known = holds.ask({"acts": acts, "held": len(dids), "writers": writers})
            comes.ask({"acts": acts, "held": 1, "writers": []})
            found: dict[str, Any] = comes.ask({"dial": known["address"], "entries": known["entries"]})
            found["holder_cpu_s"] = holds.ask("spent")
            if holds.ask("digest") != comes.ask("digest"):
                raise BenchError("the newcomer has as many entries as its peer and not the same heads and views")
            time.sleep(3.0)
            comes.ask({"watch": live})
            sent, seen = holds.ask({"publish": live}), comes.hear()
            if len(seen) < live:
                raise BenchError(f"{live - len(seen)} of {live} live posts did not come")
            found["waits"] = [b - a for a, b in zip(sent, seen, strict=False)]
            return found
    finally:
        shutil.rmtree(here)
        shutil.rmtree(there)


def main(argv: Sequence[str] | None = None) -> None:
    args = arguments("hosted", __doc__, argv)
    members, writers, posts, live = (4, 40, 4, 20) if args.quick else (MEMBERS, WRITERS, POSTS, LIVE)
    with workplace(args.folder) as folder:
        source = alliance_home(folder, members, writers, posts)
        dids = json.loads((source / "people.json").read_text())
        acts = charter(dids[0], dids[:members])
        runs = {"plain": list[str](), "charter": acts}
        each = {k: partial(_said, k, folder, source, acts, members, live) for k, acts in runs.items()}
        found = interleaved(args.rounds, each)
    cases = {name: _case(rows) for name, rows in found.items()}
    single = {name: [_case([row]) for row in rows] for name, rows in found.items()}
    ratios = {
        figure: round(
            median([a[figure] / b[figure] for a, b in zip(single["charter"], single["plain"], strict=True)]), 3
        )
        for figure in cases["plain"]
    }
    sizes = {"members": members, "writers": writers, "posts_each": posts, "live": live}
    finish(args, "hosted", sizes=sizes, cases=cases, ratios=ratios)


def _said(name: str, *given: Any) -> dict[str, Any]:
    found = once(*given)
    say(f"{name}: caught up in {found['seconds']:.2f} s, live p50 {median(found['waits']) * 1e3:.1f} ms")
    return found


def _case(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    waits = latencies_ms([w for row in rows for w in row["waits"]])
    names = {"catchup_s": "seconds", "newcomer_cpu_s": "cpu_s", "holder_cpu_s": "holder_cpu_s"}
    return {**{k: round(median([row[name] for row in rows]), 3) for k, name in names.items()}, **waits}


if __name__ == "__main__":
    main()
