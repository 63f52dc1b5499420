from __future__ import annotations

from contextlib import suppress

import trio

from banyan_sim.attack import Attack, Victim
from bench.attack.strangers import Strangers

SOCKETS = 400
BEGIN = b"\x13/multistream/1.0.0\n\x07/noise\n"
"""As a handshake begins."""


class HalfOpen(Attack):
    about = "400 sockets that never finish a handshake; half of them do not even begin one"

    async def run(self, strangers: Strangers, victim: Victim) -> None:
        _, _, host, _, port, *_ = victim.address.split("/")

        async def hold(n: int) -> None:
            with suppress(OSError, trio.BrokenResourceError):
                async with await trio.open_tcp_stream(host, int(port)) as stream:
                    strangers.tally.links += 1
                    if n % 2:
                        await stream.send_all(BEGIN)
                        strangers.tally.sent += len(BEGIN)
                    while await stream.receive_some(1_024):
                        pass

        await strangers.each(hold, SOCKETS)
