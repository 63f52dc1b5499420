from __future__ import annotations

from banyan_sim.attack import Attack, Strangers, Victim

TWICE, STORM, EACH = 40, 32, 250
"""Frames that the victim gets first and then again from its neighbour, frames that only the neighbour gets, and the
accounts in each: 8,000 in one storm."""


class GraftStorm(Attack):
    about = "8,000 new accounts that the honest neighbour must announce, after it was made to look superfluous"
    needs = 5
    spreads = True

    async def run(self, strangers: Strangers, victim: Victim) -> None:
        near = [await strangers.meet() for _ in range(4)]
        source = await strangers.meet(victim.neighbour)
        for stranger in near:
            await stranger.join()
        while True:
            for _ in range(TWICE):
                frame, _ = strangers.forge.minted(strangers.few(8))
                await near[0].throw(frame)
                await strangers.sleep(0.03)
                await source.throw(frame)
            for _ in range(STORM):
                frame, _ = strangers.forge.minted(strangers.few(EACH))
                await source.throw(frame)
                await strangers.sleep(0)
