from __future__ import annotations

from banyan_sim.attack import Attack, Strangers, Victim

ITEMS = (4 << 20) - 16
"""Empty arrays in one `data`: with so many it is the largest frame, which is largest again when it is decoded."""


class EmptyArrays(Attack):
    about = "frames of 4 MiB of empty arrays, each from an identity until it is banned, then from a new one"

    async def run(self, strangers: Strangers, victim: Victim) -> None:
        items = strangers.few(ITEMS)
        frame = b"\x82\x07\x9a" + items.to_bytes(4, "big") + b"\x80" * items

        async def throw(n: int) -> None:
            stranger = await strangers.meet()
            while stranger.alive:
                await stranger.throw(frame)

        await strangers.each(throw, 4)
