"""Attackers in virtual time: the attacks of `attacks/` as coroutines that a simulated world resumes.

Each attacker has a seat: an address in a network of its own, and one identity at a time. Identities are free, so a seat
that was let go or banned comes back under another name. An attacker takes part in the gossip's membership as greedily
as it can: it becomes a neighbour of whoever asks, and names only its own. What it does on its links says its attack.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from contextlib import suppress
from typing import Any, Protocol

from banyan_crdt.errors import BanyanError
from banyan_replica.gossip.frames import Join, Neighbour, NeighbourAnswer, PeerInfo, Shuffle, Shuffled, decode_frame
from banyan_replica.wire.message_table import decode_message, encode_message, is_bulk
from banyan_replica.wire.messages import Credit, GossipFrame, Hello, Message
from banyan_sim import attack
from banyan_sim.attack import Attack, Victim, Work
from banyan_sim.forge import Forge, gossip
from banyan_sim.machine import EPOCH
from banyan_sim.wires import Network

PAUSE_S = 1.0
"""After a link that was refused or ended, an attacker waits so long."""
PATIENCE_S = 8.0
"""How long it waits for a link or a hello: longer than a dial takes."""
FEWER = 64
"""An attack sends a 64th of what it sends to a real node at once, at least LEAST things, so that a world can afford
it."""
LEAST = 4
LINE, SPREAD_LINE = (64_000, 60), (3_000, 3)
"""Bytes and frames a second of all attackers of one attack together. What honest nodes pass on is judged by all of
them, so of that a world can afford less."""


class NoLink(Exception):
    """There is no link, or no more."""


class AttackedNetwork(Protocol):
    """What attackers see of the world."""

    now: float
    network: Network

    def at(self, when: float, do: Callable[..., None], *args: object) -> None: ...


class Bell:
    """Rings once; coroutines that await it go on then, and get the value."""

    def __init__(self) -> None:
        self.rung, self.value = False, None
        self.after: list[Callable[[], None]] = []

    def ring(self, value: Any = None) -> None:
        if not self.rung:
            self.rung, self.value = True, value
            for go_on in self.after:
                go_on()

    def __await__(self) -> Generator[Bell, None, Any]:
        if not self.rung:
            yield self
        return self.value


def start(work: Coroutine[Any, Any, None]) -> None:
    """Runs a coroutine up to each bell that it awaits, and on when that rings."""

    def go_on() -> None:
        with suppress(StopIteration, NoLink):
            bell: Bell = work.send(None)
            bell.after.append(go_on)

    go_on()


class AttackLink(attack.Attacker):
    """One link of an identity with an honest node."""

    def __init__(self, crowd: Crowd, identity: AttackIdentity, peer: str) -> None:
        super().__init__(crowd.tally, crowd.random)
        self.crowd, self.identity, self.peer = crowd, identity, peer
        self.addrs = (identity.addr,)
        self.over, self.greeted, self.free = Bell(), Bell(), False

    @property
    def alive(self) -> bool:
        return not self.over.rung

    async def throw(self, *frames: bytes) -> None:
        if not self.free:
            await self.crowd.line(frames)
        if not self.alive:
            raise NoLink
        for frame in frames:
            self.send(frame)

    def send(self, frame: bytes) -> None:
        self.tally.frames += 1
        self.tally.sent += len(frame)
        self.crowd.world.network.send(self.identity.name, self.peer, frame)

    async def part(self) -> None:
        self.crowd.world.network.close(self.identity.name, self.peer)

    async def ended(self) -> None:
        await self.over

    def receive(self, raw: bytes) -> None:
        self.tally.received += len(raw)
        if is_bulk(raw):
            if self.credits:
                self.send(encode_message(Credit(len(raw))))
            return
        with suppress(BanyanError):
            message = decode_message(raw)
            if isinstance(message, GossipFrame):
                self._mingle(message.frame)
            else:
                start(self.hear(raw, message))

    async def hear(self, raw: bytes, message: Message) -> None:
        await super().hear(raw, message)
        if isinstance(message, Hello):
            self.greeted.ring()

    def _mingle(self, raw: list[Any]) -> None:
        match decode_frame(raw):
            case Join() | Neighbour():
                self.send(gossip(NeighbourAnswer(True)))
            case Shuffle(origin):
                self.send(gossip(Shuffled(origin.peer, self.crowd.friends(8))))
            case _:
                pass


class AttackIdentity:
    """One name of a seat, as the network sees it."""

    up, life = True, 0

    def __init__(self, crowd: Crowd, name: str, net: str) -> None:
        self.crowd, self.name, self.group = crowd, name, net
        self.addr = f"/ip4/{net}.0.1/tcp/4001/p2p/{name}"
        self.links: dict[str, AttackLink] = {}
        self.waiting: dict[str, Bell] = {}
        """Dials that have not been answered, by peer."""

    def receive(self, peer: str, data: bytes) -> None:
        if peer in self.links:
            self.links[peer].receive(data)

    def peer_up(self, peer: str) -> None:
        self.crowd.tally.links += 1
        link = self.links[peer] = AttackLink(self.crowd, self, peer)
        if (bell := self.waiting.pop(peer, None)) is not None:
            bell.ring(link)
        else:
            self.crowd.came(link)

    def peer_down(self, peer: str) -> None:
        if (link := self.links.pop(peer, None)) is not None:
            self.crowd.tally.lost += 1
            link.over.ring()

    def dial_failed(self, peer: str) -> None:
        if (bell := self.waiting.pop(peer, None)) is not None:
            bell.ring()


class Crowd(attack.Attackers):
    """All attackers with one attack. seats: their networks ("11.7"), one each. honest: whom they attack, in a random
    order; admit(identity): makes a new identity known to the world."""

    def __init__(
        self,
        world: AttackedNetwork,
        kind: type[Attack],
        seats: list[str],
        honest: list[str],
        rng: random.Random,
        admit: Callable[[AttackIdentity], None],
        wall_ms: Callable[[], int],
    ) -> None:
        self.world, self.kind, self.rng, self.honest, self.admit = world, kind, rng, honest, admit
        super().__init__(len(seats), Victim(honest[0], honest[1], b"", ()), Forge(rng.randbytes, wall_ms))
        self.seats = seats
        self.current: list[AttackIdentity | None] = [None] * len(seats)
        self.by_key: dict[bytes, AttackIdentity] = {}
        self._turn = self._made = 0
        self._free_at = 0.0
        self._play: Callable[[int], Work] | None = None
        self._arrived: deque[AttackLink] = deque()
        """Links that honest nodes opened and that no play has taken yet."""

    def begin(self) -> None:
        start(self._run(self.kind()))

    async def _run(self, attack: Attack) -> None:
        while True:
            with suppress(NoLink):
                await attack.run(self, self.victim)
                return
            await self.sleep(PAUSE_S)

    # -- what attacks use

    def few(self, count: int) -> int:
        return min(count, max(LEAST, count // FEWER))

    def now(self) -> float:
        return EPOCH + self.world.now

    async def sleep(self, seconds: float) -> None:
        if seconds < float("inf"):
            await self._after(seconds)
        else:
            await Bell()

    async def each(self, play: Callable[[int], Work], count: int = 0) -> None:
        """All seats play, because together they are slow anyway; and so does every link that an honest node opens."""
        self._play = play
        for n in range(self.identities):
            start(self._again(play, n))
        await Bell()

    async def meet(self, address: str = "", *, hello: bool = True, key: bytes = b"", store: bytes = b"") -> AttackLink:
        link = None if address or key else self._taken()
        if link is None:
            identity = self._named(key) if key else self._next()
            link = await self._dial(identity, address or self.rng.choice(self.honest))
        if hello:
            link.free = True  # the line is for the attack
            await link.greet(store)
            self.world.at(self.world.now + PATIENCE_S, link.greeted.ring)
            await link.greeted
            if not key:
                await link.join()
        link.free = False
        return link

    async def line(self, frames: tuple[bytes, ...]) -> None:
        """Waits until the line that all share has carried the frames."""
        size, count = SPREAD_LINE if self.kind.spreads else LINE
        takes = max(sum(map(len, frames)) / size, len(frames) / count)
        self._free_at = max(self._free_at, self.world.now) + takes
        await self._after(self._free_at - self.world.now)

    # -- what the world tells

    def came(self, link: AttackLink) -> None:
        """An honest node opened a link, because its gossip heard of the identity."""
        if self._play is None:
            start(link.greet())
            return
        self._arrived.append(link)
        start(self._play(len(self._arrived)))

    def friends(self, most: int) -> tuple[PeerInfo, ...]:
        known = [i for i in self.current if i is not None]
        return tuple(PeerInfo(i.name, (i.addr,)) for i in self.rng.sample(known, min(most, len(known))))

    # -- inside

    async def _again(self, play: Callable[[int], Work], n: int) -> None:
        await self._after(self.rng.random() * PAUSE_S)
        while True:
            with suppress(NoLink):
                await play(n)
            await self._after(PAUSE_S)

    async def _after(self, seconds: float) -> None:
        bell = Bell()
        self.world.at(self.world.now + seconds, bell.ring)
        await bell

    async def _dial(self, identity: AttackIdentity, peer: str) -> AttackLink:
        if peer in identity.links:
            return identity.links[peer]
        bell = identity.waiting.setdefault(peer, Bell())
        self.world.network.dial(identity.name, peer)
        self.world.at(self.world.now + PATIENCE_S, bell.ring)
        link: AttackLink | None = await bell
        identity.waiting.pop(peer, None)
        if link is None or not link.alive:
            self.tally.refused += 1
            raise NoLink
        return link

    def _taken(self) -> AttackLink | None:
        while self._arrived:
            link = self._arrived.popleft()
            if link.alive:
                return link
        return None

    def _next(self) -> AttackIdentity:
        """The next seat's identity: another one if the last has no link."""
        self._turn = (self._turn + 1) % len(self.seats)
        identity = self.current[self._turn]
        if identity is None or not identity.links:
            identity = self.current[self._turn] = self._new(self.seats[self._turn])
        return identity

    def _named(self, key: bytes) -> AttackIdentity:
        if key not in self.by_key:
            self.by_key[key] = self._new(self.seats[len(self.by_key) % len(self.seats)])
        return self.by_key[key]

    def _new(self, net: str) -> AttackIdentity:
        self._made += 1
        self.tally.identities += 1
        identity = AttackIdentity(self, f"{self.kind.__name__}{self._made}", net)
        self.admit(identity)
        return identity
