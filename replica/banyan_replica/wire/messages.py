"""The messages between two replicas, as values. message_table.py says how each is written, and who may send it when."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

from banyan_crdt.ids import AccountId, EntryId, Head, LogId, WriterKey

VERSION = 2
MAX_FRAME = 4 << 20
FANOUT = 16
MAX_RANGE = 14
"""Nibbles of the longest prefix that is divided further. Below a longer prefix, heads are named."""
MAX_LOCATOR = 64
"""The most entries of a locator. They are dense at the end, then each time twice as far apart, so 64 are enough for any
log."""
LAST = b"\xff" * 32
"""The greatest account id: the stop of a range that reaches to the end."""
CANNOT = 2
"""The `done` of `scanned` if the sender cannot read the range, or cannot continue."""
MAX_PINS = 4
"""The most pins that a question for a log names."""
MAX_PROOF = 128
"""The most headers of a proof: twice as many as lead through a log of 2^48 entries."""
NAME_BYTES = 16
"""The bytes of an account's id that name it in `interest`. Nobody can make two ids with the same beginning."""
MAX_REASON = 512
"""The most bytes of the reason in `bye`."""
ID_BYTES = 32
"""The bytes of an account's id in `want-notices`."""
PAGE = 64
"""The most entries in an answer to it."""
ABILITIES = b"banyan/1/answers"
"""The salt of the `cells` by which a node says which later messages it reads: nobody asks under it, so nodes of the
first release ignore them."""
NOTICES = 1
"""In the `start` of these cells: it answers `want-notices`."""
READS_AS_IF = 2
"""It reads answers to a sketch of state AS_IF."""
CHARTER = 4
"""It reads the messages about a charter."""
RELAYS = 8
"""It passes on what is pushed to it, also if it holds chosen accounts: those that a charter's members list."""
DIGESTS, ACT_NAMES = 1_024, 4_096
"""The most digests, and the most names of acts, in a frame: with fewer an answer says that there are no more."""
CARD = 64 << 10
"""The most bytes of a card in `join-alliance`, and of an answer in `joined`."""


class Hello(NamedTuple):
    """The first message of each side. `logs`: how many logs have a head. `root`: the frontier root. `arrival`: the last
    arrival number of the store. `operator`: a platform's key, or empty."""

    version: int
    realm: bytes
    store_id: bytes
    logs: int
    root: bytes
    arrival: int
    operator: bytes
    partial: int
    """1: this node holds only the accounts that it names by `interest`, so its root equals no other node's."""


class GossipFrame(NamedTuple):
    """A frame of gossip (gossip/frames.py)."""

    frame: list[Any]


class Root(NamedTuple):
    """Where the sender stands; fields as in Hello."""

    logs: int
    root: bytes
    arrival: int


class Sums(NamedTuple):
    """`children`: for each of the 16 nibbles that may follow `prefix`, the number of heads and their sum, 16 bytes."""

    salt: bytes
    prefix: bytes
    children: list[tuple[int, bytes]]


class Heads(NamedTuple):
    """Heads of the accounts below `prefix`. `answer` 1: the receiver is asked for its own."""

    prefix: bytes
    answer: int
    heads: list[tuple[LogId, Head]]


class Want(NamedTuple):
    """One log that is asked for. `locator`: entries that the asker holds, newest first, at growing distances.

    `pins`: pinned entries that the asker lacks. Entries below one are sent with a proof that they are below it.
    """

    log: LogId
    locator: list[tuple[int, EntryId]]
    pins: Sequence[tuple[int, EntryId]] = ()


class Wants(NamedTuple):
    """Asks for logs."""

    wants: list[Want]


Content: TypeAlias = bytes | list[tuple[int, bytes]] | None
"""The content of one entry that is held: the part of its first operation, or (op index, part) of several; None: none.
Contents are in the order of the entries, so they need not name them."""


def pieces(content: Content) -> Sequence[tuple[int, bytes]]:
    """(op index, part) of each part."""
    return [(0, content)] if isinstance(content, bytes) else content or ()


class ControlItem(NamedTuple):
    """Control entries of one account. `entries`: each [header, sig, ops]."""

    account: AccountId
    entries: list[Any]
    contents: list[Content]


class RunItem(NamedTuple):
    """A run, as `encode_run` writes it."""

    run: bytes
    contents: list[Content]
    """The contents of its entries from the first on; may end early."""
    proof: Sequence[bytes] = ()
    """Headers that lead from a pinned entry that was asked for to the one that links to the run's last entry."""


class CheckpointItem(NamedTuple):
    """A checkpoint, as `encode_checkpoint` writes it."""

    checkpoint: bytes


Item: TypeAlias = ControlItem | RunItem | CheckpointItem


class DataItems(NamedTuple):
    """Entries with their content, and checkpoints."""

    items: list[Item]


class Credit(NamedTuple):
    """The receiver may send `size` more bytes of bulk."""

    size: int


class WantParts(NamedTuple):
    """Asks for the content of operations."""

    parts: list[tuple[EntryId, int]]


class Parts(NamedTuple):
    """Content of operations: (entry, op index, part or None, signed reason for withholding it or empty)."""

    parts: list[tuple[EntryId, int, bytes | None, bytes]]


class Replay(NamedTuple):
    """Asks for everything that the receiver's store accepted after this arrival number."""

    arrival: int


class Replayed(NamedTuple):
    """How far a replay is: up to this arrival number; `done` 1: all of it."""

    arrival: int
    done: int


class Scan(NamedTuple):
    """Asks to read the accounts after `cursor` (empty: from the first) up to and including `stop`.

    `reading`: the asker's number for this range. If it is under way, only its stop is moved nearer.
    """

    reading: int
    cursor: bytes
    stop: bytes


class Scanned(NamedTuple):
    """How far a reading is: all accounts up to `cursor` were sent. `done`: 0 so far, 1 all, CANNOT."""

    reading: int
    cursor: bytes
    done: int


class Answered(NamedTuple):
    """How many of all logs asked for on this link are answered, in the order in which they were asked for."""

    logs: int


class Witness(NamedTuple):
    """A platform's signed statement of its frontier root at a time, milliseconds since 1970."""

    platform: WriterKey
    time_ms: int
    root: bytes
    sig: bytes


class Bye(NamedTuple):
    """The last message of a link. `reason`: a sentence in UTF-8."""

    reason: bytes


class Sketch(NamedTuple):
    """Asks for `wanted` cells from `start` on; at first 0 and 0, with `probes`. `salt`: empty for the public key.
    `stamp`: that of the answer which this question continues."""

    salt: bytes
    start: int
    wanted: int
    stamp: int
    probes: bytes


class SketchCells(NamedTuple):
    """The answer to a sketch: cells from `start` on, 23 bytes each. `stamp`: 32 bits of the sender's root."""

    salt: bytes
    start: int
    state: int
    stamp: int
    cells: bytes


HERE, BUSY, TOO_MANY, AS_IF = 0, 1, 2, 3
"""The states of an answer. AS_IF: cells as if their sender held what the asker holds of logs that it did not take."""


class SketchNames(NamedTuple):
    """Asks which logs are at these places, 8 bytes each."""

    salt: bytes
    places: bytes


class Interest(NamedTuple):
    """The accounts that the sender holds. `how`: 0 these replace all named before, 1 these too, 2 no longer these.
    `names`: 16 bytes each."""

    how: int
    names: bytes


class Shared(NamedTuple):
    """Replaces `root` if either side is partial. `told`: the digest of the names that the receiver told, 8 bytes.
    `root`: of the heads of the accounts that both hold."""

    told: bytes
    root: bytes


class WantNotices(NamedTuple):
    """Asks for entries of others that name `accounts` (32 bytes each), of those that came to the receiver after
    `cursor`: 8 bytes of an answer of its, or zeros. It replaces the question before, and is answered once there are
    any."""

    cursor: bytes
    accounts: bytes


class Notices(NamedTuple):
    """`notices`: (the account that is named, the account that names it, its entry), each author once, the newest last.
    `cursor`: where the next question begins. `more` 1: the next one is answered at once."""

    cursor: bytes
    more: int
    notices: list[tuple[AccountId, AccountId, EntryId]]


class CharterState(NamedTuple):
    """The charter that the sender follows, how many acts of it it holds, and the digest of their names. `charter`
    empty: it follows none."""

    charter: bytes
    acts: int
    digest: bytes


class WantDigests(NamedTuple):
    """Asks for the digests of the acts of each number from `start` on."""

    charter: bytes
    start: int


class Digests(NamedTuple):
    """`digests`: 32 bytes each, of the numbers from `start` on up to the open one."""

    charter: bytes
    start: int
    digests: bytes


class WantNames(NamedTuple):
    """Asks for the names of the acts of a number that are greater than `after`; empty: for all."""

    charter: bytes
    number: int
    after: bytes


class ActNames(NamedTuple):
    """`names`: 32 bytes each, ascending."""

    charter: bytes
    number: int
    names: bytes


class WantActs(NamedTuple):
    """Asks for the acts of a number that have these names, 32 bytes each."""

    charter: bytes
    number: int
    names: bytes


class CharterActs(NamedTuple):
    """The first of the acts that were asked for. None: none of them is held."""

    charter: bytes
    number: int
    acts: list[bytes]


class JoinAlliance(NamedTuple):
    """Who was invited to an alliance answers. `invitation`: the key of the invitation, which signed the card."""

    invitation: bytes
    card: bytes
    sig: bytes


class Joined(NamedTuple):
    """What became of it."""

    state: int
    answer: bytes


Message: TypeAlias = (
    Hello | GossipFrame | Root | Sums | Heads | Wants | DataItems | Credit | WantParts | Parts | Replay | Replayed
    | Scan | Scanned | Witness | Bye | Answered | Sketch | SketchCells | SketchNames | Interest | Shared
    | WantNotices | Notices | CharterState | WantDigests | Digests | WantNames | ActNames | WantActs | CharterActs
    | JoinAlliance | Joined
)  # fmt: skip
