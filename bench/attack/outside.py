"""The process of the strangers, so that their work does not count as the victim's.

They come from a network of their own, as on the internet. And they have the processor after everybody else: the
machine that they attack is not theirs.
"""

from __future__ import annotations

import os
import time
from dataclasses import asdict
from typing import Any

import trio

from banyan_crdt.ids import account_from_text
from banyan_node.edge import EdgeError
from banyan_node.node import Node
from banyan_sim.attack import Victim
from bench.attack.attack import named
from bench.attack.strangers import Strangers
from bench.rig.child import Line, come_from

STRANGERS = "127.66.0.1"
"""Where they dial from."""
LAST = 19
"""The lowest priority that a process can have."""


async def attackers(nodes: list[Node], line: Line, params: dict[str, Any]) -> None:
    """Attacks from `attack` to `stop`; the answer to that is what it cost. Runs no node."""
    os.nice(LAST)
    come_from(STRANGERS)
    attack = named(params["attack"])()
    told = await line.hear()
    victim = Victim(
        told["address"],
        told["neighbour"],
        account_from_text(told["accounts"][0]),
        tuple(bytes.fromhex(account) for account in told["held"]),
    )
    line.say("ready")
    await line.hear()
    async with trio.open_nursery() as nursery:
        strangers, failed = Strangers(params["identities"], victim, nursery), list[str]()

        async def run() -> None:
            try:
                await attack.run(strangers, victim)
            except* EdgeError as why:  # the victim has had enough of it
                failed.append(str(why.exceptions[0]))

        nursery.start_soon(run)
        line.say("attacking")
        begun = time.process_time()
        async for _ in line:
            break
        tally = asdict(strangers.tally)
        tally["byes"] = dict(strangers.tally.byes.most_common(3))
        line.say({**tally, "cpu_s": round(time.process_time() - begun, 1), "ended": failed})
        nursery.cancel_scope.cancel()
