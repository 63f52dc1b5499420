from __future__ import annotations

import os

import trio

from banyan_crdt.ids import EntryId
from banyan_crdt.ops import Pin
from bench.attack.attack import Attack, Victim
from bench.attack.forge import Account, pushed, pushes, writer
from bench.attack.strangers import Strangers

ENTRIES, PINS = 30, 190
"""Control entries of an account, of about 16 kB each: under the length from which on judging them is metered."""


class DeepControl(Attack):
    about = "control logs of 480 kB, pushed entry by entry, so that each entry has all before it judged again"

    async def run(self, strangers: Strangers, victim: Victim) -> None:
        async def push(n: int) -> None:
            stranger = await strangers.meet()
            while stranger.alive:
                account = Account()
                await stranger.throw(pushes(pushed(account.item(), account.mid)))
                for _ in range(ENTRIES):
                    account.control(*(Pin(writer(), 1, k, EntryId(os.urandom(32))) for k in range(PINS)))
                    await stranger.throw(pushes(pushed(account.item(len(account.path) - 1), account.mid)))
                    await trio.sleep(0)

        await strangers.each(push, 4)
