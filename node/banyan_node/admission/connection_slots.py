"""Who may hold a connection: pools that strangers cannot use up, caps per group of addresses, and who goes when full.

A connection that came in first *arrives*: it has a socket, and its hello has not come. Arrivals have a place of their
own, so silent ones take no slot. A peer that says hello *settles*: it takes a slot of one of three pools.

| pool | slots | whose |
|---|---|---|
| outbound | `outbound` | peers that this node dialled |
| named | `named` or more | peers that the operator named, whoever dialled |
| inbound | the rest | all others |

Identities are free and addresses are not, so the caps count addresses. A newcomer is refused only if every link that
could go is of more use: otherwise the newest useless link of the fullest group goes. So those who stay are those that
served lately, neighbours that relay, named peers, and the longest-lived.

Invariants: no pool and no group has more than its share; inbound links leave the slots of the other pools alone; a
named peer gets in as long as a slot is not held by another named one; no link goes for a newcomer of a lower rank.

This class is sans-I/O: it says which connections must go, and the caller closes them.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import NamedTuple

from banyan_node.admission.gates import SlotUsage
from banyan_replica.gossip.address_groups import NOWHERE, Nets, nets_of

NEVER = float("inf")


@dataclass(frozen=True, slots=True)
class SlotSettings:
    """Counts and seconds.

    links: slots in all. outbound: slots only for peers that this node dials: the active view of 6, 8 dials, and 10
      links that the gossip tries for half a minute. named: slots kept for named peers. Of few links at most half are
      outbound, and a quarter is kept for named peers.
    arriving: connections at once that have not said hello. They cost little until their handshake begins, and who opens
      hundreds of sockets must not keep others out.
    per_address: settled inbound links of one address (IPv4, or IPv6 /64): some nodes behind one router. per_near: of
      one /24 or /48, the least that a hoster gives out. per_wide: of one /16 or /32, what one hoster or provider may
      have: so two of them cannot fill the slots.
    local_groups: whether the caps also hold on loopback and private addresses, where one owner has all.
    step_s: how long each of the two steps of an arrival may take: the handshake, and from there to the hello.
    judged_s: how long a hello may wait for a replica that is busy.
    fair_s: an arrival is not evicted sooner for one of its own group. Otherwise a burst of honest peers would evict
      one another before any could finish. silent_s: the same of one that has not said anything: who dials speaks first.
    useful_s: how long a link counts as useful after it served something new.
    """

    links: int = 128
    outbound: int = 24
    named: int = 16
    arriving: int = 512
    per_address: int = 8
    per_near: int = 16
    per_wide: int = 32
    local_groups: bool = False
    step_s: float = 5.0
    judged_s: float = 60.0
    fair_s: float = 1.0
    silent_s: float = 0.1
    useful_s: float = 600.0

    @property
    def dialled(self) -> int:
        """Slots for peers that this node dialled."""
        return max(1, min(self.outbound, self.links // 2))

    @property
    def strangers(self) -> int:
        """Slots for inbound links of peers that nobody named."""
        return max(0, self.links - self.dialled - min(self.named, self.links // 4))


class Rank(IntEnum):
    """Who stays: a link goes only for a newcomer of its rank or a higher one."""

    NO_USE = 0
    SERVES = 1
    """It served something new lately, and is among the longest-lived half of those slots."""
    NEIGHBOUR = 2
    """A neighbour of the gossip that relays. A leaf is none: of those there may be more than slots."""
    NAMED = 3


class PeerActivity(NamedTuple):
    """What the replica says of a linked peer. idle_s: how long ago it last served something new."""

    neighbour: bool = False
    idle_s: float = NEVER


UNKNOWN = PeerActivity()


class SlotVerdict(NamedTuple):
    """refused: why there is no place, or "". slot: the newcomer's, for all later calls. out: slots that must go."""

    refused: str = ""
    slot: int = 0
    out: tuple[int, ...] = ()


class Progress(IntEnum):
    """How far a connection got."""

    SILENT = 0
    SPEAKS = 1
    PROVEN = 2
    """The handshake is done: who it is is known."""


class Pool(Enum):
    ARRIVING = "arriving"
    INBOUND = "inbound"
    OUTBOUND = "outbound"
    NAMED = "named"


@dataclass(slots=True)
class SlotHolder:
    """since: when it came, and then when it settled. due: when its step must be done."""

    pool: Pool
    nets: Nets
    since: float
    due: float
    peer: str = ""
    far: Progress = Progress.SILENT

    def proves(self, peer: str, due: float) -> None:
        self.peer, self.far = peer, Progress.PROVEN
        self.may_wait(due)

    def may_wait(self, due: float) -> None:
        """Gives an arrival more time; other connections have all they want."""
        if self.pool is Pool.ARRIVING:
            self.due = due


class ConnectionSlots:
    def __init__(self, settings: SlotSettings, named: Iterable[str] = ()) -> None:
        self.s = settings
        self.named = set(named)
        self.members: Collection[str] = ()
        """Peers that members of an alliance name: they have the slots of named ones."""
        self.held: dict[int, SlotHolder] = {}
        self.refused = self.evicted = 0
        self._last = 0

    # -- what happens

    def name(self, peer: str) -> None:
        """The operator names a peer."""
        self.named.add(peer)

    def is_named(self, peer: str) -> bool:
        return peer in self.named or peer in self.members

    def arrives(self, host: str | None, now: float) -> SlotVerdict:
        """A socket was accepted. host: its address, or None."""
        nets = nets_of(host)
        here = {slot: held for slot, held in self.held.items() if held.pool is Pool.ARRIVING}
        if len(here) < self.s.arriving:
            return SlotVerdict("", self._take(Pool.ARRIVING, nets, now, now + self.s.step_s))
        near = Counter(held.nets.near for held in here.values())
        fullest = max(near.values())
        fuller = {slot: held for slot, held in here.items() if near[held.nets.near] == fullest}
        out = self._stalest(fuller, NEVER if fullest > near[nets.near] + 1 else now)
        if not out:
            self.refused += 1
            return SlotVerdict(f"{len(here)} connections are arriving: dial again later")
        self._evict(out)
        return SlotVerdict("", self._take(Pool.ARRIVING, nets, now, now + self.s.step_s), out)

    def speaks(self, slot: int) -> None:
        """Its first bytes came."""
        if slot in self.held:
            self.held[slot].far = Progress.SPEAKS

    def met(self, slot: int, peer: str, now: float) -> None:
        """The handshake is done: `peer` is proven. Of an arrival the hello is awaited."""
        held = self.held.get(slot)
        if held is not None:
            held.proves(peer, now + self.s.step_s)

    def spoke(self, slot: int, now: float) -> None:
        """Its first message came, and the replica judges whether it is a hello."""
        if slot in self.held:
            self.held[slot].may_wait(now + self.s.judged_s)

    def waits(self, slot: int, now: float) -> None:
        """It uses its connection without a hello, as another program that follows the heads bridge, or is not read
        from."""
        if slot in self.held:
            self.held[slot].may_wait(now + self.s.step_s)

    def dials(self, host: str | None, peer: str, now: float, standing: Mapping[str, PeerActivity]) -> SlotVerdict:
        """This node wants to dial a peer. The slot is taken before the dial; `met` follows, or `leaves` if it fails."""
        pool = Pool.NAMED if self.is_named(peer) else Pool.OUTBOUND
        return self._seat(pool, nets_of(host), peer, now, standing)

    def settles(self, slot: int, now: float, standing: Mapping[str, PeerActivity]) -> SlotVerdict:
        """The peer of an arrival said hello. If it is refused, its slot is free, and the caller closes it."""
        held = self.held.get(slot)
        if held is None or held.pool is not Pool.ARRIVING:
            return SlotVerdict("", slot)
        del self.held[slot]
        pool = Pool.NAMED if self.is_named(held.peer) else Pool.INBOUND
        return self._seat(pool, held.nets, held.peer, now, standing, slot)

    def leaves(self, slot: int) -> None:
        """The connection has ended."""
        self.held.pop(slot, None)

    def late(self, now: float) -> list[int]:
        """Arrivals whose step took too long; the caller closes them."""
        return [slot for slot, held in self.held.items() if held.due <= now]

    # -- what people see

    def filling(self) -> SlotUsage:
        used = Counter(held.pool for held in self.held.values())
        open_to_all = (Pool.ARRIVING, Pool.INBOUND)
        nets = Counter(held.nets.near for held in self.held.values() if held.pool in open_to_all and held.nets.near)
        net, most = nets.most_common(1)[0] if nets else ("", 0)
        s = self.s
        return SlotUsage(
            used[Pool.INBOUND],
            s.strangers,
            used[Pool.OUTBOUND],
            s.dialled,
            used[Pool.NAMED],
            s.links - s.dialled - s.strangers,
            used[Pool.ARRIVING],
            s.arriving,
            self.refused,
            self.evicted,
            most,
            net,
        )

    # -- inside

    def rank(self, slot: int, serving: frozenset[int], standing: Mapping[str, PeerActivity]) -> Rank:
        held = self.held[slot]
        if self.is_named(held.peer):
            return Rank.NAMED
        if standing.get(held.peer, UNKNOWN).neighbour:
            return Rank.NEIGHBOUR
        return Rank.SERVES if slot in serving else Rank.NO_USE

    def serving(self, pool: Pool, standing: Mapping[str, PeerActivity]) -> frozenset[int]:
        """The longest-lived links of a pool that served something lately: at most half of its slots. Whoever signs
        accounts of its own can serve something new, so this alone must not close a pool to newcomers."""
        found = [
            (held.since, slot)
            for slot, held in self.held.items()
            if held.pool is pool and standing.get(held.peer, UNKNOWN).idle_s < self.s.useful_s
        ]
        half = (self.s.dialled if pool is Pool.OUTBOUND else self.s.strangers) // 2
        return frozenset(slot for _, slot in sorted(found)[:half])

    def _seat(
        self, pool: Pool, nets: Nets, peer: str, now: float, standing: Mapping[str, PeerActivity], slot: int = 0
    ) -> SlotVerdict:
        seated = {s: held for s, held in self.held.items() if held.pool is not Pool.ARRIVING}
        used = Counter(held.pool for held in seated.values())
        may_go, why = self._crowd(pool, nets, seated, used)
        if may_go is None:
            return SlotVerdict("", self._take(pool, nets, now, NEVER, peer, slot))
        mine = Rank.NAMED if pool is Pool.NAMED else Rank.NO_USE
        victim = self._least(may_go, pool, nets, standing, mine)
        if victim is None:
            self.refused += 1
            return SlotVerdict(why)
        self._evict((victim,))
        return SlotVerdict("", self._take(pool, nets, now, NEVER, peer, slot), (victim,))

    def _crowd(
        self, pool: Pool, nets: Nets, seated: Mapping[int, SlotHolder], used: Counter[Pool]
    ) -> tuple[dict[int, SlotHolder] | None, str]:
        """The links of which one must go for a newcomer, and why; None if there is a free slot."""
        s = self.s
        if pool is Pool.OUTBOUND:
            if used[pool] < s.dialled:
                return None, ""
            dialled = _of(seated, pool)
            links = {slot: held for slot, held in dialled.items() if held.far is Progress.PROVEN}  # not those under way
            return links, f"all {s.dialled} slots for peers that this node dials are in use"
        strangers = _of(seated, Pool.INBOUND)
        if pool is Pool.NAMED:
            if used[Pool.NAMED] + used[Pool.INBOUND] < s.links - s.dialled:
                return None, ""
            return strangers, f"all {used[Pool.NAMED]} slots are held by peers that were named: raise limits.peers"
        if self._capped(nets):
            levels: tuple[tuple[int, Callable[[Nets], str]], ...] = (
                (s.per_address, lambda n: n.address),
                (s.per_near, lambda n: n.near),
                (s.per_wide, lambda n: n.wide),
            )
            for most, level in levels:  # the narrowest first: who leaves it also leaves the wider ones
                same = {k: held for k, held in strangers.items() if level(held.nets) == level(nets)}
                if len(same) >= most:
                    return same, f"{level(nets)} has {len(same)} links here, as many as it may"
        if used[Pool.INBOUND] < min(s.strangers, s.links - s.dialled - used[Pool.NAMED]):
            return None, ""
        return strangers, f"all {s.strangers} slots for peers that dial this node are in use"

    def _least(
        self, links: Mapping[int, SlotHolder], pool: Pool, nets: Nets, standing: Mapping[str, PeerActivity], mine: Rank
    ) -> int | None:
        """The newest of the least useful links of the fullest group, if the newcomer has at least its rank."""
        serving = self.serving(Pool.INBOUND if pool is Pool.NAMED else pool, standing)
        ranks = {slot: self.rank(slot, serving, standing) for slot in links}
        low = min(ranks.values(), default=Rank.NAMED)
        if low > mine or low is Rank.NAMED:
            return None
        wide, near = (Counter(level(held.nets) for held in links.values()) for level in (_wide, _near))
        wide[nets.wide] += 1
        near[nets.near] += 1

        def fullest(slot: int) -> tuple[int, int, float, int]:
            held = links[slot]
            return wide[held.nets.wide], near[held.nets.near], held.since, slot

        return max((slot for slot in links if ranks[slot] is low), key=fullest)

    def _stalest(self, arrivals: Mapping[int, SlotHolder], now: float) -> tuple[int, ...]:
        """The arrival that got least far, and of these the oldest; none that came too shortly before `now`."""
        s = self.s
        fair = [
            (held.far, held.since, slot)
            for slot, held in arrivals.items()
            if now - held.since >= (s.fair_s if held.far else s.silent_s)
        ]
        return (min(fair)[2],) if fair else ()

    def _capped(self, nets: Nets) -> bool:
        return nets is not NOWHERE and (self.s.local_groups or not nets.local)

    def _take(self, pool: Pool, nets: Nets, now: float, due: float, peer: str = "", slot: int = 0) -> int:
        far = Progress.PROVEN if slot else Progress.SILENT
        if not slot:
            self._last += 1
            slot = self._last
        self.held[slot] = SlotHolder(pool, nets, now, due, peer, far)
        return slot

    def _evict(self, out: tuple[int, ...]) -> None:
        for slot in out:
            del self.held[slot]
            self.evicted += 1


def _of(seated: Mapping[int, SlotHolder], pool: Pool) -> dict[int, SlotHolder]:
    return {slot: held for slot, held in seated.items() if held.pool is pool}


def _wide(nets: Nets) -> str:
    return nets.wide


def _near(nets: Nets) -> str:
    return nets.near
