"""What one sees of the network from here: what differs from a peer and why, how messages spread, how far peers are.

Digests show whether two nodes hold the same."""

from collections.abc import Iterator, Mapping
from typing import Annotated, NamedTuple

import trio
from msgspec import Meta

from banyan_crdt.entry import Entry
from banyan_crdt.errors import Reject
from banyan_crdt.ids import AccountId, EntryId, Head, LogId, is_checkpoint, is_control
from banyan_crdt.ops import Put, decode_body
from banyan_node.api import json_types as js
from banyan_node.api.declare import CommitView, EmptyRequest, MethodTable, NodeView, Request, Response, Shell
from banyan_node.api.methods.posts.post_rows import name_of
from banyan_node.context import Context
from banyan_node.hosting import hosted
from banyan_node.links import completeness
from banyan_node.operator_errors import CallError
from banyan_reading.queries import Queries
from banyan_replica.gossip.message_cache import Way
from banyan_replica.intake.intake import NotTaken
from banyan_replica.peers.statements import read_withheld
from banyan_replica.status import LinkView, ReplicaView, SpreadView
from banyan_schema.social import POST, Target
from banyan_storage.arrivals import origins

METHODS = MethodTable()


class DigestRequest(Request):
    """account: only of this one."""

    account: Annotated[str | None, Meta(title="an account", description="A DID, or a name hosted here.")] = None


class Digest(Response):
    """digest: of all logs. views: of all that is shown, with content."""

    digest: js.DigestHex
    views: js.DigestHex
    entries: int
    lacking_parts: int


class GraphFiguresRequest(Request):
    """digest: also that of all logs, which takes a second for every some 50,000 accounts."""

    digest: bool = False


class GraphFigures(Response):
    """digest: null unless it was asked for."""

    accounts: int
    follows: int
    posts: int
    replies: int
    reactions: int
    reposts: int
    entries: int
    bytes: int
    digest: js.DigestHex | None


class GraphSize(Response):
    """hosted: accounts whose keys this node holds. accounts, posts: of all that are held here. nodes: linked peers."""

    hosted: int
    accounts: int
    posts: int
    nodes: int


@METHODS.read("digest", slow=True)
def digest(at: CommitView, ask: DigestRequest) -> Digest:
    """Two digests, which are equal on nodes that hold the same: of all, or of one account."""
    q, store = at.queries(), at.store
    if ask.account is not None:
        account = hosted.account_of(at, ask.account)
        heads, shown = store.account_digest(account), q.views_digest(account)
        entries = sum(head.length for log, head in store.heads(account).items() if not is_checkpoint(log))
        return Digest(js.digest_hex(heads), js.digest_hex(shown), entries, q.lacking_parts())
    return Digest(
        js.digest_hex(store.digest()), js.digest_hex(q.views_digest()), store.counts().entries, q.lacking_parts()
    )


@METHODS.read("graph.stats", slow=True)
def graph_stats(at: CommitView, ask: GraphFiguresRequest) -> GraphFigures:
    """The size of the graph that is held here."""
    s = at.queries().graph_stats(ask.digest)
    return GraphFigures(
        accounts=s.accounts,
        follows=s.follows,
        posts=s.posts,
        replies=s.replies,
        reactions=s.reactions,
        reposts=s.reposts,
        entries=s.entries,
        bytes=s.stored_bytes,
        digest=None if s.digest is None else js.digest_hex(s.digest),
    )


@METHODS.look("graph.size")
def graph_size(at: NodeView, ask: EmptyRequest) -> GraphSize:
    """A few numbers that cost nothing, for pages that everybody may ask for."""
    linked = sum(link.greeted for link in at.seen.links)
    return GraphSize(hosted.count(at), at.store.counts().accounts, at.queries().post_count(None), linked)


# Log by log.


class Difference(Response):
    """mine, theirs: counted entries of the log here and at the peer."""

    account: js.Did
    name: str
    writer: js.WriterHex
    log: int
    mine: int
    theirs: int
    reason: str
    sentence: str


class PeerFacts(NamedTuple):
    """What the replica's thread knows of a peer: its claims about logs that differ, those that were refused among them,
    why items of it were not accepted yet, and the last reasons for missing content."""

    differences: Mapping[LogId, Head]
    notes: Mapping[LogId, NotTaken]
    withheld: Mapping[tuple[EntryId, int], bytes]


def link_of(view: ReplicaView, peer: str) -> LinkView:
    """A linked peer by its id, or a unique start or end of it. Raises CallError."""
    found = [link for link in view.links if link.peer.startswith(peer) or link.peer.endswith(peer)]
    if len(found) != 1 or not peer:
        linked = ", ".join(sorted(link.peer for link in view.links)) or "nobody"
        raise CallError("no_peer", f"No one peer is called '{peer[:60]}'; linked are: {linked}.", 404)
    return found[0]


def compare_with(ctx: Context, peer: str, now: float) -> str:
    """Starts a comparison by sketch, also of what stands. Quick; runs on the replica's thread."""
    link = link_of(ctx.replica.status.view(now), peer)
    ctx.replica.peers.compare(link.peer, now)
    return link.peer


def facts(ctx: Context, peer: str, now: float) -> PeerFacts:
    """Collects the facts. Quick; runs on the replica's thread. Other threads interpret them."""
    view = ctx.replica.status.view(now)
    link = link_of(view, peer)
    notes = {log: note for (who, log), note in view.notes.items() if who == link.peer}
    return PeerFacts(link.differences, notes, ctx.replica.peers.withheld())


def differences(at: NodeView, known: PeerFacts) -> list[Difference]:
    q = at.queries()
    rows: list[Difference] = []

    def row(log: LogId, mine: int, theirs: int, reason: str, sentence: str) -> None:
        name, writer = name_of(q, log.account), js.writer_hex(log.writer)
        rows.append(Difference(js.did(log.account), name, writer, log.log, mine, theirs, reason, sentence))

    for log, theirs in known.differences.items():
        mine = at.store.head(log)
        reached = theirs.id is None and mine.length == theirs.length  # a sketch only names the length
        if mine != theirs and not reached:
            row(log, mine.length, theirs.length, *_why(at, known, log, mine, theirs))
    for (entry, op), why in known.withheld.items():
        where = at.store.place(entry)
        if where is None:
            continue
        log, seq = where
        said = read_withheld(at.here.realm, why, entry, op).sentence if why else "withheld without a statement"
        row(log, seq, seq, "withheld", f"the content of operation {op} of entry {seq} is {said}")
    return rows


_NOTED = {
    "account": "not yet known",
    "grant": "not yet granted",
    "future": "from the future",
    "limit": "over its limit",
    "until": "over its limit",
    "cut": "cut",
    "gap": "behind",
    "control": "not yet known",
    "version": "newer version",
    "full": "no room here",
    "busy": "behind",
    "branch": "behind",
}


def _why(at: NodeView, known: PeerFacts, log: LogId, mine: Head, theirs: Head) -> tuple[str, str]:
    """A word and a sentence for one difference."""
    rights, note = at.store.grants(log.account), known.notes.get(log)
    if mine.flag or theirs.flag:
        word = "frozen" if is_control(log) else "forked"
        who = "here" if mine.flag else "at the peer"
        return word, f"the log is {word} {who}: it counts up to entry {(mine if mine.flag else theirs).length}"
    if log.log and rights is not None and log.writer in rights.cuts:
        return "cut", f"its writer was cut off; {mine.length} entries count here"
    if (blamed := completeness.control_blame(at, known.differences, log, mine, theirs)) is not None:
        return blamed
    if note is not None:
        return _NOTED[note.reason], note.sentence
    if log.log and rights is not None and rights.grant_of(log.writer, log.log) is None:
        return "not yet granted", "the account's control log that is held here grants no such log"
    if is_checkpoint(log):
        newer = (theirs.length, theirs.id or b"") > (mine.length, mine.id or b"")
        return ("behind" if newer else "ahead"), f"checkpoint {mine.length} is held here, {theirs.length} at the peer"
    if theirs.length > mine.length:
        return "behind", f"the peer has {completeness.entries(theirs.length - mine.length)} more"
    if theirs.length < mine.length:
        wrong = at.seen.wrong_clock
        return "ahead", f"the peer lacks {completeness.entries(mine.length - theirs.length)}" + (
            f": {wrong}" if wrong else ""
        )
    return "diverged", f"both have {mine.length} entries and another last one"


# How the last messages spread, how far peers are, where the data came from.

PINGED, AT_ONCE = 40, 8
"""Peers that one call asks, and at one time."""
ROWS = 2_000
"""Commits back to which it is said who brought what."""


class SpreadNeighbour(Response):
    """A neighbour of the gossip. way: it was sent the message, was told that the message is here, or showed that it has
    it."""

    peer: str
    way: Way
    time_ms: js.Milliseconds


class SpreadRow(Response):
    """A message of the gossip: a run of entries, of which `entry` is the last. uri: of the public post that the run
    wrote last, or null. time_ms: when it was new here. source: the peer that brought it; null: it was written here."""

    entry: js.EntryHex
    account: js.Did
    name: str
    uri: js.PostUri | None
    time_ms: js.Milliseconds
    source: str | None
    told: list[SpreadNeighbour]


class Spreads(Response):
    """Newest first."""

    spreads: list[SpreadRow]


class DistanceRow(Response):
    """ms: to the peer and back; null: it did not answer within two seconds."""

    peer: str
    ms: float | None


class Distances(Response):
    distances: list[DistanceRow]


class OriginRow(Response):
    """peer: null: what was written or imported here."""

    peer: str | None
    entries: int


class RoomTaken(Response):
    """bytes: of the store on the disk. strangers: bytes of that which accounts take that nobody here hosts or follows
    and no named peer brought. media: of pictures and films beside the store. hosted: accounts whose keys are here.
    origins: who brought the newest entries, most first."""

    bytes: int
    strangers: int
    media: int
    accounts: int
    hosted: int
    entries: int
    origins: list[OriginRow]


@METHODS.look("spreads")
def spreads(at: NodeView, ask: EmptyRequest) -> Spreads:
    """How the last messages spread from here: which neighbour was told of each, and when."""
    q = at.queries()
    return Spreads([*_spreads(q, at.seen.spreads)][::-1])


def _spreads(q: Queries, seen: tuple[SpreadView, ...]) -> Iterator[SpreadRow]:
    for one in seen:
        entry = q.reader.by_half(one.mid)
        if entry is None:  # a checkpoint, or not on the disk yet
            continue
        told = [SpreadNeighbour(peer, way, ms) for peer, (way, ms) in one.steps.items()]
        yield SpreadRow(
            js.entry_hex(entry.id),
            js.did(entry.account),
            name_of(q, entry.account),
            _post(q, entry.account, entry),
            one.time_ms,
            one.source or None,
            sorted(told, key=lambda row: row.time_ms),
        )


def _post(q: Queries, account: AccountId, entry: Entry) -> js.PostUri | None:
    if not entry.header.log:
        return None
    try:
        keys = [op.key for op in decode_body(entry.ops).ops if isinstance(op, Put) and op.coll == POST]
    except Reject:
        return None
    for key in reversed(keys):
        view = q.post(Target(account, key))
        if view is not None and view.post.audience == "public":
            return js.uri(view.target)
    return None


@METHODS.node("distances", "read")
async def distances(shell: Shell, ask: EmptyRequest) -> Distances:
    """How long a small message takes to linked peers and back."""
    linked = [link.peer for link in shell.seen.links if link.greeted][:PINGED]
    found: dict[str, float | None] = {}
    turns = trio.CapacityLimiter(AT_ONCE)

    async def one(peer: str) -> None:
        async with turns:
            seconds = await shell.ping(peer)
            found[peer] = None if seconds is None else round(seconds * 1000, 2)

    async with trio.open_nursery() as nursery:
        for peer in linked:
            nursery.start_soon(one, peer)
    return Distances([DistanceRow(peer, found[peer]) for peer in linked])


@METHODS.look("room")
def room(at: NodeView, ask: EmptyRequest) -> RoomTaken:
    """How much is held, and where the newest of it came from."""
    counts = at.store.counts()
    brought = sorted(origins(at.store.txn, ROWS).items(), key=lambda item: -item[1])
    return RoomTaken(
        bytes=at.queries().used,
        strangers=at.seen.strangers.used,
        media=at.blobs.used(),
        accounts=counts.accounts,
        hosted=hosted.count(at),
        entries=counts.entries,
        origins=[OriginRow(peer or None, entries) for peer, entries in brought],
    )
