from __future__ import annotations

from banyan_replica.wire import Credit, encode_message
from banyan_sim.attack import Attack, Strangers, Victim

TIMES = 5_000


class TinyFrames(Attack):
    about = "frames of three bytes that say nothing, as many as the links take"

    async def run(self, strangers: Strangers, victim: Victim) -> None:
        frames = [encode_message(Credit(0))] * strangers.few(TIMES)

        async def drizzle(n: int) -> None:
            stranger = await strangers.meet()
            while stranger.alive:
                await stranger.throw(*frames)

        await strangers.each(drizzle, 4)
