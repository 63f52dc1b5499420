from __future__ import annotations

from banyan_sim.attack import Attack, Strangers, Victim
from banyan_sim.attacks.recount import CONTROL, EVERY_S, pin_all, tiny_entries
from banyan_sim.forge import pushed, pushes


class PinnedForks(Attack):
    about = "logs of 276,480 entries, each forked at its end, then control entries that each pin a place in all of them"
    spreads = True

    async def run(self, strangers: Strangers, victim: Victim) -> None:
        stranger = await strangers.meet()
        account, logs = await tiny_entries(strangers, stranger, forked=True)
        for n in range(CONTROL):
            pin_all(account, logs, 2 + n % (len(logs[0].ids) - 1))
            await stranger.throw(pushes(pushed(account.item(len(account.path) - 1), account.mid)))
            await strangers.sleep(EVERY_S)
