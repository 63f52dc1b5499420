from __future__ import annotations

from banyan_sim.attack import Attack, Victim
from bench.attack.strangers import Strangers


class Slots(Attack):
    about = "one address takes every slot with links that never say hello"
    needs = 127

    async def run(self, strangers: Strangers, victim: Victim) -> None:
        async def sit(n: int) -> None:
            stranger = await strangers.meet(hello=False)
            await stranger.over.wait()

        await strangers.each(sit)
