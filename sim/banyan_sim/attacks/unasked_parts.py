from __future__ import annotations

from banyan_crdt.ids import EntryId
from banyan_replica.wire import Parts, encode_message
from banyan_sim.attack import Attack, Strangers, Victim

ROWS = 100_000


class UnaskedParts(Attack):
    about = "answers of 4 MB to questions that nobody asked: read strictly, then ignored, and free"

    async def run(self, strangers: Strangers, victim: Victim) -> None:
        random = strangers.random
        frame = encode_message(Parts([(EntryId(random(32)), 0, None, b"") for _ in range(strangers.few(ROWS))]))

        async def answer(n: int) -> None:
            stranger = await strangers.meet()
            while stranger.alive:
                await stranger.throw(frame)

        await strangers.each(answer, 4)
