from __future__ import annotations

from collections.abc import Callable

from banyan_crdt.ids import base58
from banyan_replica.gossip.frames import ForwardJoin, PeerInfo, Shuffle
from banyan_replica.gossip.settings import MAX_ADDRS, MAX_SAMPLE, MAX_TTL
from banyan_sim.attack import Attack, Strangers, Victim
from banyan_sim.forge import gossip


def invented(random: Callable[[int], bytes]) -> PeerInfo:
    """A peer that there is not, with as many and as long addresses as a frame may have."""
    where = [f"/dns4/{base58(random(150))}.invalid/tcp/4001" for _ in range(MAX_ADDRS - 1)]
    return PeerInfo(f"12D3Koo{base58(random(32))}", ("/ip4/127.0.0.1/tcp/9", *where))


class Shuffles(Attack):
    about = "neighbours that exchange 32 invented peers at a time, and say that invented peers want to join"
    needs = 8

    async def run(self, strangers: Strangers, victim: Victim) -> None:
        random = strangers.random

        async def mix(n: int) -> None:
            stranger = await strangers.meet()
            while stranger.alive:
                await stranger.join()
                for _ in range(20):
                    sample = tuple(invented(random) for _ in range(MAX_SAMPLE))
                    await stranger.throw(
                        gossip(Shuffle(invented(random), MAX_TTL, sample)),
                        gossip(ForwardJoin(invented(random), 0)),
                    )
                    await strangers.sleep(0.02)

        await strangers.each(mix, 8)
