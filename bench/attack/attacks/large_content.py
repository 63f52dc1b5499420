from __future__ import annotations

from bench.attack.attack import Attack, Victim
from bench.attack.forge import Account, large_post, pushed, pushes
from bench.attack.strangers import Strangers

EACH = 40
"""Posts of 60 kB in one frame, each in an account of its own."""


class LargeContent(Attack):
    about = "posts of 60 kB, each of an account of its own, as fast as the links take them"

    async def run(self, strangers: Strangers, victim: Victim) -> None:
        async def fill(n: int) -> None:
            stranger = await strangers.meet()
            while stranger.alive:
                openings, posts = [], []
                for _ in range(EACH):
                    account = Account()
                    log = account.log(1)
                    ops, size, raw = large_post()
                    log.write(ops, size)
                    openings.append(pushed(account.item(), account.mid))
                    posts.append(log.push(0, 1, [raw]))
                await stranger.throw(pushes(*openings), pushes(*posts))

        await strangers.each(fill, 4)
