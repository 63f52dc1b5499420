from __future__ import annotations

from itertools import count

from banyan_crdt.checkpoint import ControlRef, encode_checkpoint, make_checkpoint
from banyan_crdt.ids import LogId
from banyan_crdt.ops import Drop, Grant, Pin, encode_ops
from banyan_crdt.realm import TEST
from banyan_crdt.signing import Signer
from banyan_replica.wire.messages import CheckpointItem
from banyan_sim.attack import Attack, Attacker, Attackers, Victim
from banyan_sim.forge import Account, ForgedLog, pushed, pushes

LOGS, ENTRIES, RUN = 30, 9_216, 1_024
"""Logs of one account and their entries, of seven bytes each; entries in one signature."""
PINS, EVERY_S = 4, 0.05
"""Control entries that name every log, for one that drops a log; the pause between two."""
CONTROL = 2_000
"""Control entries, as many as a log of them has room for."""


async def tiny_entries(
    strangers: Attackers, stranger: Attacker, forked: bool = False
) -> tuple[Account, list[ForgedLog]]:
    """An account whose logs are full of tiny entries, and its logs. forked: each has another last entry too."""
    run, entries = strangers.few(RUN), strangers.few(ENTRIES)
    account = strangers.forge.account()
    await stranger.throw(pushes(pushed(account.item(), account.mid)))
    logs = [account.log(n + 1) for n in range(strangers.few(LOGS))]
    for log in logs:
        log.write(count=entries)
        await stranger.throw(pushes(*(log.push(at, at + run) for at in range(0, entries, run))))
        if forked:
            twin = log.fork(entries - 1)
            twin.write()
            await stranger.throw(pushes(twin.push(entries - 1, entries)))
        await strangers.sleep(0)
    return account, logs


def pin_all(account: Account, logs: list[ForgedLog], place: int) -> None:
    """One control entry that pins an entry of each log, counted from its end."""
    account.control(*(Pin(log.id.writer, log.id.log, len(log.ids) - place, log.ids[-place]) for log in logs))


class Recount(Attack):
    about = "one account of 276,480 tiny entries, then control entries that each make the node count it again"
    spreads = True

    async def run(self, strangers: Attackers, victim: Victim) -> None:
        stranger = await strangers.meet()
        account, logs = await tiny_entries(strangers, stranger)
        for n in range(CONTROL):
            if n % (PINS + 1):
                pin_all(account, logs, 1 + n % len(logs[0].ids))
            else:
                account.control(Drop(account.device.key, 1 + n // (PINS + 1)))
            await stranger.throw(pushes(pushed(account.item(len(account.path) - 1), account.mid)))
            await strangers.sleep(EVERY_S)


class PinnedForks(Attack):
    about = "logs of 276,480 entries, each forked at its end, then control entries that each pin a place in all of them"
    spreads = True

    async def run(self, strangers: Attackers, victim: Victim) -> None:
        stranger = await strangers.meet()
        account, logs = await tiny_entries(strangers, stranger, forked=True)
        for n in range(CONTROL):
            pin_all(account, logs, 2 + n % (len(logs[0].ids) - 1))
            await stranger.throw(pushes(pushed(account.item(len(account.path) - 1), account.mid)))
            await strangers.sleep(EVERY_S)


DEPTH, EACH = 1_000, 20
"""Entries of a log, and forks in one frame."""


class Forks(Attack):
    about = "logs that fork at every place, from the last entry down, so that each fork has the log counted again"
    spreads = True

    async def run(self, strangers: Attackers, victim: Victim) -> None:
        depth, each = strangers.few(DEPTH), strangers.few(EACH)

        async def fork(stranger: Attacker) -> None:
            account = strangers.forge.account()
            log = account.log(1)
            log.write(count=depth)
            await stranger.throw(pushes(pushed(account.item(), account.mid)), pushes(log.push(0, depth)))
            for top in range(depth - 1, each, -each):
                twins = []
                for seq in range(top, top - each, -1):
                    twin = log.fork(seq)
                    twin.write()
                    twins.append(twin.push(seq, seq + 1))
                await stranger.throw(pushes(*twins))
                await strangers.sleep(0)

        await strangers.repeat(fork, 2)


BRANCHED, NAMED, FLIP_S = 1_000, 200, 0.5
"""Logs of one account with two branches each, pins in an entry of its notary, and the pause between two checkpoints."""


class ChainedPins(Attack):
    about = (
        "a notary pins a branch of each of 1,000 logs or the other, and checkpoints pin one of its own branches or none"
    )
    spreads = True

    async def run(self, strangers: Attackers, victim: Victim) -> None:
        stranger, account = await strangers.meet(), strangers.forge.account()
        notary = Signer(TEST, strangers.random(32))
        account.control(Grant(notary.key, 1, 1, 1, None, None, None))
        await stranger.throw(pushes(pushed(account.item(), account.mid)))
        sides = [list[ForgedLog](), list[ForgedLog]()]
        for n in range(1, strangers.few(BRANCHED) + 1):
            log = account.log(n)
            log.write()
            twin = log.fork(0)
            twin.write()
            await stranger.throw(pushes(log.push(0, 1), twin.push(0, 1)))
            sides[0].append(log)
            sides[1].append(twin)
        ends = list[Pin]()
        for side in sides:
            notes = account.log(1)
            notes.signer, notes.id = notary, LogId(account.id, notary.key, 1)
            for at in range(0, len(side), NAMED):
                notes.write(encode_ops(tuple(Pin(*log.id[1:], 0, log.ids[0]) for log in side[at : at + NAMED])))
            await stranger.throw(pushes(*(notes.push(at, at + 1) for at in range(len(notes.ids)))))
            ends.append(Pin(notary.key, 1, len(notes.ids) - 1, notes.ids[-1]))
        place = ControlRef(len(account.path) - 1, account.path[-1].id)
        for n in count(1):
            made = make_checkpoint(TEST, account.id, account.root, n, place, ends[:1] if n % 2 else ())
            await stranger.throw(pushes(pushed(CheckpointItem(encode_checkpoint(made)), made.id)))
            await strangers.sleep(FLIP_S)
