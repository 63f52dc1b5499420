from __future__ import annotations

import trio

from bench.attack.attack import Attack, Victim
from bench.attack.forge import Account, pushed, pushes
from bench.attack.strangers import Strangers

DEPTH, EACH = 1_000, 20
"""Entries of a log, and forks in one frame."""


class Forks(Attack):
    about = "logs that fork at every place, from the last entry down, so that each fork has the log counted again"

    async def run(self, strangers: Strangers, victim: Victim) -> None:
        async def fork(n: int) -> None:
            stranger = await strangers.meet()
            while stranger.alive:
                account = Account()
                log = account.log(1)
                log.write(count=DEPTH)
                await stranger.throw(pushes(pushed(account.item(), account.mid)), pushes(log.push(0, DEPTH)))
                for top in range(DEPTH - 1, EACH, -EACH):
                    twins = []
                    for seq in range(top, top - EACH, -1):
                        twin = log.fork(seq)
                        twin.write()
                        twins.append(twin.push(seq, seq + 1))
                    await stranger.throw(pushes(*twins))
                    await trio.sleep(0)

        await strangers.each(fork, 2)
