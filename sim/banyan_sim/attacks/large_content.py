from __future__ import annotations

from banyan_sim.attack import Attack, Strangers, Victim
from banyan_sim.forge import pushed, pushes

EACH, SIZE = 40, 60_000
"""Posts in one frame, each in an account of its own, and bytes of each."""


class LargeContent(Attack):
    about = "posts of 60 kB, each of an account of its own, as fast as the links take them"
    spreads = True

    async def run(self, strangers: Strangers, victim: Victim) -> None:
        async def fill(n: int) -> None:
            stranger = await strangers.meet()
            while stranger.alive:
                openings, posts = [], []
                for _ in range(strangers.few(EACH)):
                    account = strangers.forge.account()
                    log = account.log(1)
                    ops, size, raw = strangers.forge.large_post(strangers.few(SIZE))
                    log.write(ops, size)
                    openings.append(pushed(account.item(), account.mid))
                    posts.append(log.push(0, 1, [raw]))
                await stranger.throw(pushes(*openings), pushes(*posts))

        await strangers.each(fill, 4)
