from __future__ import annotations

from banyan_replica.wire import Message, Parts, WantParts
from banyan_sim.attack import Attack, Strangers, Victim
from banyan_sim.forge import pushed, pushes

EACH, SIZE, PAUSE_S = 8, 1_000, 0.05
"""Posts in one frame, bytes of the content that each declares, and the pause between two frames."""


class BarePosts(Attack):
    about = "neighbours that push 160 posts a second each without their content, and answer that they have none of it"
    needs = 8
    spreads = True

    async def run(self, strangers: Strangers, victim: Victim) -> None:
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
                for _ in range(EACH):
                    ops, size, _ = strangers.forge.large_post(strangers.few(SIZE))
                    log.write(ops, size)
                await stranger.throw(pushes(*(log.push(at, at + 1) for at in range(first, first + EACH))))
                await strangers.sleep(PAUSE_S)
                for question in asked:
                    await stranger.say(Parts([(entry, op, None, b"") for entry, op in question.parts]))
                asked.clear()

        await strangers.each(push, 8)
