from __future__ import annotations

import trio

from bench.attack.attack import Attack, Victim
from bench.attack.forge import minted
from bench.attack.strangers import Strangers

TWICE, STORM, EACH = 40, 32, 250
"""Frames that the victim gets first and then again from its neighbour, frames that only the neighbour gets, and the
accounts in each: 8,000 in one storm."""


class GraftStorm(Attack):
    about = "8,000 new accounts that the honest neighbour must announce, after it was made to look superfluous"
    needs = 5

    async def run(self, strangers: Strangers, victim: Victim) -> None:
        near = [await strangers.meet() for _ in range(4)]
        source = await strangers.meet(victim.neighbour)
        for stranger in near:
            await stranger.join()
        while True:
            for _ in range(TWICE):
                frame, _ = minted(8)
                await near[0].throw(frame)
                await trio.sleep(0.03)
                await source.throw(frame)
            for _ in range(STORM):
                frame, _ = minted(EACH)
                await source.throw(frame)
                await trio.sleep(0)
