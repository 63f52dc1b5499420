"""Who names the accounts of a node that holds chosen accounts: asked of its neighbours, and answered.

Such a node holds whom its people follow. Who follows, answers or mentions them is known only to nodes that hold more.
So it names the accounts that it hosts to its neighbours, each with a cursor in the order of arrival there. A neighbour
answers as soon as its views have an entry that names one of them: which account wrote it, and which entry it is.

The authors are held like accounts that were chosen, in a room of their own, so that they displace nobody who was. It
is bounded. Of one peer only so many enter whose entries are not here yet; the others wait. Where the room is full, an
author goes whom the peer told that told most of those in it, the one that was told first. Strangers that one peer
brings so displace their like. What is told is believed once the entry is here and names the account. An author whose
entry does not come, or names nobody, goes, and its peer is asked less often.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import Protocol

from banyan_crdt.ids import AccountId, EntryId, H, Head, LogId
from banyan_replica.host import ReplicaHost
from banyan_replica.intake.ingest import Ingest
from banyan_replica.intake.untrusted import HEARD_PART
from banyan_replica.peers.ledger import Leak
from banyan_replica.peers.limits import Limits
from banyan_replica.peers.session import PeerSession
from banyan_replica.sync.fetcher import Fetcher
from banyan_replica.sync.partial_compare import PartialComparison
from banyan_replica.wire.messages import ID_BYTES, NAME_BYTES, PAGE, Message, Notices, WantNotices
from banyan_storage.account_references import AccountReference, namers, names, naming
from banyan_storage.engine import after_prefix
from banyan_storage.errors import ViewBuilding
from banyan_storage.local_tables import NAMERS, NAMERS_FROM
from banyan_storage.store import Store
from banyan_storage.tables import part_place

ACCOUNTS = 256
"""Accounts that a question names; what is beyond is not answered. Each costs the answerer a row a second."""
ROWS = 1_024
"""Rows that are read for one answer, which tells an author once, however often it wrote."""
HEADS = 64
"""Logs of a new author whose heads follow the answer, so that the author need not be compared first."""
BEGIN = bytes(8)
"""The cursor before everything."""
LOOK_BACK_S = 600.0
"""So often a neighbour is asked again from where it was asked before: content can come to it later than its entry."""
EQUAL_S, PROOF_S = 60.0, 600.0
"""An author goes whose entry did not come within so long, if the peer's frontier and ours were equal since; and in any
case."""
PAUSE_S, PAUSE_MOST_S = 10.0, 60.0
"""For each author that a peer told of and whose entry did not come, it is asked so much later after its last answer.
One is forgotten in PAUSE_MOST_S. No more than that: strangers can cut off what an honest peer told of already."""


class NoticeHost(Protocol):
    """The part of the sync that this uses."""

    ingest: Ingest
    store: Store
    asking: Fetcher
    limits: Limits
    out: list[tuple[str, Message | bytes]]
    near: Callable[[str], bool]
    around: ReplicaHost

    @property
    def interests(self) -> PartialComparison: ...

    def may(self, link: PeerSession, rows: int, now: float) -> bool: ...

    def tell(self, link: PeerSession, heads: list[tuple[LogId, Head]]) -> None: ...

    def hold(self, now: float) -> None: ...


@dataclass(slots=True)
class NoticeAuthor:
    """An account in the room. mine: of this node, that `entry` names. peer: told of it; "": that was before a
    restart. held_since: then 0.0 until the first look."""

    mine: AccountId
    entry: EntryId
    peer: str
    held_since: float
    proved: bool = False


@dataclass(slots=True)
class NoticeQuestion:
    """A question of ours to a peer. cursor: how far it has answered. back: where to begin when it is asked again."""

    accounts: tuple[AccountId, ...]
    cursor: bytes
    back: bytes
    again_at: float
    next_at: float = 0.0
    """When it may go on after an answer."""
    open: bool = True
    more: bool = False
    """Whether the last page is still to come."""
    found: OrderedDict[AccountId, tuple[AccountId, EntryId]] = field(default_factory=OrderedDict)
    """Authors that were told and are not in the room yet, those last that were told last."""


class NoticeExchange:
    """Asks and answers."""

    def __init__(self, sync: NoticeHost, links: dict[str, PeerSession]) -> None:
        self._sync, self._links, self._limits, self._store = sync, links, sync.limits, sync.store
        self._around = sync.around
        self.chosen: dict[AccountId, None] | None = None
        """The accounts that this node was told to hold, in their order; None: all, and nobody is asked."""
        self.near: Collection[AccountId] | None = None
        self.far: Collection[AccountId] = ()
        """Those of them that matter more than the authors, and those that matter less."""
        self.room: OrderedDict[AccountId, NoticeAuthor] = OrderedDict()
        """The authors, those first that were told first."""
        sync.asking.room.strangers.heard = self.room
        self._order = 0
        self._asked = dict[str, NoticeQuestion]()
        self._invented: OrderedDict[str, Leak] = OrderedDict()
        """How many authors a peer told of whose entries did not come."""
        self._open = dict[str, tuple[WantNotices, int]]()
        """The questions of peers, and `store.changes` when an answer was last looked for."""
        self.restore()

    def restore(self) -> None:
        """Reads the room from the store: at the start, and after a rollback."""
        self.room.clear()
        for (order, (mine, entry)), author in sorted((row, author) for author, row in NAMERS.rows(self._store)):
            self._order, self.room[author] = order, NoticeAuthor(mine, entry, "", 0.0)
        self._asked.clear()

    # -- answering

    def wanted(self, link: PeerSession, m: WantNotices, now: float) -> None:
        """The peer asks; the question replaces the one before."""
        if self._store.has_views:
            self._open[link.peer] = m, -1
            self._look(link, now)

    def _look(self, link: PeerSession, now: float) -> None:
        """Answers the peer's question if there is something. Until then, and while it costs too much, it stays open."""
        m, looked = self._open[link.peer]
        accounts = _accounts(m.accounts)
        if looked == self._store.changes or not self._sync.may(link, len(accounts), now):
            return
        self._sync.ingest.flush()
        self._open[link.peer] = m, self._store.changes
        found, more = OrderedDict[AccountId, AccountReference](), 0
        try:
            for read, one in enumerate(naming(self._store.txn, accounts, m.cursor)):
                if read == ROWS or len(found) == PAGE:
                    more = 1
                    break
                found[one.author] = one
                found.move_to_end(one.author)
                m = m._replace(cursor=one.place)
        except ViewBuilding:
            return
        if found:
            del self._open[link.peer]
            link.load.cost(ROWS if more else len(found))
            pair = self._sync.interests.pair(link.peer)
            held = pair.theirs.held if pair is not None and pair.theirs is not None else ()
            self._sync.out.append((link.peer, Notices(m.cursor, more, [self._told(one) for one in found.values()])))
            for author in [author for author in found if author[:NAME_BYTES] not in held]:
                heads = list(islice(self._store.all_heads(author, after_prefix(author)), HEADS))
                link.load.cost(len(heads))
                self._sync.tell(link, heads)

    def _told(self, one: AccountReference) -> tuple[AccountId, AccountId, EntryId]:
        name = self._store.name_at(part_place(one.place)[0])
        assert name is not None, f"the notices name arrival {one.place.hex()}, which is not there; run a check"
        return one.named, one.author, name[0]

    # -- asking

    def asked(self, peer: str) -> bool:
        """Whether a question of ours to the peer is open."""
        return peer in self._asked and self._asked[peer].open

    def _ask(self, link: PeerSession, accounts: tuple[AccountId, ...], now: float) -> None:
        """Asks on, or begins: where the note says, or farther back than the last time."""
        asked = self._asked.get(link.peer)
        if asked is None or asked.accounts != accounts:
            whose, begin = NAMERS_FROM.get(self._store, link.peer) or (b"", BEGIN)
            begin = begin if whose == _whose(link, accounts) else BEGIN
            if link.hello is not None and part_place(begin)[0] > link.hello.arrival:
                begin = BEGIN  # its store is older than it was
            asked = self._asked[link.peer] = NoticeQuestion(accounts, begin, begin, now + LOOK_BACK_S)
        elif now >= asked.again_at:
            back = asked.back if asked.found else asked.cursor
            asked = self._asked[link.peer] = NoticeQuestion(accounts, asked.back, back, now + LOOK_BACK_S)
        asked.open = True
        self._sync.out.append((link.peer, WantNotices(asked.cursor, b"".join(accounts))))

    def answered(self, link: PeerSession, m: Notices, now: float) -> None:
        """An answer came. Authors are taken once the last page is there, since only the last ones have room. After one
        that tells of nobody new `tick` asks for the next: else pages without end would be asked for at once."""
        asked = self._asked[link.peer]
        asked.open = False
        if m.cursor <= asked.cursor or not m.notices:
            self._doubt(link.peer, now)
        asked.next_at = now + self._pause(link.peer, now)
        if m.cursor <= asked.cursor:
            return
        asked.cursor = m.cursor
        new = False
        for named, author, entry in m.notices:
            if named in asked.accounts and author not in asked.accounts:
                new = new or author not in asked.found
                asked.found[author] = named, entry
                asked.found.move_to_end(author)
        while len(asked.found) > self._limits.heard:
            asked.found.popitem(last=False)
        asked.more = bool(m.more)
        if m.more and new:
            asked.open = True
            self._sync.out.append((link.peer, WantNotices(m.cursor, b"".join(asked.accounts))))
        elif not m.more:
            self._take(link, asked, now)

    def _take(self, link: PeerSession, asked: NoticeQuestion, now: float) -> None:
        """Holds authors that were found: as many as one peer may tell before they are proved. The others wait."""
        if asked.more or not asked.found:
            return
        unproved = sum(not author.proved for author in self.room.values() if author.peer == link.peer)
        came = False
        while asked.found and unproved < self._limits.heard_unproved:
            author, (named, entry) = asked.found.popitem(last=False)
            if self.chosen is None or author in self.chosen or self._around.is_dropped(author):
                continue
            if author not in self.room:
                self.room[author] = NoticeAuthor(named, entry, link.peer, now)
                unproved, came = unproved + 1, True
            self.room[author].mine, self.room[author].entry = named, entry
            self._put(author)
        self._make_room()
        if not asked.found:
            self._note(link, asked)
        if came:
            self._sync.hold(now)

    def _put(self, author: AccountId) -> None:
        """The author, who is in the room, is the one that was told last."""
        about = self.room[author]
        self.room.move_to_end(author)
        self._order += 1
        NAMERS.put(self._store, author, (self._order, (about.mine, about.entry)))

    def _make_room(self) -> None:
        while len(self.room) > self._limits.heard:
            self._leave(self._last_of(author.peer for author in self.room.values()))

    def waiting(self, now: float) -> int:
        """How many authors wait to be held, of peers that have invented none lately."""
        return sum(len(asked.found) for peer, asked in self._asked.items() if not self._pause(peer, now))

    def _note(self, link: PeerSession, asked: NoticeQuestion) -> None:
        if not NAMERS_FROM.has(self._store, link.peer):
            noted = [*NAMERS_FROM.keys(self._store)]
            for other in noted[: max(0, len(noted) + 1 - self._limits.met)]:
                NAMERS_FROM.put(self._store, other, None)
        NAMERS_FROM.put(self._store, link.peer, (_whose(link, asked.accounts), asked.back))

    def _last_of(self, peers: Iterable[str]) -> AccountId:
        """The author to go: of the peer that told most of them, the one that was told first."""
        most = Counter(peers).most_common(1)[0][0]
        return next(author for author, about in self.room.items() if about.peer == most)

    def _leave(self, author: AccountId) -> None:
        del self.room[author]
        NAMERS.put(self._store, author, None)

    def _doubt(self, peer: str, now: float) -> None:
        """It told of an entry that is not there."""
        leak = self._invented.setdefault(peer, Leak())
        leak.sink(1 / PAUSE_MOST_S, now)
        leak.rise(1)
        if len(self._invented) > self._limits.met:
            self._invented.popitem(last=False)

    def _pause(self, peer: str, now: float) -> float:
        leak = self._invented.get(peer)
        return 0.0 if leak is None else min(PAUSE_S * leak.sink(1 / PAUSE_MOST_S, now), PAUSE_MOST_S)

    # -- in the room

    def held(self, chosen: Collection[AccountId] | None, far: Collection[AccountId]) -> dict[AccountId, None] | None:
        """The accounts to hold, the most important first: those that were chosen, the room, and who was chosen because
        others follow it. Who was chosen needs no room; who is not any more and names an account here moves into it."""
        before, self.near, self.far = self.chosen or {}, chosen, far
        self.chosen = mine = None if chosen is None else dict.fromkeys((*chosen, *far))
        if chosen is None or mine is None:
            return None
        for author in [author for author in self.room if author in mine or self._around.is_dropped(author)]:
            self._leave(author)
        self._move_in(author for author in before if author not in mine and not self._around.is_dropped(author))
        return dict.fromkeys((*chosen, *self.room, *far)) if self.room else mine  # each takes megabytes

    def _move_in(self, authors: Iterable[AccountId]) -> None:
        """Those that name an account of this node, by what is held here."""
        leaving = [*authors]
        if not leaving or not self._store.has_views:
            return
        with suppress(ViewBuilding):
            for one in namers(self._store.txn, self._around.hosted(), leaving):
                _, author, entry = self._told(one)
                self.room[author] = NoticeAuthor(one.named, entry, "", 0.0, proved=True)
                self._put(author)
        self._make_room()

    def tick(self, now: float) -> None:
        """Once a second."""
        for peer in [*self._open]:
            self._look(self._links[peer], now)
        if self.chosen is None or not self._store.has_views:
            return
        self._prove(now)
        accounts = tuple(sorted(islice(self._around.hosted(), ACCOUNTS)))
        for link in self._links.values():
            if not (accounts and link.told.answers_notices and self._sync.near(link.peer)):
                continue
            asked = self._asked.get(link.peer)
            if asked is not None:
                self._take(link, asked, now)
            if asked is None or asked.accounts != accounts or now >= (asked.again_at if asked.open else asked.next_at):
                self._ask(link, accounts, now)

    def _prove(self, now: float) -> None:
        """Looks whether the entries came of which peers told, and name an account of this node."""
        gone = False
        for author, about in [(author, about) for author, about in self.room.items() if not about.proved]:
            about.held_since = about.held_since or now
            n = self._store.number_of(about.entry)
            try:
                about.proved = n is not None and names(self._store.txn, n, about.mine, author)
            except ViewBuilding:
                return
            link = self._links.get(about.peer)
            equal = n is None and link is not None and link.course.met
            if not about.proved and now >= about.held_since + (EQUAL_S if equal else PROOF_S):
                if n is None and link is not None and not self._sync.asking.room.why_not(about.peer, author):
                    self._doubt(about.peer, now)
                self._leave(author)
                gone = True
        strangers = self._sync.asking.room.strangers
        if strangers.full and sum(map(strangers.of, self.room)) > (strangers.most or 0) // HEARD_PART:
            most = max(self.room, key=strangers.of)
            self._leave(most)
            for asked in self._asked.values():  # else it would be fetched and erased again
                asked.found.pop(most, None)
            gone = True
        if gone:
            self._sync.hold(now)

    def gone(self, peer: str) -> None:
        """The link is down."""
        self._asked.pop(peer, None)
        self._open.pop(peer, None)


def _accounts(raw: bytes) -> list[AccountId]:
    return [AccountId(raw[at : at + ID_BYTES]) for at in range(0, min(len(raw), ACCOUNTS * ID_BYTES), ID_BYTES)]


def _whose(link: PeerSession, accounts: Iterable[AccountId]) -> bytes:
    """24 bytes: of which store, and of which accounts, a cursor is."""
    assert link.hello is not None
    return link.hello.store_id + H("hosted", *accounts)[:8]
