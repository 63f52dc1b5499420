"""What two replicas say to each other, as values. How each is spelled, and who may say it when, is in table.py."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

from banyan_crdt.ids import AccountId, EntryId, Head, LogId, WriterKey

VERSION = 2
MAX_FRAME = 4 << 20
FANOUT = 16
MAX_RANGE = 14
"""Nibbles of the longest prefix that is divided further; below, heads are named."""
MAX_LOCATOR = 64
"""Entries that a locator names: dense at the end, then twice as far apart each time, so 64 reach over any log."""
LAST = b"\xff" * 32
"""No account has a greater name."""
CANNOT = 2
"""What `scanned` says where a range is not read out, or no further."""
MAX_PINS = 4
"""Pins that a question for a log names."""
MAX_PROOF = 128
"""Headers of a proof: twice what leads through a log of 2^48 entries."""
NAME_BYTES = 16
"""An account of interest is named by so many bytes of its id: nobody makes two ids that begin alike."""
MAX_REASON = 512
"""Bytes of a last word."""


class Hello(NamedTuple):
    version: int
    realm: bytes
    store_id: bytes
    logs: int
    root: bytes
    arrival: int
    operator: bytes
    partial: int
    """1: this node holds only accounts that it names by `interest`, so its root equals nobody's."""


class GossipFrame(NamedTuple):
    frame: list[Any]


class Root(NamedTuple):
    logs: int
    root: bytes
    arrival: int


class Sums(NamedTuple):
    salt: bytes
    prefix: bytes
    children: list[tuple[int, bytes]]


class Heads(NamedTuple):
    prefix: bytes
    answer: int
    heads: list[tuple[LogId, Head]]


class Want(NamedTuple):
    """One log asked for: `locator` names entries that the asker holds, newest first, ever sparser towards the start.

    `pins`: pinned entries that the asker lacks. What is sent from below one comes with the proof that it is below it.
    """

    log: LogId
    locator: list[tuple[int, EntryId]]
    pins: Sequence[tuple[int, EntryId]] = ()


class Wants(NamedTuple):
    wants: list[Want]


Content: TypeAlias = bytes | list[tuple[int, bytes]] | None
"""The held content of one entry: that of its first operation, or (op index, bytes) of several; None where there is
none. Beside entries it stands in their order, so that nobody has to name them."""


class ControlItem(NamedTuple):
    account: AccountId
    entries: list[Any]
    contents: list[Content]


class RunItem(NamedTuple):
    run: bytes
    contents: list[Content]
    """Of its entries from the first on; may end early."""
    proof: Sequence[bytes] = ()
    """Headers, from a pinned entry that was asked for down to the one that links to the run's last entry."""


class CheckpointItem(NamedTuple):
    checkpoint: bytes


Item: TypeAlias = ControlItem | RunItem | CheckpointItem


class DataItems(NamedTuple):
    items: list[Item]


class Credit(NamedTuple):
    size: int


class WantParts(NamedTuple):
    parts: list[tuple[EntryId, int]]


class Parts(NamedTuple):
    parts: list[tuple[EntryId, int, bytes | None, bytes]]


class Replay(NamedTuple):
    arrival: int


class Replayed(NamedTuple):
    arrival: int
    done: int


class Scan(NamedTuple):
    """Read to me the accounts after `cursor` (empty: from the first) up to `stop`, which belongs to it.

    `reading` is the asker's name for it; one of that name under way gets a nearer stop by it, and nothing else.
    """

    reading: int
    cursor: bytes
    stop: bytes


class Scanned(NamedTuple):
    reading: int
    cursor: bytes
    done: int


class Answered(NamedTuple):
    """Of the logs asked for on this link, in the order in which they were, so many are answered."""

    logs: int


class Witness(NamedTuple):
    platform: WriterKey
    time_ms: int
    root: bytes
    sig: bytes


class Bye(NamedTuple):
    reason: bytes


class Sketch(NamedTuple):
    """`salt`: empty for the public key. `stamp`: of the answer that this one continues."""

    salt: bytes
    start: int
    wanted: int
    stamp: int
    probes: bytes


class SketchCells(NamedTuple):
    salt: bytes
    start: int
    state: int
    stamp: int
    cells: bytes


HERE, BUSY, TOO_MANY = 0, 1, 2
"""States of an answer."""


class SketchNames(NamedTuple):
    salt: bytes
    places: bytes


class Interest(NamedTuple):
    """`how`: 0 instead of all that was named, 1 these too, 2 no longer these. `names`: 16 bytes each."""

    how: int
    names: bytes


class Shared(NamedTuple):
    """Instead of `root` where either side is partial. `told`: 8 bytes, the digest of the names that the receiver told;
    `root`: of the heads of the accounts that both hold."""

    told: bytes
    root: bytes


Message: TypeAlias = (
    Hello | GossipFrame | Root | Sums | Heads | Wants | DataItems | Credit | WantParts | Parts | Replay | Replayed
    | Scan | Scanned | Witness | Bye | Answered | Sketch | SketchCells | SketchNames | Interest | Shared
)  # fmt: skip
