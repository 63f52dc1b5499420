from __future__ import annotations

from banyan_sim.attack import Attack, Strangers, Victim
from banyan_sim.forge import pushed, pushes

DEPTH, EACH = 1_000, 20
"""Entries of a log, and forks in one frame."""


class Forks(Attack):
    about = "logs that fork at every place, from the last entry down, so that each fork has the log counted again"
    spreads = True

    async def run(self, strangers: Strangers, victim: Victim) -> None:
        depth, each = strangers.few(DEPTH), strangers.few(EACH)

        async def fork(n: int) -> None:
            stranger = await strangers.meet()
            while stranger.alive:
                account = strangers.forge.account()
                log = account.log(1)
                log.write(count=depth)
                await stranger.throw(pushes(pushed(account.item(), account.mid)), pushes(log.push(0, depth)))
                for top in range(depth - 1, each, -each):
                    twins = []
                    for seq in range(top, top - each, -1):
                        twin = log.fork(seq)
                        twin.write()
                        twins.append(twin.push(seq, seq + 1))
                    await stranger.throw(pushes(*twins))
                    await strangers.sleep(0)

        await strangers.each(fork, 2)
