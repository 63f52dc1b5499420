from __future__ import annotations

from banyan_replica.wire import Interest
from banyan_sim.attack import Attack, Strangers, Victim

NAMES = 65_536


class Interests(Attack):
    about = "everybody follows 65,536 accounts, and others the next moment"
    on_chosen = True

    async def run(self, strangers: Strangers, victim: Victim) -> None:
        async def follow(n: int) -> None:
            stranger = await strangers.meet()
            while stranger.alive:
                held = b"".join(account[:16] for account in victim.followed[:8])
                await stranger.say(Interest(0, held + strangers.random(16 * strangers.few(NAMES - 8))))

        await strangers.each(follow, 8)
