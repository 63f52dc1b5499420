from __future__ import annotations

from banyan_crdt.checkpoint import Place, encode_checkpoint, make_checkpoint
from banyan_crdt.realm import TEST
from banyan_replica.wire import CheckpointItem
from banyan_sim.attack import Attack, Strangers, Victim
from banyan_sim.forge import pushed, pushes

EACH, NUMBERS = 200, 10_000
"""Checkpoints in one frame, and of one account."""


class Checkpoints(Attack):
    about = "an account replaces its checkpoint 10,000 times, then the next account does"
    spreads = True

    async def run(self, strangers: Strangers, victim: Victim) -> None:
        each = strangers.few(EACH)

        async def replace(n: int) -> None:
            stranger = await strangers.meet()
            while stranger.alive:
                account = strangers.forge.account()
                await stranger.throw(pushes(pushed(account.item(), account.mid)))
                place = Place(0, account.path[0].id)
                for first in range(1, strangers.few(NUMBERS), each):
                    made = [
                        make_checkpoint(TEST, account.id, account.device, number, place, ())
                        for number in range(first, first + each)
                    ]
                    await stranger.throw(pushes(*(pushed(CheckpointItem(encode_checkpoint(c)), c.id) for c in made)))
                    await strangers.sleep(0)

        await strangers.each(replace, 2)
