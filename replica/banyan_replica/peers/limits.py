"""Every bound on what a peer can make us keep or do is a field of `Limits`, with its reason."""

from __future__ import annotations

from dataclasses import dataclass, field

from banyan_replica.peers.flow import WINDOW
from banyan_replica.peers.ledger import Scale

SUMS_LOGS = 4
"""An honest peer asks for the sums of one prefix in 60 logs or so, and that up to fifteen times a minute."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one replica. Counts, bytes and seconds."""

    outbox: int = WINDOW
    """Bulk that waits for one peer at most, whatever credit it gave."""
    credit: int = 64 << 10
    """Bulk that is digested before we say so, to a peer that sends on: less than any usual frame."""
    piece: int = 256 << 10
    """Bytes of items in one data frame: large enough to fill the line, small enough to commit often."""
    jobs: int = 20_000
    """Logs that one peer may have asked for and not been served yet; more are dropped, it asks again."""
    asked: int = 20_000
    """Logs that we ask one peer for at a time; the others are told again."""
    bucket: int = 64
    """Heads below a prefix that are named one by one instead of summed further."""
    heads_rows: int = 8_000
    """Heads in one frame, about 900 kB."""
    root_s: float = 5.0
    """How often neighbours tell each other where they stand; bounds how long a lost gossip message stays lost."""
    session_s: float = 4.0
    """One comparison at a time with a peer, for at most so long."""
    salt_s: float = 30.0
    """How long a table under a salt waits for what may still be asked of it, and a refused question until its next."""
    salted_s: float = 600.0
    """How often a neighbour drawn at random is compared with under a fresh salt: so long may a hidden fork live."""
    parts_s: float = 1.0
    """How often missing content is asked for while some comes."""
    parts_most_s: float = 60.0
    """And at the least, where no neighbour has it: so late content may come that a neighbour got after it was asked."""
    parts_asked: int = 256
    """Pieces of content in one question."""
    work_burst: int = 100_000
    """Rows that one peer's questions may cost us at once: heads looked at, arrivals read, entries judged again."""
    work_per_s: int = 20_000
    """And per second from then on; what goes beyond is not answered, and asked again by an honest peer."""
    met: int = 1_024
    """Peers whose last arrival number is remembered on disk."""
    interest: int = 65_536
    """Accounts that a partial node names, and that a peer may: some 80 bytes each while it is linked."""
    interest_logs: int = 1 << 20
    """Logs of such accounts that a peer is compared over: 48 bytes each; of one that names more, none."""
    notes: int = 4_096
    """Remembered reasons of "not yet", for people who ask why; oldest go first."""
    differences: int = 4_096
    """Remembered claims of one peer about heads that differ from ours."""
    scale: Scale = field(default_factory=Scale)
    """What points come to (ledger.py)."""
    excused: int = 16
    """Claims that a peer may fail to serve, one after another, because its heads moved."""
    stall_s: float = 10.0
    """A peer that owes us something, has credit, and sends slower than `crawl` over so long, has stalled."""
    crawl: int = 1_000
    """Bytes per second."""
    strays: int = 20_000
    """Entries that nobody asked for and that are taken from one peer all the same; forgiven at 100 a second."""
    sums: int = 256
    """Questions by sums that a peer may ask in a minute, beside one for each SUMS_LOGS logs that are compared."""
    witness_s: float = 60.0
    """How often a platform signs where it stands."""
