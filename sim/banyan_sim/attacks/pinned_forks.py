from __future__ import annotations

from banyan_crdt.ops import Pin
from banyan_sim.attack import Attack, Strangers, Victim
from banyan_sim.forge import pushed, pushes

LOGS, ENTRIES, RUN = 30, 9_216, 1_024
"""Logs of one account and their entries, of seven bytes each; entries in one signature."""
EVERY_S = 0.05
"""The pause between two control entries."""


class PinnedForks(Attack):
    about = "logs of 276,480 entries, each forked at its end, then control entries that each pin a place in all of them"
    spreads = True

    async def run(self, strangers: Strangers, victim: Victim) -> None:
        run, entries = strangers.few(RUN), strangers.few(ENTRIES)
        account, stranger = strangers.forge.account(), await strangers.meet()
        await stranger.throw(pushes(pushed(account.item(), account.mid)))
        logs = [account.log(n + 1) for n in range(strangers.few(LOGS))]
        for log in logs:
            log.write(count=entries)
            await stranger.throw(pushes(*(log.push(at, at + run) for at in range(0, entries, run))))
            twin = log.fork(entries - 1)
            twin.write()
            await stranger.throw(pushes(twin.push(entries - 1, entries)))
            await strangers.sleep(0)
        for n in range(2_000):
            place = entries - 2 - n % (entries - 1)
            account.control(*(Pin(log.id.writer, log.id.log, place, log.ids[place]) for log in logs))
            await stranger.throw(pushes(pushed(account.item(len(account.path) - 1), account.mid)))
            await strangers.sleep(EVERY_S)
