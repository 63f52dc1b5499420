"""How the node stands: who it is, what it holds, how complete that is, and why it differs from a peer."""

from __future__ import annotations

from banyan_crdt.ids import AccountId, Head, LogId, is_checkpoint, is_control
from banyan_crdt.logs import NOTHING
from banyan_node import claims, completeness, hosted
from banyan_node.api.declare import Answer, Declared, Nothing
from banyan_node.api.methods.reading import name_of
from banyan_node.api.texts import Did, DigestHex, Milliseconds, WriterHex, did, digest_hex, writer_hex
from banyan_node.context import Context
from banyan_node.operator_errors import CallError
from banyan_replica.peers.session import PeerSession
from banyan_replica.peers.withholding import read_withheld
from banyan_replica.sync.catchup import WHOLE, Catchup
from banyan_storage.errors import ViewBuilding

METHODS = Declared()
FOLLOWING_SHOWN = 500


class Identity(Answer, frozen=True):
    """account: null before this node has one. writer: the key that signs for the accounts that granted it."""

    peer_id: str
    addresses: list[str]
    account: Did | None
    realm: str
    store_id: str
    writer: WriterHex
    name: str
    role: str
    running: bool


class CatchingUp(Answer, frozen=True):
    """peers: how many read the network to this node. left: how much of it is left, 0 to 1."""

    peers: int
    left: float


class Followed(Answer, frozen=True):
    """held, known: entries held here, and those that some peer claims. asking: peers that are being asked."""

    account: Did
    name: str
    held: int
    known: int
    behind: int
    asking: int
    complete: bool


class Clock(Answer, frozen=True):
    """wrong: what peers say about this machine's clock, where it matters. ahead_ms: of the median of so many platforms;
    null where none was heard twice."""

    wrong: str | None
    ahead_ms: int | None
    platforms: int


class Restoring(Answer, frozen=True):
    """How many accounts of restored keys are back, and whether this node's own is."""

    accounts: int
    own: bool


class Status(Answer, frozen=True):
    """doubt: why completeness cannot be said, whatever is held. restoring: null once all accounts of restored keys are
    back that a peer held. behind: entries that linked peers claim and this node lacks. fresh_as_of: milliseconds, by a
    platform's word. following: the first 500."""

    running: bool
    ready: bool
    doubt: str | None
    clock: Clock
    complete: bool
    role: str
    name: str
    realm: str
    accounts: int
    logs: int
    entries: int
    root: DigestHex
    fresh_as_of: Milliseconds | None
    uptime_s: float
    peers: int
    lacking_parts: int
    catchup: CatchingUp | None
    restoring: Restoring | None
    interest: str
    behind: int
    following: list[Followed]


class Ban(Answer, frozen=True):
    until_ms: Milliseconds
    reason: str


class PeerRow(Answer, frozen=True):
    """behind: entries that it claims and this node lacks; null before it was compared. since_ms: linked since."""

    peer: str
    address: str
    name: str
    role: str
    connected: bool
    inbound: bool
    score: float
    ban: Ban | None
    reason: str | None
    behind: int | None
    since_ms: Milliseconds | None


class Difference(Answer, frozen=True):
    """mine, theirs: how many entries of the log count here and at the peer."""

    account: Did
    name: str
    writer: WriterHex
    log: int
    mine: int
    theirs: int
    reason: str
    sentence: str


@METHODS.look("id")
def identity(ctx: Context, ask: Nothing, now: float) -> Identity:
    """Who this node is."""
    mine = hosted.me(ctx)
    config = ctx.settings.config.node
    return Identity(
        peer_id=ctx.replica.me.peer,
        addresses=[],
        account=did(mine) if mine else None,
        realm=ctx.realm.name,
        store_id=ctx.store.store_id.hex(),
        writer=writer_hex(ctx.device.key),
        name=config.name,
        role=config.role,
        running=False,
    )


@METHODS.look("status")
def status(ctx: Context, ask: Nothing, now: float) -> Status:
    """What this node holds, and how complete that is."""
    counts, replica, config = ctx.store.counts(), ctx.replica, ctx.settings.config.node
    claimed = _claims(ctx)
    behind = sum(_lag(log, ctx.replica.ingest.head(log), known) for log, known in claimed.items())
    try:
        following, known = _following(ctx, claimed), True
    except ViewBuilding:
        following, known = [], False
    fresh = replica.witnesses.fresh_as_of()
    greeted = [link for link in replica.links.values() if link.hello is not None]
    asked = replica.sync.asking.catchup.reading or any(len(link.owed.logs) for link in greeted)
    doubt = completeness.doubt(ctx)
    whole = not behind and not counts.lacking and not asked and all(f.complete for f in following)
    return Status(
        running=False,
        ready=True,
        doubt=doubt,
        clock=Clock(**completeness.clock(ctx)),
        complete=doubt is None and known and whole and not claims.restoring(ctx),
        role=config.role,
        name=config.name,
        realm=ctx.realm.name,
        accounts=counts.accounts,
        logs=replica.tree.count,
        entries=counts.entries,
        root=digest_hex(replica.tree.root),
        fresh_as_of=fresh[0] if fresh else None,
        uptime_s=0.0,
        peers=len(greeted),
        lacking_parts=counts.lacking,
        catchup=_catchup(replica.sync.asking.catchup),
        restoring=_restoring(ctx),
        interest=ctx.settings.config.interest.mode,
        behind=behind,
        following=following,
    )


def _claims(ctx: Context) -> dict[LogId, int]:
    """The greatest length that a peer claims of each log on which it differs from us."""
    claims: dict[LogId, int] = {}
    for link in ctx.replica.links.values():
        for log, head in link.told.differences.items():
            claims[log] = max(claims.get(log, 0), head.length)
    return claims


def _lag(log: LogId, mine: Head, claimed: int) -> int:
    """Entries by which we are behind a claim; a newer checkpoint counts as one."""
    lag = max(0, claimed - mine.length)
    return min(lag, 1) if is_checkpoint(log) else lag


def _following(ctx: Context, claims: dict[LogId, int]) -> list[Followed]:
    me = hosted.me(ctx)
    if me is None:
        return []
    q, compared = ctx.queries(), completeness.is_compared(ctx)
    by_account: dict[AccountId, dict[LogId, int]] = {}
    for log, known in claims.items():
        by_account.setdefault(log.account, {})[log] = known
    rows = []
    for account in q.follows(me)[:FOLLOWING_SHOWN]:
        heads = ctx.store.heads(account)
        held = sum(h.length for log, h in heads.items() if not is_checkpoint(log))
        ahead = by_account.get(account, {})
        behind = sum(_lag(log, heads.get(log, NOTHING), known) for log, known in ahead.items())
        asking = sum(any(log.account == account for log in link.owed.logs) for link in ctx.replica.links.values())
        rows.append(
            Followed(
                account=did(account),
                name=name_of(q, account),
                held=held,
                known=held + behind,
                behind=behind,
                asking=asking,
                complete=bool(held) and not behind and compared,
            )
        )
    return rows


def _restoring(ctx: Context) -> Restoring | None:
    if not claims.restoring(ctx):
        return None
    return Restoring(hosted.count(ctx), hosted.me(ctx) is not None)


def _catchup(catchup: Catchup) -> CatchingUp | None:
    """Who reads the network to us, and how much of it is left; None when nobody does."""
    if not catchup.readers:
        return None
    return CatchingUp(len(catchup.readers), round(sum(s.width for s in catchup.left()) / WHOLE.width, 3))


def peers(ctx: Context, now: float) -> list[PeerRow]:
    rows: list[PeerRow] = []
    standing = ctx.replica.standing
    for link in ctx.replica.links.values():
        info = ctx.replica.gossip
        rows.append(
            PeerRow(
                peer=link.peer,
                address=link.address,
                name="",
                role="platform" if link.hello and link.hello.operator else "",
                connected=link.hello is not None,
                inbound=not link.outbound,
                score=info.score(link.peer) - round(standing.points(link.peer, now), 1),
                ban=None,
                reason=standing.last_reason(link.peer) if standing.points(link.peer, now) else None,
                behind=_behind(ctx, link),
                since_ms=int(link.since * 1000),
            )
        )
    for peer, (left, reason) in standing.bans(now).items():
        rows.append(
            PeerRow(
                peer=peer,
                address="",
                name="",
                role="",
                connected=peer in ctx.replica.links,
                inbound=False,
                score=-round(standing.points(peer, now), 1),
                ban=Ban(int((now + left) * 1000), reason),
                reason=reason,
                behind=None,
                since_ms=None,
            )
        )
    return rows


def _behind(ctx: Context, link: PeerSession) -> int | None:
    """Entries by which we are behind what the peer last claimed; None before it was compared."""
    if link.hello is None:
        return None
    if link.course.live:
        return 0
    head = ctx.replica.ingest.head
    return sum(_lag(log, head(log), theirs.length) for log, theirs in link.told.differences.items())


def link_of(ctx: Context, peer: str) -> PeerSession:
    """A linked peer by its id or a unique beginning of it. Raises CallError."""
    found = [link for name, link in ctx.replica.links.items() if name.startswith(peer) or name.endswith(peer)]
    if len(found) != 1 or not peer:
        linked = ", ".join(sorted(name for name in ctx.replica.links)) or "nobody"
        raise CallError("no_peer", f"No one peer is called '{peer}'; linked are: {linked}.", 404)
    return found[0]


def compare_with(ctx: Context, peer: str, now: float) -> str:
    """Starts a comparison by sums, whatever was compared before."""
    link = link_of(ctx, peer)
    link.told.agrees()
    ctx.replica.compare(link.peer, now)
    return link.peer


def differences(ctx: Context, peer: str) -> list[Difference]:
    link = link_of(ctx, peer)
    q = ctx.queries()
    rows: list[Difference] = []

    def row(log: LogId, mine: int, theirs: int, reason: str, sentence: str) -> None:
        name, writer = name_of(q, log.account), writer_hex(log.writer)
        rows.append(Difference(did(log.account), name, writer, log.log, mine, theirs, reason, sentence))

    for log, theirs in link.told.differences.items():
        mine = ctx.replica.ingest.head(log)
        if mine != theirs:
            row(log, mine.length, theirs.length, *_why(ctx, link, log, mine, theirs))
    for (entry, op), why in ctx.replica.missing.withheld.items():
        where = ctx.store.place(entry)
        if where is None:
            continue
        log, seq = where
        said = read_withheld(ctx.realm, why, entry, op).sentence if why else "withheld without a statement"
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
}


def _why(ctx: Context, link: PeerSession, log: LogId, mine: Head, theirs: Head) -> tuple[str, str]:
    """A word and a sentence for one difference."""
    control = ctx.replica.ingest.control_of(log.account)
    note = ctx.replica.intake.notes.get((link.peer, log))
    if mine.flag or theirs.flag:
        word = "frozen" if is_control(log) else "forked"
        who = "here" if mine.flag else "at the peer"
        return word, f"the log is {word} {who}: it counts up to entry {(mine if mine.flag else theirs).length}"
    if log.log and control is not None and log.writer in control.cuts:
        return "cut", f"its writer was cut off; {mine.length} entries count here"
    if (blamed := completeness.control_blame(ctx, link, log, mine, theirs)) is not None:
        return blamed
    if note is not None:
        return _NOTED[note.reason], note.sentence
    if log.log and control is not None and control.grant_of(log.writer, log.log) is None:
        return "not yet granted", "the account's control log that is held here grants no such log"
    if is_checkpoint(log):
        newer = (theirs.length, theirs.id or b"") > (mine.length, mine.id or b"")
        return ("behind" if newer else "ahead"), f"checkpoint {mine.length} is held here, {theirs.length} at the peer"
    if theirs.length > mine.length:
        return "behind", f"the peer has {_entries(theirs.length - mine.length)} more"
    if theirs.length < mine.length:
        wrong = completeness.wrong_clock(ctx)
        return "ahead", f"the peer lacks {_entries(mine.length - theirs.length)}" + (f": {wrong}" if wrong else "")
    return "diverged", f"both have {mine.length} entries and another last one"


def _entries(n: int) -> str:
    return "1 entry" if n == 1 else f"{n:,} entries"
