from __future__ import annotations

import trio

from banyan_crdt.ops import Pin
from bench.attack.attack import Attack, Victim
from bench.attack.forge import Account, pushed, pushes
from bench.attack.strangers import Strangers

LOGS, ENTRIES, RUN = 30, 9_216, 1_024
"""Logs of one account and their entries, of seven bytes each; entries in one signature."""
EVERY_S = 0.05
"""The pause between two control entries."""


class PinnedForks(Attack):
    about = "logs of 276,480 entries, each forked at its end, then control entries that each pin a place in all of them"

    async def run(self, strangers: Strangers, victim: Victim) -> None:
        account, stranger = Account(), await strangers.meet()
        await stranger.throw(pushes(pushed(account.item(), account.mid)))
        logs = [account.log(n + 1) for n in range(LOGS)]
        for log in logs:
            log.write(count=ENTRIES)
            await stranger.throw(pushes(*(log.push(at, at + RUN) for at in range(0, ENTRIES, RUN))))
            twin = log.fork(ENTRIES - 1)
            twin.write()
            await stranger.throw(pushes(twin.push(ENTRIES - 1, ENTRIES)))
            await trio.sleep(0)
        for n in range(2_000):
            place = ENTRIES - 2 - n
            account.control(*(Pin(log.id.writer, log.id.log, place, log.ids[place]) for log in logs))
            await stranger.throw(pushes(pushed(account.item(len(account.path) - 1), account.mid)))
            await trio.sleep(EVERY_S)
