from __future__ import annotations

from banyan_replica.gossip.frames import Pushes
from banyan_sim.attack import Attack, Strangers, Victim
from banyan_sim.forge import gossip

EACH, PAUSE_S = 16, 0.05


class Promises(Attack):
    about = "neighbours that announce 320 invented messages a second each, and send none when asked"
    needs = 8

    async def run(self, strangers: Strangers, victim: Victim) -> None:
        async def promise(n: int) -> None:
            stranger = await strangers.meet()
            await stranger.join()
            while stranger.alive:
                await stranger.throw(gossip(Pushes((), tuple(strangers.random(16) for _ in range(EACH)))))
                await strangers.sleep(PAUSE_S)

        await strangers.each(promise, 8)
