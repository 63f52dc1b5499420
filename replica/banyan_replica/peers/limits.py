"""The limits on the memory and work that a peer can cause, with their reasons. Those that may differ between nodes are
fields of `Limits`; the others are constants beside the code that keeps them."""

from __future__ import annotations

from dataclasses import dataclass, field

from banyan_replica.peers.flow import WINDOW
from banyan_replica.peers.ledger import Scale

SUMS_LOGS = 4
"""One question by sums per minute is allowed for so many logs. An honest peer asks for one prefix in about 60 logs, up
to 15 times a minute."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one replica. Counts, bytes and seconds."""

    outbox: int = WINDOW
    """The most bulk that waits for one peer, whatever credit it gave."""
    outbox_of_all: int = 16 << 20
    """The same of all peers together; beyond it each has one data frame under way, or two."""
    credit: int = 64 << 10
    """After so much digested bulk a credit is sent: less than a usual frame, so that the peer can go on sending."""
    piece: int = 256 << 10
    """Bytes of items in one data frame: large enough to fill the line, small enough to commit often."""
    jobs: int = 20_000
    """Logs that one peer may be waiting for; further questions are dropped, and it asks again."""
    rest_s: float = 2.0
    """After a failed commit nothing is asked for so long; the time doubles if the next one fails too."""
    rest_most_s: float = 60.0
    """The longest such pause: how long a node may be behind after room was made on its disk."""
    asked: int = 20_000
    """Logs that we ask one peer for at a time; the peer tells us the others again."""
    asked_of_all: int = 60_000
    """And all peers together, in equal parts: 0.8 to 1.5 kB each, for as long as a peer that promised them stalls."""
    bucket: int = 64
    """Below a prefix with at most so many heads, the heads are listed instead of summed."""
    unread: int = WINDOW
    """Bytes of a peer that wait here unread, beyond which its questions by sums are not answered and none are asked: a
    walk through all prefixes of 40,000 logs brings 5 MB, and there must be room for what else the peer says."""
    heads_rows: int = 8_000
    """Heads in one frame, about 900 kB."""
    root_s: float = 5.0
    """How often neighbours tell each other their root; bounds how long a lost gossip message stays lost."""
    session_s: float = 4.0
    """Time limit of a comparison with a peer; there is one at a time."""
    closed_s: float = 600.0
    """The longest pause between two comparisons with a peer of whose entries most would not be taken now."""
    closed_log_s: float = 0.1
    """The part of that pause for each log that differs: the same differences are found again, some 300 B each."""
    salt_s: float = 30.0
    """How long a table under a salt is kept for further questions, and how long a refused question waits."""
    salted_s: float = 600.0
    """How often to compare with a random neighbour under a new salt: the longest time that a fork can stay hidden."""
    parts_s: float = 1.0
    """How often to ask for missing content while some arrives."""
    parts_next_s: float = 0.1
    """After an answer without it, how long until the next neighbour is asked for content that is newly missing."""
    parts_tries: int = 8
    """How many neighbours are asked so, one after another."""
    parts_most_s: float = 60.0
    """The longest pause between two such questions, if no neighbour has the content: it may get it later."""
    parts_asked: int = 256
    """Pieces of content in one question."""
    work_burst: int = 100_000
    """Rows that one peer's questions may cost us at once, heads and arrivals read; and as many entries judged again
    because of what it sends."""
    work_a_log: int = 3
    """And so many more for each log that is compared, of `asked` at most: comparing by ranges as many logs as are asked
    for at a time, with as many that are equal, both sides at once, takes 150,000."""
    work_per_s: int = 20_000
    """And per second after that. A question beyond it is not answered; an honest peer asks again."""
    met: int = 1_024
    """Peers whose last arrival number is remembered on disk."""
    interest: int = 65_536
    """Accounts that a partial node names: about 80 bytes each while it is linked. Older nodes charge
    points for more."""
    interest_kept: int = 131_072
    """Names of one partial node that are kept, the first ones. Older nodes add names before they remove
    others, so up to twice as many come for a moment."""
    interest_of_all: int = 262_144
    """Names of all partial nodes that are kept together. Beyond it the last ones go of the peer that named most, of the
    network that named most."""
    interest_logs: int = 1 << 20
    """Logs of such accounts that are compared with a peer, 48 bytes each; of accounts with more, the first ones."""
    heard: int = 1_024
    """Accounts that are held only because they name accounts of this node: as many people as talk to one of them in a
    busy week. Strangers can mint them, and what these say counts in the strangers' share of the disk."""
    heard_unproved: int = 512
    """And so many that one peer told of, whose entries have not come yet."""
    notes: int = 4_096
    """Remembered reasons of "not yet", for people; the oldest are dropped first."""
    differences: int = 4_096
    """Remembered claims of one peer about heads that differ from ours."""
    differences_of_all: int = 65_536
    """And of all peers together, in equal parts: about 0.5 kB each."""
    vain: int = 16_384
    """Logs that one peer was asked for in vain and that are remembered: about 0.7 kB each."""
    vain_of_all: int = 32_768
    """And of all peers together, in equal parts."""
    scale: Scale = field(default_factory=Scale)
    """Points and their consequences (ledger.py)."""
    excused: int = 16
    """Claims in a row that a peer may fail to serve because its heads moved."""
    stall_s: float = 10.0
    """A peer that owes us something, has credit, and sends slower than `crawl` over so long, has stalled."""
    crawl: int = 1_000
    """Bytes per second."""
    strays: int = 20_000
    """Unasked entries that are accepted from one peer; the count falls by 100 a second."""
    sums: int = 256
    """Questions by sums that a peer may ask in a minute, plus one for each SUMS_LOGS logs that are compared."""
    witness_s: float = 60.0
    """How often a platform signs its frontier root."""

    def asked_of_each(self, peers: int) -> int:
        """Logs that one of so many peers is asked for at a time."""
        return max(1, min(self.asked, self.asked_of_all // max(1, peers)))

    def differences_of_each(self, peers: int) -> int:
        """Remembered claims of one of so many peers."""
        return max(1, min(self.differences, self.differences_of_all // max(1, peers)))

    def vain_of_each(self, peers: int) -> int:
        """Logs that came in vain of one of so many peers."""
        return max(1, min(self.vain, self.vain_of_all // max(1, peers)))
