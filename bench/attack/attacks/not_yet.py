from __future__ import annotations

from bench.attack.attack import Attack, Victim
from bench.attack.forge import Account, pushed, pushes
from bench.attack.strangers import Strangers

LOGS, RUN = 16, 1_024


class NotYet(Attack):
    about = "gossip of runs whose beginning the node lacks, again and again: decoded, checked and dropped each time"

    async def run(self, strangers: Strangers, victim: Victim) -> None:
        account = Account()
        logs = [account.log(n + 1) for n in range(LOGS)]
        for log in logs:
            log.write(count=2 * RUN)
        opening = pushes(pushed(account.item(), account.mid))
        flood = pushes(*(log.push(RUN, 2 * RUN) for log in logs))

        async def push(n: int) -> None:
            stranger = await strangers.meet()
            await stranger.throw(opening)
            while stranger.alive:
                await stranger.throw(flood)

        await strangers.each(push, 4)
