"""All gates that a frame of a peer passes, and that an HTTP request passes, each in order.

A gate bounds something, and delays or refuses who is beyond. Where it does, its name stands in the code: with the
sentence that the other side gets, and for the tally, which the metrics and `banyan doctor` read. From there the page
has both (docs/generate.py). A gate belongs to one room and may look into others; this list is of all rooms.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter

from banyan_replica.gossip.address_groups import nets_of

FRAME: Mapping[str, str] = {
    "accept": "connections that are accepted, while own people work: a part of a core",
    "network": "networks: `network.allow`, `network.deny`, bans of networks",
    "arrivals": "connections that have not said hello: `limits.arriving`",
    "handshake": "handshakes, while own people work: a part of a core, networks in turns",
    "proof": "bytes and seconds until a peer has proved who it is and said hello",
    "pause": "how often a peer comes whose links end at once",
    "connections": "connections and streams of one peer",
    "link": "one link per pair of peers, and links that wait to be taken",
    "ban": "peers that lied, for ten minutes, or that the operator banned",
    "frame": "one frame's size and pace, bytes of a link that wait unread, silence",
    "read": "what strangers use of the processor, while own people work: `limits.strangers_cpu`",
    "flood": "what one peer relays and waits, while own people work",
    "prepare": "large frames of strangers that are prepared ahead",
    "backlog": "frames that wait for the replica: `limits.ingest_queue_bytes`, `limits.ingest_queues_bytes`",
    "turns": "time on the replica's thread: classes, networks, peers in turns (`fair_queue.py`)",
    "hello": "version and realm of a peer",
    "slots": "links: `limits.peers`, `limits.outbound`, links of one network; the least useful goes",
    "state": "which messages a peer may send now (`peers/states.py`)",
    "questions": "rows that a peer's questions cost: `work_per_s`",
    "room": "the disk, and the share of it for accounts of strangers",
    "points": "lies and slights: bulk beyond the credit, wrong signatures, questions too often, what was not served",
    "send": "frames that wait for a peer that reads slowly: `limits.send_queue_bytes`",
}
"""What each gate bounds from a TCP connection to a frame that is applied, and its answers."""

REQUEST: Mapping[str, str] = {
    "lines": "connections: `control.connections`, `http.connections`; the oldest that showed no token goes",
    "head": "bytes and seconds of a head, and what is no HTTP/1.1",
    "host": "who the control API answers to: this machine",
    "token": "who may ask: the control API's token of this run; the door's tokens and sessions",
    "rate": "requests with a token, or from an address: `http.token_rate`, `http.address_rate`",
    "anonymous": "what answers without a login cost of the processor: `http.anonymous_cpu`",
    "body": "bytes and seconds of a body, bytes of a message of a WebSocket",
    "tries": "passwords, apps and writings of an address; reports of an account; passwords that are checked at once",
    "queue": "what is written without a login: in turns by network and account",
    "unread": "seconds until an answer is read",
    "archives": "archives that are written and sent at once, and their size",
    "streams": "streams that are open: `control.streams`; of an address and of all; of a connection",
}
"""The same from an HTTP connection to the method that answers."""

# Which gate stopped whom: counted for the metrics since the start, and for people of the last minutes.

LATELY_S = 300.0
"""What was counted longer ago than twice this is forgotten, seconds."""
NAMES, OTHERS = 1_024, "others"
"""So many pairs of gate and name are told apart in LATELY_S; whoever comes after these counts as OTHERS."""


class AdmissionStop(NamedTuple):
    """whom: a peer, an address or a group of addresses. seconds: how long they were delayed; 0: they were refused."""

    gate: str
    whom: str
    times: int
    seconds: float

    def with_more(self, times: int, seconds: float) -> "AdmissionStop":
        return self._replace(times=self.times + times, seconds=self.seconds + seconds)


class AdmissionTally:
    """Any thread. clock: seconds."""

    def __init__(self, registry: CollectorRegistry | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._stops, self._delays = (
            Counter(f"banyan_admission_{name}", text, ["gate"], registry=registry)
            for name, text in (
                ("stopped", "How often a gate delayed or refused somebody"),
                ("delay_seconds", "How long gates delayed, of all together"),
            )
        )
        for gate in (*FRAME, *REQUEST):  # a gate that stopped nobody is exported too
            self._stops.labels(gate), self._delays.labels(gate)
        self._clock, self._lock, self._began = clock, threading.Lock(), clock()
        self._lately: dict[tuple[str, str], AdmissionStop] = {}
        self._before: dict[tuple[str, str], AdmissionStop] = {}

    def stopped(self, gate: str, whom: str, times: int = 1, seconds: float = 0.0) -> None:
        """A gate refused somebody so often, or delayed them for so long."""
        self._stops.labels(gate).inc(times)
        if seconds:
            self._delays.labels(gate).inc(seconds)
        with self._lock:
            self._forget()
            lately = self._lately
            key = (gate, whom) if (gate, whom) in lately or len(lately) < NAMES else (gate, OTHERS)
            held = lately.get(key, AdmissionStop(*key, 0, 0.0))
            lately[key] = held.with_more(times, seconds)

    @contextmanager
    def delay(self, gate: str, whom: str) -> Iterator[None]:
        """Its body waits at a gate."""
        began = self._clock()
        try:
            yield
        finally:
            self.stopped(gate, whom, seconds=self._clock() - began)

    def most(self) -> list[AdmissionStop]:
        """Who was refused most often lately, and who was delayed for longest, if anybody was."""
        with self._lock:
            self._forget()
            every = self._before.copy()
            for key, one in self._lately.items():
                every[key] = one.with_more(every[key].times, every[key].seconds) if key in every else one
        refused = max((one for one in every.values() if not one.seconds), key=lambda one: one.times, default=None)
        delayed = max((one for one in every.values() if one.seconds), key=lambda one: one.seconds, default=None)
        return [one for one in (refused, delayed) if one is not None]

    def _forget(self) -> None:
        now = self._clock()
        if now - self._began >= LATELY_S:
            self._before = self._lately if now - self._began < 2 * LATELY_S else {}
            self._lately, self._began = {}, now


# How full the slots for connections are, for people.

NEARLY = 0.9
"""The share of a pool from which on people are told."""
CROWD = 4
"""So many connections of one near group are named to people."""


class SlotUsage(NamedTuple):
    """How full the slots are. refused, evicted: newcomers without a place and links that had to go, since the start.
    largest: the most connections of one near group, of those that arrive or are inbound; net: that group."""

    inbound: int
    inbound_of: int
    outbound: int
    outbound_of: int
    named: int
    named_of: int
    arriving: int
    arriving_of: int
    refused: int
    evicted: int
    largest: int
    net: str

    @property
    def crowded(self) -> str | None:
        """Which slots are nearly used up and what to do, in a sentence without a full stop; None if none are."""
        of_one = f", {self.largest} of them from {self.net}" if self.largest >= CROWD else ""
        refuse = ""
        if of_one and nets_of(self.net.partition("/")[0]).local:
            refuse = "; look for the program on this machine or network that makes them"
        elif of_one:
            refuse = f"; if these are no honest peers, refuse them with network.deny {self.net}"
        if self.arriving >= NEARLY * self.arriving_of:
            return (
                f"{self.arriving} of {self.arriving_of} connections that may wait for a hello do{of_one}, so newcomers "
                f"may have to dial again{refuse or '; if that lasts, raise limits.arriving'}"
            )
        if self.inbound_of and self.inbound >= NEARLY * self.inbound_of:
            return (
                f"{self.inbound} of {self.inbound_of} slots for peers that dial this node are in use{of_one}, so the "
                f"least useful goes for each newcomer{refuse or '; raise limits.peers if this machine can serve more'}"
            )
        if self.outbound >= self.outbound_of:
            return f"all {self.outbound_of} slots for peers that this node dials are in use; raise limits.outbound"
        return None
