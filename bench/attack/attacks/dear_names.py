from __future__ import annotations

import os

from banyan_replica.wire import SketchNames
from bench.attack.attack import Attack, Victim
from bench.attack.strangers import Strangers

PLACES = (4 << 20) // 8 - 16


class DearNames(Attack):
    about = "questions of 4 MiB: which logs are at these half million places?"

    async def run(self, strangers: Strangers, victim: Victim) -> None:
        places = os.urandom(8 * PLACES)

        async def ask(n: int) -> None:
            stranger = await strangers.meet()
            while stranger.alive:
                await stranger.say(SketchNames(b"", places))

        await strangers.each(ask, 4)
