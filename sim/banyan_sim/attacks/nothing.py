from __future__ import annotations

from math import inf

from banyan_sim.attack import Attack, Attackers, Victim


class Nothing(Attack):
    about = "nobody attacks: what the other rows are compared with"

    async def run(self, strangers: Attackers, victim: Victim) -> None:
        await strangers.sleep(inf)
