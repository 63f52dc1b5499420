from __future__ import annotations

from banyan_sim.attack import Attack, Strangers, Victim

EACH = 256


class MintAccounts(Attack):
    about = "new accounts as fast as one process can make them"
    spreads = True

    async def run(self, strangers: Strangers, victim: Victim) -> None:
        async def mint(n: int) -> None:
            stranger = await strangers.meet()
            while stranger.alive:
                frame, _ = strangers.forge.minted(strangers.few(EACH))
                await stranger.throw(frame)
                await strangers.sleep(0)

        await strangers.each(mint, 4)
