from __future__ import annotations

import trio

from banyan_crdt.ids import EntryId
from banyan_replica.wire import WantParts as Question
from bench.attack.attack import Attack, Victim
from bench.attack.forge import Account, large_post, pushed, pushes
from bench.attack.strangers import Strangers

POSTS, TIMES = 17, 8
"""Posts of 60 kB: a megabyte, as much as one answer has. Questions at once."""


async def shelve(strangers: Strangers) -> Question:
    """Puts a megabyte of content into the victim's store. Returns the question that is answered with all of it."""
    writer, account = await strangers.meet(), Account()
    log, contents = account.log(1), list[bytes | None]()
    for _ in range(POSTS):
        ops, size, raw = large_post()
        log.write(ops, size)
        contents.append(raw)
    posts = [log.push(n, n + 1, [contents[n]]) for n in range(POSTS)]
    await writer.throw(pushes(pushed(account.item(), account.mid)), pushes(*posts))
    await trio.sleep(1)
    return Question([(EntryId(entry), 0) for entry in log.ids])


class WantParts(Attack):
    about = "questions of 700 bytes that are answered with a megabyte of content each, and read"

    async def run(self, strangers: Strangers, victim: Victim) -> None:
        question = await shelve(strangers)

        async def ask(n: int) -> None:
            stranger = await strangers.meet()
            while stranger.alive:
                await stranger.say(*[question] * TIMES)
                await trio.sleep(0.1)

        await strangers.each(ask)
