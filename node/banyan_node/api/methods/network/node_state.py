"""The state of the node: who it is, what it holds, and how complete that is."""

from __future__ import annotations

import time

from banyan_crdt.ids import AccountId, LogId, WriterKey, control_log, is_checkpoint
from banyan_crdt.logs import NOTHING
from banyan_node import program_version
from banyan_node.api.declare import DoorState, EmptyRequest, MethodTable, NodeView, Response
from banyan_node.api.json_types import Did, DigestHex, Milliseconds, WriterHex, did, digest_hex, writer_hex
from banyan_node.api.methods.posts.post_rows import name_of
from banyan_node.hosting import claims, hosted
from banyan_node.links import completeness
from banyan_node.moderation import withheld
from banyan_node.own_log import number_in
from banyan_node.upkeep import trusted_clock
from banyan_reading.identity import platform_of
from banyan_replica.intake.clock_bounds import FUTURE_MS
from banyan_replica.status import LinkView
from banyan_storage.errors import ViewBuilding
from banyan_storage.local_tables import DROPPED

METHODS = MethodTable()
FOLLOWING_SHOWN = 500


class NodeIdentity(Response):
    """account: null if this node has none yet. writer: the key that signs in the accounts that granted it. version: of
    the program that answers. doors: where HTTP is served for apps and browsers, HOST:PORT or unix:PATH."""

    peer_id: str
    addresses: list[str]
    account: Did | None
    realm: str
    store_id: str
    writer: WriterHex
    name: str
    role: str
    running: bool
    version: str
    doors: list[str]


class CatchupProgress(Response):
    """peers: how many send the network to this node. left: the share that is still to come, 0 to 1."""

    peers: int
    left: float


class AccountProgress(Response):
    """held: entries held here. known: the most that a peer claims. asking: peers that are being asked. dropped: it was
    dropped here (`store.drop`), so nothing of it is fetched, and the node is complete without it."""

    account: Did
    name: str
    held: int
    known: int
    behind: int
    asking: int
    complete: bool
    dropped: bool


class ClockStatus(Response):
    """wrong: a sentence if this machine's clock seems wrong. ahead_ms: how far it is ahead of the median of `platforms`
    platforms that the operator named; null until one was heard twice. doubted: why nothing is forgotten that has
    lasted for its 30 days, until a day has passed or `clock.trust`; null: the clock is trusted. log_ahead_ms,
    control_ahead_ms: how far the last entry of this node's log in its own account, and of that account's control log,
    is dated ahead of this clock, which was ahead then; 0: not. Nothing can be added there before that time;
    `log.begin` begins another log."""

    wrong: str | None
    ahead_ms: int | None
    platforms: int
    doubted: str | None
    log_ahead_ms: int
    control_ahead_ms: int


class RestoreProgress(Response):
    """accounts: how many accounts of restored keys are back. own: whether this node's own is among them. unnamed: those
    whose profile has not come yet. closed: those that are closed, and so not hosted here."""

    accounts: int
    own: bool
    unnamed: int
    closed: int


class SlotUsageRow(Response):
    """Connections, of how many there may be. inbound: of peers that dialled this node. named: of bootstrap peers and
    those of `peers.add`. arriving: those that have not said hello. refused, evicted: how many got no slot, and lost it
    to others, since the start. crowded: which slots are nearly used up and what to do, or null."""

    inbound: int
    inbound_of: int
    outbound: int
    outbound_of: int
    named: int
    named_of: int
    arriving: int
    arriving_of: int
    refused: int
    evicted: int
    crowded: str | None


class GateStop(Response):
    """One gate of admission. whom: the peer, address or group of addresses that it stopped most in the last five to ten
    minutes. times: how often. seconds: for how long together; 0: it refused them."""

    gate: str
    whom: str
    times: int
    seconds: float


class Status(Response):
    """slots: null if the node is not running. doubt: why this node cannot know that it is complete, or null.
    trouble: what somebody else did with the own account or this node's key, and what to do, or null. restoring: null
    once all accounts of restored keys are back that a peer held. behind: entries that linked peers claim and this
    node lacks. fresh_as_of: the time of the newest statement of a named platform that this node's state has matched.
    following: the first 500. failing: background tasks that failed in the last two minutes, each with why; they are
    made again. unreached: addresses that this node dials (node.bootstrap, `peers.add`, peers of the last run) and is
    not linked to, each with why that failed. full: why no entries of others are taken, or null. strangers: what
    accounts take that nobody here hosts or follows and no named peer brought. throttle: null if the node is not
    running. door: the one for HTTP, null if it is shut. stopped: who was refused most often lately, and who was
    delayed for longest; empty if nobody was."""

    running: bool
    ready: bool
    doubt: str | None
    trouble: str | None
    clock: ClockStatus
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
    slots: SlotUsageRow | None
    lacking_parts: int
    catchup: CatchupProgress | None
    restoring: RestoreProgress | None
    interest: str
    behind: int
    following: list[AccountProgress]
    failing: dict[str, str]
    unreached: dict[str, str]
    full: str | None
    strangers: StrangersRoom
    throttle: ThrottleUsage | None
    stopped: list[GateStop]
    door: DoorState | None = None


class ThrottleUsage(Response):
    """What strangers have used of the processor while own people worked, seconds, and how many of their connections are
    not read from at this moment, because they used up their share (`limits.strangers_cpu`)."""

    cpu_s: float
    waiting: int


class StrangersRoom(Response):
    """bytes: taken by them on the disk. most: how many they may take; null: no bound. full: why nothing more of them is
    taken, or null. part: an account of which not all is taken though there is room for others, and why, or null."""

    bytes: int
    most: int | None
    full: str | None
    part: str | None


class Ban(Response):
    until_ms: Milliseconds
    reason: str


class PeerRow(Response):
    """name: of the platform that it says it is, if that is known here. points: its penalty points. reason: its last
    offence, or why it is banned; null without points or ban. behind: entries that it claims and this node lacks; lacks:
    entries that it lacks by its last claims; null before a comparison. neighbour: whether gossip goes to it directly.
    since_ms: linked since."""

    peer: str
    address: str
    name: str
    role: str
    connected: bool
    inbound: bool
    points: float
    ban: Ban | None
    reason: str | None
    behind: int | None
    lacks: int | None
    neighbour: bool
    since_ms: Milliseconds | None


@METHODS.look("id")
def identity(at: NodeView, ask: EmptyRequest) -> NodeIdentity:
    """The identity of this node."""
    mine, here = hosted.me(at), at.here
    config = here.settings.config.node
    return NodeIdentity(
        peer_id=here.peer,
        addresses=[],
        account=did(mine) if mine else None,
        realm=here.realm.name,
        store_id=at.store.store_id.hex(),
        writer=writer_hex(here.writer),
        name=_name(at),
        role=config.role,
        running=False,
        version=program_version(),
        doors=[],
    )


def _name(at: NodeView) -> str:
    """That of the settings; else, as after keys were restored, that of the own account."""
    mine = hosted.me(at)
    own = hosted.hosted(at, mine) if mine else None
    return at.here.settings.config.node.name or (own.name if own else "")


@METHODS.look("status")
def status(at: NodeView, ask: EmptyRequest) -> Status:
    """What this node holds, and whether it is complete."""
    counts, seen, here = at.store.counts(), at.seen, at.here
    config, claimed, strangers = here.settings.config, seen.claims(), seen.strangers
    behind = sum(completeness.lag(log, at.store.head(log), known) for log, known in claimed.items())
    try:
        following, known = _following(at, claimed), True
    except ViewBuilding:
        following, known = [], False
    greeted = [link for link in seen.links if link.greeted]
    asked = seen.reading or any(link.asked for link in greeted)
    doubt, restoring = completeness.doubt(at, here, seen), claims.restoring(at)
    lacking = counts.lacking and counts.lacking - withheld.withheld(at.store, time.time_ns() // 1_000_000)
    whole = not behind and not lacking and not asked and all(f.complete or f.dropped for f in following)
    return Status(
        running=False,
        ready=True,
        doubt=doubt,
        trouble=claims.trouble(at, here),
        clock=ClockStatus(
            seen.wrong_clock, seen.ahead_ms, seen.platforms, trusted_clock.doubted(at.store), *_ahead(at)
        ),
        complete=doubt is None and known and whole and not restoring,
        role=config.node.role,
        name=_name(at),
        realm=here.realm.name,
        accounts=counts.accounts,
        logs=seen.logs,
        entries=counts.entries,
        root=digest_hex(seen.root),
        fresh_as_of=seen.fresh_as_of,
        uptime_s=0.0,
        peers=len(greeted),
        slots=None,
        lacking_parts=counts.lacking,
        catchup=CatchupProgress(seen.readers, seen.left) if seen.readers else None,
        restoring=RestoreProgress(hosted.count(at), hosted.me(at) is not None, claims.unnamed(at), claims.closed(at))
        if restoring
        else None,
        interest=config.interest.mode,
        behind=behind,
        following=following,
        failing={},
        unreached={},
        full=seen.full or None,
        strangers=StrangersRoom(strangers.used, strangers.most, strangers.full or None, strangers.part or None),
        throttle=None,
        stopped=[],
    )


def _following(at: NodeView, claims: dict[LogId, int]) -> list[AccountProgress]:
    me = hosted.me(at)
    if me is None:
        return []
    q, grounds = at.queries(), at.seen.grounds
    by_account: dict[AccountId, dict[LogId, int]] = {}
    for log, known in claims.items():
        by_account.setdefault(log.account, {})[log] = known
    asked = [{log.account for log in link.asked} for link in at.seen.links]
    rows = []
    for account in q.follows(me)[:FOLLOWING_SHOWN]:
        heads = at.store.heads(account)
        held = sum(h.length for log, h in heads.items() if not is_checkpoint(log))
        ahead = by_account.get(account, {})
        behind = sum(completeness.lag(log, heads.get(log, NOTHING), known) for log, known in ahead.items())
        rows.append(
            AccountProgress(
                account=did(account),
                name=name_of(q, account),
                held=held,
                known=held + behind,
                behind=behind,
                asking=sum(account in accounts for accounts in asked),
                complete=bool(held) and not behind and grounds and at.seen.wrong_clock is None,
                dropped=DROPPED.has(at.store, account),
            )
        )
    return rows


def peers(at: NodeView) -> list[PeerRow]:
    rows: list[PeerRow] = []
    banned = {ban.peer for ban in at.seen.bans}
    for link in at.seen.links:
        if link.peer in banned:  # its link is about to end
            continue
        rows.append(
            PeerRow(
                peer=link.peer,
                address=link.address,
                name=_platform(at, link),
                role="platform" if link.platform else "",
                connected=link.greeted,
                inbound=not link.outbound,
                points=round(link.points, 1),
                ban=None,
                reason=link.reason if link.points else None,
                behind=_behind(at, link),
                lacks=_lacks(at, link),
                neighbour=link.neighbour,
                since_ms=int(link.since * 1000),
            )
        )
    linked = {link.peer for link in at.seen.links}
    for ban in at.seen.bans:
        rows.append(
            PeerRow(
                peer=ban.peer,
                address="",
                name="",
                role="",
                connected=ban.peer in linked,
                inbound=False,
                points=round(ban.points, 1),
                ban=Ban(int(ban.until * 1000), ban.reason),
                reason=ban.reason,
                behind=None,
                lacks=None,
                neighbour=False,
                since_ms=None,
            )
        )
    return rows


def _behind(at: NodeView, link: LinkView) -> int | None:
    """How many entries we lack by the peer's last claims; None before a comparison."""
    if not link.greeted:
        return None
    if link.equal:
        return 0
    return completeness.behind(at, link)


def _lacks(at: NodeView, link: LinkView) -> int | None:
    """How many of our entries the peer lacks by its last claims; None before a comparison."""
    if not (link.greeted and link.compared) and not link.differences:
        return None
    lags = (max(0, at.store.head(log).length - theirs.length) for log, theirs in link.differences.items())
    return 0 if link.equal else sum(lags)


def _platform(at: NodeView, link: LinkView) -> str:
    """The name of the platform that the peer says it is, or empty: nothing proves that it has that platform's key."""
    if not link.platform:
        return ""
    try:
        account = platform_of(at.queries(), WriterKey(link.platform))
    except ViewBuilding:
        return ""
    return "" if account is None else name_of(at.queries(), account)


def _ahead(at: NodeView) -> tuple[int, int]:
    """How far this node's own log and the control log are dated ahead of this clock: `ClockStatus`."""
    me, number = hosted.me(at), number_in(at.store)
    if me is None or number is None:
        return 0, 0
    return _ends_ahead(at, LogId(me, at.here.writer, number)), _ends_ahead(at, control_log(me))


def _ends_ahead(at: NodeView, log: LogId) -> int:
    head = at.store.head(log)
    last = None if head.id is None else at.store.entry(head.id)
    ahead = 0 if last is None else (last.header.time >> 16) - int(time.time() * 1000)
    return ahead if ahead > FUTURE_MS else 0
