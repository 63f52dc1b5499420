from __future__ import annotations

import os

import trio

from banyan_crdt.ids import EntryId, H
from banyan_crdt.realm import TEST
from banyan_crdt.signing import Signer
from banyan_replica.wire import Witness
from bench.attack.attack import Attack, Victim
from bench.attack.forge import now_ms
from bench.attack.strangers import Strangers

EACH = 50


class ManyPlatforms(Attack):
    about = "statements of ever new platforms, which every node checks and passes on to all its neighbours"

    async def run(self, strangers: Strangers, victim: Victim) -> None:
        async def state(n: int) -> None:
            stranger = await strangers.meet()
            while stranger.alive:
                for _ in range(EACH):
                    platform, now, root = Signer(TEST, os.urandom(32)), now_ms(), os.urandom(32)
                    name = EntryId(H("witness", now.to_bytes(8, "big"), root))
                    await stranger.say(Witness(platform.key, now, root, platform.sign(name)))
                await trio.sleep(0)

        await strangers.each(state, 8)
