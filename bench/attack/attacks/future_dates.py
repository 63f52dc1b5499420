from __future__ import annotations

import trio

from bench.attack.attack import Attack, Victim
from bench.attack.forge import Account, Log, now_ms, pushed, pushes
from bench.attack.strangers import Strangers

DAY_MS, EACH = 86_400_000, 64


class FutureDates(Attack):
    about = "gossip of entries that are dated a day ahead, so that the victim doubts its own clock"

    async def run(self, strangers: Strangers, victim: Victim) -> None:
        async def date(n: int) -> None:
            stranger = await strangers.meet()
            while stranger.alive:
                accounts = [Account() for _ in range(EACH)]
                await stranger.throw(pushes(*(pushed(a.item(), a.mid) for a in accounts)))
                logs = [Log(a, 1, now_ms() + DAY_MS) for a in accounts]
                for log in logs:
                    log.write()
                await stranger.throw(pushes(*(log.push(0, 1) for log in logs)))
                await trio.sleep(0.1)

        await strangers.each(date, 4)
