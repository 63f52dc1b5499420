"""How much clients may ask: sizes and times of bodies, requests by token and address, attempts at passwords.

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
from collections.abc import Callable
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network
from typing import NamedTuple, Protocol

import anyio
from cachetools import FIFOCache
from starlette.requests import HTTPConnection

from banyan_replica.gossip.address_groups import nets_of
from banyan_web.anonymous_queue import SHARE, AnonymousQueue
from banyan_web.door_store import Token

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

    def close_stream(self, address: str) -> None:
        self.close("streams", address)

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
