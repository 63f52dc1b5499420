from __future__ import annotations

from banyan_replica.wire import LAST, Scan
from banyan_sim.attack import Attack, Strangers, Victim

EVERY_S = 0.005


class RestartedScans(Attack):
    about = "everybody asks for the whole network from its beginning, two hundred times a second, and gives credit"

    async def run(self, strangers: Strangers, victim: Victim) -> None:
        async def restart(n: int) -> None:
            stranger, reading = await strangers.meet(), 0
            while stranger.alive:
                reading += 1
                await stranger.say(Scan(reading, b"", LAST))
                await strangers.sleep(EVERY_S)

        await strangers.each(restart)
