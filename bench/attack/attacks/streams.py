from __future__ import annotations

from banyan_sim.attack import Attack, Victim
from bench.attack.strangers import Strangers


class Streams(Attack):
    about = "everybody opens streams and resets them, without a word on any"

    async def run(self, strangers: Strangers, victim: Victim) -> None:
        async def churn(n: int) -> None:
            stranger = await strangers.meet()
            while stranger.alive:
                await stranger.open_and_reset()

        await strangers.each(churn, 16)
