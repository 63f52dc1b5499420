"""Catching up: several peers read the whole network to us at once, each a range of accounts.

The account space is a line of 256-bit names. What is left to read is a set of spans. A peer that holds many times what
we hold reads a span to us from beginning to end, as one stream without round trips. The first peer gets the whole line.
An idle peer takes a free span, or the later half of the rest of the largest one, whose reader is told to stop there. So
fast peers help slow ones, and a single peer is not slowed down.

The invariant: every account that was not read to us is in some span. A span shrinks only when its reader says so. If
far too little came for that, the reader is doubted: the span is restored and another peer is asked. What is left is
noted in the store, in the transaction of the entries, so a restarted node continues with any peer. fetcher.py finds
peers that stall or lie; here they only lose their span.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from banyan_crdt.codec import decode, encode
from banyan_crdt.errors import Malformed
from banyan_crdt.ids import AccountId, LogId
from banyan_replica.peers.states import READER, ReaderEvent, ReaderState, step
from banyan_replica.wire.messages import CANNOT, LAST, Scan, Scanned

SHARE = 4
"""A node that holds less than 1/SHARE of its neighbour's logs has them read to it instead of comparing."""
HELP_AFTER_S = 1.0
"""No peer helps with a younger reading: most are over by then."""
WORTH_S = 2.0
"""No peer helps with a reading that ends sooner at its speed so far."""
WORTH_LOGS = 8
"""No peer helps with a span that probably has fewer logs."""
IDLE_S = 4.0
"""A source that has been idle for so long is compared with like any other peer."""
REST_S = 10.0
"""How long a reader that failed is not asked; the time doubles up to REST_MOST_S."""
REST_MOST_S = 160.0
DOUBT, DOUBT_FROM = 16, 64
"""A reader is doubted if fewer than 1/DOUBT of the expected logs came, after subtracting DOUBT_FROM. The expectation is
its own count times the share of the line: names are hashes, so they are spread evenly. If an attacker has ground names,
a second reader reports the same, and is believed."""
AGAIN_S = 600.0
"""A peer that read most of the network to us and still claims many times more than we hold is ignored for so long."""
MEMORY = 1_024
"""Peers remembered for that."""


class Span(NamedTuple):
    """Accounts after `cursor` (empty: from the first) up to `stop`, inclusive."""

    cursor: bytes
    stop: bytes

    @property
    def width(self) -> int:
        return _place(self.stop) - _place(self.cursor)


WHOLE = Span(b"", LAST)


@dataclass(slots=True)
class SpanRead:
    """A span that a peer reads to us. asked: the span that we asked for. left: the rest of it. claimed: the logs that
    the peer said it holds when it was asked: it may get many while it reads, and reads out what it holds then."""

    number: int
    asked: Span
    left: Span
    since: float
    claimed: int
    doubted: str
    """The peer that was doubted here before, or empty. If it is another peer, this one is believed."""
    logs: int = 0
    """Logs that came."""
    last: LogId | None = None
    """The last log that came."""

    @property
    def done(self) -> int:
        return _place(self.left.cursor) - _place(self.asked.cursor)

    def left_s(self, now: float) -> float:
        """Seconds that the rest will take at the speed so far."""
        return self.left.width * (now - self.since) / self.done if self.done else float("inf")


@dataclass(slots=True)
class PeerReader:
    """A peer that can read to us. logs: how many it claims to hold. Its states are in peers/states.py (`Reader`)."""

    logs: int
    idle_since: float
    state: ReaderState = ReaderState.IDLE
    reading: SpanRead | None = None
    """What it reads while READING."""
    paused: SpanRead | None = None
    """What it read when it seemed to stall. It was not told to stop, and goes on unless another peer takes the span."""
    rest_until: float = 0.0
    rests: int = 0
    read: int = 0
    """How much of the line it read to us."""

    def rests_at(self, now: float) -> bool:
        """Whether it failed recently and is not asked."""
        if self.state is ReaderState.RESTING and now >= self.rest_until:
            self._on(ReaderEvent.RESTED)
        return self.state is ReaderState.RESTING

    def begin(self, reading: SpanRead) -> None:
        self._on(ReaderEvent.ASKED)
        self.reading, self.paused = reading, None

    def go_on(self) -> None:
        self._on(ReaderEvent.WENT_ON)
        self.reading, self.paused = self.paused, None

    def shorten(self, stop: bytes) -> None:
        """Another peer takes the part beyond `stop`."""
        self._on(ReaderEvent.ASKED)
        if self.reading is not None:
            self.reading.left = Span(self.reading.left.cursor, stop)

    def end(self, now: float) -> None:
        """It read all of it."""
        self._on(ReaderEvent.READ)
        self.reading, self.idle_since, self.rests = None, now, 0

    def fail(self, now: float) -> SpanRead | None:
        """It rests, twice as long each time. Returns what it was reading."""
        self._on(ReaderEvent.FAILED)
        self.rest_until = now + min(REST_MOST_S, REST_S * 2**self.rests)
        self.rests = min(self.rests + 1, 8)
        reading, self.reading = self.reading, None
        return reading

    def _on(self, event: ReaderEvent) -> None:
        self.state = step(READER, self.state, event)


class SpanRequest(NamedTuple):
    peer: str
    scan: Scan


class Catchup:
    """note: the store's note of an unfinished catch-up, or None."""

    def __init__(self, note: bytes | None = None) -> None:
        self._free: list[tuple[Span, str]] = []
        """Spans without a reader, each with the peer that was doubted there, or empty."""
        self._sources: dict[str, PeerReader] = {}
        self._base = 0
        """Logs held here when this catch-up began."""
        self._number = 0
        self._read: dict[str, tuple[int, float]] = {}
        """How much each peer read in finished catch-ups, and when its last one ended."""
        self.reopen(note)

    @property
    def active(self) -> bool:
        """Whether anything is left to read."""
        return bool(self._free) or self.reading

    @property
    def readers(self) -> list[str]:
        """The peers that are reading to us."""
        return [peer for peer in self._sources if self.reads(peer)]

    @property
    def reading(self) -> bool:
        return any(s.state is ReaderState.READING for s in self._sources.values())

    def reads(self, peer: str) -> bool:
        source = self._sources.get(peer)
        return source is not None and source.state is ReaderState.READING

    def keeps(self, peer: str, now: float) -> bool:
        """Whether the peer reads to us or soon will; then a comparison would fetch the same twice."""
        source = self._sources.get(peer)
        if source is None or source.rests_at(now):
            return False
        return source.state is ReaderState.READING or now - source.idle_since < IDLE_S

    def left(self) -> list[Span]:
        """The spans that are left, in order, adjacent ones joined."""
        spans = [span for span, _ in self._free]
        spans += [s.reading.left for s in self._sources.values() if s.reading is not None]
        return _joined(sorted(spans))

    def note(self) -> bytes | None:
        """The note for the store, from which a restart continues."""
        left = self.left()
        return encode([self._base, [list(span) for span in left]]) if left else None

    # -- sources come and go

    def join(self, peer: str, logs: int, held: int, now: float) -> bool:
        """Makes the peer a source if it claims many times what is held here. Returns whether it is
        one and may be asked now.

        An active catch-up accepts peers that could have started it. So no false claim makes a node that holds most of
        the network read all of it again.
        """
        if peer in self._sources:
            self._sources[peer].logs = logs
            return not self._sources[peer].rests_at(now)
        if not self.active:
            read, at = self._read.get(peer, (0, -AGAIN_S))
            if held * SHARE >= logs or (2 * read > WHOLE.width and now - at < AGAIN_S):
                return False
            self._base, self._free = held, [(WHOLE, "")]
        elif self._base * SHARE >= logs or held >= logs:
            return False
        self._sources[peer] = PeerReader(logs, now)
        return True

    def leave(self, peer: str) -> None:
        """The link is down; the peer's span becomes free."""
        source = self._sources.pop(peer, None)
        if source is not None:
            self._free_again(source.reading)

    def rest(self, peer: str, now: float) -> None:
        """The peer seems to stall: its span becomes free, and it is not asked for a while. Where nobody takes the span
        meanwhile, the peer goes on with it: to ask again would bring the same twice over a line that was cut off."""
        source = self._sources.get(peer)
        if source is not None:
            reading = source.fail(now)
            self._free_again(reading)
            source.paused = reading or source.paused

    def close(self) -> list[SpanRequest]:
        """Ends the catch-up because nothing is left to read: we are equal to a peer that holds all."""
        under_way = [(peer, s.reading or s.paused) for peer, s in self._sources.items()]
        stops = [SpanRequest(peer, _stop(reading)) for peer, reading in under_way if reading is not None]
        self._free, self._sources = [], {}
        return stops

    def reopen(self, note: bytes | None) -> None:
        """After `close`: continues with what the note says."""
        if note is not None:
            self._base, spans = _of_note(note)
            self._free = [(span, "") for span in spans]

    # -- what a reader sends

    def came(self, peer: str, log: LogId) -> None:
        """An item of a log came from the peer."""
        source = self._sources.get(peer)
        self._goes_on(source)
        reading = source.reading if source is not None else None
        if reading is not None and log != reading.last:
            reading.last = log
            reading.logs += 1

    def scanned(self, peer: str, m: Scanned, now: float) -> str | None:
        """The peer reports its progress. Returns a sentence if that cannot be true; then the peer loses its span."""
        source = self._sources.get(peer)
        self._goes_on(source)
        reading = source.reading if source is not None else None
        if source is None or reading is None or m.reading != reading.number:
            return None  # of an earlier reading
        if m.done == CANNOT:  # it is catching up itself, or its disk failed
            self._free_again(source.fail(now))
            return None
        if not reading.left.cursor <= m.cursor <= reading.asked.stop:
            self._free_again(source.fail(now))
            asked = f"{reading.left.cursor.hex()[:8] or 'the first'} .. {reading.asked.stop.hex()[:8]}"
            return f"was asked for accounts {asked} and says it is at {m.cursor.hex()[:8]}"
        reached = reading.left.stop if m.done else min(m.cursor, reading.left.stop)
        claimed = min(reading.claimed, source.logs)
        expected = claimed * (_place(reached) - _place(reading.asked.cursor)) // WHOLE.width
        if reading.doubted in ("", peer) and expected > DOUBT_FROM + DOUBT * reading.logs:
            came = reading.logs
            reading.left = Span(reading.asked.cursor, reading.left.stop)
            self._free_again(source.fail(now), peer)
            return f"claimed {claimed} logs; about {expected} of them were expected and {came} came"
        source.read += _place(reached) - _place(reading.left.cursor)
        reading.left = Span(reached, reading.left.stop)
        if not reading.left.width:
            source.end(now)
            self._over(now)
        return None

    # -- assignment

    def assign(self, now: float) -> list[SpanRequest]:
        """Gives idle sources something to read."""
        out: list[SpanRequest] = []
        idle = [p for p, s in self._sources.items() if s.state is not ReaderState.READING and not s.rests_at(now)]
        for peer in sorted(idle, key=lambda p: (self._sources[p].rests, p)):
            source = self._sources[peer]
            taken = self._take_free(peer)
            if taken is not None:
                out += self._taken_over(taken, peer)
            else:
                reading = self._to_help(source, now)
                if reading is None:
                    continue
                middle = _name((_place(reading.left.cursor) + _place(reading.left.stop)) // 2)
                taken = Span(middle, reading.left.stop), reading.doubted
                slow = next(p for p, s in self._sources.items() if s.reading is reading)
                self._sources[slow].shorten(middle)
                out.append(SpanRequest(slow, Scan(reading.number, *reading.left)))
            self._number += 1
            source.begin(SpanRead(self._number, taken[0], taken[0], now, source.logs, taken[1]))
            out.append(SpanRequest(peer, Scan(self._number, *taken[0])))
        return out

    # -- inside

    def _goes_on(self, source: PeerReader | None) -> None:
        """Something came of the source. Where it seemed to stall and nobody took its span, it keeps it."""
        paused = source.paused if source is not None else None
        if source is not None and paused is not None and (free := (paused.left, paused.doubted)) in self._free:
            self._free.remove(free)
            source.go_on()

    def _taken_over(self, taken: tuple[Span, str], by: str) -> list[SpanRequest]:
        """Tells the peer that may still go on with the span to stop; one that reads it anew needs no telling."""
        for peer, source in self._sources.items():
            paused = source.paused
            if paused is not None and (paused.left, paused.doubted) == taken:
                source.paused = None
                return [] if peer == by else [SpanRequest(peer, _stop(paused))]
        return []

    def _take_free(self, peer: str) -> tuple[Span, str] | None:
        """Takes the widest free span; one where this peer was doubted only if there is no other peer."""
        alone = len(self._sources) == 1
        fit = [free for free in self._free if alone or free[1] != peer]
        if not fit:
            return None
        best = max(fit, key=lambda free: free[0].width)
        self._free.remove(best)
        return best

    def _to_help(self, helper: PeerReader, now: float) -> SpanRead | None:
        """The reading with the most left, if helping is worth it."""
        best, width = None, 0
        for source in self._sources.values():
            reading = source.reading
            if reading is None or now - reading.since < HELP_AFTER_S or reading.left_s(now) < WORTH_S:
                continue
            logs = max(helper.logs, source.logs) * reading.left.width // WHOLE.width
            if logs >= WORTH_LOGS and reading.left.width > width:
                best, width = reading, reading.left.width
        return best

    def _free_again(self, reading: SpanRead | None, doubted: str = "") -> None:
        """Frees the rest of a reading."""
        if reading is not None:
            self._free.append((reading.left, reading.doubted or doubted))

    def _over(self, now: float) -> None:
        if self.active:
            return
        for peer, source in self._sources.items():
            self._read.pop(peer, None)
            self._read[peer] = (source.read, now)
            if len(self._read) > MEMORY:
                del self._read[next(iter(self._read))]
        self._sources = {}


def _stop(reading: SpanRead) -> Scan:
    """Tells the reader to stop where it is."""
    return Scan(reading.number, reading.left.cursor, reading.left.cursor or bytes(32))


def covers(span: Span, account: AccountId) -> bool:
    return span.cursor < account <= span.stop


def _place(cursor: bytes) -> int:
    """The number of a name; -1 is before the first account."""
    return int.from_bytes(cursor, "big") if cursor else -1


def _name(place: int) -> bytes:
    return place.to_bytes(32, "big") if place >= 0 else b""


def _joined(spans: list[Span]) -> list[Span]:
    out: list[Span] = []
    for span in spans:
        if out and span.cursor == out[-1].stop:
            out[-1] = Span(out[-1].cursor, span.stop)
        else:
            out.append(span)
    return out


def _of_note(note: bytes) -> tuple[int, list[Span]]:
    """The logs held at the start, and the spans that are left. An unreadable note, of another version: everything."""
    try:
        v: Any = decode(note, 4)
        spans = [Span(bytes(cursor), bytes(stop)) for cursor, stop in v[1]]
        return int(v[0]), spans
    except (Malformed, TypeError, ValueError, IndexError):
        return 0, [WHOLE]
