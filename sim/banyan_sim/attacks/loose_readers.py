from __future__ import annotations

from banyan_crdt.ops import Unknown, encode_ops
from banyan_replica.wire import Want, Wants
from banyan_sim.attack import Attack, Strangers, Victim
from banyan_sim.forge import Log, pushed, pushes

LOGS, BRANCH = 4, 62
"""Forked logs, and entries of 16 KB in each of their two branches: about a megabyte under one signature."""
LARGE = encode_ops((Unknown(99, (bytes(16_200),)),))
TIMES = 50


class LooseReaders(Attack):
    about = "everybody asks for both branches of forked logs, and gives no credit for the answer"
    spreads = True

    async def run(self, strangers: Strangers, victim: Victim) -> None:
        account, writer = strangers.forge.account(), await strangers.meet()
        await writer.throw(pushes(pushed(account.item(), account.mid)))
        branch, wants = strangers.few(BRANCH), list[Want]()
        for number in range(1, LOGS + 1):
            log = account.log(number)
            log.write(count=2)
            twin: Log = log.fork(1)
            log.write(LARGE, count=branch)
            twin.write(LARGE, count=branch + 1)
            await writer.throw(pushes(log.push(0, 1)), pushes(log.push(1, len(log.ids))))
            await writer.throw(pushes(twin.push(1, len(twin.ids))))
            wants.append(Want(log.id, [(0, log.ids[0])]))
        await strangers.sleep(1)

        async def read(n: int) -> None:
            stranger = await strangers.meet()
            stranger.credits = False
            for _ in range(strangers.few(TIMES)):
                await stranger.say(Wants(wants))
            await stranger.ended()

        await strangers.each(read)
