from __future__ import annotations

from banyan_sim.attack import Attack, Strangers, Victim
from banyan_sim.forge import pushed, pushes

DAY_MS, EACH = 86_400_000, 64


class FutureDates(Attack):
    about = "gossip of entries that are dated a day ahead, so that the victim doubts its own clock"
    spreads = True

    async def run(self, strangers: Strangers, victim: Victim) -> None:
        async def date(n: int) -> None:
            stranger = await strangers.meet()
            while stranger.alive:
                accounts = [strangers.forge.account() for _ in range(strangers.few(EACH))]
                await stranger.throw(pushes(*(pushed(a.item(), a.mid) for a in accounts)))
                logs = [a.log(1, strangers.forge.now_ms() + DAY_MS) for a in accounts]
                for log in logs:
                    log.write()
                await stranger.throw(pushes(*(log.push(0, 1) for log in logs)))
                await strangers.sleep(0.1)

        await strangers.each(date, 4)
