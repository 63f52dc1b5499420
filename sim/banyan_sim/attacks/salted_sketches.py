from __future__ import annotations

from banyan_replica.wire import Sketch
from banyan_sim.attack import Attack, Strangers, Victim


class SaltedSketches(Attack):
    about = "questions under ever new salts, for each of which the whole frontier must be read"

    async def run(self, strangers: Strangers, victim: Victim) -> None:
        async def ask(n: int) -> None:
            stranger = await strangers.meet()
            while stranger.alive:
                await stranger.say(Sketch(strangers.random(16), 0, 0, 0, strangers.random(88)))
                await strangers.sleep(0.01)

        await strangers.each(ask)
