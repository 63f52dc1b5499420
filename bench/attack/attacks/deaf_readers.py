from __future__ import annotations

import trio

from banyan_sim.attack import Attack, Victim
from banyan_sim.attacks.questions import shelve
from bench.attack.strangers import Strangers

TIMES = 7
"""Megabytes asked for: just less than the bytes that may wait for one peer."""


class DeafReaders(Attack):
    about = "everybody asks for seven megabytes and then reads nothing more"

    async def run(self, strangers: Strangers, victim: Victim) -> None:
        question = await shelve(strangers)

        async def ask(n: int) -> None:
            stranger = await strangers.meet()
            stranger.deafen()
            await stranger.say(*[question] * TIMES)
            with trio.move_on_after(5):
                await stranger.over.wait()
            await stranger.part()

        await strangers.each(ask)
