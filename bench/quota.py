"""Which people of a flooded member others keep: 744 bots and 13 people sign up at one platform in a random order, and
the charter's quota is 100 accounts.

Two real nodes, each in a process of its own, with default settings, linked over loopback: the flooded platform, and
another member's. `at_once`: of the people with a place, how many the other node keeps when all have signed up (it has
their posts); `waiting`: of the others. Then the platform drops the bots by one call, and `dropped_s` is how long it
takes until the other node has the posts of all 13.

python -m bench quota --json
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from random import Random
from typing import Any

import trio

from banyan_crdt.ids import AccountId, account_from_text
from banyan_node.context import Context
from banyan_node.node import Node
from bench.harness import BenchError, arguments, at_least, finish, median, say, workplace
from bench.orders import charter, follow
from bench.rig.child import Line
from bench.rig.processes import Child, new_home

QUOTA, LOOK_S, LATE_S = 100, 0.05, 300.0


async def node(nodes: list[Node], line: Line, params: dict[str, Any]) -> None:
    """A platform. It says who it is, follows a charter, signs people up, says whom it keeps, drops accounts."""
    (here,), call = nodes, nodes[0].backend.call
    account = (await call("account.create", {"name": "member", "hosted": True}))["account"]
    line.say({"account": account, "address": here.edge.addresses[0]})
    async for asked in line:
        match asked:
            case {"acts": acts, "peer": peer}:
                if peer:
                    await call("peers.add", {"addr": peer})
                await here.worker.call(partial(follow, acts))
                while await here.worker.call(lambda ctx, now: ctx.replica.room.interest is None):
                    await trio.sleep(LOOK_S)
                line.say("following")
            case {"sign_up": number}:
                made = []
                for n in range(number):
                    name = f"account {n}"
                    made.append((await call("account.create", {"name": name, "hosted": True}))["account"])
                    await call("post", {"as": name, "text": f"of {name}"})
                line.say(made)
            case {"drop": dids}:
                line.say(await call("alliance.hosted", {"accounts": dids}))
            case {"use": member}:
                line.say(await call("alliance.quota", {"member": member}))
            case {"keeps": dids}:
                line.say(await here.worker.call(partial(_keeps, list(map(account_from_text, dids)))))


def _keeps(accounts: list[AccountId], ctx: Context, now: float) -> int:
    """Of how many it has posts."""
    return sum(any(log.log for log in ctx.store.logs(account)) for account in accounts)


def flooded(bots: int, people: int, homes: Sequence[Any]) -> dict[str, Any]:
    """One round. The figures of it."""
    with ExitStack() as stack:
        nodes = [
            stack.enter_context(Child("bench.quota:node", [home], {"node.role": "platform"}, name=name))
            for home, name in zip(homes, ("flooded", "other"), strict=True)
        ]
        a, b = nodes
        who = [one.hear() for one in nodes]
        acts = charter(who[0]["account"], [one["account"] for one in who], quota=QUOTA)
        for n, one in enumerate(nodes):
            one.ask({"acts": acts, "peer": who[0]["address"] if n else ""})
        began = time.monotonic()
        everybody = a.ask({"sign_up": bots + people})
        signed_up_s = time.monotonic() - began
        honest = sorted(Random(744).sample(range(len(everybody)), people))
        before, after = ([everybody[n] for n in honest if (n < QUOTA) == first] for first in (True, False))
        _until(b, before)
        late = b.ask({"keeps": after})
        until = time.monotonic() + LATE_S
        while sum(row["number"] for row in b.ask({"use": who[0]["account"]})["refused"]) < len(everybody) - QUOTA:
            if time.monotonic() > until:
                raise BenchError("the other node does not have the whole list")
            time.sleep(LOOK_S)
        at_once = b.ask({"keeps": before})
        began = time.monotonic()
        a.ask({"drop": [did for n, did in enumerate(everybody) if n not in honest]})
        _until(b, [everybody[n] for n in honest])
        took = time.monotonic() - began
    say(f"{at_once} of {len(before)} at once, {late} of {len(after)} beyond the quota; all {took:.1f} s after the drop")
    return {
        "placed": len(before),
        "at_once": at_once,
        "waiting": len(after),
        "kept_waiting": late,
        "signed_up_s": signed_up_s,
        "dropped_s": took,
    }


def _until(node: Child, dids: Sequence[str]) -> None:
    until = time.monotonic() + LATE_S
    while node.ask({"keeps": dids}) < len(dids):
        if time.monotonic() > until:
            raise BenchError(f"after {LATE_S:.0f} s the other node keeps not all of {len(dids)} people")
        time.sleep(LOOK_S)


def main(argv: Sequence[str] | None = None) -> None:
    def more(parser: Any) -> None:
        parser.add_argument("--bots", type=at_least(1), default=744, help="default: 744")
        parser.add_argument("--people", type=at_least(1), default=13, help="default: 13")

    args = arguments("quota", __doc__, argv, rounds=1, more=more)
    rounds = []
    with workplace(args.folder) as folder:
        for n in range(args.rounds):
            homes = [new_home(folder / f"{name}-{n}") for name in ("flooded", "other")]
            rounds.append(flooded(args.bots, args.people, homes))
    figures = {name: median([one[name] for one in rounds]) for name in rounds[0]}
    finish(args, "quota", bots=args.bots, people=args.people, quota=QUOTA, **figures)


if __name__ == "__main__":
    main()
