from __future__ import annotations

import trio

from bench.attack.attack import Attack, Victim
from bench.attack.strangers import Strangers

EVERY_S = 1.0


class Eclipse(Attack):
    about = "all join as neighbours of the victim, so that the honest one has no place, and pass nothing on"
    needs = 20

    async def run(self, strangers: Strangers, victim: Victim) -> None:
        async def join(n: int) -> None:
            stranger = await strangers.meet()
            while stranger.alive:
                await stranger.join()
                await trio.sleep(EVERY_S)

        await strangers.each(join)
