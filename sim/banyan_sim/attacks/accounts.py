from __future__ import annotations

from banyan_crdt.checkpoint import ControlRef, encode_checkpoint, make_checkpoint
from banyan_crdt.ids import EntryId
from banyan_crdt.ops import Pin
from banyan_crdt.realm import TEST
from banyan_replica.wire.message_table import encode_message
from banyan_replica.wire.messages import CheckpointItem, Message, Parts, WantParts
from banyan_sim.attack import Attack, Attacker, Attackers, Victim
from banyan_sim.forge import pushed, pushes

ACCOUNTS_EACH = 256


class MintAccounts(Attack):
    about = "new accounts as fast as one process can make them"
    spreads = True

    async def run(self, strangers: Attackers, victim: Victim) -> None:
        async def mint(stranger: Attacker) -> None:
            frame, _ = strangers.forge.minted(strangers.few(ACCOUNTS_EACH))
            await stranger.throw(frame)
            await strangers.sleep(0)

        await strangers.repeat(mint, 4)


CHECKPOINTS_EACH, NUMBERS = 200, 10_000
"""Checkpoints in one frame, and of one account."""


class Checkpoints(Attack):
    about = "an account replaces its checkpoint 10,000 times, then the next account does"
    spreads = True

    async def run(self, strangers: Attackers, victim: Victim) -> None:
        each = strangers.few(CHECKPOINTS_EACH)

        async def replace(stranger: Attacker) -> None:
            account = strangers.forge.account()
            await stranger.throw(pushes(pushed(account.item(), account.mid)))
            place = ControlRef(0, account.path[0].id)
            for first in range(1, strangers.few(NUMBERS), each):
                made = [
                    make_checkpoint(TEST, account.id, account.device, number, place, ())
                    for number in range(first, first + each)
                ]
                await stranger.throw(pushes(*(pushed(CheckpointItem(encode_checkpoint(c)), c.id) for c in made)))
                await strangers.sleep(0)

        await strangers.repeat(replace, 2)


ENTRIES, PINS = 30, 190
"""Control entries of an account, of about 16 kB each: under the length from which on judging them is metered."""


class DeepControl(Attack):
    about = "control logs of 480 kB, pushed entry by entry, so that each entry has all before it judged again"
    spreads = True

    async def run(self, strangers: Attackers, victim: Victim) -> None:
        pins = strangers.few(PINS)

        async def push(stranger: Attacker) -> None:
            account = strangers.forge.account()
            await stranger.throw(pushes(pushed(account.item(), account.mid)))
            for _ in range(strangers.few(ENTRIES)):
                account.control(
                    *(Pin(strangers.forge.writer(), 1, k, EntryId(strangers.random(32))) for k in range(pins))
                )
                await stranger.throw(pushes(pushed(account.item(len(account.path) - 1), account.mid)))
                await strangers.sleep(0)

        await strangers.repeat(push, 4)


WRONG_EACH = 500


class WrongSignatures(Attack):
    about = "frames of 500 control entries whose signatures are wrong, each from an identity until it is banned"

    async def run(self, strangers: Attackers, victim: Victim) -> None:
        items = []
        for _ in range(strangers.few(WRONG_EACH)):
            account = strangers.forge.account()
            item = account.item()
            item.entries[0][1] = strangers.random(63) + b"\0"
            items.append(pushed(item, account.mid))
        frame = pushes(*items)

        await strangers.repeat(lambda stranger: stranger.throw(frame), 4)


BARE_EACH, BARE_SIZE, PAUSE_S = 8, 1_000, 0.05
"""Posts in one frame, bytes of the content that each declares, and the pause between two frames."""


class BarePosts(Attack):
    about = "neighbours that push 160 posts a second each without their content, and answer that they have none of it"
    needs = 8
    spreads = True

    async def run(self, strangers: Attackers, victim: Victim) -> None:
        async def push(n: int) -> None:
            stranger, asked = await strangers.meet(), list[WantParts]()

            def hear(message: Message) -> None:
                if isinstance(message, WantParts):
                    asked.append(message)

            stranger.on = hear
            await stranger.join()
            account = strangers.forge.account()
            await stranger.throw(pushes(pushed(account.item(), account.mid)))
            log = account.log(1)
            while stranger.alive:
                first = len(log.ids)
                for _ in range(BARE_EACH):
                    ops, size, _ = strangers.forge.large_post(strangers.few(BARE_SIZE))
                    log.write(ops, size)
                await stranger.throw(pushes(*(log.push(at, at + 1) for at in range(first, first + BARE_EACH))))
                await strangers.sleep(PAUSE_S)
                for question in asked:
                    await stranger.say(Parts([(entry, op, None, b"") for entry, op in question.parts]))
                asked.clear()

        await strangers.each(push, 8)


LARGE_EACH, LARGE_SIZE = 40, 60_000
"""Posts in one frame, each in an account of its own, and bytes of each."""


class LargeContent(Attack):
    about = "posts of 60 kB, each of an account of its own, as fast as the links take them"
    spreads = True

    async def run(self, strangers: Attackers, victim: Victim) -> None:
        async def fill(stranger: Attacker) -> None:
            openings, posts = [], []
            for _ in range(strangers.few(LARGE_EACH)):
                account = strangers.forge.account()
                log = account.log(1)
                ops, size, raw = strangers.forge.large_post(strangers.few(LARGE_SIZE))
                log.write(ops, size)
                openings.append(pushed(account.item(), account.mid))
                posts.append(log.push(0, 1, [raw]))
            await stranger.throw(pushes(*openings), pushes(*posts))

        await strangers.repeat(fill, 4)


ROWS = 100_000


class UnaskedParts(Attack):
    about = "answers of 4 MB to questions that nobody asked: read strictly, then ignored, and free"

    async def run(self, strangers: Attackers, victim: Victim) -> None:
        random = strangers.random
        frame = encode_message(Parts([(EntryId(random(32)), 0, None, b"") for _ in range(strangers.few(ROWS))]))

        await strangers.repeat(lambda stranger: stranger.throw(frame), 4)
