"""Every setting of a node: its type, its bounds, its default and its reason.

Nothing here reads a file: settings.py lays flags, environment and config.toml over these defaults. The invariants:
every Config has been checked, and a node without any settings talks to this machine only.

The `Meta` of each field holds the bounds that are enforced, a `title` where the bounds alone do not tell a person what
is allowed, and the `description` that `banyan config show` prints.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from banyan_node.admission.connection_slots import SlotSettings
from banyan_node.home.sections import HttpSettings, LogSettings
from banyan_node.home.values import (
    SIZE,
    AnnouncedMultiaddr,
    Cidr,
    ListenMultiaddr,
    PathCheck,
    PeerMultiaddr,
    about,
    at_most,
    between,
    lacks_folder,
    why_no_socket,
)
from banyan_replica.gossip.settings import GossipSettings
from banyan_replica.peers.flow import WINDOW
from banyan_replica.peers.limits import Limits

# The settings of pictures and films.


class MediaSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Pictures and films: how much of the disk they take, and which are fetched."""

    max_bytes: Annotated[
        int,
        between(
            0,
            1 << 50,
            "What pictures and films may take. Beyond it, those of accounts that nobody here hosts or "
            "follows are removed, the least recently wanted first",
            f"{SIZE}; 0: no limit",
        ),
    ] = 20_000_000_000
    fetch_bytes: Annotated[
        int,
        between(
            0,
            1 << 34,
            "Pictures up to this size are fetched by themselves, for posts of accounts that somebody here "
            "follows, and so are all previews; what is larger is fetched when it is asked for",
            f"{SIZE}; 0: none",
        ),
    ] = 8_000_000
    picture_side: Annotated[
        int,
        between(
            400, 8_192, "The longer side of a posted picture, pixels; a larger one is made smaller before it is posted"
        ),
    ] = 1_280
    strangers_rate: Annotated[
        int,
        between(
            0,
            1 << 40,
            "Bytes a second of pictures and films that peers get together which nobody named; named peers "
            "have no limit",
            f"{SIZE}; 0: nothing",
        ),
    ] = 20_000_000


GOSSIP, REPLICA, SLOTS = GossipSettings(), Limits(), SlotSettings()
"""The defaults of the replica and of the slots. A setting that overrides one of their fields takes its default from it
(`context.gossip_of`, `context.limits_of`, `context.slots_of`), so a node without settings behaves as in the simulator.
"""

PlatformKey = Annotated[
    str,
    Meta(pattern="^[0-9a-f]{64}$", title="keys of 64 hexadecimal digits, the `writer` in the platform's `banyan id`"),
]


class NodeSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """The node's name, role and addresses."""

    name: Annotated[
        str,
        Meta(
            max_length=64,
            pattern=r"^[^\x00-\x1f\x7f-\x9f]*\Z",
            title="one line of at most 64 characters",
            description="The name of this node in logs and on peers' screens; it proves nothing",
        ),
    ] = ""
    realm: Annotated[
        Literal["main", "test"],
        about("Entries are valid in one realm only, so test data cannot leak into the real graph"),
    ] = "main"
    role: Annotated[
        Literal["platform", "hobbyist", "researcher"],
        about("Sets the default of `interest.mode`; a platform also signs statements; no rule depends on it"),
    ] = "hobbyist"
    listen: Annotated[list[ListenMultiaddr], at_most(16, "Where peers connect; by default only from this machine")] = (
        field(default_factory=lambda: ["/ip4/127.0.0.1/tcp/0"])
    )
    announce: Annotated[
        list[AnnouncedMultiaddr],
        at_most(16, "Addresses given to peers instead of `listen`, behind a forwarded port or proxy"),
    ] = field(default_factory=list)
    bootstrap: Annotated[
        list[PeerMultiaddr], at_most(64, "Peers to dial first; one that answers is enough to find the others")
    ] = field(default_factory=list)
    platforms: Annotated[
        list[PlatformKey],
        at_most(
            64,
            "Platforms that are believed about the time and about how fresh this node is, besides those "
            "that run its bootstrap peers; and about what they withhold",
        ),
    ] = field(default_factory=list)
    ask_before_orders: Annotated[
        bool, about("Orders of the alliance wait for `banyan order accept`; otherwise they are carried out at once")
    ] = False
    mdns: Annotated[
        bool, about("Find peers on the local network; off, because it tells that network about this node")
    ] = False


class NetworkSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Who may connect, checked before anything of the protocol."""

    allow: Annotated[list[Cidr], at_most(256, "Networks (CIDR) that may connect; empty: all")] = field(
        default_factory=list
    )
    deny: Annotated[list[Cidr], at_most(256, "Networks (CIDR) that may not connect; overrides `allow`")] = field(
        default_factory=list
    )
    key: Annotated[
        str,
        Meta(
            pattern="^([0-9a-f]{64})?$",
            title="64 hexadecimal digits, or nothing",
            description="Pre-shared key of a private network: only nodes with the same key can connect",
        ),
    ] = ""
    heads_bridge: Annotated[
        bool, about("Also announce heads over gossipsub, so that js-libp2p or go-libp2p programs can follow")
    ] = False


class ControlSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Where the command line and the platform's own programs reach this node. Only from this machine."""

    host: Annotated[
        Literal["127.0.0.1", "::1", "localhost"],
        about("The control API sends its token unencrypted, so it stays on this machine"),
    ] = "127.0.0.1"
    port: Annotated[
        int, between(0, 65535, "0 takes a free port and writes it to control.json, so two nodes never collide")
    ] = 0
    socket: Annotated[
        str,
        at_most(100, "A Unix socket instead of the port; file permissions protect it too"),
        PathCheck(why_no_socket, lacks_folder),
    ] = ""
    body_bytes: Annotated[int, between(1024, 256 << 20, "The largest request body; bulk publishing needs the most")] = (
        8 << 20
    )
    streams: Annotated[int, between(1, 1024, "Event streams open at once; each has a queue in memory")] = 32
    connections: Annotated[
        int, between(4, 4096, "Connections at once; above it, one that never sent the token is closed")
    ] = 128
    grace_seconds: Annotated[float, between(0, 300, "How long running requests may still take when the node stops")] = (
        3.0
    )


class LimitSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """How much of this machine peers may use. No limit changes what is valid: it only delays."""

    peers: Annotated[int, between(1, 10_000, "Peers connected at once; each costs about 61 KB and one stream")] = (
        SLOTS.links
    )
    outbound: Annotated[
        int, between(1, 1024, "Of `peers`, slots only for peers that this node dials: at most half of them")
    ] = SLOTS.outbound
    named: Annotated[
        int, between(0, 1024, "Of `peers`, slots kept for bootstrap peers and those of `peers add`: at most a quarter")
    ] = SLOTS.named
    arriving: Annotated[int, between(4, 4096, "Connections at once that have not said hello; they take no slot")] = (
        SLOTS.arriving
    )
    per_address: Annotated[int, between(1, 10_000, "Peers of one address (IPv6: one /64) that may dial this node")] = (
        SLOTS.per_address
    )
    per_net: Annotated[
        int, between(1, 10_000, "The same from one /24 (IPv6: /48), the least that a hoster rents out")
    ] = SLOTS.per_near
    per_wide_net: Annotated[
        int, between(1, 10_000, "The same from one /16 (IPv6: /32), so that no provider fills the slots")
    ] = SLOTS.per_wide
    local_nets: Annotated[
        bool,
        about(
            "Hold loopback and private addresses to these three too, and to one neighbour per /16; off, "
            "because one owner has them all"
        ),
    ] = SLOTS.local_groups
    dials: Annotated[int, between(1, 256, "Connections being opened at once")] = GOSSIP.dials
    streams_per_peer: Annotated[
        int, between(1, 256, "Streams per connection; the muxer buffers megabytes for each")
    ] = 8
    frame_bytes: Annotated[
        int, between(64 << 10, 4 << 20, "The largest frame accepted or sent; the protocol allows 4 MiB")
    ] = 4 << 20
    send_queue_bytes: Annotated[
        int, between(128 << 10, 1 << 30, "Bytes that may wait for one slow peer; above it, we disconnect")
    ] = 2 * WINDOW
    send_queues_bytes: Annotated[
        int, between(1 << 20, 1 << 34, "The same for all peers; above it, we disconnect the one for which most waits")
    ] = 32 << 20
    ingest_queue_bytes: Annotated[
        int, between(1 << 20, 4 << 30, "Bytes of one peer's frames that may wait for the replica")
    ] = 16 << 20
    ingest_queues_bytes: Annotated[
        int, between(1 << 20, 4 << 30, "The same of all peers; beyond it, each may have one frame waiting")
    ] = 32 << 20
    strangers_cpu: Annotated[
        int,
        between(
            1,
            1_000,
            "What peers may use of the processor together that nobody named, while the node's own people "
            "work; neighbours that it relies on have some beside it",
            "percent of one core, 1 to 1000",
        ),
    ] = 14
    notes_per_peer: Annotated[
        int, between(16, 1_000_000, "Announcements (I have this) that may wait for one peer; more are dropped")
    ] = GOSSIP.notes_per_peer
    event_queue: Annotated[
        int, between(16, 1_000_000, "Events that wait for a slow reader; then it learns how many it missed")
    ] = 10_000
    handshake_seconds: Annotated[
        float,
        Meta(gt=0, le=300, description="How long a new peer may take for its handshake, and then again for its hello"),
    ] = SLOTS.step_s
    idle_seconds: Annotated[float, between(5, 86_400, "A peer that sends nothing for so long is disconnected")] = 90.0


class StorageSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """How much of the disk entries of others may take. Beyond it they stay with the peers; own accounts go on."""

    max_bytes: Annotated[
        int,
        between(
            0,
            1 << 50,
            "What the store and its search index may take; above it, no entries of others are taken. What "
            "was erased leaves room in the files, which stay as large",
            f"{SIZE}; 0: no limit",
        ),
    ] = 0
    reserve: Annotated[
        int,
        between(
            0, 1 << 50, "Free disk that entries of others must leave: for own posts, and for all else on the disk", SIZE
        ),
    ] = 500_000_000
    strangers: Annotated[
        int,
        between(
            0,
            100,
            "Of `max_bytes`, or of the store and the free disk: what accounts may take that nobody here "
            "hosts or follows and, where all accounts are held, no named peer brought",
            "percent; 100: no bound",
        ),
    ] = 10


class InterestSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Which accounts this node holds. A log is held whole or not at all."""

    mode: Annotated[
        Literal["all", "follows"],
        about(
            "follows: its own accounts and those within `hops` follows of them; all: every account it "
            "hears of, the default of the roles platform and researcher"
        ),
    ] = "follows"
    hops: Annotated[
        int, between(0, 3, "0: only its own accounts; 2: also the posts that friends reply to; 3: most of a network")
    ] = 2
    max_accounts: Annotated[
        int,
        between(
            0,
            65_536,
            "Accounts that are held at most. Own accounts and those that they follow count, and are always "
            "held; of the others each account brings as many as the next one",
        ),
    ] = 50_000


class DiscoverySettings(Struct, frozen=True, forbid_unknown_fields=True):
    """How neighbours are found, kept and compared."""

    active_view: Annotated[
        int,
        between(
            GOSSIP.least_active,
            64,
            "Neighbours for gossip: log10 of the network's size plus 1, and some more to replace",
        ),
    ] = GOSSIP.active
    passive_view: Annotated[int, between(1, 4096, "Known peers to replace neighbours that leave")] = GOSSIP.passive
    shuffle_seconds: Annotated[
        float, Meta(gt=0, le=3600, description="How often neighbours exchange known peers, so that views stay random")
    ] = GOSSIP.shuffle_s
    reconcile_seconds: Annotated[
        float,
        Meta(gt=0, le=3600, description="How often to compare with one neighbour; bounds how long an entry stays lost"),
    ] = REPLICA.root_s
    redial_seconds: Annotated[
        float, Meta(gt=0, le=3600, description="The longest wait between two dials of an unreachable peer")
    ] = GOSSIP.retry_max_s


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """All sections. The name of a setting is `section.key`."""

    node: NodeSettings = field(default_factory=NodeSettings)
    network: NetworkSettings = field(default_factory=NetworkSettings)
    control: ControlSettings = field(default_factory=ControlSettings)
    http: HttpSettings = field(default_factory=HttpSettings)
    limits: LimitSettings = field(default_factory=LimitSettings)
    storage: StorageSettings = field(default_factory=StorageSettings)
    media: MediaSettings = field(default_factory=MediaSettings)
    interest: InterestSettings = field(default_factory=InterestSettings)
    discovery: DiscoverySettings = field(default_factory=DiscoverySettings)
    log: LogSettings = field(default_factory=LogSettings)
