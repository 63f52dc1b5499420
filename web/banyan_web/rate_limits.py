"""How much clients may ask: sizes and times of bodies, requests by token and address, attempts at passwords, and turns
of strangers.

What who asks without a token costs is counted in microseconds of the processor, once it is known: a page that costs
50 times as much takes 50 times as much of the allowance.

Counts are kept in memory, of at most KEYS keys: a node that starts again counts anew. Processes that serve one door
count together (rate_limiter.py), and each may do its share of what is bounded at one time. Windows of time begin at
multiples of their length. Of what was counted in the window before, that part still counts which may be less than a
window ago, if it came evenly. So within any stretch of time, up to a window, at most the limit is let through and that
part of the limit which the stretch is of a window.
"""

from __future__ import annotations

import math
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network
from typing import NamedTuple, Protocol

import anyio
from cachetools import FIFOCache
from starlette.requests import HTTPConnection

from banyan_replica.gossip.address_groups import nets_of
from banyan_web.door_store import Token
from banyan_web.refusals import HttpRefusal, too_much

MEDIA_BYTES = 100 << 20
"""The largest file."""
BODY_BYTES, FILE_BYTES = 1 << 20, MEDIA_BYTES + (1 << 20)
"""The largest body, and the largest with files."""
BODY_S, FILE_S = 20.0, 600.0
"""The time limit of a body, and of one with files."""
ARCHIVES_AT_ONCE, ARCHIVES_WAITING = 1, 200
"""Archives of accounts that are written out at one time, fewer than there may be slow reads, and requests that wait for
that."""
PERIOD_S = 300
"""The window in which requests are counted, as with Mastodon."""
TOKEN_RATE, ADDRESS_RATE = 1_500, 600
"""Requests in a window with one token, and without any from one address. 0: no limit."""
ANONYMOUS_CPU, CPU_S = 40, 60
"""Percent of one core for all who ask without a token of a person, and the window in which that is counted."""
OF_NEAR, OF_ADDRESS = 4, 8
"""The part of it that one /24 or /48 may take at most, and one address."""
AT_LEAST = 40
"""When all is used up, a network that took less than this part still gets an answer."""
BEGUN_US = 20_000
"""What an answer counts as until it begins, so that many at once do not all find an allowance that none has used."""
STREAM_S = 15
"""An open stream counts as a request in so many seconds: of one address as many may be open as `address_rate` has such
requests."""
STREAMS = 150
"""Streams that are open at once of all who ask without a token of a person."""
UNLIMITED = ("host", "admin", "firehose")
"""A token with one of these scopes is of the node's own people or programs: it has no limit."""
ATTEMPT_S = 900
ATTEMPTS_HERE, ATTEMPTS_ADDRESS, ATTEMPTS_NAME = 10, 30, 100
"""Passwords tried in ATTEMPT_S: of one name from one address, from one address, of one name. The last is large, so that
a stranger cannot easily lock a person out."""
APPS_S, APPS_ADDRESS = 600, 30
"""Apps that one address registers."""
HASHES_AT_ONCE, HASHES_WAITING = 2, 32
"""Passwords that are checked at once, each in 64 MiB; and how many may wait."""
KEYS = 100_000
"""Counts that are kept; beyond them the one that began first goes."""


class WindowCount(NamedTuple):
    """limit: in the window. left: before the limit. ends: seconds since 1970. over: whether this was one too many."""

    limit: int
    left: int
    ends: int
    over: bool


class WindowCounts(Protocol):
    """Counts in windows of time, by what is counted and of whom."""

    def add(self, kind: str, key: str, ends: int, seconds: int, more: int = 1) -> tuple[int, int]:
        """Counts so many more in the window of so many seconds that ends then. Returns the count, and that of the
        window before."""

    def forget(self, kind: str, key: str) -> None:
        """The count begins anew."""


def moved_on(at: int, count: int, before: int, ends: int, seconds: int, more: int = 1) -> tuple[int, int]:
    """(count, before) with more in the window that ends then. at: the end of the window that was counted last."""
    if at == ends:
        return count + more, before
    return more, count if at == ends - seconds else 0


class LocalCounts:
    """Those of a process that serves the door alone."""

    def __init__(self) -> None:
        self._counts: FIFOCache[tuple[str, str], tuple[int, int, int]] = FIFOCache(KEYS)

    def __len__(self) -> int:
        return len(self._counts)

    def add(self, kind: str, key: str, ends: int, seconds: int, more: int = 1) -> tuple[int, int]:
        at, held, earlier = self._counts.get((kind, key), (0, 0, 0))
        count, before = moved_on(at, held, earlier, ends, seconds, more)
        self._counts[kind, key] = (ends, count, before)
        return count, before

    def forget(self, kind: str, key: str) -> None:
        self._counts.pop((kind, key), None)


class RateLimits:
    """The bounds of one process that serves the door."""

    def __init__(
        self,
        token_rate: int = TOKEN_RATE,
        address_rate: int = ADDRESS_RATE,
        proxies: tuple[str, ...] = (),
        counts: WindowCounts | None = None,
        processes: int = 1,
        anonymous_cpu: int = ANONYMOUS_CPU,
        clock: Callable[[], float] = time.time,
        stopped: Callable[[str, str], None] = lambda gate, address: None,
    ) -> None:
        """proxies: networks of those whose X-Forwarded-For is believed. counts: of all `processes` that serve the door;
        default: this one alone does. clock: seconds since 1970.
        stopped(gate, address): told of each refusal of a gate."""
        self.clock, self.stopped = clock, stopped
        self.token_rate, self.address_rate = token_rate, address_rate
        self._proxies = [ip_network(net, strict=False) for net in proxies]
        self._counts: WindowCounts = LocalCounts() if counts is None else counts
        self._processes = processes
        self._anonymous_us, self._begun = anonymous_cpu * CPU_S * 10_000, Counter[str]()
        self._open: defaultdict[str, Counter[str]] = defaultdict(Counter)
        """What is open at this time, by kind and address."""
        self.hashing = anyio.CapacityLimiter(self.share(HASHES_AT_ONCE))
        self.strangers = AnonymousQueue(SHARE / processes)
        self.archives = anyio.CapacityLimiter(self.share(ARCHIVES_AT_ONCE))

    @property
    def archives_full(self) -> bool:
        """Whether so many wait for an archive that one more is refused."""
        return self.archives.statistics().tasks_waiting >= ARCHIVES_WAITING

    def share(self, most: int) -> int:
        """What this process may have at one time, of what all together may."""
        return -(-most // self._processes)

    def take(self, kind: str, key: str, limit: int, seconds: int, more: int = 1) -> WindowCount:
        """Counts so many more of this kind and key."""
        now = self.clock()
        ends = (int(now) // seconds + 1) * seconds
        count, before = self._counts.add(kind, key, ends, seconds, more)
        before = min(before, limit)
        used = count + before * (ends - now) / seconds
        if used <= limit:
            return WindowCount(limit, int(limit - used), ends, False)
        # when one more is allowed: as soon as enough of what was before is long ago, or in the next window
        left, of = (limit - count - 1, before) if count < limit else (limit - 1, limit)
        again = ends - seconds * left / max(of, 1) + (0 if count < limit else seconds)
        return WindowCount(limit, 0, min(math.ceil(again), ends + seconds), True)

    def request(self, token: Token | None, address: str) -> WindowCount | None:
        """One request more of the token, or of the address; None where there is no limit."""
        if token is not None:
            if not self.token_rate or any(scope in token.scopes for scope in UNLIMITED):
                return None
            return self.take("token", token.id, self.token_rate, PERIOD_S)
        return self.take("address", address, self.address_rate, PERIOD_S) if self.address_rate else None

    def anonymous_over(self, address: str) -> WindowCount | None:
        """The allowance that who asks from there has used up, None while there is one."""
        total = self._anonymous_us
        if not total:
            return None
        everybody, nets = self._left("all", total), self._nets(address)
        for key, part in nets:
            count = self._left(key, total // (AT_LEAST if everybody.over else part))
            if count.over:
                return count
        return None if nets or not everybody.over else everybody

    def _left(self, key: str, limit: int) -> WindowCount:
        count = self.take("cpu", key, limit, CPU_S, more=0)
        return count._replace(over=count.over or count.left < self._begun[key] * BEGUN_US)

    def begin_anonymous(self, address: str, answers: int) -> None:
        """So many answers more, or fewer, are being made and have not begun."""
        for key in ("all", *(net for net, _ in self._nets(address))):
            self._begun[key] += answers
            if not self._begun[key]:
                del self._begun[key]

    def spend_anonymous(self, address: str, seconds: float) -> None:
        """What an answer cost. Addresses of this machine and of private networks are not told apart: what asks from
        there counts for all alone."""
        for key in ("all", *(net for net, _ in self._nets(address))) if self._anonymous_us else ():
            self.take("cpu", key, 1, CPU_S, more=round(seconds * 1e6))

    @staticmethod
    def _nets(address: str) -> tuple[tuple[str, int], ...]:
        nets = nets_of(address.partition("/")[0])
        return () if nets.local or not nets.near else ((nets.near, OF_NEAR), (nets.address, OF_ADDRESS))

    def open_stream(self, address: str) -> bool:
        """A stream that who asks from there opens without a token of a person; see `open`."""
        most = max(1, self.address_rate * STREAM_S // PERIOD_S) if self.address_rate else STREAMS
        return self.open("streams", address, most, STREAMS)

    def open(self, kind: str, address: str, of_address: int, of_all: int) -> bool:
        """Counts one more of a kind that is open at one time; close it. False if so many are open of this address, or
        of all."""
        counts = self._open[kind]
        full = counts[address] >= self.share(of_address) or counts.total() >= self.share(of_all)
        if not full:
            counts[address] += 1
        return not full

    def close(self, kind: str, address: str) -> None:
        self._open[kind][address] -= 1
        if not self._open[kind][address]:
            del self._open[kind][address]

    def forget(self, kind: str, key: str) -> None:
        """The count begins anew."""
        self._counts.forget(kind, key)

    def refused(self, why: HttpRefusal, asked: HTTPConnection) -> None:
        """Counts a refusal at its gate, if it has one. Each is told by who answers with it."""
        if why.gate:
            self.stopped(why.gate, self.address_of(asked))

    def address_of(self, asked: HTTPConnection) -> str:
        """Who asks."""
        peer = None if asked.client is None else asked.client.host
        return self.address(peer, ",".join(asked.headers.getlist("x-forwarded-for")) or None)

    def address(self, peer: str | None, forwarded: str | None) -> str:
        """Who asks. peer: the other end of the connection, None for a Unix socket. forwarded: X-Forwarded-For, which
        counts if the peer is a proxy of ours, from its end on: what stands before was said by who asks. An IPv6 address
        stands for its /64, which one owner has."""
        hops = [part.strip() for part in (forwarded or "").split(",") if part.strip()][-8:]
        at = peer
        while hops and (at is None or self._is_proxy(at)):
            at = hops.pop()
        return _owner(at)

    def _is_proxy(self, text: str) -> bool:
        try:
            found = ip_address(text)
        except ValueError:
            return False
        return any(found in net for net in self._proxies)


@lru_cache(4_096)
def _owner(text: str | None) -> str:
    if text is None:
        return "local"
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:  # some proxies say the port too
        text = text.partition(":")[0]
    try:
        found = ip_address(text)
    except ValueError:
        return "unknown"
    if isinstance(found, IPv6Address):
        return str(found.ipv4_mapped or ip_network((found, 64), strict=False))
    return str(found)


# What strangers have the node work on: one after the other, and all of them together for a part of the time.
#
# Whoever is not logged in costs nothing to make, so a bound by address alone bounds nobody who has many. After a piece
# of work that took a second the next one begins when so much time has passed that the share holds; while own people
# work each takes longer, so strangers get less then.
#
# Strangers wait in two lines, whose turns alternate while somebody waits in both: accounts that the node knows, each of
# which proved with the request that it is one, and newcomers. In each line the turn is of who had none for longest: of
# the accounts, or of the networks that newcomers ask from (a /16 of IPv4 or /32 of IPv6, and within it a /24 or /48).
# Where no more may wait, those make room who would have been the last. So a flood takes turns of its own network, and
# not of others.

SHARE = 0.15
"""Of the time, for all strangers together."""
WAITING, OF_ONE = 16, 4
"""Requests that wait in a line, and those of one account or near network in it: each has a body in memory."""
WAIT_S = 20.0
"""How long one waits."""
REMEMBERED = 8_192
"""Accounts and networks of which it is remembered when they had their last turn."""


@dataclass(slots=True, eq=False)
class _QueuedRequest:
    """A request. who: an account; or networks, the wider one first."""

    known: bool
    who: tuple[str, ...]
    called: anyio.Event = field(default_factory=anyio.Event)
    sent_away: bool = False


class AnonymousQueue:
    """share: of the time of this process."""

    def __init__(self, share: float = SHARE) -> None:
        self._share = share
        self._waiting: list[_QueuedRequest] = []
        self._served: FIFOCache[tuple[bool, str], int] = FIFOCache(REMEMBERED)
        self._turns = 0
        self._working = self._of_known = False
        self._free_at = 0.0

    @asynccontextmanager
    async def turn(self, address: str, account: str | None = None) -> AsyncIterator[None]:
        """Work for who asks from there. account: one that the node knows, and that surely asks; None: a newcomer.
        Raises HttpRefusal where too many wait, and after WAIT_S."""
        mine = self._enter(address, account)
        try:
            with anyio.move_on_after(WAIT_S) as waited:
                await mine.called.wait()
                if not mine.sent_away:
                    await anyio.sleep(max(0.0, self._free_at - time.monotonic()))
        except BaseException:
            self._leave(mine)
            raise
        if mine.sent_away or waited.cancelled_caught:
            self._leave(mine)
            raise _busy()
        began = time.monotonic()
        try:
            yield
        finally:
            ended = time.monotonic()
            self._free_at = ended + (ended - began) * (1 / self._share - 1)
            self._next()

    def _enter(self, address: str, account: str | None) -> _QueuedRequest:
        """Raises HttpRefusal."""
        nets = nets_of(address.partition("/")[0])
        who = (nets.wide or address, nets.near or address) if account is None else (account,)
        mine = _QueuedRequest(account is not None, who)
        line = [one for one in self._waiting if one.known == mine.known]
        if sum(one.who == who for one in line) >= OF_ONE:
            raise too_much("queue", "Too much comes from here at once; send one after the other.")
        self._waiting.append(mine)
        if len(line) >= WAITING:
            last = max((mine, *reversed(line)), key=self._rank)
            self._waiting.remove(last)
            if last is mine:
                raise _busy()
            last.sent_away = True
            last.called.set()
        if not self._working:
            self._next()
        return mine

    def _leave(self, mine: _QueuedRequest) -> None:
        """It waits no more. If the turn was its own, it is somebody else's."""
        if mine in self._waiting:
            self._waiting.remove(mine)
        elif not mine.sent_away:
            self._next()

    def _next(self) -> None:
        """Gives the turn to whose it is."""
        lines = {one.known for one in self._waiting}
        self._working = bool(lines)
        if not lines:
            return
        self._of_known = not self._of_known if len(lines) == 2 else lines.pop()
        mine = min((one for one in self._waiting if one.known == self._of_known), key=self._rank)
        self._waiting.remove(mine)
        self._turns += 1
        for name in mine.who:
            self._served[mine.known, name] = self._turns
        mine.called.set()

    def _rank(self, one: _QueuedRequest) -> tuple[int, ...]:
        """The least is the first: who waits but once, then who had no turn for longest."""
        before = self._waiting[: self._waiting.index(one)]
        same = sum(other.known == one.known and other.who[0] == one.who[0] for other in before)
        return (same, *(self._served.get((one.known, name), 0) for name in one.who))


def _busy() -> HttpRefusal:
    return too_much("queue", "Many who are not logged in write at the moment; try again soon.", 20, 503)
