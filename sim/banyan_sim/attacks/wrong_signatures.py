from __future__ import annotations

from banyan_sim.attack import Attack, Strangers, Victim
from banyan_sim.forge import pushed, pushes

EACH = 500


class WrongSignatures(Attack):
    about = "frames of 500 control entries whose signatures are wrong, each from an identity until it is banned"

    async def run(self, strangers: Strangers, victim: Victim) -> None:
        items = []
        for _ in range(strangers.few(EACH)):
            account = strangers.forge.account()
            item = account.item()
            item.entries[0][1] = strangers.random(63) + b"\0"
            items.append(pushed(item, account.mid))
        frame = pushes(*items)

        async def lie(n: int) -> None:
            stranger = await strangers.meet()
            while stranger.alive:
                await stranger.throw(frame)

        await strangers.each(lie, 4)
