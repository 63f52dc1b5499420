from __future__ import annotations

from banyan_replica.wire import Credit, encode_message
from banyan_sim.attack import Attack, Attackers, Victim

TIMES = 5_000


class TinyFrames(Attack):
    about = "frames of three bytes that say nothing, as many as the links take"

    async def run(self, strangers: Attackers, victim: Victim) -> None:
        frames = [encode_message(Credit(0))] * strangers.few(TIMES)

        async def drizzle(n: int) -> None:
            stranger = await strangers.meet()
            while stranger.alive:
                await stranger.throw(*frames)

        await strangers.each(drizzle, 4)


ITEMS = (4 << 20) - 16
"""Empty arrays in one `data`: with so many it is the largest frame, which is largest again when it is decoded."""


class EmptyArrays(Attack):
    about = "frames of 4 MiB of empty arrays, each from an identity until it is banned, then from a new one"

    async def run(self, strangers: Attackers, victim: Victim) -> None:
        items = strangers.few(ITEMS)
        frame = b"\x82\x07\x9a" + items.to_bytes(4, "big") + b"\x80" * items

        async def throw(n: int) -> None:
            stranger = await strangers.meet()
            while stranger.alive:
                await stranger.throw(frame)

        await strangers.each(throw, 4)


JUNK = b"\x82\x18\x63\x00"
"""A message with a code that there is not."""


class RedialBanned(Attack):
    about = "banned identities dial again at once, for as long as they are banned"

    async def run(self, strangers: Attackers, victim: Victim) -> None:
        keys = [strangers.random(32) for _ in range(strangers.identities)]
        strangers.tally.identities += len(keys)

        async def dial(n: int) -> None:
            stranger = await strangers.meet(key=keys[n], hello=False)
            await stranger.greet()
            for _ in range(4):
                await stranger.throw(JUNK)
            await stranger.ended()

        await strangers.each(dial, 8)
