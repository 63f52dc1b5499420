"""The edge's settings, events and errors. This module does not import libp2p.

EdgeError
+-- DialFailed        the dial gave no link; the sentence says which step failed.
|   +-- Paused        the peer is not dialled for a while, because its last links ended at once.
+-- LinkClosed        the link has ended, by either side or by the network. Dial again if you want it.
    +-- FrameTooLarge the peer announced a frame over the limit: it does not speak our protocol.
    +-- SlowPeer      the peer kept a read or a write past its deadline.
    +-- CreditBroken  the peer sent more than its credits allowed, so the frame buffer overflowed.
"""

import ipaddress
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from banyan_node.admission.arrivals import PauseSettings
from banyan_node.admission.connection_slots import SlotSettings
from banyan_node.context import named_of, slots_of
from banyan_node.home.keystore import Keys
from banyan_node.home.settings import Settings

KIB = 1024
MIB = 1024 * KIB
MAX_FRAME = 4 * MIB
MAX_WINDOW = MIB
"""How far a stream's window grows: what may be under way to a peer that has not said that it read it, bytes."""


class EdgeError(Exception):
    """The base class of all errors of the edge."""


class DialFailed(EdgeError):
    """A dial gave no link."""


class NotAdmitted(EdgeError):
    """A gate lets in no connection of a peer. gate: of admission/gates.py."""

    def __init__(self, gate: str, sentence: str) -> None:
        super().__init__(sentence)
        self.gate = gate


class Paused(DialFailed):
    """The peer is not dialled for `seconds`: its last links ended soon after they began."""

    def __init__(self, sentence: str, seconds: float) -> None:
        super().__init__(sentence)
        self.seconds = seconds


class LinkClosed(EdgeError):
    """The link has ended."""


class FrameTooLarge(LinkClosed):
    """The peer announced a frame over the limit."""


class SlowPeer(LinkClosed):
    """The peer missed a deadline."""


class CreditBroken(LinkClosed):
    """The peer sent more than it had credit for."""


EventKind = Literal["host-down", "host-up", "handler-error", "stream-refused", "connection-refused", "link-down"]


class EdgeEvent(NamedTuple):
    """Something that happened at the edge and that no caller waits for. peer: base58 peer id, or "" if unknown."""

    kind: EventKind
    peer: str
    sentence: str


@dataclass(frozen=True, slots=True)
class EdgeConfig:
    """Settings of one edge. Times are seconds, sizes bytes.

    identity_seed: 32 bytes, the Ed25519 seed of the node's peer id. listen: multiaddrs ("/ip4/127.0.0.1/tcp/0").
    psk: 32 bytes; only peers with the same key get past the first byte. allow_cidrs: if not empty, only these
    networks; deny_cidrs is stronger, and so is banned, which changes while the edge runs. frame_buffer: what may wait
    unread in one link; the node grants credits for less than this. frame_buffers: the same of all links together.
    min_rate: the least bytes per second of a frame under way, after read_deadline, and of a window under way, after
    write_deadline. named: peer ids that the operator named.
    """

    identity_seed: bytes
    listen: tuple[str, ...] = ()
    psk: bytes | None = None
    allow_cidrs: tuple[str, ...] = ()
    deny_cidrs: tuple[str, ...] = ()
    banned: set[ipaddress.IPv4Network | ipaddress.IPv6Network] = field(default_factory=set)
    slots: SlotSettings = field(default_factory=SlotSettings)
    named: tuple[str, ...] = ()
    pauses: PauseSettings = field(default_factory=PauseSettings)
    max_connections_per_peer: int = 3
    max_streams_per_peer: int = 16
    idle_timeout: float = 90.0
    read_deadline: float = 30.0
    write_deadline: float = 4.0
    min_rate: int = 16 * KIB
    max_frame: int = MAX_FRAME
    frame_buffer: int = 16 * MIB
    frame_buffers: int = 32 * MIB
    incoming_backlog: int = 64
    mdns: bool = False
    mdns_interfaces: tuple[str, ...] = ()
    heads_bridge: bool = False

    def __post_init__(self) -> None:
        if len(self.identity_seed) != 32:
            raise ValueError(
                f"identity_seed is {len(self.identity_seed)} bytes and must be 32: make one with os.urandom(32)"
            )
        if self.psk is not None and len(self.psk) != 32:
            raise ValueError(f"psk is {len(self.psk)} bytes and must be 32: share one made with os.urandom(32)")
        for cidr in (*self.allow_cidrs, *self.deny_cidrs):
            ipaddress.ip_network(cidr, strict=False)
        if self.frame_buffer < self.max_frame:
            raise ValueError(
                f"frame_buffer {self.frame_buffer} is smaller than max_frame {self.max_frame}: "
                "a frame that is allowed must fit in the buffer"
            )


class Gate:
    """Which addresses may connect. deny wins; a non-empty allow list admits nothing else; unknown is refused by both.

    libp2p's own gate is skipped for every IPv6 peer (its stream reports no remote address for them), so this one
    is asked instead, with the address of the socket itself.
    """

    def __init__(
        self,
        allow: tuple[str, ...],
        deny: tuple[str, ...],
        banned: AbstractSet[ipaddress.IPv4Network | ipaddress.IPv6Network] = frozenset(),
    ) -> None:
        """banned: looked at each time."""
        self._banned = banned
        self._allow = [ipaddress.ip_network(cidr, strict=False) for cidr in allow]
        self._deny = [ipaddress.ip_network(cidr, strict=False) for cidr in deny]

    def admits(self, host: str | None) -> bool:
        """host: an IP address as text, or None when it is not known."""
        if not self._allow and not self._deny and not self._banned:
            return True
        try:
            ip = ipaddress.ip_address((host or "").partition("%")[0])
        except ValueError:
            return False
        if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
            ip = ip.ipv4_mapped
        if any(ip in network for network in (*self._deny, *self._banned)):
            return False
        return not self._allow or any(ip in network for network in self._allow)


# The settings of the edge, made of those of the node.


def edge_of(settings: Settings, keys: Keys) -> EdgeConfig:
    """The libp2p edge of a node with these settings."""
    config = settings.config
    return EdgeConfig(
        identity_seed=keys.libp2p_seed(),
        listen=tuple(config.node.listen),
        psk=bytes.fromhex(config.network.key) or None,
        allow_cidrs=tuple(config.network.allow),
        deny_cidrs=tuple(config.network.deny),
        heads_bridge=config.network.heads_bridge,
        slots=slots_of(settings),
        named=named_of(settings),
        pauses=PauseSettings(most_s=config.discovery.redial_seconds),
        max_streams_per_peer=config.limits.streams_per_peer,
        idle_timeout=config.limits.idle_seconds,
        max_frame=config.limits.frame_bytes,
        frame_buffer=16 << 20,
        mdns=config.node.mdns,
    )
