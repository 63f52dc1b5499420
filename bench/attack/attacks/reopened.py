from __future__ import annotations

from contextlib import suppress

import trio

from banyan_sim.attack import Attack, Victim
from bench.attack.strangers import Strangers

SOCKETS = 400


class Reopened(Attack):
    about = "400 sockets that say nothing, each opened again at once when it is refused or let go"

    async def run(self, strangers: Strangers, victim: Victim) -> None:
        _, _, host, _, port, *_ = victim.address.split("/")

        async def knock(n: int) -> None:
            while True:
                with suppress(OSError, trio.BrokenResourceError):
                    async with await trio.open_tcp_stream(host, int(port)) as stream:
                        strangers.tally.links += 1
                        await stream.receive_some(1)

        await strangers.each(knock, SOCKETS)
