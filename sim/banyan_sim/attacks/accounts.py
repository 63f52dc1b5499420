from __future__ import annotations

from banyan_crdt.checkpoint import ControlRef, encode_checkpoint, make_checkpoint
from banyan_crdt.ids import EntryId
from banyan_crdt.ops import Pin
from banyan_crdt.realm import TEST
from banyan_replica.wire import CheckpointItem
from banyan_sim.attack import Attack, Attackers, Victim
from banyan_sim.forge import pushed, pushes

ACCOUNTS_EACH = 256


class MintAccounts(Attack):
    about = "new accounts as fast as one process can make them"
    spreads = True

    async def run(self, strangers: Attackers, victim: Victim) -> None:
        async def mint(n: int) -> None:
            stranger = await strangers.meet()
            while stranger.alive:
                frame, _ = strangers.forge.minted(strangers.few(ACCOUNTS_EACH))
                await stranger.throw(frame)
                await strangers.sleep(0)

        await strangers.each(mint, 4)


CHECKPOINTS_EACH, NUMBERS = 200, 10_000
"""Checkpoints in one frame, and of one account."""


class Checkpoints(Attack):
    about = "an account replaces its checkpoint 10,000 times, then the next account does"
    spreads = True

    async def run(self, strangers: Attackers, victim: Victim) -> None:
        each = strangers.few(CHECKPOINTS_EACH)

        async def replace(n: int) -> None:
            stranger = await strangers.meet()
            while stranger.alive:
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

        await strangers.each(replace, 2)


ENTRIES, PINS = 30, 190
"""Control entries of an account, of about 16 kB each: under the length from which on judging them is metered."""


class DeepControl(Attack):
    about = "control logs of 480 kB, pushed entry by entry, so that each entry has all before it judged again"
    spreads = True

    async def run(self, strangers: Attackers, victim: Victim) -> None:
        pins = strangers.few(PINS)

        async def push(n: int) -> None:
            stranger = await strangers.meet()
            while stranger.alive:
                account = strangers.forge.account()
                await stranger.throw(pushes(pushed(account.item(), account.mid)))
                for _ in range(strangers.few(ENTRIES)):
                    account.control(
                        *(Pin(strangers.forge.writer(), 1, k, EntryId(strangers.random(32))) for k in range(pins))
                    )
                    await stranger.throw(pushes(pushed(account.item(len(account.path) - 1), account.mid)))
                    await strangers.sleep(0)

        await strangers.each(push, 4)


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

        async def lie(n: int) -> None:
            stranger = await strangers.meet()
            while stranger.alive:
                await stranger.throw(frame)

        await strangers.each(lie, 4)
