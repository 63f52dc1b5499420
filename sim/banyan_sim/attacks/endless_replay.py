from __future__ import annotations

from banyan_replica.wire import Message, Replay, Replayed, Root
from banyan_sim.attack import Attack, Strangers, Victim

AGREE_S, HOLD_S, EVERY_S = 6.0, 10.5, 0.1
"""How long it pretends to hold the same, so that the node notes it; how long one replay is worth holding; how often it
says where it stands."""
ARRIVAL = 1_000_000


class EndlessReplay(Attack):
    about = "peers that were once equal to both honest nodes claim that much came since, and never tell all of it"
    needs = 6

    async def run(self, strangers: Strangers, victim: Victim) -> None:
        async def replay(n: int) -> None:
            key, store, address = strangers.random(32), strangers.random(16), (victim.address, victim.neighbour)[n % 2]
            strangers.tally.identities += 1
            first = await strangers.meet(address, key=key, store=store)
            until = strangers.now() + AGREE_S
            while first.alive and strangers.now() < until:  # it tells the node's own root, which the node told before
                await first.say(Root(*first.root))
                await strangers.sleep(EVERY_S)
            await first.part()
            while True:
                await self._claim(strangers, address, key, store)

        await strangers.each(replay, 6)

    async def _claim(self, strangers: Strangers, address: str, key: bytes, store: bytes) -> None:
        """Comes back and says that it received a million entries meanwhile, until it is asked for them; then it holds
        the node for as long as a replay stops comparisons with others."""
        stranger = await strangers.meet(address, key=key, hello=False)
        asked = list[int]()

        def note(message: Message) -> None:
            if isinstance(message, Replay):
                asked.append(message.arrival)

        stranger.on = note
        await stranger.greet(store, strangers.random(32), 30, ARRIVAL)
        while stranger.alive and not asked:
            await stranger.say(Root(30, strangers.random(32), ARRIVAL))
            await strangers.sleep(EVERY_S)
        if not asked:
            return
        until = strangers.now() + HOLD_S
        while stranger.alive and strangers.now() < until:
            await stranger.say(Replayed(asked[-1], 0))
            await strangers.sleep(1)
        await stranger.part()
