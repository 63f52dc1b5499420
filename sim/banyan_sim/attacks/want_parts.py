from __future__ import annotations

from banyan_crdt.ids import EntryId
from banyan_replica.wire import WantParts as Question
from banyan_sim.attack import Attack, Strangers, Victim
from banyan_sim.forge import pushed, pushes

POSTS, SIZE, TIMES = 17, 60_000, 8
"""Posts, and bytes of each: a megabyte in all, as much as one answer has. Questions at once."""


async def shelve(strangers: Strangers) -> Question:
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

    async def run(self, strangers: Strangers, victim: Victim) -> None:
        question = await shelve(strangers)

        async def ask(n: int) -> None:
            stranger = await strangers.meet()
            while stranger.alive:
                await stranger.say(*[question] * strangers.few(TIMES))
                await strangers.sleep(0.1)

        await strangers.each(ask)
