from __future__ import annotations

from banyan_sim.attack import Attack, Strangers, Victim

EVERY_S = 1.0


class Eclipse(Attack):
    about = "all join as neighbours of the victim, so that the honest one has no place, and pass nothing on"
    needs = 20

    async def run(self, strangers: Strangers, victim: Victim) -> None:
        async def join(n: int) -> None:
            stranger = await strangers.meet()
            while stranger.alive:
                await stranger.join()
                await strangers.sleep(EVERY_S)

        await strangers.each(join)
