from __future__ import annotations

import trio

from bench.attack.attack import Attack, Victim
from bench.attack.strangers import Strangers


class Nothing(Attack):
    about = "nobody attacks: what the other rows are compared with"

    async def run(self, strangers: Strangers, victim: Victim) -> None:
        await trio.sleep_forever()
