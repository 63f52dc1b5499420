from __future__ import annotations

import os

import trio

from banyan_replica.wire import Sketch
from bench.attack.attack import Attack, Victim
from bench.attack.strangers import Strangers


class SaltedSketches(Attack):
    about = "questions under ever new salts, for each of which the whole frontier must be read"

    async def run(self, strangers: Strangers, victim: Victim) -> None:
        async def ask(n: int) -> None:
            stranger = await strangers.meet()
            while stranger.alive:
                await stranger.say(Sketch(os.urandom(16), 0, 0, 0, os.urandom(88)))
                await trio.sleep(0.01)

        await strangers.each(ask)
