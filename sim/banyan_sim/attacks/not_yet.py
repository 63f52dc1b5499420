from __future__ import annotations

from banyan_sim.attack import Attack, Strangers, Victim
from banyan_sim.forge import pushed, pushes

LOGS, RUN = 16, 1_024


class NotYet(Attack):
    about = "gossip of runs whose beginning the node lacks, again and again: decoded, checked and dropped each time"

    async def run(self, strangers: Strangers, victim: Victim) -> None:
        account = strangers.forge.account()
        half = strangers.few(RUN)
        logs = [account.log(n + 1) for n in range(strangers.few(LOGS))]
        for log in logs:
            log.write(count=2 * half)
        opening = pushes(pushed(account.item(), account.mid))
        flood = pushes(*(log.push(half, 2 * half) for log in logs))

        async def push(n: int) -> None:
            stranger = await strangers.meet()
            await stranger.throw(opening)
            while stranger.alive:
                await stranger.throw(flood)

        await strangers.each(push, 4)
