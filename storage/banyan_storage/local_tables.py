"""Every kind of local state (local_state.py): its prefix, the module that owns it, its key and its value. Those of an
alliance are in alliance_tables.py.

A name in capitals is what `banyan store stats` calls it. Times are milliseconds since 1970, accounts in JSON are DIDs.
What is declared here stays readable: a new meaning is a new version, or a new prefix.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

import msgspec

from banyan_charter.acts import CharterId
from banyan_crdt.codec import decode, encode
from banyan_crdt.ids import CellKey, EntryId, WriterKey
from banyan_storage import alliance_tables
from banyan_storage import tables as t
from banyan_storage.local_state import (
    ACCOUNT,
    BYTES,
    DOWN,
    ENTRY,
    HASH,
    MARK,
    OP,
    POST,
    ROOT,
    TEXT,
    U32,
    U64,
    Codec,
    Kind,
    LocalRows,
    LocalValue,
    both,
    cbor,
    fixed,
    json,
)

LOG = Codec(t.log_name, lambda raw: t.log_of_name(fixed(68, bytes).unpack(raw)), 68)
_ENTRIES: Codec[list[EntryId]] = Codec(
    b"".join, lambda raw: [ENTRY.unpack(raw[at : at + 32]) for at in range(0, len(raw), 32)]
)
_ROOTS: Codec[list[bytes]] = Codec(encode, decode)

# -- the store, and what peers are asked

LEAVING = LocalRows(b"leaving account:", "banyan_storage.store", ACCOUNT, BYTES, twice=True)
"""Why an account is erased in steps; readers are shown nothing of it."""
MEND = LocalValue(b"mend", "banyan_node.upkeep.log_check", BYTES)
"""The logs must be checked. How far that came; empty at first."""
FRONTIER = LocalValue(b"frontier", "banyan_replica.frontier.index", BYTES)
CATCHUP = LocalValue(b"catchup", "banyan_replica.sync.catchup", BYTES)
"""What is left to be read to this node."""
MET = LocalRows(b"met:", "banyan_replica.sync.replay", HASH, both(U64, U64))
"""By the id of a peer's store: its last arrival and ours when the frontiers were equal."""
BANNED = LocalRows(b"banned/", "banyan_replica.replica", TEXT, TEXT, twice=True)
"""Why a peer is refused."""
BAN_MADE = LocalRows(b"ban made:", "banyan_node.links.peerstore", TEXT, U64)
BAN_ENDS = LocalRows(b"ban ends:", "banyan_node.links.peerstore", TEXT, U64)
UNTRUSTED_BYTES = LocalRows(b"strangers:", "banyan_replica.intake.untrusted", ACCOUNT, U64)
"""What an account that nobody here asked for takes of the disk."""
UNTRUSTED_TOTAL = LocalValue(b"strangers", "banyan_replica.intake.untrusted", U64)
NAMERS = LocalRows(b"heard:", "banyan_replica.sync.notice_exchange", ACCOUNT, both(U64, both(ACCOUNT, ENTRY)))
"""An account that is held because it names one of here: its place in the order, the one here, and the entry."""
NAMERS_FROM = LocalRows(
    b"heard from:", "banyan_replica.sync.notice_exchange", TEXT, both(fixed(24, bytes), fixed(8, bytes))
)
"""By peer: what the question was, and where it goes on."""
OWN_TIPS = LocalRows(b"own:", "banyan_replica.intake.own_tips", LOG, _ENTRIES)
"""The last entries that this store wrote itself in a log, one for each branch, the newest last."""
OWN_LOG = LocalValue(b"own log", "banyan_node.own_log", both(U32, BYTES))
"""The number of the log that this store writes, and which data file this is."""
OWN_LOG_BOOT = LocalValue(b"own log boot", "banyan_node.own_log", both(U64, BYTES))
"""When a log began because the machine was started, in seconds, and the start in which the log was last written."""


FOLLOWED_CHARTER = LocalValue(b"charter", "banyan_replica.sync.charter_exchange", fixed(32, CharterId), twice=True)
"""The id of the charter that this node follows."""


class NetworkBanRow(NamedTuple):
    """until_ms: None: it does not end."""

    reason: str
    since_ms: int
    until_ms: int | None


BANNED_NETWORKS = LocalRows(b"banned network:", "banyan_node.links.peerstore", TEXT, cbor(NetworkBanRow), twice=True)

# -- accounts hosted here


class HostedNumber(NamedTuple):
    """number: the index of its keys."""

    number: int
    name: str


HOSTED = LocalRows(b"hosted:", "banyan_node.hosting.hosted", ACCOUNT, cbor(HostedNumber), twice=True)
HOSTED_AT = LocalRows(b"hosted at:", "banyan_node.hosting.hosted", both(U32, ACCOUNT), MARK, twice=True)
"""The same in the order of key indices, so that a page reads only its own rows. Two accounts may have one index: a
recovered account, and the node's own."""
HOSTED_COUNT = LocalValue(b"hosted count", "banyan_node.hosting.hosted", U32, twice=True)
HOSTED_NAMES = LocalRows(b"name:", "banyan_node.hosting.hosted", BYTES, ACCOUNT, twice=True)
"""By the first 400 bytes of the name."""
NEXT_INDEX = LocalValue(b"next account", "banyan_node.hosting.hosted", U32, twice=True)
OWN_ACCOUNT = LocalValue(b"self", "banyan_node.hosting.hosted", ACCOUNT, twice=True)
ERASED_RECOVERY_KEYS = LocalRows(b"recovery key of the erased:", "banyan_node.hosting.hosted", BYTES, MARK, twice=True)
"""Digests of recovery keys that were somebody's who was erased here."""
RESTORING = LocalValue(b"restoring", "banyan_node.hosting.claims", MARK, twice=True)
"""The store was made with restored keys, and some of their accounts may be missing."""
OWN_NAMED = LocalValue(b"restoring own", "banyan_node.hosting.claims", ACCOUNT, twice=True)
"""The account that the owner of restored keys named as the node's own."""
WRONG_PAPER = LocalValue(b"wrong paper", "banyan_node.hosting.claims", ACCOUNT)
"""The account whose recovery words were restored as if they were backup words."""
UNNAMED = LocalRows(b"unnamed:", "banyan_node.hosting.claims", ACCOUNT, MARK)
"""It came back before its profile."""
UNCLAIMED = LocalRows(b"unclaimed:", "banyan_node.hosting.claims", ACCOUNT, MARK, twice=True)
"""It lets this device write, and its root key was not found yet."""
CLOSED = LocalRows(b"closed:", "banyan_node.hosting.claims", ACCOUNT, MARK, twice=True)
AWAITED = LocalRows(b"awaited:", "banyan_node.hosting.interest", ACCOUNT, MARK)
"""It is about to be taken to this node: fetched from peers although nobody here hosts or follows it."""
DROPPED = LocalRows(b"dropped account:", "banyan_node.hosting.interest", ACCOUNT, MARK, twice=True)
MOVED_TIES = LocalRows(b"moved:", "banyan_node.api.methods.accounts.move_in", both(ACCOUNT, HASH), MARK)
"""What was brought beside posts: account, and a hash of what it is."""


class ImportState(NamedTuple):
    """next: the first batch that is not applied. The rest: totals so far."""

    batches: int
    next: int
    done: int
    accounts: int
    follows: int
    posts: int
    replies: int
    entries: int


IMPORTS = LocalRows(b"import:", "banyan_node.api.methods.accounts.imports", HASH, cbor(ImportState))
IMPORTED_ARTICLES = LocalRows(b"article:", "banyan_node.api.methods.accounts.imports", both(HASH, HASH), POST)
"""By import and title, what later rows answer."""


class IdempotencyRecord(NamedTuple):
    """said: the digest of the request. answer: JSON. about: DIDs and names of accounts with whose erasing it goes, one
    a line."""

    said: bytes
    answer: bytes
    about: bytes = b""


IDEMPOTENCY = LocalRows(b"once:", "banyan_node.idempotency", both(U32, HASH), cbor(IdempotencyRecord))
"""By day, and by who gave the key and the key."""

# -- erasures

Word: TypeAlias = Literal["erased", "waits", "shown", "unknown"]
"""waits: it is erased when its days are over; shown: to the operator; unknown: the peer does not say."""


class Erasure(msgspec.Struct, frozen=True):
    """until_ms: asked for here: by when all is gone here; else: when it may be. erased_ms: when it was; None: not yet.
    entry: the `close` that says it to others, in hex; empty: none does. from_ms, stands: see `ErasureWish`. here: it
    was asked for at this node. obeyed: the operator said so."""

    at_ms: int
    until_ms: int
    reason: str
    word: Word = "waits"
    erased_ms: int | None = None
    entry: str = ""
    from_ms: int = 0
    stands: str = ""
    here: bool = True
    obeyed: bool = False


class AnswerRow(NamedTuple):
    """until_ms: 0: none. by: the key that signed it; empty if nothing was said."""

    word: str
    until_ms: int
    at_ms: int
    by: bytes


ERASURES = LocalRows(b"erasure:", "banyan_node.hosting.erasure", ACCOUNT, json(Erasure), twice=True)
WISHED = LocalRows(b"wished to be erased:", "banyan_node.hosting.erasure", ACCOUNT, MARK, twice=True)
ERASURE_STATEMENTS = LocalRows(b"said of erasure:", "banyan_node.hosting.erasure", ENTRY, BYTES, twice=True)
"""The signed statement of this node about a wish, by the `close` that says it."""
ERASURE_ANSWERS = LocalRows(b"answer on erasure:", "banyan_node.hosting.erasure", both(ACCOUNT, TEXT), cbor(AnswerRow))
"""By account and peer."""
BLOBS_TO_ERASE = LocalRows(b"blob to erase:", "banyan_node.hosting.erasure", ROOT, MARK, twice=True)
TO_REWRITE = LocalValue(b"store to be written anew", "banyan_node.hosting.erasure", MARK, twice=True)

# -- content that is withheld, here and elsewhere


class Order(NamedTuple):
    """The order that withholds a post. expires_ms: 0: no end."""

    order: str
    basis: str
    scope: str
    since_ms: int
    expires_ms: int


class PeerStatement(NamedTuple):
    """What another node said of a post. counts: whether its signer may say so. until_ms: 0: no end."""

    counts: bool
    by: WriterKey
    order: str
    basis: str
    scope: str
    since_ms: int
    until_ms: int


WITHHELD = LocalRows(b"withheld post:", "banyan_node.hosting.visibility", POST, cbor(Order), twice=True)
ORDERS_HAVE_TERMS = LocalValue(b"terms of orders", "banyan_node.api.methods.moderation.content", MARK)
"""What an older program withheld has its term in the store, and is sealed."""
SEALED_CONTENT = LocalRows(b"sealed content:", "banyan_node.moderation.withheld", both(POST, OP), BYTES)
PLAIN_CONTENT = LocalRows(b"kept content:", "banyan_node.moderation.withheld", OP, BYTES)
"""Copies of older programs."""
PINNED_MEDIA = LocalRows(b"kept media:", "banyan_node.moderation.withheld", POST, _ROOTS)
"""The roots of pictures and films that are pinned with the copies of a post."""
MEDIA_TO_UNPIN = LocalRows(b"media to let go:", "banyan_node.moderation.withheld", ROOT, MARK)
RELEASED_CONTENT = LocalRows(b"awaited content:", "banyan_node.api.methods.moderation.content", OP, POST)
"""The post of content that was released here and has to come from peers."""
STATED = LocalRows(b"stated of post:", "banyan_node.moderation.withheld", POST, cbor(PeerStatement), twice=True)
STATED_CONTENT = LocalRows(b"stated of content:", "banyan_node.moderation.withheld", OP, U64, twice=True)
"""Until when it is withheld; 0: no end. Only statements that count."""
HEARSAY = LocalValue(b"statements that do not count", "banyan_node.moderation.withheld", U32)
"""Of how many posts."""

# -- moderation


class Holds(NamedTuple):
    """decision: the number of it. text: a label, or what people are told. issuer: of the label by which it was decided,
    a DID; empty: somebody here decided."""

    decision: int
    text: str
    issuer: str = ""


Verdict: TypeAlias = Literal["nothing", "label", "hide", "withhold", "limit", "suspend", "pass_on"]


class Withdrawal(msgspec.Struct, frozen=True):
    """by: a moderator; None: the operator."""

    at_ms: int
    by: str | None
    why: str


class DecisionNote(msgspec.Struct, frozen=True):
    """by: a moderator; None: the operator. verdict: nothing is done; label: the posts are shown with `text` before
    them; hide: they are not shown here; withhold: their content is given to nobody here, by an order; limit: only
    followers see the account here; suspend: this node writes nothing for the hosted account; pass_on: the platform `to`
    was told. why: for the other moderators. text: for the author, and of a label for all. labelled: `by` is no
    moderator, but gave a label that this node follows."""

    id: int
    at_ms: int
    by: str | None
    verdict: Verdict
    account: str
    posts: list[str]
    report: int | None
    why: str
    text: str
    order: str
    basis: str
    scope: str
    days: int
    to: str
    undone: Withdrawal | None
    labelled: bool = False


Category: TypeAlias = Literal["spam", "legal", "violation", "other"]


class ReportedPost(msgspec.Struct, frozen=True):
    """A post as it was when it was reported."""

    uri: str
    text: str
    warning: str | None
    media: int
    time_ms: int


class Reporter(msgspec.Struct, frozen=True):
    account: str
    at_ms: int
    comment: str


class OutcomeElsewhere(msgspec.Struct, frozen=True):
    """What the platform that hosts the account decided. platform: a DID."""

    platform: str
    verdict: Verdict
    at_ms: int
    undone: bool


class ReportNote(msgspec.Struct, frozen=True):
    """by: who reported first, and `also`, who said the same; others: how many more. rules: the ids of rules of this
    server. forward: the reporter wants the author's platform to hear of it. decisions: their numbers."""

    id: int
    at_ms: int
    by: Reporter
    account: str
    posts: list[ReportedPost]
    category: Category
    rules: list[str]
    forward: bool
    also: list[Reporter]
    others: int
    closed_ms: int | None
    decisions: list[int]
    elsewhere: list[OutcomeElsewhere] = msgspec.field(default_factory=list)

    @property
    def reporters(self) -> list[str]:
        return [self.by.account, *(one.account for one in self.also)]


class ReportCounts(msgspec.Struct, frozen=True):
    """next: the number of the next one."""

    next: int = 1
    open: int = 0
    closed: int = 0


Tells: TypeAlias = Literal["report", "decision", "outcome"]


class ModerationNotice(msgspec.Struct, frozen=True):
    """what: `report` with the number of a report, `decision` and `outcome` with that of a decision."""

    what: Tells
    number: int
    time_ms: int


MODERATORS = LocalRows(b"moderator:", "banyan_node.api.methods.moderation.moderators", ACCOUNT, U64)
"""Hosted accounts that the operator named, and since when."""
LABELLED = LocalRows(b"labelled post:", "banyan_node.moderation.decisions", POST, cbor(Holds), twice=True)
HIDDEN = LocalRows(b"hidden post:", "banyan_node.moderation.decisions", POST, cbor(Holds), twice=True)
LIMITED = LocalRows(b"limited account:", "banyan_node.moderation.decisions", ACCOUNT, cbor(Holds), twice=True)
SUSPENDED = LocalRows(b"suspended account:", "banyan_node.moderation.decisions", ACCOUNT, cbor(Holds), twice=True)


class ChosenLabeller(NamedTuple):
    """does: what this node does at most by somebody's labels: note, warn, hide, withhold; or allow. waits: so many
    changes at once that the operator has to accept them; 0: none. accepted: it did, and they are not all done.
    charter: the charter names it, and not the operator. over: it gives more labels than a node follows."""

    does: str
    waits: int = 0
    accepted: bool = False
    charter: bool = False
    over: bool = False


LABELLERS = LocalRows(b"labeller:", "banyan_node.api.methods.moderation.labellers", ACCOUNT, cbor(ChosenLabeller))
LABELS_TAKEN = LocalRows(
    b"label taken:", "banyan_node.api.methods.moderation.labellers", both(ACCOUNT, HASH), both(U64, U64)
)
"""By issuer and element: when it was given, and the decision that it led to; 0: none, because one stood already; the
largest number: none, because another labeller allows it."""
DECISIONS = LocalRows(b"decision:", "banyan_node.moderation.decisions", DOWN, json(DecisionNote), twice=True)
DECISIONS_ABOUT = LocalRows(
    b"decisions about:", "banyan_node.moderation.decisions", both(ACCOUNT, DOWN), MARK, twice=True
)
REPORTS_OPEN = LocalRows(b"report open:", "banyan_node.moderation.reports", U64, json(ReportNote))
REPORTS_CLOSED = LocalRows(b"report closed:", "banyan_node.moderation.reports", DOWN, json(ReportNote))
REPORT_COUNTS = LocalValue(b"reports", "banyan_node.moderation.reports", json(ReportCounts))
REPORTS_AGAINST = LocalRows(b"reports against:", "banyan_node.moderation.reports", both(ACCOUNT, U64), MARK)
"""Open ones."""
REPORTS_BY = LocalRows(b"reports by:", "banyan_node.moderation.reports", both(ACCOUNT, DOWN), MARK)
REPORTS_TO_SEND = LocalRows(b"report to send:", "banyan_node.alliance.report_exchange", U64, MARK)
"""To the platform of whom they are against."""
REPORTS_SENT = LocalRows(
    b"report sent:", "banyan_node.alliance.report_exchange", fixed(16, CellKey), both(ACCOUNT, U64), twice=True
)
"""By the name of the letter: to whom, and the number of the report."""
REPORTS_TAKEN = LocalRows(
    b"report taken:", "banyan_node.alliance.report_exchange", both(ACCOUNT, fixed(16, CellKey)), U64, twice=True
)
"""By member and letter that was read: the report that it made here; 0: none."""
REPORTS_TO_ANSWER = LocalRows(b"report to answer:", "banyan_node.alliance.report_exchange", U64, MARK)
"""Decided otherwise than their member was told."""
REPORTS_TODAY = LocalRows(b"reports today:", "banyan_node.moderation.reports", ACCOUNT, json(tuple[int, int]))
"""A day, and how many the account made on it."""
MODERATION_TOLD = LocalRows(
    b"told by moderation:", "banyan_node.moderation.decisions", both(ACCOUNT, fixed(8, bytes)), json(ModerationNotice)
)
"""By account and place among its notifications."""

# -- daily work


class ClockLook(NamedTuple):
    """The last look at the clock, as trusted_clock.py's Moment. jumped_ms: by how much it had jumped; 0: it is trusted.
    back: it jumped back."""

    wall_ms: int
    up_ms: int
    boot: str
    jumped_ms: int
    back: bool

    @property
    def doubted_ms(self) -> int:
        return -self.jumped_ms if self.back else self.jumped_ms


CLOCK = LocalValue(b"clock looked at", "banyan_node.upkeep.trusted_clock", cbor(ClockLook))
CHORES_READ = LocalValue(b"chores", "banyan_node.upkeep.maintenance", U64)
"""The last arrival read."""
NAMES_RECLAIMED = LocalValue(b"names reclaimed", "banyan_node.upkeep.maintenance", BYTES)
ACCOUNTS_SCANNED = LocalValue(b"accounts scanned", "banyan_node.upkeep.maintenance", BYTES)

LOCAL: dict[str, Kind] = {
    name.lower().replace("_", " "): kind
    for name, kind in (globals() | vars(alliance_tables)).items()
    if isinstance(kind, LocalRows | LocalValue)
}
TWICE = tuple(kind.prefix for kind in LOCAL.values() if kind.twice)
RETIRED = (b"pinned:", b"swept:", b"tomb:", b"scan:", b"checkpoint:", b"claimed")
"""Prefixes of older programs, whose rows go when the store is opened."""
