from __future__ import annotations

from banyan_crdt.ids import AccountId, EntryId, H, Head, LogId, WriterKey
from banyan_crdt.realm import TEST
from banyan_crdt.signing import Signer
from banyan_replica.wire.messages import (
    ABILITIES,
    BUSY,
    NOTICES,
    VERSION,
    Heads,
    Hello,
    Message,
    Notices,
    Replay,
    Replayed,
    Root,
    SketchCells,
    WantNotices,
    Witness,
)
from banyan_sim.attack import Attack, Attacker, Attackers, Victim

HEADS, CLAIMS_EVERY_S = 4_000, 1.0


class FalseClaims(Attack):
    about = "half say that they hold a million logs and read none of them out, half name logs that there are not"

    async def run(self, strangers: Attackers, victim: Victim) -> None:
        random = strangers.random

        async def claim(n: int) -> None:
            stranger = await strangers.meet(hello=False)
            many = 1_000_000 if n % 2 else 30
            await stranger.say(Hello(VERSION, TEST.id, random(16), many, random(32), many, b"", 0))
            while stranger.alive:
                await (stranger.say(Root(many, random(32), many)) if n % 2 else self._name(strangers, stranger))
                await strangers.sleep(CLAIMS_EVERY_S)

        await strangers.each(claim)

    async def _name(self, strangers: Attackers, stranger: Attacker) -> None:
        random = strangers.random
        heads = [
            (LogId(AccountId(random(32)), WriterKey(random(32)), 1), Head(9_000, EntryId(random(32)), 0))
            for _ in range(strangers.few(HEADS))
        ]
        await stranger.say(Heads(b"", 0, heads))


AGREE_S, HOLD_S, TELLS_EVERY_S = 6.0, 10.5, 0.1
"""How long it pretends to hold the same, so that the node notes it; how long one replay is worth holding; how often it
says where it stands."""
ARRIVAL = 1_000_000


class EndlessReplay(Attack):
    about = "peers that were once equal to both honest nodes claim that much came since, and never tell all of it"
    needs = 6

    async def run(self, strangers: Attackers, victim: Victim) -> None:
        async def replay(n: int) -> None:
            key, store, address = strangers.random(32), strangers.random(16), (victim.address, victim.neighbour)[n % 2]
            strangers.tally.identities += 1
            first = await strangers.meet(address, key=key, store=store)
            until = strangers.now() + AGREE_S
            while first.alive and strangers.now() < until:  # it tells the node's own root, which the node told before
                await first.say(Root(*first.root))
                await strangers.sleep(TELLS_EVERY_S)
            await first.part()
            while True:
                await self._claim(strangers, address, key, store)

        await strangers.each(replay, 6)

    async def _claim(self, strangers: Attackers, address: str, key: bytes, store: bytes) -> None:
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
            await strangers.sleep(TELLS_EVERY_S)
        if not asked:
            return
        until = strangers.now() + HOLD_S
        while stranger.alive and strangers.now() < until:
            await stranger.say(Replayed(asked[-1], 0))
            await strangers.sleep(1)
        await stranger.part()


ACCOUNTS, AUTHORS = 256, 64
"""As many as an honest node answers in a question, and as an answer may have."""


class FalseNotices(Attack):
    about = "neighbours that ask all the time who names its accounts, and tell 64 authors at a time that do not exist"
    needs = 8
    on_chosen = True

    async def run(self, strangers: Attackers, victim: Victim) -> None:
        random = strangers.random
        account, names = AccountId(victim.account), strangers.few(ACCOUNTS)

        async def tell(n: int) -> None:
            stranger = await strangers.meet()
            await stranger.join()
            await stranger.say(SketchCells(ABILITIES, NOTICES, BUSY, 0, b""))
            while stranger.alive:
                if n % 2:
                    told = [(account, AccountId(random(32)), EntryId(random(32))) for _ in range(AUTHORS)]
                    await stranger.say(Notices(random(8), 1, told))
                else:
                    others = b"".join(victim.followed[: names - 1])
                    await stranger.say(WantNotices(bytes(8), account + others + random(32)))
                await strangers.sleep(0.01)

        await strangers.each(tell)


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

        async def state(stranger: Attacker) -> None:
            for _ in range(strangers.few(EACH)):
                platform, now, root = (Signer(TEST, random(32)), strangers.forge.now_ms(), random(32))
                name = EntryId(H("witness", now.to_bytes(8, "big"), root))
                await stranger.say(Witness(platform.key, now, root, platform.sign(name)))
            await strangers.sleep(0)

        await strangers.repeat(state, 8)
