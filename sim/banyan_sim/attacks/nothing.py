from __future__ import annotations

from math import inf

from banyan_sim.attack import Attack, Strangers, Victim


class Nothing(Attack):
    about = "nobody attacks: what the other rows are compared with"

    async def run(self, strangers: Strangers, victim: Victim) -> None:
        await strangers.sleep(inf)
