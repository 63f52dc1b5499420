"""A newcomer with three honest contacts is besieged by a thousand identities of twenty networks: real nodes and links.

The eclipse of `banyan_sim/eclipse.py` over libp2p on loopback, with the rules about networks of addresses switched on
(`limits.local_nets`). Honest nodes and the newcomer each have a network of their own (127.40.0.0/16 and so on), the
identities twenty: each has an address and a key, listens there, says yes to everybody, names only others of its kind,
and passes nothing on. Before the newcomer joins they come to the honest nodes, and then, for as long as the siege
lasts, to all, most of them to the newcomer. Every half second it is noted whether the newcomer has a link to an honest
node, and at the end what it has of the posts that one of these made meanwhile; one that lacks counts with its age.
It is isolated if it had no such link for longer than a node takes to dial its contacts again, or has none at the end.

python -m bench siege --json --rounds 20 --jobs 2
"""

from __future__ import annotations

import os
import random
import secrets
import time
from argparse import ArgumentParser, Namespace
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from contextvars import ContextVar
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import Any

import trio

from banyan_crdt.ids import account_from_text
from banyan_node.edge import Edge, EdgeConfig, EdgeError, Link, SlotSettings, open_edge
from banyan_node.node import Node
from banyan_replica.gossip.frames import Join, Neighbour, NeighbourAnswer, PeerInfo, Shuffle, Shuffled, decode_frame
from banyan_replica.wire.messages import GossipFrame, Message
from banyan_sim.attack import AttackTally
from banyan_sim.eclipse import LOST_S
from banyan_sim.forge import gossip
from bench.attack.honest import written_in
from bench.attack.strangers import Stranger
from bench.harness import arguments, at_least, finish, latencies_ms, say, workplace
from bench.rig.child import Line, come_from
from bench.rig.heard import Heard
from bench.rig.processes import Child, new_home

HONEST = tuple(f"127.{40 + n}.0.1" for n in range(3))
NEWCOMER = "127.50.0.1"
NETWORKS = 20
BEFORE_S = 20
"""How long the identities come to the honest nodes before the newcomer joins; with --quick a tenth of it."""
EACH_S = 20
"""Identities that come to the newcomer in a second. To each of the others comes one."""
LOOK_S = 0.5
SHOWN = 8
"""Others of its kind that an identity names at once."""
FROM: ContextVar[str] = ContextVar("from")
"""The address that an identity dials from."""


async def honest(nodes: list[Node], line: Line, params: dict[str, Any]) -> None:
    """Links to the other honest nodes; one of them posts every second from `post` to the end."""
    node = nodes[0]
    come_from(params["address"])
    account = (await node.backend.call("account.create", {"name": "poster", "hosted": True}))["account"]
    written = await node.look(partial(written_in, account_from_text(account)))
    line.say({"address": node.edge.addresses[0], "account": account, "written": written})
    made: list[float] = []

    async def post() -> None:
        while True:
            await node.backend.call("post", {"as": account, "text": f"post {len(made)}"})
            made.append(time.monotonic())
            await trio.sleep(1.0)

    async with trio.open_nursery() as nursery:
        async for asked in line:
            match asked:
                case {"contacts": contacts}:
                    for contact in contacts:
                        await node.backend.call("peers.add", {"addr": contact})
                    line.say("linked")
                case "post":
                    nursery.start_soon(post)
                    line.say("posting")
                case "posts":
                    line.say(made)
        nursery.cancel_scope.cancel()


async def newcomer(nodes: list[Node], line: Line, params: dict[str, Any]) -> None:
    """Joins by its settings, and notes what links it has until it is asked."""
    node, friends = nodes[0], set(params["honest"])
    come_from(NEWCOMER)
    heard, ready = Heard(params["written"]), trio.Event()
    since = last = time.monotonic()
    alone = cut = longest = 0.0
    links, ends = dict[str, Link](), Counter[str]()

    async def watch() -> None:
        nonlocal since, last, alone, cut, longest
        while True:
            await trio.sleep(LOOK_S)
            for peer, link in [(p, link) for p, link in links.items() if link.closed is not None]:
                ends[node.links._goodbyes.get(peer, str(link.closed))] += 1
                del links[peer]
            links.update((peer, link) for peer, link in node.edge.links.items() if peer in friends)
            beside = friends & set(await node.worker.call(lambda c, now: c.replica.gossip.neighbours()))
            now = time.monotonic()
            if links:
                since = now
            else:
                cut += now - last
                longest = max(longest, now - since)
            alone += 0.0 if beside else now - last
            last = now

    async with trio.open_nursery() as nursery:
        nursery.start_soon(heard.listen, node, params["account"], ready)
        await ready.wait()
        nursery.start_soon(watch)
        line.say(node.edge.addresses[0])
        async for _ in line:
            line.say(
                {
                    "at": heard.at,
                    "cut_s": round(cut, 1),
                    "longest_s": round(longest, 1),
                    "alone_s": round(alone, 1),
                    "links": len(node.edge.links),
                    "honest_links": len(links),
                    "honest_links_ended": ends,
                }
            )
        nursery.cancel_scope.cancel()


async def besiegers(nodes: list[Node], line: Line, params: dict[str, Any]) -> None:
    """All identities. Runs no node; has the processor after everybody else."""
    os.nice(19)
    setattr(trio, "open_tcp_stream", _from_its_own_address(trio.open_tcp_stream))  # noqa: B010
    rng, tally = random.Random(params["seed"]), AttackTally()
    async with trio.open_nursery() as nursery:
        all_: list[Besieger] = []
        for n in range(params["identities"]):
            host = f"127.{100 + n % NETWORKS}.{n // 250}.{n % 250 + 1}"
            all_.append(await nursery.start(_live, host, rng, all_, tally))
        line.say("ready")

        async def come(address: str, every_s: float) -> None:
            while True:
                nursery.start_soon(rng.choice(all_).come, address)
                await trio.sleep(every_s)

        async for asked in line:
            match asked:
                case {"come": address, "every_s": every_s}:
                    nursery.start_soon(come, address, every_s)
                    line.say("coming")
                case "stop":
                    line.say({"identities": tally.identities, "links": tally.links, "refused": tally.refused})
                    break
        nursery.cancel_scope.cancel()


class Besieger:
    """One identity: a host that listens, and what it says over its links."""

    def __init__(
        self,
        edge: Edge,
        host: str,
        rng: random.Random,
        others: list[Besieger],
        tally: AttackTally,
        nursery: trio.Nursery,
    ) -> None:
        self.edge, self.host, self.rng, self.tally, self.nursery = edge, host, rng, tally, nursery
        self.others, self.addrs = others, tuple(edge.addresses)
        self._met: dict[str, _Voice] = {}

    async def accept(self) -> None:
        async for link in self.edge.incoming:
            with suppress(EdgeError):
                await self._meet(link)

    async def come(self, address: str) -> None:
        """Comes to a node, asks in every way to be its neighbour, and shows it others of its kind."""
        FROM.set(self.host)
        with suppress(EdgeError):
            voice = self._met.get(address)
            if voice is None or not voice.alive:
                voice = self._met[address] = await self._meet(await self.edge.dial(address))
            me = PeerInfo(self.edge.peer_id, self.addrs)
            for frame in (Join(self.addrs), Neighbour(True, self.addrs), Shuffle(me, 0, self.some())):
                await voice.throw(gossip(frame))
            return
        self.tally.refused += 1

    def some(self) -> tuple[PeerInfo, ...]:
        """Others of its kind."""
        some = self.rng.sample(self.others, min(SHOWN, len(self.others)))
        return tuple(PeerInfo(other.edge.peer_id, other.addrs) for other in some)

    async def _meet(self, link: Link) -> _Voice:
        voice = _Voice(self, link)
        self.tally.links += 1
        self.nursery.start_soon(voice.live)
        await voice.greet()
        return voice


class _Voice(Stranger):
    """What an identity says over one link: yes to everybody."""

    def __init__(self, whose: Besieger, link: Link) -> None:
        super().__init__(whose.edge, link, whose.tally)
        self._whose = whose

    async def live(self) -> None:
        with suppress(EdgeError):
            await self.listen()

    async def hear(self, raw: bytes, message: Message) -> None:
        await super().hear(raw, message)
        if isinstance(message, GossipFrame):
            match decode_frame(message.frame):
                case Join() | Neighbour():
                    await self.throw(gossip(NeighbourAnswer(True)))
                case Shuffle(origin):
                    await self.throw(gossip(Shuffled(origin.peer, self._whose.some())))


def _from_its_own_address(opens: Any) -> Any:
    async def open_stream(*args: Any, **more: Any) -> Any:
        return await opens(*args, local_address=FROM.get(), **more)

    return open_stream


async def _live(host: str, rng: random.Random, others: list[Besieger], tally: AttackTally, task_status: Any) -> None:
    config = EdgeConfig(secrets.token_bytes(32), (f"/ip4/{host}/tcp/0",), slots=SlotSettings(step_s=10.0))
    async with open_edge(config) as edge, trio.open_nursery() as nursery:
        await edge.wait_up()
        tally.identities += 1
        besieger = Besieger(edge, host, rng, others, tally, nursery)
        task_status.started(besieger)
        await besieger.accept()


def once(folder: Path, args: Namespace, seed: int) -> dict[str, Any]:
    """One siege."""
    place = folder / f"siege-{secrets.token_hex(4)}"
    strict = {"limits.local_nets": "true"}
    with ExitStack() as open_:
        play = partial(Child, "bench.siege:honest")
        hosts = [
            open_.enter_context(
                play([new_home(place / host)], {**strict, "node.listen": f"/ip4/{host}/tcp/0"}, address=host)
            )
            for host in HONEST
        ]
        said = [host.hear() for host in hosts]
        where = [each["address"] for each in said]
        for n, host in enumerate(hosts):
            host.ask({"contacts": where[:n]})
        besiegers = open_.enter_context(Child("bench.siege:besiegers", [], identities=args.identities, seed=seed))
        besiegers.hear()
        for address in where:
            besiegers.ask({"come": address, "every_s": 1.0})
        time.sleep(BEFORE_S / 10 if args.quick else BEFORE_S)
        flags = {**strict, "node.listen": f"/ip4/{NEWCOMER}/tcp/0", "node.bootstrap": ",".join(where)}
        came = open_.enter_context(
            Child(
                "bench.siege:newcomer",
                [new_home(place / "newcomer")],
                flags,
                honest=[address.rsplit("/", 1)[1] for address in where],
                account=said[0]["account"],
                written=said[0]["written"],
            )
        )
        besiegers.ask({"come": came.hear(), "every_s": 1.0 / EACH_S})
        hosts[0].ask("post")
        time.sleep(args.seconds)
        made, found, ended = hosts[0].ask("posts"), came.ask("look"), time.monotonic()
        price = besiegers.ask("stop")
    at = found.pop("at")
    late = [came_at - made_at for made_at, came_at in zip_longest(made, at[: len(made)], fillvalue=ended)]
    isolated = found["longest_s"] > LOST_S or not found["honest_links"]
    say(f"siege {seed}: {'isolated' if isolated else 'held'}, {found}, {len(at)} of {len(made)} posts")
    return {
        "seed": seed,
        "isolated": isolated,
        **found,
        "posts": len(made),
        "arrived": len(at),
        "late": late,
        "price": price,
    }


def measured(folder: Path, args: Namespace) -> dict[str, Any]:
    with ThreadPoolExecutor(args.jobs) as pool:
        sieges = list(pool.map(partial(once, folder, args), range(args.seed, args.seed + args.rounds)))
    late = [seconds for siege in sieges for seconds in siege.pop("late")]
    return {
        **latencies_ms(late),
        "isolated": sum(siege["isolated"] for siege in sieges),
        "longest_s": max(siege["longest_s"] for siege in sieges),
        "posts": sum(siege["posts"] for siege in sieges),
        "arrived": sum(siege["arrived"] for siege in sieges),
        "sizes": {"seconds": args.seconds, "identities": args.identities, "networks": NETWORKS},
        "sieges": sieges,
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the bench."""

    def more(parser: ArgumentParser) -> None:
        parser.add_argument("--seconds", type=at_least(5), help="of each siege; default: 300, with --quick 20")
        parser.add_argument("--identities", type=at_least(8), help="besiegers; default: 1000, with --quick 40")
        parser.add_argument("--seed", type=int, default=1, help="of the first siege; default: 1")
        parser.add_argument("--jobs", type=at_least(1), default=1, help="sieges at once; default: 1")

    args = arguments("siege", __doc__, argv, rounds=20, more=more)
    args.seconds = args.seconds or (20 if args.quick else 300)
    args.identities = args.identities or (40 if args.quick else 1_000)
    with workplace(args.folder) as folder:
        figures = measured(folder, args)
    finish(args, "siege", **figures)
