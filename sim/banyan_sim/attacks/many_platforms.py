from __future__ import annotations

from banyan_crdt.ids import EntryId, H
from banyan_crdt.realm import TEST
from banyan_crdt.signing import Signer
from banyan_replica.wire import Witness
from banyan_sim.attack import Attack, Strangers, Victim

EACH = 50


class ManyPlatforms(Attack):
    about = "statements of ever new platforms, which every node checks and passes on to all its neighbours"
    spreads = True

    async def run(self, strangers: Strangers, victim: Victim) -> None:
        random = strangers.random

        async def state(n: int) -> None:
            stranger = await strangers.meet()
            while stranger.alive:
                for _ in range(strangers.few(EACH)):
                    platform, now, root = (
                        Signer(TEST, random(32)),
                        strangers.forge.now_ms(),
                        random(32),
                    )
                    name = EntryId(H("witness", now.to_bytes(8, "big"), root))
                    await stranger.say(Witness(platform.key, now, root, platform.sign(name)))
                await strangers.sleep(0)

        await strangers.each(state, 8)
