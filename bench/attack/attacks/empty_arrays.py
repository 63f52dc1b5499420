from __future__ import annotations

from bench.attack.attack import Attack, Victim
from bench.attack.strangers import Strangers

ITEMS = (4 << 20) - 16
FRAME = b"\x82\x07\x9a" + ITEMS.to_bytes(4, "big") + b"\x80" * ITEMS
"""`data` with four million empty arrays: the largest frame, which is largest again when it is decoded."""


class EmptyArrays(Attack):
    about = "frames of 4 MiB of empty arrays, each from an identity until it is banned, then from a new one"

    async def run(self, strangers: Strangers, victim: Victim) -> None:
        async def throw(n: int) -> None:
            stranger = await strangers.meet()
            while stranger.alive:
                await stranger.throw(FRAME)

        await strangers.each(throw, 4)
