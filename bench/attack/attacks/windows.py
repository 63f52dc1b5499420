from __future__ import annotations

from banyan_sim.attack import Attack, Victim
from bench.attack.strangers import Strangers

TIMES = 1_000


class Windows(Attack):
    about = "everybody gives 0 bytes more of yamux window, as often as the links take"

    async def run(self, strangers: Strangers, victim: Victim) -> None:
        async def give(n: int) -> None:
            stranger = await strangers.meet()
            while stranger.alive:
                await stranger.give_no_window(TIMES)

        await strangers.each(give, 4)
