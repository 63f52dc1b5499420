"""How soon an order is carried out: from the call that gives it until the authority has the receipts of all platforms.

Three real nodes, each in a process of its own: an authority's and two platforms', with default settings, linked over
loopback. Each order names a post of its own, which both platforms show before. A platform withholds the post, signs its
receipt and sends it; the clock stops when the authority's node has the last one.

python -m bench orders --json
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any

import trio

from banyan_charter.acts import CharterId, ContentId, Founding, decode_act, encode_act, founding_body, id_of
from banyan_charter.values import Authority, Parameters, Scope
from banyan_crdt.ids import AccountId, account_from_text
from banyan_crdt.realm import TEST
from banyan_node.context import Context
from banyan_node.node import Node
from bench.charter import Member
from bench.harness import BenchError, arguments, at_least, finish, latencies_ms, say, workplace
from bench.rig.child import Line
from bench.rig.processes import Child, new_home

PLATFORMS = 2
LOOK_S, LATE_S = 0.01, 60.0


def follow(acts: list[str], ctx: Context, now: float) -> None:
    """Follows the charter of these acts, in hexadecimal, the founding first."""
    founding, *others = map(bytes.fromhex, acts)
    ctx.replica.charter.follow(founding)
    for raw in others:
        if (why := ctx.replica.charter.offer(raw)) is not None:
            raise BenchError(why)


async def node(nodes: list[Node], line: Line, params: dict[str, Any]) -> None:
    """An authority or a platform. It says who it is, follows a charter, writes posts, gives orders."""
    (here,), call = nodes, nodes[0].backend.call
    account = (await call("account.create", {"name": params["name"], "hosted": True}))["account"]
    line.say({"account": account, "address": here.edge.addresses[0]})
    async for asked in line:
        match asked:
            case {"acts": acts, "peer": peer}:
                if peer:
                    await call("peers.add", {"addr": peer})
                await here.worker.call(partial(follow, acts))
                line.say("following")
            case {"write": n}:
                posts = [await call("post", {"as": account, "text": f"post {k}"}) for k in range(n)]
                line.say([post["uri"] for post in posts])
            case "count":
                line.say(len((await call("feed", {"all": True, "limit": 50}))["posts"]))
            case {"order": uri}:
                began = time.monotonic()
                made = await call("order.issue", {"as": account, "scope": "vn", "posts": [uri]})
                with trio.fail_after(LATE_S):
                    while not await _answered(here, made["order"]):
                        await trio.sleep(LOOK_S)
                line.say(time.monotonic() - began)


async def _answered(here: Node, order: str) -> bool:
    rows = (await here.backend.call("order.list", {}))["orders"]
    (answers,) = [row["answers"] for row in rows if row["order"] == order]
    if any(one["word"] == "done" and one["posts"] != 1 for one in answers):
        raise BenchError(f"a platform withheld nothing: {answers}")
    return all(one["word"] == "done" for one in answers)


def charter(authority: str, platforms: Sequence[str], quota: int = 10_000) -> list[str]:
    """Acts that found it, in hexadecimal."""
    accounts = sorted(map(account_from_text, platforms))
    scope = Scope(b"vn", tuple(accounts), ())
    roles = (Authority(account_from_text(authority), (b"vn",), 1_000),)
    p = Parameters(authorities=roles, scopes=(scope,), quota=quota)
    members = [Member(n, 0, 2) for n in range(max(4, len(accounts)))]
    named = sorted([*accounts, *(AccountId(bytes([n]) * 32) for n in range(1, 5 - len(accounts)))])
    for member, account in zip(members, named, strict=True):
        member.seat = member.seat._replace(member=account)
    seats = tuple(member.seat for member in members)
    founding = Founding(ContentId(id_of(TEST, founding_body(b"Bench", seats, p))), b"Bench", seats, p)
    commits = [m.signer(CharterId(founding.id)).commit(0, 1, founding.id) for m in members]
    acts = [encode_act(founding), *map(encode_act, commits)]
    assert all(decode_act(TEST, raw) for raw in acts)
    return [raw.hex() for raw in acts]


def main(argv: Sequence[str] | None = None) -> None:
    def more(parser: Any) -> None:
        parser.add_argument("--orders", type=at_least(1), default=20, help="default: 20")

    args = arguments("orders", __doc__, argv, rounds=1, more=more)
    with workplace(args.folder) as folder, ExitStack() as stack:
        names = ["authority", *(f"platform {n}" for n in range(PLATFORMS))]
        homes = [new_home(folder / name.replace(" ", "-")) for name in names]
        flags = {"node.role": "platform"}
        nodes = [
            stack.enter_context(Child("bench.orders:node", [home], flags, name=name))
            for home, name in zip(homes, names, strict=True)
        ]
        who = [one.hear() for one in nodes]
        acts = charter(who[0]["account"], [one["account"] for one in who[1:]])
        for n, one in enumerate(nodes):
            one.ask({"acts": acts, "peer": who[0]["address"] if n else ""})
        posts = nodes[1].ask({"write": args.orders + 1})
        until = time.monotonic() + LATE_S
        while any(one.ask("count") < len(posts) for one in nodes):
            if time.monotonic() > until:
                raise BenchError("the nodes do not have all posts")
            time.sleep(0.1)
        took = [nodes[0].ask({"order": uri}) for uri in posts][1:]
        say(f"{len(took)} orders, the slowest in {max(took):.2f} s")
        shown = nodes[1].ask("count")
        if shown:
            raise BenchError(f"a platform still shows {shown} posts")
        finish(args, "orders", orders=len(took), platforms=PLATFORMS, **latencies_ms(took))


if __name__ == "__main__":
    main()
