"""What an attack is, which there are, and what attackers can do: the same classes attack a real node over libp2p
(bench/attack) and a whole network in virtual time (hostile.py).

So an attack knows neither trio nor sockets, and no clock of its own: it speaks in messages, over a `Attacker`, and what
it waits for, draws and reads off a clock comes from `Attackers`.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, field
from math import inf
from types import ModuleType
from typing import Any, ClassVar, NamedTuple, TypeAlias

from banyan_crdt.realm import TEST
from banyan_replica.gossip.frames import Join
from banyan_replica.wire.message_table import encode_message
from banyan_replica.wire.messages import VERSION, Bye, Credit, DataItems, Hello, Message, Root
from banyan_sim import attacks
from banyan_sim.forge import Forge, gossip

REASON = 60
"""Characters of a goodbye that are counted as one reason."""
NOTHING = "nothing"
"""Attacks nobody."""
Work: TypeAlias = Coroutine[Any, Any, None]


class Victim(NamedTuple):
    """What an attacker knows of the honest nodes. address, neighbour: where the victim and its honest neighbour listen.
    account: the one in which the victim posts. followed: accounts that both hold, 32 bytes each."""

    address: str
    neighbour: str
    account: bytes
    followed: tuple[bytes, ...]


@dataclass
class AttackTally:
    """What an attack cost and how it was met. byes: goodbyes by the beginning of their reason."""

    identities: int = 0
    links: int = 0
    refused: int = 0
    lost: int = 0
    frames: int = 0
    sent: int = 0
    received: int = 0
    byes: Counter[str] = field(default_factory=Counter)


class Attacker(ABC):
    """One identity with one link. hello: what the peer said of itself. root: where it stood last. on: called with every
    message that comes. credits: whether it lets the peer send more bulk.

    Whatever sends raises an error once the link has ended, which `Attackers.each` expects."""

    addrs: tuple[str, ...] = ("/ip4/127.0.0.1/tcp/1",)

    def __init__(self, tally: AttackTally, random: Callable[[int], bytes]) -> None:
        self.tally, self.random = tally, random
        self.hello: Hello | None = None
        self.root: tuple[int, bytes, int] = (0, bytes(32), 0)
        self.on: Callable[[Message], object] = lambda message: None
        self.credits = True

    @property
    @abstractmethod
    def alive(self) -> bool: ...

    @abstractmethod
    async def throw(self, *frames: bytes) -> None:
        """Sends frames as they are. Takes as long as the line needs for them."""

    @abstractmethod
    async def part(self) -> None:
        """Hangs up."""

    @abstractmethod
    async def ended(self) -> None:
        """Returns when the link has ended."""

    async def say(self, *messages: Message) -> None:
        await self.throw(*map(encode_message, messages))

    async def greet(self, store: bytes = b"", root: bytes = bytes(32), logs: int = 0, arrival: int = 0) -> None:
        """Says hello. store: 16 bytes that name its store, drawn if empty."""
        await self.say(Hello(VERSION, TEST.id, store or self.random(16), logs, root, arrival, b"", 0))

    async def join(self) -> None:
        """Asks to be a neighbour of the gossip; its frames of membership then count."""
        await self.throw(gossip(Join(self.addrs)))

    async def hear(self, raw: bytes, message: Message) -> None:
        """A message came."""
        match message:
            case Hello():
                self.hello, self.root = message, (message.logs, message.root, message.arrival)
            case Root():
                self.root = (message.logs, message.root, message.arrival)
            case Bye(reason):
                self.tally.byes[reason.decode("utf-8", "replace")[:REASON]] += 1
                await self.part()
            case DataItems() if self.credits:
                await self.say(Credit(len(raw)))
            case _:
                pass
        self.on(message)


class Attackers(ABC):
    """All identities of one attack. identities: how many it may have at once. forge: makes what they send."""

    def __init__(self, identities: int, victim: Victim, forge: Forge) -> None:
        self.identities, self.victim, self.forge = identities, victim, forge
        self.random = forge.random
        self.tally = AttackTally()

    @abstractmethod
    async def meet(self, address: str = "", *, hello: bool = True, key: bytes = b"", store: bytes = b"") -> Attacker:
        """A new identity, linked to the node at an address (default: the victim's). hello: both said hello. key: an
        identity that was used before. Raises an error if there is no link."""

    @abstractmethod
    async def each(self, play: Callable[[int], Work], count: int = 0) -> None:
        """Plays `play(n)` for n below `count` (0: all identities) at once, each again whenever its link has ended."""

    async def repeat(self, act: Callable[[Attacker], Work], count: int = 0) -> None:
        """So many identities (0: all) meet the victim, and each acts again and again while its link stands."""

        async def play(n: int) -> None:
            stranger = await self.meet()
            while stranger.alive:
                await act(stranger)

        await self.each(play, count)

    @abstractmethod
    async def sleep(self, seconds: float) -> None: ...

    @abstractmethod
    def now(self) -> float:
        """Seconds since 1970."""

    def few(self, count: int) -> int:
        """How many of so many things the attack sends at once: all of them to a node, and fewer where hundreds of nodes
        in one process are attacked."""
        return count


class Attack(ABC):
    """One attack. about: a sentence for people. needs: the identities below which it is not this attack; more are used
    if there are more. spreads: whether honest nodes pass on what it sends, so that all of them judge it. on_chosen:
    whether it aims at nodes that hold chosen accounts."""

    about: ClassVar[str]
    needs: ClassVar[int] = 1
    spreads: ClassVar[bool] = False
    on_chosen: ClassVar[bool] = False

    @abstractmethod
    async def run(self, strangers: Any, victim: Victim) -> None:
        """Attacks until it is cancelled. It may return earlier if nothing is left to do."""


class Nothing(Attack):
    about = "nobody attacks: what the other rows are compared with"

    async def run(self, strangers: Any, victim: Victim) -> None:
        await strangers.sleep(inf)


def _found(packages: Iterable[ModuleType]) -> dict[str, type[Attack]]:
    """All attacks by name, which is that of the class: those of the modules here and in other packages."""
    modules = [
        importlib.import_module(f"{package.__name__}.{module.name}")
        for package in (attacks, *packages)
        for module in pkgutil.iter_modules(package.__path__)
    ]
    return {NOTHING: Nothing} | {
        re.sub("(?<!^)(?=[A-Z])", "_", thing.__name__).lower(): thing
        for module in modules
        for thing in vars(module).values()
        if isinstance(thing, type) and issubclass(thing, Attack) and thing.__module__ == module.__name__
    }


def names(*packages: ModuleType) -> list[str]:
    """The names of all attacks. `nothing` is first, because others are compared with it."""
    return sorted(_found(packages), key=lambda name: (name != NOTHING, name))


def named(name: str, *packages: ModuleType) -> type[Attack]:
    """Raises KeyError if there is none of that name."""
    return _found(packages)[name]


def only(choice: Sequence[str]) -> list[str]:
    """The names that were chosen, or all but `nothing`."""
    return list(choice) or [name for name in names() if name != NOTHING]
