from __future__ import annotations

from banyan_crdt.ids import EntryId
from banyan_crdt.ops import Unknown, encode_ops
from banyan_replica.wire.message_table import encode_message
from banyan_replica.wire.messages import LAST, Credit, Interest, Scan, Sketch, SketchNames, Want, Wants
from banyan_replica.wire.messages import WantParts as Question
from banyan_sim.attack import Attack, Attacker, Attackers, Victim
from banyan_sim.forge import ForgedLog, pushed, pushes

POSTS, SIZE, AT_ONCE = 17, 60_000, 8
"""Posts, and bytes of each: a megabyte in all, as much as one answer has. Questions at once."""


async def shelve(strangers: Attackers) -> Question:
    """Puts a megabyte of content into the victim's store. Returns the question that is answered with all of it."""
    writer, account = await strangers.meet(), strangers.forge.account()
    log, contents = account.log(1), list[bytes | None]()
    for _ in range(POSTS):
        ops, size, raw = strangers.forge.large_post(strangers.few(SIZE))
        log.write(ops, size)
        contents.append(raw)
    posts = [log.push(n, n + 1, [contents[n]]) for n in range(POSTS)]
    await writer.throw(pushes(pushed(account.item(), account.mid)), pushes(*posts))
    await strangers.sleep(1)
    return Question([(EntryId(entry), 0) for entry in log.ids])


class WantParts(Attack):
    about = "questions of 700 bytes that are answered with a megabyte of content each, and read"

    async def run(self, strangers: Attackers, victim: Victim) -> None:
        question = await shelve(strangers)

        async def ask(stranger: Attacker) -> None:
            await stranger.say(*[question] * strangers.few(AT_ONCE))
            await strangers.sleep(0.1)

        await strangers.repeat(ask)


LOGS, BRANCH = 4, 62
"""Forked logs, and entries of 16 KB in each of their two branches: about a megabyte under one signature."""
LARGE = encode_ops((Unknown(99, (bytes(16_200),)),))
UNREAD = 50


class LooseReaders(Attack):
    about = "everybody asks for both branches of forked logs, and gives no credit for the answer"
    spreads = True

    async def run(self, strangers: Attackers, victim: Victim) -> None:
        account, writer = strangers.forge.account(), await strangers.meet()
        await writer.throw(pushes(pushed(account.item(), account.mid)))
        branch, wants = strangers.few(BRANCH), list[Want]()
        for number in range(1, LOGS + 1):
            log = account.log(number)
            log.write(count=2)
            twin: ForgedLog = log.fork(1)
            log.write(LARGE, count=branch)
            twin.write(LARGE, count=branch + 1)
            await writer.throw(pushes(log.push(0, 1)), pushes(log.push(1, len(log.ids))))
            await writer.throw(pushes(twin.push(1, len(twin.ids))))
            wants.append(Want(log.id, [(0, log.ids[0])]))
        await strangers.sleep(1)

        async def read(n: int) -> None:
            stranger = await strangers.meet()
            stranger.credits = False
            for _ in range(strangers.few(UNREAD)):
                await stranger.say(Wants(wants))
            await stranger.ended()

        await strangers.each(read)


PLACES = (4 << 20) // 8 - 16


class DearNames(Attack):
    about = "questions of 4 MiB: which logs are at these half million places?"

    async def run(self, strangers: Attackers, victim: Victim) -> None:
        places = strangers.random(8 * strangers.few(PLACES))

        await strangers.repeat(lambda stranger: stranger.say(SketchNames(b"", places)), 4)


class SaltedSketches(Attack):
    about = "questions under ever new salts, for each of which the whole frontier must be read"

    async def run(self, strangers: Attackers, victim: Victim) -> None:
        async def ask(stranger: Attacker) -> None:
            await stranger.say(Sketch(strangers.random(16), 0, 0, 0, strangers.random(88)))
            await strangers.sleep(0.01)

        await strangers.repeat(ask)


EVERY_S = 0.005


class RestartedScans(Attack):
    about = "everybody asks for the whole network from its beginning, two hundred times a second, and gives credit"

    async def run(self, strangers: Attackers, victim: Victim) -> None:
        async def restart(n: int) -> None:
            stranger, reading = await strangers.meet(), 0
            while stranger.alive:
                reading += 1
                await stranger.say(Scan(reading, b"", LAST))
                await strangers.sleep(EVERY_S)

        await strangers.each(restart)


NAMES = 65_536


class Interests(Attack):
    about = "everybody follows 65,536 accounts, and others the next moment"
    on_chosen = True

    async def run(self, strangers: Attackers, victim: Victim) -> None:
        async def follow(stranger: Attacker) -> None:
            held = b"".join(account[:16] for account in victim.followed[:8])
            await stranger.say(Interest(0, held + strangers.random(16 * strangers.few(NAMES - 8))))

        await strangers.repeat(follow, 8)


TIMES = 5_000


class TinyFrames(Attack):
    about = "frames of three bytes that say nothing, as many as the links take"

    async def run(self, strangers: Attackers, victim: Victim) -> None:
        frames = [encode_message(Credit(0))] * strangers.few(TIMES)

        await strangers.repeat(lambda stranger: stranger.throw(*frames), 4)


ITEMS = (4 << 20) - 16
"""Empty arrays in one `data`: with so many it is the largest frame, which is largest again when it is decoded."""


class EmptyArrays(Attack):
    about = "frames of 4 MiB of empty arrays, each from an identity until it is banned, then from a new one"

    async def run(self, strangers: Attackers, victim: Victim) -> None:
        items = strangers.few(ITEMS)
        frame = b"\x82\x07\x9a" + items.to_bytes(4, "big") + b"\x80" * items

        await strangers.repeat(lambda stranger: stranger.throw(frame), 4)


JUNK = b"\x82\x18\x63\x00"
"""A message with a code that there is not."""


class RedialBanned(Attack):
    about = "banned identities dial again at once, for as long as they are banned"

    async def run(self, strangers: Attackers, victim: Victim) -> None:
        keys = [strangers.random(32) for _ in range(strangers.identities)]
        strangers.tally.identities += len(keys)

        async def dial(n: int) -> None:
            stranger = await strangers.meet(key=keys[n], hello=False)
            await stranger.greet()
            for _ in range(4):
                await stranger.throw(JUNK)
            await stranger.ended()

        await strangers.each(dial, 8)
