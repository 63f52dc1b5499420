"""How fast one link is: 64 MB in 64 KB frames over loopback, TCP + noise + yamux, both ends in this process.

python -m bench edge --json
"""

import os
import time
from collections.abc import Sequence

import trio

from banyan_node.edge import EdgeConfig, Link, open_edge
from bench.harness import arguments, finish, interleaved, median

TOTAL = 64 * 1024 * 1024
FRAME = 64 * 1024
BATCH = 4
WINDOW = 8 * 1024 * 1024


async def measure() -> tuple[float, float]:
    """(MB/s one way, round trips a second), with credits of 8 MB as the node above would grant them."""
    here = ("/ip4/127.0.0.1/tcp/0",)
    async with (
        open_edge(EdgeConfig(identity_seed=os.urandom(32), listen=here)) as a,
        open_edge(EdgeConfig(identity_seed=os.urandom(32), listen=here)) as b,
    ):
        to = await a.dial(b.addresses[0])
        at = await b.incoming.receive()
        await exchange_hellos(to, at)
        b.settle(a.peer_id)
        credit = trio.Semaphore(WINDOW // FRAME)
        frame = os.urandom(FRAME)

        async def send() -> None:
            for _ in range(TOTAL // FRAME // BATCH):
                for _ in range(BATCH):
                    await credit.acquire()
                await to.send([frame] * BATCH)

        began = time.perf_counter()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(send)
            for _ in range(TOTAL // FRAME):
                assert len(await at.receive()) == FRAME
                credit.release()
        rate = TOTAL / 1e6 / (time.perf_counter() - began)
        return rate, await round_trips(to, at)


async def exchange_hellos(one: Link, other: Link) -> None:
    """As replicas do: a link on which no first frame comes is ended."""
    await one.send([b"hello"])
    await other.send([await other.receive()])
    await one.receive()


async def round_trips(one: Link, other: Link, count: int = 1000) -> float:
    """Round trips a second of 100 bytes each way, one after the other."""
    began = time.perf_counter()
    for _ in range(count):
        await one.send([b"x" * 100])
        await other.send([await other.receive()])
        await one.receive()
    return count / (time.perf_counter() - began)


def main(argv: Sequence[str] | None = None) -> None:
    args = arguments("edge", __doc__, argv)
    rows = interleaved(args.rounds, {"": lambda: trio.run(measure)})[""]
    finish(
        args,
        "edge",
        mb_per_second=round(median([rate for rate, _ in rows]), 1),
        round_trips_per_second=round(median([trips for _, trips in rows])),
        sizes={"bytes": TOTAL, "frame": FRAME},
    )


if __name__ == "__main__":
    main()
