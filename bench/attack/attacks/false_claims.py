from __future__ import annotations

import os

import trio

from banyan_crdt.ids import AccountId, EntryId, Head, LogId, WriterKey
from banyan_crdt.realm import TEST
from banyan_replica.wire import VERSION, Heads, Hello, Root
from bench.attack.attack import Attack, Victim
from bench.attack.strangers import Stranger, Strangers

HEADS, EVERY_S = 4_000, 1.0


class FalseClaims(Attack):
    about = "half say that they hold a million logs and read none of them out, half name logs that there are not"

    async def run(self, strangers: Strangers, victim: Victim) -> None:
        async def claim(n: int) -> None:
            stranger = await strangers.meet(hello=False)
            many = 1_000_000 if n % 2 else 30
            await stranger.say(Hello(VERSION, TEST.id, os.urandom(16), many, os.urandom(32), many, b"", 0))
            while stranger.alive:
                await (stranger.say(Root(many, os.urandom(32), many)) if n % 2 else self._name(stranger))
                await trio.sleep(EVERY_S)

        await strangers.each(claim)

    async def _name(self, stranger: Stranger) -> None:
        heads = [
            (LogId(AccountId(os.urandom(32)), WriterKey(os.urandom(32)), 1), Head(9_000, EntryId(os.urandom(32)), 0))
            for _ in range(HEADS)
        ]
        await stranger.say(Heads(b"", 0, heads))
