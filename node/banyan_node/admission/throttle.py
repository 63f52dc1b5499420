"""How much of the processor strangers get while this node's own people work.

What a stranger sends costs time before anybody can ask whose turn it is: it is decrypted, taken apart and decoded. So
when strangers have used up their share, their connections are not read from until time has paid for it. What they send
waits at their end, because TCP has no room for it. A node whose own people do nothing reads as fast as it can.

Connections that have not proved who they are do not wait, because who they are decides whether they must. What they get
together is in `arrivals.py`.

Time is measured while own people work, and not guessed: the steps of all tasks that a connection has (`CAUSE`), what
its frames cost on the replica's thread, and what it cost to prepare them. Those that wait go on in the order of what
they used: first the group of addresses that used least, in it the connection that used least. Whoever was away has
saved up next to nothing (start-time fair queueing, Goyal, Vin and Cheng 1996). So many identities of one network are no
more than one. And a group that used less than those that wait does not wait.

A peer that the operator named never waits, and nothing is counted. One that this node relies on has allowances of its
own (`budget.Allowance`), and is a stranger beyond them: nothing proves that it is honest, or what it relays. There is
one for reading, because who is not read from cannot say that it has room either, so posts to it wait; one for judging
what it relays, which others can flood; and one for what its own people wrote.

Whatever strangers owe, networks that used less than those that wait have a little time together (`LEAST`): otherwise
who uses up the share of all, with what it left behind too, would keep everybody out until that is paid.
"""

import select
import threading
import time
from collections.abc import Callable, Container

import trio

from banyan_node.admission import usage as cpu
from banyan_node.admission.arrivals import HandshakeLimiter
from banyan_node.admission.gates import AdmissionTally
from banyan_node.workers.process_memory import ConnectionGarbage
from banyan_replica.gossip.address_groups import group_of

BUSY_S = 1.0
"""How long after a call of its own people a node is at work for them, seconds."""
AHEAD_S = 0.1
"""A group begins at most this far behind those that wait, seconds: so much it can use without waiting."""
AHEAD_OF_ALL_S = 0.4
"""Beyond this debt of all strangers together groups that used less share LEAST, seconds: an attacker may have a hundred
networks."""
GROUPS = 4_096
"""Groups whose use is remembered. Beyond, the oldest without a connection is forgotten."""
GONE_S = 1.0
"""How often connections that wait are checked for a hang-up, seconds."""
HUNG_UP: int = getattr(select, "POLLRDHUP", 0)
"""What the system says of a socket whose other end hung up; 0 where it cannot (then they wait for their turn)."""


class _WaitingConnection:
    """A connection that waits. gone: the other end hung up."""

    __slots__ = ("fd", "go_on", "gone", "usage")

    def __init__(self, usage: cpu.Usage, fd: int) -> None:
        self.usage, self.fd, self.go_on, self.gone = usage, fd, trio.Event(), False


class Throttle:
    """share: the part of one core that strangers get together while own people work (`limits.strangers_cpu`); None: as
    much as they like. Methods that say "Any thread" may be called on any, the others only on the event loop."""

    def __init__(
        self,
        share: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        tally: AdmissionTally | None = None,
    ) -> None:
        self._clock, self.tally = clock, tally or AdmissionTally()
        self._share, self._strangers = share, cpu.Budget(share, clock())
        self._behind = cpu.Budget(None if share is None else cpu.LEAST, clock(), cpu.LEAST_DEEPEST_S)
        self.handshakes = HandshakeLimiter(share, clock, lambda: self.busy, lambda: self.used, self.tally)
        self.accepting = cpu.Usage(self, cpu.GroupUse("", 0.0), cpu.Stage.KNOCKS)
        """What accepting connections uses."""
        self._named: Container[str] = ()
        self._lock = threading.Lock()
        self.used = 0.0
        """What all strangers have used while own people worked, seconds."""
        self._used_behind = 0.0
        """What groups of it used that were behind others, while strangers owed much."""
        self._busy_until = float("-inf")
        self._groups: dict[str, cpu.GroupUse] = {}
        """By name, those first of which a connection began least recently."""
        self._peers: dict[str, cpu.Usage] = {}
        self._served = 0.0
        """What that group had used which went on last."""
        self._waiting: list[_WaitingConnection] = []
        self._ended = ConnectionGarbage()
        self._begins, self._waits = trio.Event(), trio.Event()

    # -- what is used

    def spare(self, named: Container[str]) -> None:
        """The operator named these peers."""
        self._named = named

    def works(self) -> None:
        """The node does something for its own people now."""
        self._busy_until = self._clock() + BUSY_S
        self._begins.set()

    @property
    def busy(self) -> bool:
        """Whether own people work. Any thread."""
        return self._busy_until > self._clock()

    def opened(self, host: str | None, arriving: bool = False) -> cpu.Usage:
        """A connection with this address began. Call `closed` at its end. arriving: it came in."""
        name = group_of(host or "")
        with self._lock:
            group = self._groups.pop(name, None)
            if group is None:
                group = cpu.GroupUse(name, self._served - AHEAD_S)
                if len(self._groups) >= GROUPS:
                    unused = next((g.name for g in self._groups.values() if not g.connections), "")
                    self._groups.pop(unused, None)
            self._groups[name] = group
        group.connections += 1
        return cpu.Usage(self, group, cpu.Stage.KNOCKS if arriving else cpu.Stage.PROVED)

    def met(self, usage: cpu.Usage, peer: str) -> None:
        """The peer at the other end has proved who it is."""
        usage.proved(peer)
        self._peers[peer] = usage

    def closed(self, usage: cpu.Usage) -> None:
        self._ended.one_more()
        usage.group.connections -= 1
        if self._peers.get(usage.peer) is usage:
            del self._peers[usage.peer]

    def counts(self, usage: cpu.Usage, seconds: float) -> None:
        """A connection has used so much of the event loop. Any thread."""
        self._counts(usage, usage.allowed and usage.allowed.reading, seconds)

    def _counts(self, usage: cpu.Usage, allowance: cpu.Allowance | None, seconds: float) -> None:
        if usage.peer in self._named or not self.busy:
            return
        with self._lock:
            if usage.stage is not cpu.Stage.PROVED:
                self.handshakes.counts(usage, seconds)
            elif allowance is None or not allowance.takes(seconds):
                usage.seconds += seconds
                self._pays(usage.group, seconds)

    def spent(self, peer: str, group: str, seconds: float, own: bool = False) -> None:
        """So much was done for a peer on other threads, seconds. own: for what its own people wrote or asked. Any
        thread."""
        usage = self._peers.get(peer)
        if usage is not None:
            self._counts(usage, usage.allowed and usage.allowed.judging(own), seconds)
        elif self.busy:
            with self._lock:  # its connection has ended
                self._pays(self._groups.get(group), seconds)

    def _pays(self, group: cpu.GroupUse | None, seconds: float) -> None:
        self.used += seconds
        if group is not None:
            if group.seconds < self._served and self._strangers.debt >= AHEAD_OF_ALL_S:
                self._used_behind += seconds
            group.seconds += seconds

    def relies(self, peer: str, on: bool) -> bool:
        """Whether this node relies on the peer. Returns whether its frames are no stranger's now. Any thread."""
        usage = self._peers.get(peer)
        if usage is None or peer in self._named:
            return on or peer in self._named
        if not on:
            usage.allowed = None
        elif usage.allowed is None:
            parts = (
                cpu.Allowance(self._share and self._share * part, self._clock)
                for part in (cpu.READING, cpu.JUDGING, cpu.OWN)
            )
            usage.allowed = cpu.Allowances(*parts)
        return self.relied_on(peer)

    @property
    def used_by_all(self) -> float:
        """What strangers and those that had not proved who they are have used while own people worked, seconds."""
        return self.used + self.handshakes.knocked + self.handshakes.arrived

    @property
    def waiting(self) -> int:
        """Connections that have to wait now."""
        return len(self._waiting)

    async def accepts(self) -> None:
        """Returns when the next connection may be accepted."""
        await self.handshakes.accepts()

    # -- turns

    def owed(self) -> float:
        """How long strangers have to wait, those that used most, seconds. Any thread."""
        if not self.busy:
            return 0.0
        with self._lock:
            return self._strangers.owed(self.used, self._clock())

    def is_behind(self, group: str) -> bool:
        """Whether a group of addresses has used less than those that wait, so that it need not. Any thread."""
        with self._lock:
            known = self._groups.get(group)
            return known is not None and self._lag(known)

    def leaves_nothing(self, peer: str, group: str) -> bool:
        """Whether what a connection that ended leaves behind would have to wait. Any thread."""
        return peer not in self._named and self.owed() > 0 and not self.is_behind(group)

    def has_to_wait(self, peer: str) -> bool:
        """Whether what a peer causes in the background has to wait. Any thread."""
        usage = self._peers.get(peer)
        return usage is not None and not self.spares(usage) and self.owed() > 0 and not self.is_behind(usage.group.name)

    def relied_on(self, peer: str) -> bool:
        """Whether this node relies on the peer, and it has time left for being judged. Any thread."""
        return self._may_judge(peer, own=False)

    def allows(self, peer: str, own: bool) -> bool:
        """Whether a peer that this node relies on, or that the operator named, has time left for being judged. own:
        what its own people wrote or asked. Any thread."""
        return not peer or peer in self._named or self._may_judge(peer, own)

    def _may_judge(self, peer: str, own: bool) -> bool:
        usage = self._peers.get(peer)
        return usage is not None and usage.allowed is not None and usage.allowed.judging(own).left > 0

    def makes_way(self, usage: cpu.Usage, flood: bool) -> bool:
        """Whether what a connection brings is not to hold up others: nobody named its peer, and own people work, or
        it is part of a flood."""
        return usage.peer not in self._named and (self.busy or flood)

    def spares(self, usage: cpu.Usage) -> bool:
        """Whether the connection is no stranger's now, so that it is read from. Any thread."""
        return usage.peer in self._named or (usage.allowed is not None and usage.allowed.reading.left > 0)

    def _lag(self, group: cpu.GroupUse) -> bool:
        group.seconds = max(group.seconds, self._served - AHEAD_S)
        if group.seconds >= self._served:
            return False
        return self._strangers.debt < AHEAD_OF_ALL_S or not self._behind.owed(self._used_behind, self._clock())

    def holds(self, usage: cpu.Usage) -> bool:
        """Whether the connection may not be read from now."""
        if usage.stage is not cpu.Stage.PROVED or self.spares(usage) or not (self._waiting or self.owed() > 0):
            return False
        with self._lock:
            return not self._lag(usage.group)

    async def turn(self, usage: cpu.Usage, fd: int = -1) -> bool:
        """Returns when the connection may be read from. fd: its socket. False: the other end hung up meanwhile."""
        usage.seconds = max(usage.seconds, usage.group.served)
        mine = _WaitingConnection(usage, fd)
        self._waiting.append(mine)
        self._begins.set()
        self._waits.set()
        try:
            with usage.held(), self.tally.delay("read", usage.peer or usage.group.name):
                await mine.go_on.wait()
        finally:
            if not mine.go_on.is_set():
                self._waiting.remove(mine)
        return not mine.gone

    async def run(self) -> None:
        """Measures while own people work, and lets connections begin and go on, for ever."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.handshakes.run)
            nursery.start_soon(self._let_go_on)

    async def _let_go_on(self) -> None:
        looked = 0.0
        while True:
            await self._begins.wait()
            with cpu.measuring():
                while self._waiting or self.busy:
                    if not self._waiting:
                        self._waits = trio.Event()
                        with trio.move_on_after(max(0.0, self._busy_until - self._clock())):
                            await self._waits.wait()
                    elif trio.current_time() - looked > GONE_S:
                        looked = trio.current_time()
                        self._let_go()
                    elif (owed := self.owed()) and not self.is_behind(self._first.usage.group.name):
                        await trio.sleep(min(owed, cpu.LONGEST_S))
                    else:
                        self._next()
                        await trio.sleep(cpu.NEXT_S)
            self._begins = trio.Event()

    @property
    def _first(self) -> _WaitingConnection:
        """The connection that comes first."""
        return min(self._waiting, key=lambda w: (w.usage.group.seconds, w.usage.seconds))

    def _next(self) -> None:
        """Lets it go on."""
        first = self._first
        self._waiting.remove(first)
        group = first.usage.group
        with self._lock:
            self._served = max(self._served, group.seconds)
        group.served = first.usage.seconds
        first.go_on.set()

    def _let_go(self) -> None:
        """Lets go of those whose other end hung up. Their last bytes are not read."""
        if not HUNG_UP:
            return
        poll = select.poll()
        for waiting in self._waiting:
            if waiting.fd >= 0:
                poll.register(waiting.fd, HUNG_UP)
        gone = {fd for fd, what in poll.poll(0) if what}
        for waiting in [w for w in self._waiting if w.fd in gone]:
            waiting.gone = True
            self._waiting.remove(waiting)
            waiting.go_on.set()
