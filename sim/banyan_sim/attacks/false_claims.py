from __future__ import annotations

from banyan_crdt.ids import AccountId, EntryId, Head, LogId, WriterKey
from banyan_crdt.realm import TEST
from banyan_replica.wire import VERSION, Heads, Hello, Root
from banyan_sim.attack import Attack, Stranger, Strangers, Victim

HEADS, EVERY_S = 4_000, 1.0


class FalseClaims(Attack):
    about = "half say that they hold a million logs and read none of them out, half name logs that there are not"

    async def run(self, strangers: Strangers, victim: Victim) -> None:
        random = strangers.random

        async def claim(n: int) -> None:
            stranger = await strangers.meet(hello=False)
            many = 1_000_000 if n % 2 else 30
            await stranger.say(Hello(VERSION, TEST.id, random(16), many, random(32), many, b"", 0))
            while stranger.alive:
                await (stranger.say(Root(many, random(32), many)) if n % 2 else self._name(strangers, stranger))
                await strangers.sleep(EVERY_S)

        await strangers.each(claim)

    async def _name(self, strangers: Strangers, stranger: Stranger) -> None:
        random = strangers.random
        heads = [
            (
                LogId(AccountId(random(32)), WriterKey(random(32)), 1),
                Head(9_000, EntryId(random(32)), 0),
            )
            for _ in range(strangers.few(HEADS))
        ]
        await stranger.say(Heads(b"", 0, heads))
