from __future__ import annotations

from collections.abc import Callable

from banyan_crdt.ids import base58
from banyan_replica.gossip.frames import ForwardJoin, PeerInfo, PushFrame, Shuffle
from banyan_replica.gossip.settings import MAX_ADDRS, MAX_SAMPLE, MAX_TTL
from banyan_sim.attack import Attack, Attacker, Attackers, Victim
from banyan_sim.forge import gossip, pushed, pushes


def invented(random: Callable[[int], bytes]) -> PeerInfo:
    """A peer that there is not, with as many and as long addresses as a frame may have."""
    where = [f"/dns4/{base58(random(150))}.invalid/tcp/4001" for _ in range(MAX_ADDRS - 1)]
    return PeerInfo(f"12D3Koo{base58(random(32))}", ("/ip4/127.0.0.1/tcp/9", *where))


class Shuffles(Attack):
    about = "neighbours that exchange 32 invented peers at a time, and say that invented peers want to join"
    needs = 8

    async def run(self, strangers: Attackers, victim: Victim) -> None:
        random = strangers.random

        async def mix(stranger: Attacker) -> None:
            await stranger.join()
            for _ in range(20):
                sample = tuple(invented(random) for _ in range(MAX_SAMPLE))
                await stranger.throw(
                    gossip(Shuffle(invented(random), MAX_TTL, sample)), gossip(ForwardJoin(invented(random), 0))
                )
                await strangers.sleep(0.02)

        await strangers.repeat(mix, 8)


EVERY_S = 1.0


class Eclipse(Attack):
    about = "all join as neighbours of the victim, so that the honest one has no place, and pass nothing on"
    needs = 20

    async def run(self, strangers: Attackers, victim: Victim) -> None:
        async def join(stranger: Attacker) -> None:
            await stranger.join()
            await strangers.sleep(EVERY_S)

        await strangers.repeat(join)


TWICE, STORM, STORM_EACH = 40, 32, 250
"""Frames that the victim gets first and then again from its neighbour, frames that only the neighbour gets, and the
accounts in each: 8,000 in one storm."""


class GraftStorm(Attack):
    about = "8,000 new accounts that the honest neighbour must announce, after it was made to look superfluous"
    needs = 5
    spreads = True

    async def run(self, strangers: Attackers, victim: Victim) -> None:
        near = [await strangers.meet() for _ in range(4)]
        source = await strangers.meet(victim.neighbour)
        for stranger in near:
            await stranger.join()
        while True:
            for _ in range(TWICE):
                frame, _ = strangers.forge.minted(strangers.few(8))
                await near[0].throw(frame)
                await strangers.sleep(0.03)
                await source.throw(frame)
            for _ in range(STORM):
                frame, _ = strangers.forge.minted(strangers.few(STORM_EACH))
                await source.throw(frame)
                await strangers.sleep(0)


PROMISES_EACH, PAUSE_S = 16, 0.05


class Promises(Attack):
    about = "neighbours that announce 320 invented messages a second each, and send none when asked"
    needs = 8

    async def run(self, strangers: Attackers, victim: Victim) -> None:
        async def promise(n: int) -> None:
            stranger = await strangers.meet()
            await stranger.join()
            while stranger.alive:
                await stranger.throw(gossip(PushFrame((), tuple(strangers.random(16) for _ in range(PROMISES_EACH)))))
                await strangers.sleep(PAUSE_S)

        await strangers.each(promise, 8)


LOGS, RUN = 16, 1_024


class NotYet(Attack):
    about = "gossip of runs whose beginning the node lacks, again and again: decoded, checked and dropped each time"

    async def run(self, strangers: Attackers, victim: Victim) -> None:
        account = strangers.forge.account()
        half = strangers.few(RUN)
        logs = [account.log(n + 1) for n in range(strangers.few(LOGS))]
        for log in logs:
            log.write(count=2 * half)
        opening = pushes(pushed(account.item(), account.mid))
        flood = pushes(*(log.push(half, 2 * half) for log in logs))

        async def push(n: int) -> None:
            stranger = await strangers.meet()
            await stranger.throw(opening)
            while stranger.alive:
                await stranger.throw(flood)

        await strangers.each(push, 4)


DAY_MS, DATED_EACH = 86_400_000, 64


class FutureDates(Attack):
    about = "gossip of entries that are dated a day ahead, so that the victim doubts its own clock"
    spreads = True

    async def run(self, strangers: Attackers, victim: Victim) -> None:
        async def date(stranger: Attacker) -> None:
            accounts = [strangers.forge.account() for _ in range(strangers.few(DATED_EACH))]
            await stranger.throw(pushes(*(pushed(a.item(), a.mid) for a in accounts)))
            logs = [a.log(1, strangers.forge.now_ms() + DAY_MS) for a in accounts]
            for log in logs:
                log.write()
            await stranger.throw(pushes(*(log.push(0, 1) for log in logs)))
            await strangers.sleep(0.1)

        await strangers.repeat(date, 4)
