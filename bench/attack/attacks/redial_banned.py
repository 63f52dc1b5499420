from __future__ import annotations

import os

from bench.attack.attack import Attack, Victim
from bench.attack.strangers import Strangers

JUNK = b"\x82\x18\x63\x00"
"""A message with a code that there is not."""


class RedialBanned(Attack):
    about = "banned identities dial again at once, for as long as they are banned"

    async def run(self, strangers: Strangers, victim: Victim) -> None:
        keys = [os.urandom(32) for _ in range(strangers.identities)]
        strangers.tally.identities += len(keys)

        async def dial(n: int) -> None:
            stranger = await strangers.meet(key=keys[n], hello=False)
            await stranger.greet()
            for _ in range(4):
                await stranger.throw(JUNK)
            await stranger.over.wait()

        await strangers.each(dial, 8)
