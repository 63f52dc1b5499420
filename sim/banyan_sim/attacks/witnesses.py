from __future__ import annotations

from banyan_crdt.ids import EntryId, H
from banyan_crdt.realm import TEST
from banyan_crdt.signing import Signer
from banyan_replica.wire import Witness
from banyan_sim.attack import Attack, Attackers, Victim

HOUR_MS = 3_600_000


class ForgedWitness(Attack):
    about = "self-made platforms vouch for the victim's root, and say that its clock is an hour ahead"
    needs = 3
    spreads = True

    async def run(self, strangers: Attackers, victim: Victim) -> None:
        async def vouch(n: int) -> None:
            platform, late = Signer(TEST, strangers.random(32)), Signer(TEST, strangers.random(32))
            stranger = await strangers.meet()
            while stranger.alive:
                now, root = strangers.forge.now_ms(), stranger.root[1]
                name = EntryId(H("witness", now.to_bytes(8, "big"), root))
                await stranger.say(
                    Witness(platform.key, now, root, platform.sign(name)),
                    Witness(late.key, now - HOUR_MS, root, bytes(64)),
                )
                await strangers.sleep(1)

        await strangers.each(vouch, 3)


EACH = 50


class ManyPlatforms(Attack):
    about = "statements of ever new platforms, which every node checks and passes on to all its neighbours"
    spreads = True

    async def run(self, strangers: Attackers, victim: Victim) -> None:
        random = strangers.random

        async def state(n: int) -> None:
            stranger = await strangers.meet()
            while stranger.alive:
                for _ in range(strangers.few(EACH)):
                    platform, now, root = (Signer(TEST, random(32)), strangers.forge.now_ms(), random(32))
                    name = EntryId(H("witness", now.to_bytes(8, "big"), root))
                    await stranger.say(Witness(platform.key, now, root, platform.sign(name)))
                await strangers.sleep(0)

        await strangers.each(state, 8)
