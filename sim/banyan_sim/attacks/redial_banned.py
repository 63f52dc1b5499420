from __future__ import annotations

from banyan_sim.attack import Attack, Strangers, Victim

JUNK = b"\x82\x18\x63\x00"
"""A message with a code that there is not."""


class RedialBanned(Attack):
    about = "banned identities dial again at once, for as long as they are banned"

    async def run(self, strangers: Strangers, victim: Victim) -> None:
        keys = [strangers.random(32) for _ in range(strangers.identities)]
        strangers.tally.identities += len(keys)

        async def dial(n: int) -> None:
            stranger = await strangers.meet(key=keys[n], hello=False)
            await stranger.greet()
            for _ in range(4):
                await stranger.throw(JUNK)
            await stranger.ended()

        await strangers.each(dial, 8)
