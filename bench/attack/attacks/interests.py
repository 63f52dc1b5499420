from __future__ import annotations

import os

from banyan_replica.wire import Interest
from bench.attack.attack import Attack, Victim
from bench.attack.strangers import Strangers

NAMES = 65_536


class Interests(Attack):
    about = "everybody follows 65,536 accounts, and others the next moment"

    async def run(self, strangers: Strangers, victim: Victim) -> None:
        async def follow(n: int) -> None:
            stranger = await strangers.meet()
            while stranger.alive:
                await stranger.say(
                    Interest(0, b"".join(victim.followed[k][:16] for k in range(8)) + os.urandom(16 * (NAMES - 8)))
                )

        await strangers.each(follow, 8)
