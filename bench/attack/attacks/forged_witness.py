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

HOUR_MS = 3_600_000


class ForgedWitness(Attack):
    about = "self-made platforms vouch for the victim's root, and say that its clock is an hour ahead"
    needs = 3

    async def run(self, strangers: Strangers, victim: Victim) -> None:
        async def vouch(n: int) -> None:
            platform, late = Signer(TEST, os.urandom(32)), Signer(TEST, os.urandom(32))
            stranger = await strangers.meet()
            while stranger.alive:
                now, root = now_ms(), stranger.root[1]
                name = EntryId(H("witness", now.to_bytes(8, "big"), root))
                await stranger.say(
                    Witness(platform.key, now, root, platform.sign(name)),
                    Witness(late.key, now - HOUR_MS, root, bytes(64)),
                )
                await trio.sleep(1)

        await strangers.each(vouch, 3)
