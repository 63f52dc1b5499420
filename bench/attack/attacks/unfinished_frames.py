from __future__ import annotations

from banyan_sim.attack import Attack, Victim
from bench.attack.strangers import Strangers

SIZE = 4 << 20


class UnfinishedFrames(Attack):
    about = "everybody sends a frame of 4 MiB but for its last byte, and then waits"

    async def run(self, strangers: Strangers, victim: Victim) -> None:
        part = SIZE.to_bytes(4, "big") + bytes(SIZE - 1)

        async def begin(n: int) -> None:
            stranger = await strangers.meet()
            await stranger.drip(part)
            await stranger.over.wait()

        await strangers.each(begin)
