from __future__ import annotations

from banyan_crdt.ids import EntryId
from banyan_crdt.ops import Pin
from banyan_sim.attack import Attack, Strangers, Victim
from banyan_sim.forge import pushed, pushes

ENTRIES, PINS = 30, 190
"""Control entries of an account, of about 16 kB each: under the length from which on judging them is metered."""


class DeepControl(Attack):
    about = "control logs of 480 kB, pushed entry by entry, so that each entry has all before it judged again"
    spreads = True

    async def run(self, strangers: Strangers, victim: Victim) -> None:
        pins = strangers.few(PINS)

        async def push(n: int) -> None:
            stranger = await strangers.meet()
            while stranger.alive:
                account = strangers.forge.account()
                await stranger.throw(pushes(pushed(account.item(), account.mid)))
                for _ in range(strangers.few(ENTRIES)):
                    account.control(
                        *(Pin(strangers.forge.writer(), 1, k, EntryId(strangers.random(32))) for k in range(pins))
                    )
                    await stranger.throw(pushes(pushed(account.item(len(account.path) - 1), account.mid)))
                    await strangers.sleep(0)

        await strangers.each(push, 4)
