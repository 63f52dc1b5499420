"""Every setting of a node: its type, what is allowed, its default, and why it is there.

Nothing here reads a file: settings.py lays flags, environment and config.toml over these defaults. The invariant: a
Config that exists is a Config that is allowed, and a node started with no settings at all talks to this machine only.
What the replica has a default for is defined there and only named here.

Each field carries a `Meta`: the bounds that are enforced, `title` where the bounds alone would not tell a person what
is allowed, and `description`, the reason, which `banyan config show` prints.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from banyan_replica.gossip.settings import GossipSettings
from banyan_replica.peers.flow import WINDOW
from banyan_replica.peers.limits import Limits

GOSSIP, REPLICA = GossipSettings(), Limits()
"""What the replica does where nobody says otherwise. A setting that overrides a field of one has its default from there
(`context.gossip_of`, `context.limits_of`), so a node without settings is the node that the simulator runs."""

_ADDRESS = r"^/(ip4|ip6|dns|dns4|dns6)/[^/\s,]+/(tcp|udp)/[0-9]+(/[^/\s,]+)*"

Multiaddr = Annotated[str, Meta(pattern=_ADDRESS + "$", title="multiaddrs such as /ip4/0.0.0.0/tcp/4001")]
PeerMultiaddr = Annotated[
    str,
    Meta(
        pattern=_ADDRESS + r"/p2p/[A-Za-z0-9]+$",
        title="multiaddrs that end in the peer's id, such as /ip4/192.0.2.1/tcp/4001/p2p/12D3Koo...",
    ),
]


Cidr = Annotated[
    str,
    Meta(pattern=r"^[0-9a-fA-F:.]+(/[0-9]{1,3})?$", title="networks like 10.0.0.0/8 or fd00::/8"),
]


class NodeSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Who this node is and where others reach it."""

    name: Annotated[
        str, Meta(max_length=64, description="What logs and peers' screens call this node; no identity")
    ] = ""
    realm: Annotated[
        Literal["main", "test"],
        Meta(description="Entries are bound to one realm, so a test can never leak into the graph"),
    ] = "main"
    role: Annotated[
        Literal["platform", "hobbyist", "researcher"],
        Meta(description="What the node is tuned for; it changes no rule of the protocol"),
    ] = "hobbyist"
    listen: Annotated[
        list[Multiaddr], Meta(max_length=16, description="Where peers connect; loopback only until told otherwise")
    ] = field(default_factory=lambda: ["/ip4/127.0.0.1/tcp/0"])
    announce: Annotated[
        list[Multiaddr],
        Meta(max_length=16, description="What to tell peers instead of `listen`, behind a forwarded port or a proxy"),
    ] = field(default_factory=list)
    bootstrap: Annotated[
        list[PeerMultiaddr],
        Meta(max_length=64, description="Peers to dial first; one that answers is enough to find the rest"),
    ] = field(default_factory=list)
    mdns: Annotated[
        bool, Meta(description="Find peers on the local network; off, because it tells that network about this node")
    ] = False


class NetworkSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Who may connect at all, below everything that the protocol judges."""

    allow: Annotated[
        list[Cidr], Meta(max_length=256, description="Networks (CIDR) that may connect; empty lets everybody in")
    ] = field(default_factory=list)
    deny: Annotated[
        list[Cidr], Meta(max_length=256, description="Networks (CIDR) that may not; stronger than `allow`")
    ] = field(default_factory=list)
    key: Annotated[
        str,
        Meta(
            pattern="^([0-9a-f]{64})?$",
            title="64 hexadecimal digits, or nothing",
            description="A private alliance: only nodes with the same key get past the first byte",
        ),
    ] = ""
    heads_bridge: Annotated[
        bool,
        Meta(description="Announce heads over gossipsub too, so that js-libp2p or go-libp2p programs can listen in"),
    ] = False


class ControlSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Where the command line and the platform's own programs reach this node. Never another machine."""

    host: Annotated[
        Literal["127.0.0.1", "::1", "localhost"],
        Meta(description="The control API carries a token in the clear, so it stays on this machine"),
    ] = "127.0.0.1"
    port: Annotated[
        int,
        Meta(ge=0, le=65535, description="0 takes a free port, which control.json names; so two nodes never collide"),
    ] = 0
    socket: Annotated[
        str,
        Meta(max_length=100, description="A Unix socket to use instead of the port: file permissions guard it too"),
    ] = ""
    body_bytes: Annotated[
        int,
        Meta(ge=1024, le=256 << 20, description="The largest request; a bulk publish is the one that needs it large"),
    ] = 8 << 20
    streams: Annotated[
        int, Meta(ge=1, le=1024, description="Event streams open at once; each holds a queue in memory")
    ] = 32
    connections: Annotated[
        int,
        Meta(ge=4, le=4096, description="Connections at once; beyond that, one that never showed the token is closed"),
    ] = 128
    grace_seconds: Annotated[
        float, Meta(ge=0, le=300, description="How long requests may take to finish once the node is told to stop")
    ] = 3.0


class LimitSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """How much of this machine the network may use. None decides what is valid: a node delays, never refuses."""

    peers: Annotated[
        int, Meta(ge=1, le=10_000, description="Connections held; each costs about 61 KB and one stream")
    ] = GOSSIP.links
    dials: Annotated[int, Meta(ge=1, le=256, description="Connections being opened at once")] = GOSSIP.dials
    streams_per_peer: Annotated[
        int, Meta(ge=1, le=256, description="A muxer buffers megabytes a stream before anybody reads it")
    ] = 8
    frame_bytes: Annotated[
        int,
        Meta(ge=64 << 10, le=4 << 20, description="The largest frame taken or sent; the protocol's own bound is 4 MiB"),
    ] = 4 << 20
    send_queue_bytes: Annotated[
        int, Meta(ge=128 << 10, le=1 << 30, description="What waits for one slow peer before it is let go")
    ] = 2 * WINDOW
    ingest_queue_bytes: Annotated[
        int, Meta(ge=1 << 20, le=4 << 30, description="What one peer's frames may take while they wait for the replica")
    ] = 32 << 20
    notes_per_peer: Annotated[
        int,
        Meta(
            ge=16,
            le=1_000_000,
            description="Announcements (I have this) noted for one peer at once; those beyond are left out",
        ),
    ] = GOSSIP.notes_per_peer
    event_queue: Annotated[
        int,
        Meta(ge=16, le=1_000_000, description="Events that wait for a slow reader; then it is told how many it missed"),
    ] = 10_000
    handshake_seconds: Annotated[
        float, Meta(gt=0, le=300, description="A peer that has not said hello by then is hung up on")
    ] = 10.0
    idle_seconds: Annotated[
        float, Meta(ge=5, le=86_400, description="A peer silent for so long is taken to be gone")
    ] = 90.0


class InterestSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """What this node holds, in whole logs."""

    mode: Annotated[
        Literal["all", "follows"],
        Meta(
            description="follows: its own accounts and those within `hops` follows of them; all: every account heard "
            "of, which is the default of the roles platform and researcher"
        ),
    ] = "follows"
    hops: Annotated[
        int,
        Meta(
            ge=0,
            le=3,
            description="0 is its own accounts alone; 2 shows what friends answer to; 3 is most of a network",
        ),
    ] = 2


class DiscoverySettings(Struct, frozen=True, forbid_unknown_fields=True):
    """How neighbours are found, kept and compared with."""

    active_view: Annotated[
        int,
        Meta(
            ge=GOSSIP.least_active,
            le=64,
            description="Neighbours that gossip runs over: log10 of the network and one, and enough that some change",
        ),
    ] = GOSSIP.active
    passive_view: Annotated[int, Meta(ge=1, le=4096, description="Peers kept to replace neighbours that leave")] = (
        GOSSIP.passive
    )
    shuffle_seconds: Annotated[
        float, Meta(gt=0, le=3600, description="How often neighbours swap peers they know, so that views stay random")
    ] = GOSSIP.shuffle_s
    reconcile_seconds: Annotated[
        float,
        Meta(gt=0, le=3600, description="How often to compare with one neighbour; bounds how long a loss can last"),
    ] = REPLICA.root_s
    redial_seconds: Annotated[
        float, Meta(gt=0, le=3600, description="The longest wait between two dials of a peer that does not answer")
    ] = GOSSIP.retry_max_s


class LogSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """What the node says about itself, always to standard error."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"], Meta(description="The least that is worth a line")
    ] = "info"
    format: Annotated[
        Literal["auto", "console", "json"], Meta(description="auto: coloured on a terminal, JSON lines otherwise")
    ] = "auto"


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """All sections. The name of a setting is `section.key`."""

    node: NodeSettings = field(default_factory=NodeSettings)
    network: NetworkSettings = field(default_factory=NetworkSettings)
    control: ControlSettings = field(default_factory=ControlSettings)
    limits: LimitSettings = field(default_factory=LimitSettings)
    interest: InterestSettings = field(default_factory=InterestSettings)
    discovery: DiscoverySettings = field(default_factory=DiscoverySettings)
    log: LogSettings = field(default_factory=LogSettings)
