from __future__ import annotations

import trio

from banyan_crdt.checkpoint import Place, encode_checkpoint, make_checkpoint
from banyan_crdt.realm import TEST
from banyan_replica.wire import CheckpointItem
from bench.attack.attack import Attack, Victim
from bench.attack.forge import Account, pushed, pushes
from bench.attack.strangers import Strangers

EACH, NUMBERS = 200, 10_000


class Checkpoints(Attack):
    about = "an account replaces its checkpoint 10,000 times, then the next account does"

    async def run(self, strangers: Strangers, victim: Victim) -> None:
        async def replace(n: int) -> None:
            stranger = await strangers.meet()
            while stranger.alive:
                account = Account()
                await stranger.throw(pushes(pushed(account.item(), account.mid)))
                place = Place(0, account.path[0].id)
                for first in range(1, NUMBERS, EACH):
                    made = [
                        make_checkpoint(TEST, account.id, account.device, number, place, ())
                        for number in range(first, first + EACH)
                    ]
                    await stranger.throw(pushes(*(pushed(CheckpointItem(encode_checkpoint(c)), c.id) for c in made)))
                    await trio.sleep(0)

        await strangers.each(replace, 2)
