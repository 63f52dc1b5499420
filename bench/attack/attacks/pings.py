from __future__ import annotations

from banyan_sim.attack import Attack, Victim
from bench.attack.strangers import Strangers


class Pings(Attack):
    about = "everybody opens one stream after another for libp2p's ping"

    async def run(self, strangers: Strangers, victim: Victim) -> None:
        peer = victim.address.rsplit("/", 1)[1]

        async def ping(n: int) -> None:
            stranger = await strangers.meet()
            while stranger.alive:
                await stranger.edge.ping(peer)
                strangers.tally.frames += 1

        await strangers.each(ping, 16)
