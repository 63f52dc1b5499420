from __future__ import annotations

import trio

from bench.attack.attack import Attack, Victim
from bench.attack.forge import minted
from bench.attack.strangers import Strangers

EACH = 256


class MintAccounts(Attack):
    about = "new accounts as fast as one process can make them"

    async def run(self, strangers: Strangers, victim: Victim) -> None:
        async def mint(n: int) -> None:
            stranger = await strangers.meet()
            while stranger.alive:
                frame, _ = minted(EACH)
                await stranger.throw(frame)
                await trio.sleep(0)

        await strangers.each(mint, 4)
