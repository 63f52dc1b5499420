"""All gates that a frame of a peer passes, and that an HTTP request passes, each in order.

A gate bounds something, and delays or refuses who is beyond. Where it does, its name stands in the code: with the
sentence that the other side gets, and for the tally, which the metrics and `banyan doctor` read. A gate belongs to one
room and may look into others; this list is of all rooms (tests/node/test_gates.py).
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter

from banyan_replica.gossip.address_groups import nets_of


class GateRecord(NamedTuple):
    """bounds: what. where: files, from the repository's root. says: pieces of its sentences, as they stand there; none:
    it delays, or drops without a word."""

    bounds: str
    where: tuple[str, ...]
    says: tuple[str, ...] = ()


_EDGE, _ADMISSION, _REPLICA = "node/banyan_node/edge/", "node/banyan_node/admission/", "replica/banyan_replica/"
_DISPATCH, _LINKS, _WEB = _REPLICA + "message_dispatch.py", "node/banyan_node/links/", "web/banyan_web/"
_HOST, _DOOR, _CONTROL = _EDGE + "libp2p_host.py", _EDGE + "admission.py", "node/banyan_node/server/control_api.py"

FRAME: dict[str, GateRecord] = {
    "accept": GateRecord(
        "connections that are accepted, while own people work: a part of a core", (_ADMISSION + "arrivals.py",)
    ),
    "network": GateRecord(
        "networks: `network.allow`, `network.deny`, bans of networks",
        (_HOST,),
        ("is not an address that the CIDR settings admit",),
    ),
    "arrivals": GateRecord(
        "connections that have not said hello: `limits.arriving`",
        (_DOOR, _ADMISSION + "connection_slots.py"),
        ("connections are arriving: dial again later", "another connection took its place before it said hello"),
    ),
    "handshake": GateRecord(
        "handshakes, while own people work: a part of a core, networks in turns", (_ADMISSION + "arrivals.py",)
    ),
    "proof": GateRecord(
        "bytes and seconds until a peer has proved who it is and said hello",
        (_HOST, _DOOR),
        ("bytes before it proved who it is: hang up", "no hello came in time"),
    ),
    "pause": GateRecord(
        "how often a peer comes whose links end at once", (_DOOR,), ("came too often and has to wait",)
    ),
    "connections": GateRecord(
        "connections and streams of one peer",
        (_HOST,),
        ("connections already, as many as a peer may", "streams open, as many as a peer may"),
    ),
    "link": GateRecord(
        "one link per pair of peers, and links that wait to be taken",
        (_EDGE + "edge.py",),
        ("dialled, and this node's own link to it stands", "links wait to be taken here: dial again later"),
    ),
    "ban": GateRecord(
        "peers that lied, for ten minutes, or that the operator banned",
        (_REPLICA + "replica.py", _REPLICA + "peers/peers.py"),
        ("banned: ",),
    ),
    "frame": GateRecord(
        "one frame's size and pace, bytes of a link that wait unread, silence",
        (_EDGE + "link.py",),
        ("announced a frame of", "it sent more than it had credit for", "was silent for", "did not finish a frame"),
    ),
    "read": GateRecord(
        "what strangers use of the processor, while own people work: `limits.strangers_cpu`",
        (_ADMISSION + "throttle.py",),
    ),
    "flood": GateRecord("what one peer relays and waits, while own people work", (_LINKS + "queues.py",)),
    "prepare": GateRecord("large frames of strangers that are prepared ahead", (_LINKS + "queues.py",)),
    "backlog": GateRecord(
        "frames that wait for the replica: `limits.ingest_queue_bytes`, `limits.ingest_queues_bytes`",
        (_LINKS + "link_manager.py",),
    ),
    "turns": GateRecord(
        "time on the replica's thread: classes, networks, peers in turns (`fair_queue.py`)",
        ("node/banyan_node/workers/inbox.py",),
    ),
    "hello": GateRecord(
        "version and realm of a peer",
        (_DISPATCH,),
        ("the first frame is no hello", "update the older node", "give both nodes the same node.realm"),
    ),
    "slots": GateRecord(
        "links: `limits.peers`, `limits.outbound`, links of one network; the least useful goes",
        (_DOOR, _ADMISSION + "connection_slots.py"),
        ("no slot is free here: ", "links here, as many as it may", "its slot is needed for another peer"),
    ),
    "state": GateRecord("which messages a peer may send now (`peers/states.py`)", (_DISPATCH,)),
    "questions": GateRecord("rows that a peer's questions cost: `work_per_s`", (_REPLICA + "sync/sync.py",)),
    "room": GateRecord(
        "the disk, and the share of it for accounts of strangers",
        (_REPLICA + "intake/intake.py", _REPLICA + "intake/untrusted.py"),
        ("nothing of others is taken: ", "accounts of strangers take", "this account of a stranger takes"),
    ),
    "points": GateRecord(
        "lies and slights: bulk beyond the credit, wrong signatures, questions too often, what was not served",
        (_REPLICA + "peers/peers.py", _DISPATCH, _REPLICA + "peers/flow.py"),
        ("what you serve is not what was written", "more of bulk than there was credit for", "banned: "),
    ),
    "send": GateRecord(
        "frames that wait for a peer that reads slowly: `limits.send_queue_bytes`",
        (_LINKS + "link_manager.py",),
        ("slow peer let go",),
    ),
}
"""From a TCP connection to a frame that is applied, and its answers."""

REQUEST: dict[str, GateRecord] = {
    "lines": GateRecord(
        "connections: `control.connections`, `http.connections`; the oldest that showed no token goes",
        ("node/banyan_node/server/http_connections.py", _WEB + "workers/uvicorn_server.py"),
    ),
    "host": GateRecord("who the control API answers to: this machine", (_CONTROL,), ("The Host header is",)),
    "token": GateRecord(
        "who may ask: the control API's token of this run; the door's tokens and sessions",
        (_CONTROL, _WEB + "refusals.py", _WEB + "app.py", _WEB + "endpoint.py"),
        ("Send the content of control.token", "The access token is invalid"),
    ),
    "rate": GateRecord(
        "requests with a token, or from an address: `http.token_rate`, `http.address_rate`",
        (_WEB + "rate_limiter.py",),
        ("Too many requests",),
    ),
    "anonymous": GateRecord(
        "what answers without a login cost of the processor: `http.anonymous_cpu`",
        (_WEB + "rate_limiter.py",),
        ("Too much was asked for without logging in.",),
    ),
    "body": GateRecord(
        "bytes and seconds of a body",
        (_CONTROL, _WEB + "refusals.py", _WEB + "params.py"),
        ("The request is larger than", "did not come whole within", "bytes are taken here.", "The body did not come"),
    ),
    "tries": GateRecord(
        "passwords, apps and writings of an address; passwords that are checked at once",
        (_WEB + "oauth/login.py", _WEB + "oauth/apps.py", _WEB + "page/own_account.py"),
        ("One address registers", "Too much came from here"),
    ),
    "queue": GateRecord(
        "what is written without a login: in turns by network and account",
        (_WEB + "rate_limits.py",),
        ("Too much comes from here at once", "Many who are not logged in write"),
    ),
    "archives": GateRecord(
        "archives that are written and sent at once, and their size",
        (_WEB + "archive_downloads.py",),
        ("Many archives are being sent", "Many archives are written", "The account has more than"),
    ),
    "streams": GateRecord(
        "streams that are open: `control.streams`; of an address and of all; of a connection",
        (
            _CONTROL,
            _WEB + "rate_limiter.py",
            _WEB + "page/live.py",
            _WEB + "firehose/requests.py",
            _WEB + "mastodon/streaming/endpoints.py",
        ),
        ("event streams are open", "Too many streams are open", "Too many watch", "streams of the firehose are open"),
    ),
}
"""From an HTTP connection to the method that answers."""


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
            lately[key] = held._replace(times=held.times + times, seconds=held.seconds + seconds)

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
            every = [*self._before.values(), *self._lately.values()]
        refused = max((one for one in every if not one.seconds), key=lambda one: one.times, default=None)
        delayed = max((one for one in every if one.seconds), key=lambda one: one.seconds, default=None)
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
