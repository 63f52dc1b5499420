from __future__ import annotations

from banyan_crdt.ids import AccountId, EntryId
from banyan_replica.wire import ABILITIES, BUSY, NOTICES, Notices, SketchCells, WantNotices
from banyan_sim.attack import Attack, Strangers, Victim

ACCOUNTS, AUTHORS = 256, 64
"""As many as an honest node answers in a question, and as an answer may have."""


class FalseNotices(Attack):
    about = "neighbours that ask all the time who names its accounts, and tell 64 authors at a time that do not exist"
    needs = 8
    on_chosen = True

    async def run(self, strangers: Strangers, victim: Victim) -> None:
        random = strangers.random
        account, names = AccountId(victim.account), strangers.few(ACCOUNTS)

        async def tell(n: int) -> None:
            stranger = await strangers.meet()
            await stranger.join()
            await stranger.say(SketchCells(ABILITIES, NOTICES, BUSY, 0, b""))
            while stranger.alive:
                if n % 2:
                    told = [(account, AccountId(random(32)), EntryId(random(32))) for _ in range(AUTHORS)]
                    await stranger.say(Notices(random(8), 1, told))
                else:
                    others = b"".join(victim.followed[: names - 1])
                    await stranger.say(WantNotices(bytes(8), account + others + random(32)))
                await strangers.sleep(0.01)

        await strangers.each(tell)
