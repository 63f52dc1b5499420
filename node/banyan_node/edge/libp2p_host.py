"""The libp2p host as Banyan runs it: TCP, noise, yamux, and guards where libp2p 0.8.1 lets a peer do harm.

| what a peer could do to a stock host | here |
|---|---|
| ask for plaintext or secio | noise is the only security offered |
| end the host with one exception in a stream handler (non-UTF-8 suffices) | handlers and muxers are guarded |
| announce a 2^60 byte multistream message before it has said who it is | the raw stream refuses reads over 64 KiB |
| send past its yamux window, without end, into a stream nobody reads | 2 MiB unread on a connection is the end |
| use up the inbound slots (given back only when the host stopped) | connection_slots.py: it ends with its connection |
| avoid the CIDR gate over IPv6 | the gate is asked with the socket's own address |
| fill the peer store through identify | identify is answered, never asked; identify/push is not offered |

Nor does a listener share its port: libp2p sets SO_REUSEPORT, so two nodes would start on one port, and the kernel would
give the newer one's peers to the older.

How streams share a connection is in yamux.py.
"""

import contextlib
import logging
import resource
import socket
import weakref
from collections import Counter, OrderedDict
from typing import Any

import libp2p.network.connection.swarm_connection as swarm_connection_module
import libp2p.stream_muxer.yamux.yamux as yamux_module
import libp2p.transport.tcp.tcp as tcp_module
import trio
from libp2p.abc import IMuxedConn, INetStream, IRawConnection
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.crypto.x25519 import create_new_key_pair as create_new_noise_key
from libp2p.host.basic_host import BasicHost
from libp2p.host.defaults import get_default_protocols
from libp2p.identity.identify_push.identify_push import ID_PUSH
from libp2p.io.abc import ReadWriteCloser
from libp2p.io.exceptions import ConnectionClosedError, IOException
from libp2p.network.auto_connector import AutoConnector
from libp2p.network.config import ConnectionConfig, RetryConfig
from libp2p.network.connection.raw_connection import RawConnection
from libp2p.network.connection.swarm_connection import SwarmConn
from libp2p.network.swarm import Swarm
from libp2p.peer.id import ID
from libp2p.peer.peerstore import PeerStore
from libp2p.security.noise.transport import PROTOCOL_ID as NOISE
from libp2p.security.noise.transport import Transport as Noise
from libp2p.security.pnet.protector import new_protected_conn
from libp2p.transport.tcp.tcp import TCP, _open_reuseport_listeners
from libp2p.transport.upgrader import TransportUpgrader
from multiaddr import Multiaddr

from banyan_node.admission.throttle import Throttle
from banyan_node.admission.usage import CAUSE, Stage, Usage
from banyan_node.edge.admission import Admission
from banyan_node.edge.config import MAX_WINDOW, EdgeConfig, EdgeEvent, Gate, NotAdmitted
from banyan_node.edge.yamux import QuietStream, Tell, YamuxNegotiator
from banyan_node.workers.process_memory import LARGE_BYTES

# Accepts connections no faster than accepting may use the processor (admission/arrivals.py).
#
# Beyond the system's queue, the systems of those who dial try again after a second or more. The task that listens has
# the throttle in its `CAUSE`.

FILES = 65_536
"""Open files that a node asks for, where the system allows more than it gives by itself (often 1,024 or 256): each
socket is one, and the store must not lack them."""


class PacedListener(trio.abc.Listener[trio.SocketStream]):
    """A listener of trio that waits for its turn before it accepts."""

    def __init__(self, listener: trio.SocketListener) -> None:
        self._listener, self.socket = listener, listener.socket

    async def accept(self) -> trio.SocketStream:
        """The next connection. Raises trio.ClosedResourceError, OSError."""
        if (cause := CAUSE.get()) is not None:
            await cause.throttle.accepts()
        return await self._listener.accept()

    async def aclose(self) -> None:
        """Closes the socket."""
        await self._listener.aclose()


async def open_paced_listeners(host: str | None, port: int) -> list[PacedListener]:
    """libp2p's listeners of an address, paced. Raises OpenConnectionError."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    return [PacedListener(listener) for listener in await _open_reuseport_listeners(host, port)]


def reuse_address(sock: Any) -> None:
    """A port can be taken again soon after its listener ended, but not while another one has it. `/ip6/::` is IPv6
    alone, as in other libp2p programs, so that `/ip4/0.0.0.0` can have the same port."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)


MAX_RAW_READ = 64 * 1024
RECEIVE_SIZE = LARGE_BYTES // 4  # room for so much is made at every read; to map a large block each time takes 12 us
MAX_UNSENT = 1024 * 1024
TURN_SIZE = 16 * 1024  # read at once of a connection that had to wait: what it costs is known only afterwards
MAX_UNPROVEN = 4 * 1024
"""Bytes that are read of a connection before it has proved who it is: a handshake takes 300, with an RSA key 1,500. It
does not wait for turns, so what it may say is bounded: proposals of protocols have no end in libp2p."""


def tame_libp2p() -> None:
    """Sets module globals of libp2p: no log output, windows that grow to 1 MiB and not to 16, ports of one listener.

    One of its modules logs through the root logger, which would also configure it; another sets its own level.
    """
    for name in ("libp2p", "libp2p.network.auto_connector"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    setattr(yamux_module, "MAX_WINDOW_SIZE", MAX_WINDOW)  # noqa: B010
    setattr(yamux_module, "YamuxStream", QuietStream)  # noqa: B010
    setattr(tcp_module, "_set_reuse_flags", reuse_address)  # noqa: B010
    setattr(tcp_module, "_open_reuseport_listeners", open_paced_listeners)  # noqa: B010
    setattr(swarm_connection_module, "logging", logging.getLogger("libp2p.network.connection.swarm_connection"))  # noqa: B010


def remote_host(stream: Any) -> str | None:
    """The IP address at the other end of a libp2p TCP stream, IPv6 too."""
    try:
        return str(stream.stream.socket.getpeername()[0])
    except (AttributeError, OSError, IndexError):
        return None


class BoundedStream(ReadWriteCloser):
    """A TCP stream that reads exactly the bytes asked for, from a buffer, and refuses large reads.

    Whole reads matter: libp2p gives up on a noise message that arrives in more than a hundred pieces. usage: of a
    stranger, who is not read from while strangers have to wait (throttle.py).
    """

    def __init__(self, stream: Any, usage: Usage | None = None) -> None:
        self._tcp, self._usage = stream, usage
        self._buffer, self._at = b"", 0
        self._unsent = b""
        self._read = 0

    async def read(self, n: int | None = None) -> bytes:
        """n bytes; fewer only at the end. n must be 0..64 KiB. Raises IOException if it is not."""
        if n is None or n > MAX_RAW_READ:
            raise IOException(f"a peer announced {n} bytes where at most {MAX_RAW_READ} are read: hang up")
        while len(self._buffer) < self._at + n:
            size = RECEIVE_SIZE
            if self._usage is not None and self._usage.throttle.holds(self._usage):
                await trio.lowlevel.wait_readable(self._tcp.stream.socket)  # who says nothing waits for no turn
                if not await self._usage.throttle.turn(self._usage, self._tcp.stream.socket.fileno()):
                    raise IOException("the peer hung up while it waited for its turn")
                size = TURN_SIZE
            elif self._usage is not None and self._usage.stage is not Stage.PROVED:
                size = MAX_UNPROVEN - self._read
                if size <= 0:
                    raise IOException(f"a peer said {MAX_UNPROVEN} bytes before it proved who it is: hang up")
            chunk = await self._tcp.read(size)
            self._read += len(chunk)
            if not chunk:
                break
            self._buffer, self._at = self._buffer[self._at :] + chunk, 0
        data = self._buffer[self._at : self._at + n]
        self._at += len(data)
        if self._at == len(self._buffer):
            self._buffer, self._at = b"", 0  # a quiet connection keeps nothing
        return data

    async def write(self, data: bytes) -> None:
        """All of data. What a write that is cancelled leaves goes out before the next one: half an encrypted frame ends
        a connection, and it was only that nobody waited for one answer any more. One task writes at a time.

        Raises ConnectionClosedError; IOException if too much is left, because the peer reads nothing.
        """
        if self._unsent:
            data = self._unsent + data
            if len(data) > MAX_UNSENT:
                raise IOException(f"a peer read nothing while {len(data)} bytes for it were given up: hang up")
        left = memoryview(data)
        try:
            while left:
                left = left[await self._tcp.stream.socket.send(left) :]
        except (OSError, trio.ClosedResourceError) as error:
            raise ConnectionClosedError(f"the connection ended: {error}", transport="tcp") from error
        finally:
            self._unsent = bytes(left)

    async def close(self) -> None:
        """Closes the socket."""
        await self._tcp.close()

    def get_remote_address(self) -> tuple[str, int] | None:
        """(host, port) of the other end, IPv6 too."""
        try:
            host, port = self._tcp.stream.socket.getpeername()[:2]
        except (AttributeError, OSError, ValueError):
            return None
        return str(host), int(port)


class BoundedTcp(TCP):
    """TCP whose outgoing connections read through a BoundedStream."""

    async def dial(self, maddr: Multiaddr) -> IRawConnection:
        """One address, one attempt."""
        raw = await super().dial(maddr)
        assert isinstance(raw, RawConnection)
        return RawConnection(BoundedStream(raw.stream, CAUSE.get()), True)


class GuardedSwarm(Swarm):
    """Admits by the Gate and `Admission`, and caps connections per peer.

    born: when each live connection came, by trio's clock. slot_of: the slots of inbound connections.
    """

    gate: Gate
    tell: Tell
    config: EdgeConfig
    door: Admission
    throttle: Throttle
    born: weakref.WeakKeyDictionary[SwarmConn, float]
    slot_of: weakref.WeakKeyDictionary[Any, int]

    async def listen(self, *multiaddrs: Multiaddr) -> bool:
        """Accepts at these addresses, and says whether at any."""
        before = CAUSE.set(self.throttle.accepting)
        try:
            return await super().listen(*multiaddrs)
        finally:
            CAUSE.reset(before)

    async def _handle_inbound_connection(self, stream: Any, maddr: Multiaddr) -> None:
        """One accepted socket, to its end. The limiter of libp2p is left out: the door decides."""
        host = remote_host(stream)
        if not self.gate.admits(host):
            self.tell(EdgeEvent("connection-refused", "", f"{host} is not an address that the CIDR settings admit"))
            self.throttle.tally.stopped("network", host or "?")
            await stream.close()
            return
        usage = self.throttle.opened(host, arriving=True)
        CAUSE.set(usage)
        raw = RawConnection(BoundedStream(stream, usage), False)
        slot = 0
        try:
            with trio.CancelScope() as scope:
                slot = self.door.arrives(host, scope.cancel)
                await trio.lowlevel.wait_readable(stream.stream.socket)  # who dials speaks first
                self.door.speaks(slot)
                await self.throttle.handshakes.begins(usage)
                muxed: Any = await self._upgrade(raw, slot, usage)
                await muxed.event_closed.wait()
        except Exception as error:
            self.tell(EdgeEvent("connection-refused", "", f"no connection came of {host}: {error}"))
            self.throttle.tally.stopped(error.gate if isinstance(error, NotAdmitted) else "proof", host or "?")
        finally:
            self.door.left(slot)
            self.throttle.closed(usage)
            with trio.CancelScope(shield=True), trio.move_on_after(1):
                await raw.close()

    async def _upgrade(self, raw: Any, slot: int, usage: Usage) -> IMuxedConn:
        """Noise, then yamux. The edge sweeps it away if it takes too long."""
        conn = raw if self.psk is None else new_protected_conn(raw, self.psk)
        secured = await self.upgrader.upgrade_security(conn, False)
        peer = str(secured.get_remote_peer())
        self.door.met(slot, peer)
        self.throttle.met(usage, peer)
        muxed = await self.upgrader.upgrade_connection(secured, secured.get_remote_peer())
        self.slot_of[muxed] = slot
        await self.add_conn(muxed, "inbound")
        return muxed

    async def add_conn(self, muxed_conn: IMuxedConn, direction: str = "unknown") -> SwarmConn:
        """Registers a connection, unless its peer has its share already."""
        held = len(self.connections.get(muxed_conn.peer_id, []))
        if held >= self.config.max_connections_per_peer:
            await muxed_conn.close()
            why = f"{muxed_conn.peer_id} has {held} connections already, as many as a peer may"
            raise NotAdmitted("connections", why)
        connection = await super().add_conn(muxed_conn, direction)
        self.born[connection] = trio.current_time()
        return connection


class GuardedHost(BasicHost):
    """Catches what handlers raise, caps streams per peer, and asks no peer to identify."""

    def __init__(self, swarm: GuardedSwarm, negotiate_timeout: int) -> None:
        protocols = OrderedDict(get_default_protocols(self))
        protocols.pop(ID_PUSH, None)
        super().__init__(swarm, default_protocols=protocols, negotiate_timeout=negotiate_timeout)
        self.swarm = swarm
        self._inbound_streams: Counter[ID] = Counter()

    async def _swarm_stream_handler(self, net_stream: INetStream) -> None:
        peer = net_stream.muxed_conn.peer_id
        limit = self.swarm.config.max_streams_per_peer
        if self._inbound_streams[peer] >= limit:
            self.swarm.tell(
                EdgeEvent("stream-refused", str(peer), f"{peer} has {limit} streams open, as many as a peer may")
            )
            self.swarm.throttle.tally.stopped("connections", str(peer))
            await net_stream.reset()
            return
        self._inbound_streams[peer] += 1
        try:
            await super()._swarm_stream_handler(net_stream)
        except Exception as error:
            self.swarm.tell(EdgeEvent("handler-error", str(peer), f"a stream of {peer} failed: {error!r}"))
            await net_stream.reset()
        finally:
            self._inbound_streams[peer] -= 1
            if not self._inbound_streams[peer]:
                del self._inbound_streams[peer]

    def _schedule_identify(self, peer_id: ID, *, reason: str) -> None:
        """No peer is asked: all peers use one protocol, and every answer would have to be stored."""


class NoAutoConnector(AutoConnector):
    """libp2p's own connector dials peers by itself; here only Edge.dial dials."""

    async def maybe_connect(self) -> None:
        """Nobody."""

    async def run_background_task(self, nursery: trio.Nursery) -> None:
        """Nothing runs."""


async def close_connection(connection: SwarmConn) -> None:
    """Closes a connection within two seconds, its socket in any case.

    SwarmConn.close returns at once when another close was cancelled halfway, and leaves the socket open.
    """
    try:
        with trio.move_on_after(2):
            await connection.close()
    except Exception:
        pass
    finally:
        muxer: Any = connection.muxed_conn
        with contextlib.suppress(Exception):
            await muxer.secured_conn.close()


def make_host(config: EdgeConfig, tell: Tell, door: Admission, throttle: Throttle) -> GuardedHost:
    """A host that is not running yet."""
    tame_libp2p()
    keys = create_new_key_pair(config.identity_seed)
    peer_id = ID.from_pubkey(keys.public_key)
    peers = PeerStore()
    peers.add_key_pair(peer_id, keys)
    step, room = config.slots.step_s, config.slots.links + config.slots.arriving
    timeout = max(1, round(step))
    noise = Noise(keys, noise_privkey=create_new_noise_key().private_key)
    upgrader = TransportUpgrader({NOISE: noise}, {})
    upgrader.muxer_multistream = YamuxNegotiator(timeout, tell)
    connections = ConnectionConfig(
        max_connections=2 * room,  # out of reach: the door decides, and connections that end count for a moment
        min_connections=0,
        low_watermark=0,
        high_watermark=2 * room,
        max_connections_per_peer=config.max_connections_per_peer,
        dial_timeout=step,
        outbound_upgrade_timeout=step,
        inbound_stream_protocol_negotiation_timeout=timeout,
        outbound_stream_protocol_negotiation_timeout=timeout,
    )
    swarm = GuardedSwarm(
        peer_id,
        peers,
        upgrader,
        transports=[BoundedTcp()],
        retry_config=RetryConfig(max_retries=0),
        connection_config=connections,
        psk=config.psk.hex() if config.psk is not None else None,
    )
    swarm.auto_connector = NoAutoConnector(swarm)
    swarm.gate = Gate(config.allow_cidrs, config.deny_cidrs, config.banned)
    swarm.tell = tell
    swarm.config = config
    swarm.door, swarm.throttle = door, throttle
    swarm.born, swarm.slot_of = weakref.WeakKeyDictionary(), weakref.WeakKeyDictionary()
    return GuardedHost(swarm, timeout)
