"""The node's links: a reader and a writer for each, their queues, and dialling.

A peer whose send queue passes its bound is disconnected. A peer is not read from while too many of its frames wait for
the replica. Reconciliation brings either up to date later. Nothing here judges what a peer sends.
"""

import random
from collections.abc import Awaitable, Callable, Collection
from collections.abc import Set as AbstractSet
from math import inf
from typing import NamedTuple

import structlog
import trio
from cachetools import FIFOCache

from banyan_crdt.realm import REALMS
from banyan_node.admission.fair_queue import JobOwner
from banyan_node.admission.usage import CAUSE
from banyan_node.context import Context
from banyan_node.edge import TWIN, Edge, EdgeError, Link, Paused
from banyan_node.home.config import Config
from banyan_node.links.peerstore import Network, is_within, why_unreachable
from banyan_node.links.queues import HOLD_BYTES, LinkReceiver, SendQueue
from banyan_node.metrics import Metrics
from banyan_node.workers.frame_preparer import FramePreparer
from banyan_node.workers.worker import Worker
from banyan_replica.gossip.address_groups import group_of
from banyan_replica.peers.backlog import Backlog, BacklogBytes

log = structlog.get_logger("banyan")
SILENT = (
    "it hung up before it said hello: it may have banned this node, have no room for it, or be linked to another node "
    "that runs with a copy of this home; stop that one, if there is one"
)
"""Why a contact is not reached whose link ended before its first frame, or that answers and gives no link."""
TWIN_S = 600.0
"""A node that was told so shows it for so long."""
GOODBYES = 256
"""Peers whose last reason for disconnecting is remembered."""
LAST_WORD_S = 1.0
"""How long a peer may take to read why we disconnect, and to hang up first."""


class ServedLink(NamedTuple):
    """outbox: what waits to be sent; backlog: frames that wait for the replica. scope: of the tasks that serve it."""

    link: Link
    outbox: SendQueue
    backlog: Backlog
    scope: trio.CancelScope


class Links:
    """At most one link per peer. Its tasks run in `nursery`."""

    def __init__(
        self, edge: Edge, worker: Worker[Context], config: Config, metrics: Metrics, nursery: trio.Nursery
    ) -> None:
        self._edge, self._worker, self._config, self._metrics, self._nursery = edge, worker, config, metrics, nursery
        self._ahead = FramePreparer(REALMS[config.node.realm])
        self._served: dict[str, ServedLink] = {}
        self._waiting = BacklogBytes()
        self._dialling: set[str] = set()
        self._dropped: set[str] = set()
        """Contacts that are dialled no more."""
        self._failed: dict[str, str] = {}
        """Contacts that the last attempt did not reach, each with why."""
        self._goodbyes: FIFOCache[str, str] = FIFOCache(GOODBYES)
        self._twin_until = -inf
        edge.door.part = self._turn_away

    # -- links

    async def accept(self) -> None:
        """Serves links that peers dial, for ever."""
        async for link in self._edge.incoming:
            self._nursery.start_soon(self._keep, link)

    def close(self) -> None:
        self._ahead.close()

    async def discover(self) -> None:
        """Dials peers that mDNS finds, for ever."""
        async for addr in self._edge.discovered:
            self._nursery.start_soon(self.keep_dialling, addr)

    async def _keep(self, link: Link) -> None:
        """Serves one link to its end."""
        peer = link.peer_id
        while (standing := self._served.get(peer)) is not None:
            if standing.link is link or standing.link.closed is None:
                return
            standing.link.discard()  # the peer is here again, so what it sent before can wait for a comparison
            await trio.sleep(0.01)
        CAUSE.set(link.usage)
        served = self._served[peer] = ServedLink(link, SendQueue(), Backlog(self._waiting), trio.CancelScope())
        addr = str(link.remote_addr or "")
        group = group_of(addr) if addr else "?"
        incoming = LinkReceiver(
            link, JobOwner(peer, group), served.backlog, self._ahead, self._worker, self._edge.throttle
        )
        incoming.begin(() if link.inbound else (addr,), addr, not link.inbound)
        try:
            with served.scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._write, served)
                    try:
                        await self._read(served, incoming)
                    except EdgeError as why:
                        log.debug("link closed", peer=peer, reason=str(why))
                    served.scope.cancel()
        except Exception:  # a mistake of ours costs this link and not the node
            log.exception("a link ended by an error", peer=peer)
        finally:
            del self._served[peer]
            incoming.end()
            link.close("the node let it go")

    async def _read(self, served: ServedLink, incoming: LinkReceiver) -> None:
        limits, silent = self._config.limits, True
        while True:
            frame = await served.link.receive()
            if silent:
                silent = False
                self._heard(served.link.peer_id)
            self._metrics.received.inc(len(frame))
            await incoming.take(frame)
            backlog, most = served.backlog, (limits.ingest_queue_bytes, limits.ingest_queues_bytes)
            if backlog.is_full(*most):  # not read from until the replica has caught up
                with self._edge.throttle.tally.delay("backlog", served.link.peer_id):
                    while backlog.is_full(*most):
                        await trio.sleep(0.01)

    async def _write(self, served: ServedLink) -> None:
        link, outbox = served.link, served.outbox
        try:
            while True:
                frames, told = await outbox.take()
                CAUSE.set(None if told else link.usage)
                self._hold(link.peer_id, outbox)
                await link.send(frames)
                outbox.sent(frames)
                self._metrics.sent.inc(sum(map(len, frames)))
        except EdgeError as why:
            log.debug("link closed", peer=link.peer_id, reason=str(why))
        except ValueError as why:  # a frame too large is our bug, but a peer's request must not end the node
            log.warning("link closed", peer=link.peer_id, reason=str(why))
        served.scope.cancel()

    def _hold(self, peer: str, outbox: SendQueue) -> None:
        """Tells the gossip when too much of it waits for the peer, and when it may go on."""
        if outbox.hold():
            held = outbox.held
            self._worker.post(lambda c, now: c.replica.gossip.hold(peer, held, now))

    def waiting(self, peer: str) -> int:
        """Bytes received from a peer that the replica has not read; one more for a peer that is held. Called on the
        replica's thread."""
        served = self._served.get(peer)
        return served.link.waiting + served.backlog.waiting + self.held(peer) if served is not None else 0

    def held(self, peer: str) -> bool:
        """Whether this node does not read from the peer, or did not until lately (throttle.py). Any thread."""
        served = self._served.get(peer)
        return served is not None and served.link.usage.held_lately

    # -- effects of the replica

    def send(self, peer: str, data: bytes, own: bool) -> None:
        """Queues a frame for the peer. own: see `outbox.Send`."""
        served, limits = self._served.get(peer), self._config.limits
        if served is None or served.outbox.ended:
            return  # it is gone, or is being disconnected
        outbox = served.outbox
        outbox.put(data, own)
        self._hold(peer, outbox)
        if outbox.size > limits.send_queue_bytes:
            self._let_go(peer)
        elif outbox.size > HOLD_BYTES:
            sizes = {peer: served.outbox.size for peer, served in self._served.items()}
            if sum(sizes.values()) > limits.send_queues_bytes:
                self._let_go(max(sizes, key=sizes.__getitem__))

    def _let_go(self, peer: str) -> None:
        """Disconnects a peer for which too much waits. It may come back, and comparing brings it up to date."""
        outbox = self._served[peer].outbox
        log.warning("slow peer let go", peer=peer, queued=outbox.size)
        self._edge.throttle.tally.stopped("send", peer)
        outbox.end()
        self._nursery.start_soon(self._hang_up, peer, 0.0)

    def part(self, peer: str, reason: str) -> None:
        """Disconnects soon; the reason is remembered for `dial_now`."""
        again = self._goodbyes.get(peer) == reason  # a refused peer that keeps dialling must not fill the log
        (log.debug if again else log.info)("disconnect", peer=peer, reason=reason)
        self._goodbyes[peer] = reason
        if reason == f"the peer says: {TWIN}" and self._edge.door.slots.is_named(peer):  # others may say what they like
            self._twin_until = trio.current_time() + TWIN_S
        self._nursery.start_soon(self._part, peer)

    async def _part(self, peer: str) -> None:
        """The replica ignores what else comes, so nothing of it is waited for."""
        served = self._served.get(peer)
        await self._hang_up(peer, LAST_WORD_S)
        if served is not None and self._served.get(peer) is served:
            served.scope.cancel()
        self._worker.post(lambda c, now: c.replica.peer_down(peer, now, parted=True))

    def _turn_away(self, link: Link, reason: str) -> None:
        """Ends the link of a peer that has no slot. It is told why, if the replica comes to it in time."""
        log.debug("no slot", peer=link.peer_id, reason=reason)
        served = self._served.get(link.peer_id)
        if served is None or served.link is not link:
            link.close(reason)
            return
        self._worker.post(lambda c, now: c.replica.peers.turn_away(link.peer_id, reason, now))
        self._nursery.start_soon(self._part, link.peer_id)

    def refuse(self, networks: AbstractSet[Network]) -> None:
        """From now on no peer of these networks connects; those that are linked are let go."""
        banned = self._edge.config.banned
        new = networks - banned
        banned.clear()
        banned.update(networks)
        for peer, served in [*self._served.items()] if new else ():
            if is_within(str(served.link.remote_addr or ""), new):
                self.part(peer, "its network is banned")

    def drop(self, peer: str) -> bool:
        """Hangs up on a peer, and dials it no more as a contact. Whether there was a link."""
        self._dropped.update(addr for addr in self._dialling if addr.endswith(f"/p2p/{peer}"))
        linked = peer in self._served
        if linked:
            self._worker.post(lambda c, now: c.replica.peers.turn_away(peer, "its operator let this peer go", now))
            self.part(peer, "by this node's operator")
        return linked

    def connect(self, peer: str, addrs: tuple[str, ...]) -> None:
        """Dials the peer at its addresses until one answers; tells the replica how that ended."""
        self._nursery.start_soon(self._connect, peer, addrs)

    async def _hang_up(self, peer: str, patience: float) -> None:
        """Closes the link unless the peer does so within `patience` seconds. The last frame says why, and our close may
        overtake it, so the peer gets the time to read it."""
        served = self._served.get(peer)
        if served is not None:
            with trio.move_on_after(patience):
                await served.link.wait_closed()
            served.link.close("the node let it go")

    async def _connect(self, peer: str, addrs: tuple[str, ...]) -> None:
        for addr in addrs:
            try:
                self._serve(await self._edge.dial(addr if "/p2p/" in addr else f"{addr}/p2p/{peer}"))
            except EdgeError as why:
                log.debug("dial failed", peer=peer, addr=addr, reason=str(why))
                continue
            return
        self._worker.post(lambda c, now: c.replica.peers.dial_failed(peer, now))

    def _serve(self, link: Link) -> None:
        if link.peer_id not in self._served:
            self._nursery.start_soon(self._keep, link)

    # -- contacts

    async def keep_dialling(self, addr: str, until_linked: bool = False) -> None:
        """Dials a contact until it answers, and again whenever the node has no link; the wait doubles each time.

        In the network the membership chooses our neighbours, not the list of contacts.
        until_linked: stop for good once any peer is linked.
        """
        wait, longest, linked = 0.5, self._config.discovery.redial_seconds, False
        if addr in self._dialling:
            return
        self._dialling.add(addr)
        peer = addr.rsplit("/p2p/", 1)[-1]
        while True:
            if (until_linked and self._served) or addr in self._dropped:
                self._dialling.discard(addr)
                self._dropped.discard(addr)
                return
            if not self._served or not linked:
                try:
                    link = await self._edge.dial(addr)
                    linked = True  # the wait is reset only if the link still exists then: a peer may refuse us
                    self._failed[addr] = SILENT  # until its first frame
                    self._serve(link)
                    self._worker.post(lambda c, now: c.replica.gossip.join(peer, (addr,), now))
                except Paused as why:
                    wait = max(wait, why.seconds)
                except EdgeError as why:
                    reason = await _in_words(addr) or f"{why}; {self._hint(peer)}"
                    self._failed[addr] = reason
                    log.info("cannot reach contact", addr=addr, reason=reason, again_in_s=round(wait, 1))
                except ValueError as why:
                    self._failed[addr] = str(why)
                    log.error("not an address to dial", addr=addr, reason=str(why))
                    return
            await trio.sleep(wait * (0.75 + random.random() / 2))
            wait = 1.0 if self._served and linked else min(wait * 2, longest)

    def _heard(self, peer: str) -> None:
        """The peer sent its first frame, so its address is right."""
        for addr in [addr for addr in self._failed if addr.endswith(peer)]:
            del self._failed[addr]

    def _hint(self, peer: str) -> str:
        """What may be the cause if a peer answers and gives no link."""
        return f"the peer said: {TWIN}" if TWIN in self._goodbyes.get(peer, "") else SILENT

    @property
    def twin(self) -> str | None:
        """A sentence if a named peer said lately that another node runs with the key of this one."""
        return TWIN if trio.current_time() < self._twin_until else None

    def unreached(self) -> dict[str, str]:
        """The contacts that no link leads to, each with why the last attempt failed or the link ended. A link that has
        just begun may end as the one before."""
        found, young = dict[str, str](), trio.current_time() - LAST_WORD_S - 1.0
        for addr in self._dialling:
            peer = addr.rsplit("/p2p/", 1)[-1]
            why, served = self._failed.get(addr) or self._goodbyes.get(peer), self._served.get(peer)
            if why is not None and (served is None or served.outbox.since > young):
                found[addr] = why
        return found

    def members(self, peers: Collection[str]) -> None:
        """These are nodes of members of the alliance: a slot of those that are kept is theirs."""
        self._edge.door.slots.members = peers

    async def dial_now(self, addr: str) -> str | None:
        """Dials a contact now, and again as `keep_dialling` does. Returns why that failed, or None. The peer is named
        from now on, so it has a slot of those that are kept."""
        peer = addr.rsplit("/p2p/", 1)[-1]
        self._edge.door.pauses.forget(peer)
        self._edge.door.slots.name(peer)
        self._worker.post(lambda c, now: c.replica.peers.name(peer))
        try:
            link = await self._edge.dial(addr)
        except (EdgeError, ValueError) as why:
            return await _in_words(addr) or str(why)
        self._goodbyes.pop(peer, None)
        self._serve(link)
        with trio.move_on_after(self._config.limits.handshake_seconds):
            while not await self._worker.call(lambda c, now: peer in c.replica.peers.greeted()):
                if link.closed is not None or peer in self._goodbyes:
                    return self._goodbyes.get(peer, SILENT)
                await trio.sleep(0.05)
        self._nursery.start_soon(self.keep_dialling, addr)
        return None


async def _in_words(addr: str) -> str | None:
    """Why a dial failed, if plain TCP can tell. A hanging resolver does not delay a node that stops."""
    in_thread: Callable[..., Awaitable[str | None]] = trio.to_thread.run_sync  # mypy loses its keywords
    return await in_thread(why_unreachable, addr, abandon_on_cancel=True)
