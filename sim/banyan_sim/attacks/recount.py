from __future__ import annotations

from banyan_crdt.ops import Drop, Pin
from banyan_sim.attack import Attack, Strangers, Victim
from banyan_sim.forge import pushed, pushes

LOGS, ENTRIES, RUN = 30, 9_216, 1_024
"""Logs of one account and their entries, of seven bytes each; entries in one signature."""
PINS, EVERY_S = 4, 0.05
"""Control entries that name every log, for one that drops a log; the pause between two."""


class Recount(Attack):
    about = "one account of 276,480 tiny entries, then control entries that each make the node count it again"
    spreads = True

    async def run(self, strangers: Strangers, victim: Victim) -> None:
        run, entries = strangers.few(RUN), strangers.few(ENTRIES)
        account, stranger = strangers.forge.account(), await strangers.meet()
        await stranger.throw(pushes(pushed(account.item(), account.mid)))
        logs = [account.log(n + 1) for n in range(strangers.few(LOGS))]
        for log in logs:
            log.write(count=entries)
            await stranger.throw(pushes(*(log.push(at, at + run) for at in range(0, entries, run))))
            await strangers.sleep(0)
        for n in range(2_000):
            if n % (PINS + 1):
                place = entries - 1 - n % entries
                account.control(*(Pin(log.id.writer, log.id.log, place, log.ids[place]) for log in logs))
            else:
                account.control(Drop(account.device.key, 1 + n // (PINS + 1)))
            await stranger.throw(pushes(pushed(account.item(len(account.path) - 1), account.mid)))
            await strangers.sleep(EVERY_S)
