"""Every limit and interval of the gossip, with its reason.

The wire limits in capitals are part of the protocol: a frame beyond them is malformed at every node. `GossipSettings`
may differ between nodes.
Invariant: everything that the gossip remembers is bounded by one of these.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

MID_BYTES = 16  # a message id; no two share one by accident, and a forged message is rejected when judged
MAX_ITEMS = 512  # pushed messages in one frame
MAX_PAYLOAD = 1 << 20  # bytes of one message; with frame_bytes it keeps a frame under the 4 MiB of the stream
MAX_IHAVES = 4096  # announced ids in one frame: 64 KiB
MAX_GRAFTS = 1024  # ids asked for in one frame
MAX_HOP = 255  # hops are for statistics only
MAX_TTL = 16  # steps of a random walk
MAX_SAMPLE = 32  # peers in one shuffle
MAX_PEER_ID = 128  # bytes of a peer id
MAX_ADDRS = 8  # addresses of one peer
MAX_ADDR = 256  # bytes of one address


class Rng(Protocol):
    """The random generator of the gossip: a `random.Random`, seeded in tests and simulations."""

    def random(self) -> float: ...

    def randrange(self, stop: int, /) -> int: ...


@dataclass(frozen=True, slots=True)
class GossipSettings:
    """Seconds, bytes and counts. The defaults are those measured at 300-10,000 nodes by bench/gossip.py.

    The views
      active: neighbours kept. Six keep 10,000 nodes connected when 30 % die at once (HyParView: log10(n) + 1 or more).
      passive: peers known but not connected, for repair; six times the active view outlives a mass failure.
      passive_per_group: of one address group in the passive view; two leave room for a relay beside a node.
      chosen: links this node picked itself that no inbound request evicts: with two, one honest pick in two is enough.
      elders: the oldest links that others picked are kept too, because at the other end they are chosen ones; the
        remaining slots change, so that a newcomer always finds a place.
      anchors: peers remembered on disk and dialled first, so that a restart gives no chance for an eclipse.
      anchor_s: a protected neighbour becomes an anchor after this time.
      local_exempt: loopback and private addresses count as no group, so that nodes on one LAN can be neighbours.
      leaves: neighbours that hold chosen messages only, beside the active view: each costs a look at every message.
      leaf_gap_s: where these are full, a leaf takes the place of another one once in so long: who asks a thousand times
        a second gets no more than the others. As long as refused_max_s, so no honest leaf waits for it.
      known_leaves: peers that are remembered to be leaves, so that none is asked where a node is needed that relays.
      links: connections at once; more inbound ones are dropped. The edge lets fewer stay, and these include arrivals.

    The walks
      join_ttl, join_spare_ttl: steps of a forwarded join, and the step at which the joiner is noted as a passive peer.
      join_gap_s: joins of one link that come sooner are answered, and not forwarded.
      shuffle_s, shuffle_ttl: how often views are mixed, and over how many steps.
      shuffle_active, shuffle_passive, shuffle_back: how much of each view is shown, and how much is answered.
      audit_s: how often a random known peer that is no neighbour is asked to be one. This heals a long partition, and
        bounds how long one set of neighbours can isolate a node.
      audit_trade: the share of these requests that a full view grants.
      trust_s: a node that had no link to its contacts for so long dials one. Whoever takes all its neighbours can hide
        from it what happens for no longer. A network of 1,000 nodes with three contacts costs each 3 dials a second.
      routes: shuffles of others whose return path is remembered.

    The dials
      dials: dials at once, so that a lying shuffle causes no storm of dials.
      held_frames: membership frames kept for a peer that is being dialled.
      dial_s: the time limit of a dial. ask_s: that of a request to be neighbours.
      refused_s, refused_max_s: a peer that refused or let us go is asked again after this; the wait doubles each time.
        Without it a node that knows only full peers asks them as fast as they answer, and two that want one slot take
        it from each other as fast. The first is short: a young network joins its parts in these tries.
      spare_s: a connection that this node opened and does not need is closed after this time. useful_s: or after this
        one, if it brought more that is new than all neighbours: then these keep something back.
      tick_s: how often these deadlines are checked.
      retry_s, retry_max_s: a node without neighbours dials its anchors and contacts again; the wait doubles each time.

    The tree
      window_s: pushes leave at once, then at most one frame per peer in a window; batches under load, no delay without.
      lazy_s: announcements wait so long that one frame holds many, and peers show meanwhile that they have the message.
      graft_s: when to ask for an announced message. With lazy_s it is how late a lost push is asked for.
      retry_graft_s: when to ask two other peers.
      hurry: when so many messages that one peer announced have not arrived, the tree is cut here: one of them is asked
        of it without waiting, and then it pushes. Only one, because under load the others are merely late.
      graft_tries: after so many tries it is left to reconciliation.
      honour_s: a peer that announced a message and has not sent it so long after we asked is charged. Longer than an
        honest peer that others attack takes to answer. collect_s: the least time between two looks for such, because a
        look goes through all that was asked for.
      fresh, prune_at: a link gains `fresh` for a new message and loses 1 for every message; at -prune_at it is pruned.
      leaf_prune_at: a leaf prunes a link after so many known messages, if another one pushes: it is in no cycle.
      prune_gap_s: one prune per node in this time, otherwise a cycle is cut at several points and grafts restore it.
      eager_min: a node with so few eager links prunes none.
      own_s: a neighbour that had to ask for what this node's people wrote gets such messages pushed for so long: the
        others, who were faster before, pass them on no longer, or never meant to.
      flat: nor does a node with so few neighbours: in a small mesh everything arrives over one hop.
      greet, greet_s: the latest messages announced to a new neighbour: how many, and how old. They may have been lost
        while links changed.

    The memory
      seen: ids in one of the two generations of the seen set.
      recent, recent_bytes: payloads kept to answer grafts without reading the store: of usual posts as many as `recent`
        says, of the runs of a bulk import few.
      pending, pending_s: messages being judged; without a verdict in this time, it counts as "not yet".
      notes: announced messages that have not arrived. notes_per_peer: one peer's share.
      queue, queue_bytes: messages waiting for one peer; more are announced instead of pushed.
      ihave_queue: announcements waiting for one peer; the oldest are dropped and left to reconciliation.
      frame_bytes: payload in one frame; the rest waits for the next window.
      grafts_per_s: grafts answered for one peer, because a request of 16 bytes can ask for a megabyte. We ask for half
        as many.

    Penalty points are defined in peers/ledger.py.
    """

    active: int = 6
    passive: int = 36
    passive_per_group: int = 2
    chosen: int = 2
    elders: int = 2
    anchors: int = 8
    anchor_s: float = 60.0
    local_exempt: bool = True
    leaves: int = 256
    leaf_gap_s: float = 5.0
    known_leaves: int = 1024
    links: int = 640

    join_ttl: int = 6
    join_spare_ttl: int = 3
    join_gap_s: float = 30.0
    shuffle_s: float = 10.0
    shuffle_ttl: int = 6
    shuffle_active: int = 3
    shuffle_passive: int = 4
    shuffle_back: int = 8
    audit_s: float = 30.0
    audit_trade: float = 0.1
    trust_s: float = 120.0
    routes: int = 256

    dials: int = 8
    held_frames: int = 4
    dial_s: float = 10.0
    ask_s: float = 5.0
    refused_s: float = 0.1
    refused_max_s: float = 5.0
    spare_s: float = 30.0
    useful_s: float = 600.0
    tick_s: float = 1.0
    retry_s: float = 2.0
    retry_max_s: float = 60.0

    window_s: float = 0.03
    lazy_s: float = 0.5
    graft_s: float = 0.65
    hurry: int = 32
    retry_graft_s: float = 0.3
    graft_tries: int = 8
    honour_s: float = 30.0
    collect_s: float = 0.5
    fresh: int = 3
    prune_at: int = 8
    leaf_prune_at: int = 3
    prune_gap_s: float = 0.5
    own_s: float = 600.0
    eager_min: int = 2
    flat: int = 3
    greet: int = 64
    greet_s: float = 5.0

    seen: int = 1 << 17
    recent: int = 4096
    recent_bytes: int = 4 << 20
    pending: int = 8192
    pending_s: float = 10.0
    notes: int = 16384
    notes_per_peer: int = 4096
    queue: int = 4096
    queue_bytes: int = 8 << 20
    ihave_queue: int = 16384
    frame_bytes: int = 1 << 20
    grafts_per_s: int = 512

    @property
    def least_active(self) -> int:
        """The smallest active view that leaves a slot to newcomers."""
        return self.chosen + self.elders + 1

    def __post_init__(self) -> None:
        if self.chosen < 1 or self.elders < 0 or self.active < self.least_active:
            raise ValueError(
                f"chosen {self.chosen} and elders {self.elders} leave no slot of the {self.active} active ones to "
                "newcomers; raise active, or choose fewer but at least one yourself"
            )
        if self.join_ttl > MAX_TTL or self.shuffle_ttl > MAX_TTL:
            raise ValueError(
                f"join_ttl {self.join_ttl} or shuffle_ttl {self.shuffle_ttl} is above the wire's {MAX_TTL}"
            )
        if 1 + self.shuffle_active + self.shuffle_passive > MAX_SAMPLE or self.shuffle_back > MAX_SAMPLE:
            raise ValueError(
                f"a shuffle would show more than the wire's {MAX_SAMPLE} peers; lower the shuffle settings"
            )
