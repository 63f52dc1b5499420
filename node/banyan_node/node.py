"""The node: a trio shell around the replica. Links bring bytes in, the replica's effects go out to them.

Tasks: the links (link_manager.py), the control API, some timers, and the replica's thread (worker.py).
"""

import math
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import structlog
import trio
from msgspec import to_builtins
from prometheus_client import CollectorRegistry

from banyan_crdt.codec import encode
from banyan_crdt.ids import LogId
from banyan_node import policy, program_version
from banyan_node.admission.gates import AdmissionTally, SlotUsage
from banyan_node.admission.throttle import Throttle
from banyan_node.api import NodeBackend
from banyan_node.api.declare import DoorState, EmptyRequest, NodeView
from banyan_node.api.methods.moderation import content, labellers, order_execution
from banyan_node.api.methods.network import node_state
from banyan_node.context import Context, DoorData, close_context, named_of, open_context
from banyan_node.edge import Edge, EdgeError, PeerActivity, open_edge
from banyan_node.edge.config import edge_of
from banyan_node.exporting.sinks import DRAFT, draft_of, remove_draft
from banyan_node.home.folder import Home
from banyan_node.home.keystore import Keys
from banyan_node.home.settings import Settings
from banyan_node.host import NodeHost
from banyan_node.hosting import claims, erasure, hosted, interest
from banyan_node.links import peerstore
from banyan_node.links.link_manager import Links
from banyan_node.logging import say_left_out
from banyan_node.media import prefetch
from banyan_node.media.blob_fetcher import BlobFetcher
from banyan_node.media.blob_server import open_media
from banyan_node.metrics import Metrics, figures
from banyan_node.server.control_api import control_app
from banyan_node.server.http_server import Bind, serve_control
from banyan_node.server.servers import Servers, new_token
from banyan_node.transparency import lines
from banyan_node.upkeep import derived_data, maintenance, storage_quota
from banyan_node.upkeep.log_check import CheckInterrupt
from banyan_node.upkeep.tasks import LongWorks, Tasks, carry_out, every
from banyan_node.workers.inbox import Arrivals
from banyan_node.workers.publisher import PublishedState, Publisher
from banyan_node.workers.worker import Worker
from banyan_replica.outbox import Connect, Disconnect, Effect, Event, Send
from banyan_storage.errors import StorageError

T = TypeVar("T")
log = structlog.get_logger("banyan")
Greet = Callable[[dict[str, Any]], None]
"""Called once, when the node is ready, with its identity and addresses. It replaces a log line on a terminal."""
OpenDoor = Callable[..., Awaitable[None]]
"""A further server: called with the node and `task_status`."""
LOOK_S = 5.0
"""Seconds between two updates of the metrics."""
HELD_UP_S = 15.0
"""A node of which all has waited so long for one thing does not call itself ready."""
TERMS_S = 3_600.0
"""Seconds between two looks whether something that the door keeps has reached its term."""
PING_S = 2.0
"""How long a peer may take to answer a ping."""
LAST_LOOK_S = 2.0
"""How long the last of these writes may delay a node that stops."""


class Node:
    """One running node. Once `shutdown` is set, `run` makes everything durable, ends all tasks and returns."""

    def __init__(
        self,
        home: Home,
        settings: Settings,
        keys: Keys,
        greet: Greet | None = None,
        doors: Sequence[OpenDoor] = (),
        at_door: DoorData | None = None,
    ) -> None:
        """doors: further servers. Each reports that it listens, and ends once `shutdown` is set."""
        self.home, self.settings, self.keys, self.greet, self.doors = home, settings, keys, greet, doors
        self._at_door = at_door or DoorData()
        self.shutdown = trio.Event()
        self.started = time.time()
        self.metrics = Metrics(CollectorRegistry())
        self.up = trio.Event()
        """Set once links, API and doors are served."""
        self.context: Context | None = None
        self.edge: Edge
        self.throttle: Throttle
        self.worker: Worker[Context]
        self.backend: NodeBackend
        self.nursery: trio.Nursery
        self.links: Links
        self.media: BlobFetcher
        self.tasks = Tasks(self.shutdown.is_set)
        self.door: DoorState | None = None
        """What the door for HTTP does; the door itself says so."""
        self._publisher = Publisher()
        self._stands = "Starting"
        self.servers = Servers()
        self._linking = False
        """Whether links are served. Set before `up`: a peer that dials while the node starts needs our hello."""

    async def run(self, task_status: Any = trio.TASK_STATUS_IGNORED) -> None:
        """Reports the control endpoint to `task_status`. Raises OperatorError, StorageError, EdgeError."""
        config = self.settings.config
        edge_config = edge_of(self.settings, self.keys)
        edge = Edge(edge_config)
        self.throttle = Throttle(config.limits.strangers_cpu / 100, tally=AdmissionTally(self.metrics.registry))
        self.worker = Worker(
            lambda: open_context(
                self.home,
                self.settings,
                self.keys,
                edge.peer_id,
                lambda context: NodeHost(context, self.throttle, lambda: self.links),
                random.SystemRandom(),
                log.info,
                self.shutdown.is_set,
            ),
            lambda c: c.replica,
            close_context,
            self._deliver,
            self._publisher.after,
            self.throttle,
        )
        try:
            await self.worker.start()
        except CheckInterrupt as why:
            log.info("stopping", reason=str(why))
            return
        try:
            async with open_edge(edge_config, self.throttle) as self.edge, trio.open_nursery() as self.nursery:
                await self.edge.wait_up()
                addresses = tuple(config.node.announce or self.edge.addresses)
                self.links = Links(self.edge, self.worker, config, self.metrics, self.nursery)
                self.context = await self.worker.call(lambda c, now: _begin(c, addresses, now))
                self.edge.door.standing = self._standing
                self.context.at_door = self._at_door
                self.backend = NodeBackend(self, self.context)
                self.media = await open_media(self.context, self.worker, self.edge, self.nursery)
                try:
                    await self._start(task_status)
                    await self.shutdown.wait()
                    self.backend.end_events()
                    with trio.move_on_after(LAST_LOOK_S), suppress(OSError, StorageError):  # before the links close
                        await peerstore.remember(self.worker, self.home.peers)
                    with trio.move_on_after(config.control.grace_seconds + LAST_LOOK_S):
                        await self.servers.ended()  # requests under way are answered
                finally:
                    self._linking = False  # no new task in a nursery that ends
                    self.links.close()
                log.info("stopping")
                self.nursery.cancel_scope.cancel()
        finally:
            self._linking = False
            await self.worker.stop()

    async def _start(self, task_status: Any) -> None:
        config = self.settings.config
        app = control_app(
            self.backend,
            token := new_token(),
            self.metrics.registry,
            self._not_ready,
            self._linked,
            body_bytes=config.control.body_bytes,
            streams=config.control.streams,
            stopped=self.throttle.tally.stopped,
        )
        keep = partial(self.nursery.start_soon, self.tasks.keep)
        self.nursery.start_soon(self.worker.failed)
        assert self.context is not None
        watch = storage_quota.QuotaWatch(self.worker, self.context.engine, self.home.search, config.storage)
        await watch.look()  # before any peer is heard
        await self.keep_bans()
        self.metrics.about(
            {"version": program_version(), "role": config.node.role, "realm": config.node.realm},
            {
                "ready": ("1 while the node is ready, as /readyz says", lambda: float(self._not_ready() is None)),
                "held_up_seconds": ("How long the replica's thread is at what it does now", lambda: self.held_up_s),
            },
        )
        self._linking = True
        keep("links", self.links.accept)
        keep("edge events", self._edge_events)
        keep("discovery", self.links.discover)
        keep("peers.json", partial(peerstore.keep, self.worker, self.home.peers))
        keep("room", watch.run)
        keep("metrics", partial(every, LOOK_S, self._look_around))
        keep("interest", partial(interest.follow, self.worker, self.context))
        keep("accounts that left", partial(interest.run, self.worker, self.context))
        keep("daily work", partial(maintenance.run, self.worker))
        keep("terms at the door", partial(every, TERMS_S, partial(trio.to_thread.run_sync, self._at_door.end_terms)))
        keep("orders that end", partial(maintenance.each_minute, self.worker, content.end_terms))
        keep("orders of the alliance", partial(order_execution.follow, self.worker, self.context))
        keep("public log", partial(lines.publish, self.worker, self.context))
        keep("erasures", partial(maintenance.each_minute, self.worker, erasure.step, alone=True))
        keep("scheduled posts", partial(maintenance.publish_on_time, self.worker, self.context.engine))
        keep("views", partial(derived_data.build, self.worker, self.context.engine))
        keep("labels", partial(labellers.follow, self.worker, self.context))
        keep("media", partial(prefetch.follow, self.worker, self.context, self.media))
        keep("unnamed media", partial(prefetch.collect, self.worker, self.context))
        keep("search index", partial(derived_data.follow, self.worker, self.context))
        endpoint = await self.servers.start(
            self.nursery,
            partial(
                serve_control,
                app,
                Bind.of(config.control, self.home),
                self.home,
                token,
                shutdown=self.shutdown,
                grace_seconds=config.control.grace_seconds,
                connections=config.control.connections,
                stopped=self.throttle.tally.stopped,
            ),
        )
        for door in self.doors:
            opened = await self.servers.start(self.nursery, partial(door, self), door=True)
            log.info("door open", address=str(opened))
        dial = partial(self.links.keep_dialling, until_linked=True)
        keep(
            "members of the alliance",
            partial(
                policy.follow,
                self.worker,
                lambda: (tuple(self.edge.addresses), config.http.url or (self.door.address if self.door else "")),
                self.links.members,
                lambda addr: keep("dialling", partial(dial, addr)),
            ),
        )
        before = peerstore.read(self.home.peers)
        known = [*config.node.bootstrap, *(a.addr for a in before if not a.called)]
        for addr in dict.fromkeys(known):
            keep("dialling", partial(self.links.keep_dialling, addr))
        for addr in {a.addr for a in before if a.called}.difference(known):
            keep("dialling", partial(dial, addr))
        self.up.set()
        if self.greet is not None:
            said = await self.look(_said)
            self.greet({**said, "addresses": list(self.edge.addresses), "bootstrap": known})
        else:
            log.info("ready", peer=self.edge.peer_id, addresses=list(self.edge.addresses), control=str(endpoint))
        task_status.started(endpoint)

    def _not_ready(self) -> str | None:
        held_up = self.held_up_s
        if held_up > HELD_UP_S:
            return f"one thing has held up all others for {held_up:.0f} s, the disk or a large call: see the node's log"
        if self.shutdown.is_set():
            return "the node is stopping"
        return None if self.ready else "the node is starting"

    def _linked(self) -> int:
        """How many peers are linked and said hello."""
        return sum(link.greeted for link in self.seen.links)

    # -- effects

    def _deliver(self, effects: Sequence[Effect], arrivals: Arrivals) -> None:
        if not self._linking or self.shutdown.is_set():
            return  # no link is served yet, or all are being closed
        for name, times in Counter(effect.name for effect in effects if isinstance(effect, Event)).items():
            self.metrics.event(name, times)
        for effect in effects:
            match effect:
                case Event(name, fields):
                    self.backend.tell(name, fields, arrivals)
                    if name == "peer_up":
                        self.edge.settle(fields["peer"])
                    if name == "storage":
                        log.error("storage", error=fields["error"])
                    if name == "entries" and self.settings.config.network.heads_bridge:
                        self.nursery.start_soon(self._announce, fields["log"], fields["length"], fields["head"])
                case Send(peer, data, own):
                    self.links.send(peer, data, own)
                case Connect(peer, addrs):
                    self.links.connect(peer, addrs)
                case Disconnect(peer, reason):
                    self.links.part(peer, reason)

    def _standing(self) -> dict[str, PeerActivity]:
        """Of what use linked peers are. A node has hundreds of leaves, and whoever says so is one: they must not close
        the slots to newcomers."""
        now = self.worker.now()
        return {
            link.peer: PeerActivity(
                link.neighbour and not link.leaf, math.inf if link.served_at is None else now - link.served_at
            )
            for link in self.seen.links
        }

    async def _announce(self, log_id: LogId, length: int, head: bytes) -> None:
        """Announces a head over gossipsub. Losses do not matter: no node relies on it."""
        shard = log_id.account[0] >> 4
        try:
            await self.edge.announce(shard, encode([log_id.account, log_id.writer, log_id.log, length, head]))
        except EdgeError as why:
            log.debug("head not announced", reason=str(why))

    # -- the rest

    async def _edge_events(self) -> None:
        async for event in self.edge.events:
            log.debug("edge", kind=event.kind, peer=event.peer, text=event.sentence)
            self.metrics.event(event.kind)

    async def _look_around(self) -> None:
        """Updates the metrics."""
        held, stops = await self.worker.call(figures)
        self.metrics.stands(**held)
        for (gate, peer), times in stops.items():
            self.throttle.tally.stopped(gate, peer, times)
        self._stands = f"{held['peers']:,} peers; {held['entries']:,} entries of {held['accounts']:,} accounts"
        say_left_out()
        await self.keep_bans()

    # -- for the service manager (`process.WatchdogSubject`)

    @property
    def stands(self) -> str:
        return self._not_ready() or self._stands

    @property
    def held_up_s(self) -> float:
        return self.worker.at_one_thing_s

    # -- for the API (`api.declare.Shell`)

    @property
    def ready(self) -> bool:
        return self.up.is_set()

    @property
    def seen(self) -> PublishedState:
        return self._publisher.seen

    async def look(self, do: Callable[[NodeView], T]) -> T:
        return await self.backend.look(do)

    @property
    def slots(self) -> SlotUsage:
        return self.edge.door.slots.filling()

    @property
    def addresses(self) -> tuple[str, ...]:
        return tuple(self.edge.addresses)

    async def keep_bans(self) -> None:
        self.links.refuse(await self.worker.call(peerstore.lift_due))

    @property
    def long_works(self) -> LongWorks:
        assert self.context is not None
        return self.context.works

    def begin(self, method: str, params: dict[str, str], about: str) -> int:
        number = self.long_works.announce(method, about)
        self.nursery.start_soon(carry_out, self.long_works, number, partial(self._do, method, params))
        return number

    async def _do(self, method: str, params: dict[str, str]) -> None:
        """Nobody can go on with what this leaves in the folder of archives."""
        try:
            await self.backend.done(method, params)
        finally:
            if "path" in params:
                remove_draft(draft_of(Path(params["path"])))

    async def ping(self, peer: str) -> float | None:
        with trio.move_on_after(PING_S):
            try:
                return await self.edge.ping(peer)
            except EdgeError:
                return None
        return None

    def stop(self) -> None:
        self.nursery.start_soon(self._stop_soon)

    async def _stop_soon(self) -> None:
        """Waits so that the call that asked for it is answered first."""
        await trio.sleep(0.2)
        self.shutdown.set()


def _begin(context: Context, addrs: tuple[str, ...], now: float) -> Context:
    for left in context.home.archives.glob(f".*{DRAFT}"):  # by a node that was killed
        remove_draft(left)
    interest.hold(context, now)
    if named_of(context.settings):
        context.logs.wait()
    context.replica.gossip.set_addrs(addrs)
    return context


def _said(at: NodeView) -> dict[str, Any]:
    mine, interest = hosted.me(at), at.here.settings.config.interest.mode
    follows = len(at.queries().follows(mine, limit=1)) if mine else 0
    known = to_builtins(node_state.identity(at, EmptyRequest()))
    held = at.store.counts().accounts
    return {**known, "accounts": held, "follows": follows, "interest": interest, "restoring": claims.restoring(at)}
