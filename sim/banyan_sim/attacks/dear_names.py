from __future__ import annotations

from banyan_replica.wire import SketchNames
from banyan_sim.attack import Attack, Strangers, Victim

PLACES = (4 << 20) // 8 - 16


class DearNames(Attack):
    about = "questions of 4 MiB: which logs are at these half million places?"

    async def run(self, strangers: Strangers, victim: Victim) -> None:
        places = strangers.random(8 * strangers.few(PLACES))

        async def ask(n: int) -> None:
            stranger = await strangers.meet()
            while stranger.alive:
                await stranger.say(SketchNames(b"", places))

        await strangers.each(ask, 4)
