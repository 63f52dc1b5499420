from __future__ import annotations

import os

import trio

from banyan_replica.wire import Message, Replay, Replayed, Root
from bench.attack.attack import Attack, Victim
from bench.attack.strangers import Strangers

AGREE_S, SAY_S = 6.0, 1.0
"""How long it pretends to hold the same, so that the victim notes it; how often it says that the replay goes on."""


class EndlessReplay(Attack):
    about = "peers that were once equal claim to have received much since, and never end what the victim then asks for"
    needs = 3

    async def run(self, strangers: Strangers, victim: Victim) -> None:
        async def replay(n: int) -> None:
            key, store = os.urandom(32), os.urandom(16)
            strangers.tally.identities += 1
            first = await strangers.meet(key=key, store=store)
            with trio.move_on_after(AGREE_S):
                while first.alive:  # it tells the victim's own root, which the victim told before
                    await first.say(Root(*first.root))
                    await trio.sleep(0.2)
            await first.part()
            while True:
                await self._claim(strangers, key, store)

        await strangers.each(replay, 3)

    async def _claim(self, strangers: Strangers, key: bytes, store: bytes) -> None:
        """Comes back and says that it received a million entries meanwhile."""
        stranger = await strangers.meet(key=key, hello=False)
        asked = list[int]()

        def note(message: Message) -> None:
            if isinstance(message, Replay):
                asked.append(message.arrival)

        stranger.on = note
        at = 1_000_000
        await stranger.greet(store, os.urandom(32), 30, at)
        until = trio.current_time() + 9.0  # it comes again before the victim compares with others
        while stranger.alive and trio.current_time() < until:
            if asked:
                await stranger.say(Replayed(asked[-1], 0))
            await trio.sleep(SAY_S)
        await stranger.part()
