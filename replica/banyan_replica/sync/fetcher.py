"""What this node asks its peers for, and whether they send it.

If heads differ, logs are asked for by name, from one peer at a time. While we hold little, peers read ranges of
accounts to us (range_readers.py). Control logs come first: an account is judged before logs that it grants are asked
for.

The stream from a peer is in order, and a message ends every answer, so it is known exactly what the peer owes. Four
faults can be noticed. The peer stalls while it owes us something and has credit. It said that it had answered, but what
it claimed did not come. It sent what was not asked for. It sent more than it had credit for (the replica checks this).
The first two can happen to an honest peer on a bad line, so they cost few points and never ban. Verified entries are
kept in every case, and the rest is asked of another peer.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Set as AbstractSet

from banyan_crdt.errors import Reason
from banyan_crdt.ids import AccountId, Head, LogId, control_log, is_checkpoint
from banyan_replica.frontier.index import by_account
from banyan_replica.frontier.sketch import key_of
from banyan_replica.host import ReplicaHost
from banyan_replica.intake.ingest import Ingest
from banyan_replica.intake.prepare import Checked, CheckedControl, CheckedRun, named
from banyan_replica.intake.untrusted import AccountFilter
from banyan_replica.peers.ledger import Breach, Charge, Offence
from banyan_replica.peers.limits import Limits
from banyan_replica.peers.session import PeerSession
from banyan_replica.sync.item_builder import locator
from banyan_replica.sync.known_differences import MOVED
from banyan_replica.sync.peer_debt import AskedLog
from banyan_replica.sync.range_readers import RangeReaders
from banyan_replica.sync.repeats import SOME, Repeats, UnacceptedLogs
from banyan_replica.wire.messages import Answered, Message, Want, Wants

WANTS = 1_000
"""Questions in one frame."""
WANT_BYTES, PLACE_BYTES, ENTRY_BYTES = 120, 40, 200
"""Bytes of a question, of each place that it names, and of an entry, about."""
SOON: tuple[Reason, ...] = ("full", "future")
"""There may be room in a second, and no entry is of the future for long: what is refused so is asked for when comparing
finds it. And who writes it has to see that nobody takes it: its clock may be ahead."""
LONG_AGO = b""
"""In the place of a peer's root: it claimed a head long ago, and is not judged by it."""
PEERS = 256
"""Peers of which it is remembered what came in vain."""


class Fetcher:
    """Decides what to ask of which peer. out: takes the frames."""

    def __init__(
        self,
        ingest: Ingest,
        limits: Limits,
        links: dict[str, PeerSession],
        room: AccountFilter,
        around: ReplicaHost,
        out: list[tuple[str, Message | bytes]],
    ) -> None:
        self._ingest, self._store, self._limits, self._links, self._out = ingest, ingest.store, limits, links, out
        self.room, self._around = room, around
        self.slighted: list[tuple[str, Charge]] = []
        """Slights of peers, for the replica to charge."""
        self.readers = RangeReaders(self._store, links, out, self.slighted, lambda: self.resting or bool(room.full))
        self.catchup = self.readers.catchup
        self.key = key_of(ingest.realm.id)
        self._asked_of: dict[LogId, tuple[str, Head | None]] = {}
        """The peer that was asked for a log, and up to which head. Others that claim no more are not asked."""
        self._repeats: OrderedDict[str, Repeats] = OrderedDict()
        """What came in vain, by peer."""
        self._taken: set[AccountId] = set()
        self._moves = 0
        """Accounts that moved since the last tick, and of which something came in vain before; how many heads moved for
        something that was stored."""
        self._arrived = 0
        """How much had been stored when a head last moved for it."""
        self.now = 0.0
        self._rest_s = 0.0
        self._rest_until: float | None = None
        self.resting = False
        """Whether nothing is asked for, because a commit has failed lately."""

    def limit(self, interest: AbstractSet[AccountId] | None, read_to: bool) -> None:
        """Sets the accounts that this node holds; None: all. read_to: whether peers read ranges to it all the same."""
        self.room.hold(interest)
        self.readers.wanted = interest is None or read_to
        if not self.readers.wanted:
            self.readers.close()

    # -- logs by name

    def pull(self, link: PeerSession, heads: dict[LogId, Head], root: bytes | None = None) -> None:
        """Asks for what we lack by the peer's heads. root: see `pull_logs`."""
        for account, theirs in by_account(heads.items()).items():
            if not self.room.interesting(account):
                continue
            closed = bool(self.room.why_not(link.peer, account))
            for log in [log for log in theirs if closed or not self.room.holds(log)]:
                if (head := theirs.pop(log)) != self._ingest.head(log):
                    self.differs(link, log, head)
            if not theirs:
                continue
            if link.owed.ranges.cover(account):
                continue  # it is being read to us; a comparison afterwards finds what the reading left out
            control = control_log(account)
            mine = self._ingest.head(control)
            claimed = theirs.pop(control, None)
            if claimed is not None and claimed != mine:
                self.differs(link, control, claimed)
            behind = claimed is not None and claimed != mine and not self._holds(control, claimed)
            if behind or (not mine.length and claimed is None):
                if self.ask(link, control, claimed, root) or control in link.owed.logs:
                    self.wait_for(link, account, theirs, root)
            else:
                if mine.flag and claimed is not None and claimed != mine:
                    self.ask(link, control, claimed, root)  # the peer may hold what decides our tie
                self.pull_logs(link, theirs, root)

    def pull_logs(self, link: PeerSession, heads: dict[LogId, Head], root: bytes | None = None) -> None:
        """As `pull`, for logs of one account. root: the peer's root when it claimed these heads, or LONG_AGO; None: its
        last."""
        for log, theirs in heads.items():
            mine = self._ingest.head(log)
            if theirs == mine:
                continue
            self.differs(link, log, theirs)
            if not self._holds(log, theirs):
                self.ask(link, log, theirs, root)

    def wait_for(
        self, link: PeerSession, account: AccountId, heads: dict[LogId, Head], root: bytes | None = None
    ) -> None:
        """Remembers heads until the account's control log comes. The oldest are forgotten, and told again."""
        root = link.told.root if root is None else root
        link.owed.later.put(account, heads, root, self._limits.asked_of_each(len(self._links)))

    def control_came(self, link: PeerSession, account: AccountId) -> None:
        later = link.owed.later.take(account)
        if later is not None and later.heads:
            self.pull_logs(link, later.heads, later.root)

    def answered(self, link: PeerSession, m: Answered) -> bool:
        """Whether to compare again, because there was no room to ask for everything. Raises Malformed.

        If what the peer claimed did not come, the next peer that claims it is asked.
        """
        logs, most = link.owed.logs, self._vain_of_each
        for log, asked in logs.through(m.logs):
            if self._asked_of.get(log) == (link.peer, asked.head):
                del self._asked_of[log]
            wasted, head = 0 if asked.news and asked.wasted <= asked.size else asked.wasted, asked.head
            known = self.refused_by(link).theirs(log)
            if wasted and not asked.news and known is not None:
                if head is not None and head.id is not None:
                    self._assume(link, log, head)
                else:
                    head = known
            again = self._repeats_of(link).answered(log, head, wasted, asked.news, most, self.now)
            link.course.stuck.again(again)
            if asked.root == LONG_AGO:
                continue
            if asked.head is None or asked.unready or self._reached(log, asked):
                logs.served()
            else:
                logs.unserved(log, asked.root)
        self._bound()
        return logs.room_again()

    @property
    def _vain_of_each(self) -> int:
        return self._limits.vain_of_each(len(self._links))

    def _bound(self) -> None:
        """Forgets what came in vain from whom was asked least lately."""
        most = self._limits.vain_of_all
        while len(self._repeats) > 1 and sum(max(r.logs, len(r.refused)) for r in self._repeats.values()) > most:
            self._repeats.popitem(last=False)

    def told(self, link: PeerSession) -> None:
        """The peer told its root: now claims that it did not serve are judged."""
        false = link.owed.logs.false(link.told.root, self._limits.excused)
        if false:
            log = false[0]
            example = f"{log.account.hex()[:8]}/{log.writer.hex()[:8]}/{log.log}"
            sentence = f"claims heads that it does not serve: {len(false)}, such as of {example}"
            self.slighted.append((link.peer, Charge(Offence.UNSERVED, sentence)))

    def ask(self, link: PeerSession, log: LogId, head: Head | None = None, root: bytes | None = None) -> bool:
        """Asks for a log unless this peer owes it already, another owes as much of it, or it came in vain lately.
        Returns whether it asked. head: what the peer claims; None: it sent an entry above what is held."""
        if self.resting or log in link.owed.logs or (log in self._asked_of and _covers(self._asked_of[log][1], head)):
            return False
        if not self._repeats_of(link).may_ask(log, head, self.now):
            return False
        most = self._limits.asked_of_each(len(self._links))
        want = Want(log, locator(self._store, log), self._ingest.lacks(log) if log.log else [])
        size = WANT_BYTES + PLACE_BYTES * (len(want.locator) + len(want.pins))
        if not link.owed.logs.ask(log, head, link.told.root if root is None else root, most, size):
            return False
        self._repeats_of(link).asked(log)
        self._asked_of[log] = (link.peer, head)
        last = self._out[-1] if self._out else ("", Wants([]))
        if last[0] == link.peer and isinstance(last[1], Wants) and len(last[1].wants) < WANTS:
            last[1].wants.append(want)
        else:
            self._out.append((link.peer, Wants([want])))
        return True

    def _repeats_of(self, link: PeerSession) -> Repeats:
        found = self._repeats.get(link.peer)
        if found is None:
            found = self._repeats[link.peer] = Repeats(self.key)
        self._repeats.move_to_end(link.peer)
        if len(self._repeats) > PEERS:
            self._repeats.popitem(last=False)
        return found

    def moved(self, log: LogId) -> bool:
        """A head moved here: soon it is asked again for what came in vain of its account. Returns whether something was
        stored for it."""
        before, self._arrived = self._arrived, self._ingest.arrived
        stored = self._arrived != before
        self._moves += stored
        for repeats in self._repeats.values():
            if repeats.moved(log):
                self._taken.add(log.account)
        return stored or is_checkpoint(log)

    def refused_by(self, link: PeerSession) -> UnacceptedLogs:
        """What the peer holds of logs of which nothing was taken from it."""
        return self._repeats_of(link).refused

    def refused(self, link: PeerSession, item: Checked, reason: Reason) -> None:
        """Nothing of the item was taken. What it is above of is the peer's too."""
        log, entries = named(item)
        if reason in SOON:
            self.refused_by(link).end(log)
            return
        mine, known = self._ingest.head(log), self.refused_by(link).theirs(log)
        if isinstance(item, CheckedRun):
            below, theirs = item.run.prev, Head(item.run.first + entries, item.run.entries[-1].id, 0)
        elif isinstance(item, CheckedControl):
            below, theirs = None, Head(entries, item.entries[-1].id, 0)
        else:
            return
        if below == mine.id or (known is not None and below == known.id):
            self._assume(link, log, theirs)
        if log not in link.owed.logs:
            cost = WANT_BYTES + ENTRY_BYTES * entries
            self._repeats_of(link).came(log, theirs, cost, self._vain_of_each, self.now)

    def _assume(self, link: PeerSession, log: LogId, theirs: Head) -> None:
        """Compares from now on as if we held this head, if the peer needs nothing of ours."""
        mine, repeats, most = self._ingest.head(log), self._repeats_of(link), self._vain_of_each
        if not (repeats.knows(log) or repeats.logs < most):
            return  # who may not be reminded of it must find it
        if not mine.flag and theirs.length > mine.length and not self._store.loose_rows(log, limit=1):
            repeats.refused.put(log, theirs, mine, most)

    def _reached(self, log: LogId, asked: AskedLog) -> bool:
        """Whether what was claimed came. A claim without an id only names a length. What the peer counts may be cut off
        or forked here, so then anything that came for the log suffices."""
        head = asked.head
        if head is None or head.id is None:
            mine = self._ingest.head(log)
            here = head is not None and mine.length >= head.length
            return asked.came or here or bool(mine.flag or self._store.loose_rows(log, limit=1))
        return self._supersedes(log, head) if is_checkpoint(log) else self._store.has(head.id)

    def _supersedes(self, log: LogId, theirs: Head) -> bool:
        """Whether the held checkpoint is theirs or a newer one."""
        mine = self._ingest.head(log)
        return (mine.length, mine.id or b"") >= (theirs.length, theirs.id or b"")

    def _holds(self, log: LogId, theirs: Head) -> bool:
        """Whether the peer has nothing that we need: its log is a part of ours and not forked. If it is forked, the
        fork may be below ours, or entries beside the log may decide it."""
        if is_checkpoint(log):
            return self._supersedes(log, theirs)
        return theirs.id is not None and not theirs.flag and self._store.has(theirs.id)

    def differs(self, link: PeerSession, log: LogId, theirs: Head) -> None:
        """Remembers the peer's claim."""
        link.told.differs(log, theirs, self._limits.differences_of_each(len(self._links)))

    # -- what comes

    def came(self, link: PeerSession, log: LogId, entries: int, ready: bool, now: float, wasted: int = 0) -> None:
        """An item of a log came. wasted: its bytes if it brought nothing new. Raises Breach after too many unasked
        entries."""
        ranges = link.owed.ranges
        if link.owed.logs.came(log, ready, wasted):
            return
        if ranges.cover(log.account):
            self.catchup.came(link.peer, log)
            link.course.stuck.again(wasted)
            return
        if link.course.replaying:
            return
        if link.owed.pace.stray(entries, now) > self._limits.strays:
            where = f"account {log.account.hex()[:8]}"
            if not ranges:
                raise Breach(
                    Offence.UNASKED, f"sent {entries} entries of {where} that nobody asked for, after many such"
                )
            raise Breach(Offence.UNASKED, f"was asked for accounts {ranges} and sent {entries} of {where}")

    def rest(self) -> None:
        """A commit failed, and what it held will be asked for again: not at once, each time later. A full disk must not
        make us fetch the same for ever at full speed."""
        if not self.resting:
            self._rest_s = min(max(self._limits.rest_s, 2 * self._rest_s), self._limits.rest_most_s)
            self._rest_until, self.resting = None, True

    def _rested(self, now: float) -> None:
        """The pause begins with the first tick after the failure. It is short again once none failed for long."""
        if self._rest_until is None:
            self._rest_until = now + self._rest_s
        if self.resting and now >= self._rest_until:
            self.resting = False
            for link in self._links.values():  # what did not come into the store looked like what we cannot take
                link.course.anew()
        if now > self._rest_until + self._limits.rest_most_s:
            self._rest_s = 0.0

    def tick(self, now: float) -> None:
        """Once a second: finds peers that stall, and gives idle readers work."""
        self.now = now
        if self._rest_s:
            self._rested(now)
        for link in self._links.values():
            why = self._stalls(link, now)
            if why is not None:
                if not self.between(link.peer):
                    self.slighted.append((link.peer, Charge(Offence.STALLED, why)))
                self.failed(link, now)
        self.readers.assign(now)
        taken, moves, self._taken, self._moves = self._taken, self._moves, set(), 0
        for link in [k for k in self._links.values() if k.hello is not None]:
            link.course.stuck.news(MOVED * moves)
            for account in taken:
                self.pull(link, self._repeats_of(link).claimed(account), LONG_AGO)
            self.pull(link, self._repeats_of(link).turn(SOME, link.owed.logs), LONG_AGO)

    def failed(self, link: PeerSession, now: float) -> None:
        """Asks others for what the peer owes us; it may still send it."""
        self._forget(link)
        link.course.failed()
        self.readers.failed(link.peer, now)

    def gone(self, link: PeerSession, now: float) -> None:
        """The link is down."""
        self._forget(link)
        self.refused_by(link).gone()
        self._bound()
        self.readers.gone(link.peer, now)

    def _forget(self, link: PeerSession) -> None:
        for log, asked in link.owed.logs.items():
            if self._asked_of.get(log) == (link.peer, asked.head):
                del self._asked_of[log]

    def between(self, peer: str) -> int:
        """Bytes that came from the peer and were not read yet, and bulk under way to it: what it owes may be among
        these, or be asked for behind those."""
        link = self._links.get(peer)
        return self._around.unread(peer) + (link.flow.transit if link is not None else 0)

    def _stalls(self, link: PeerSession, now: float) -> str | None:
        """A sentence if the peer owes us something, has credit, and has long sent too slowly."""
        logs, reads, credit = link.owed.logs, self.catchup.reads(link.peer), link.flow.window
        owes = len(logs) > 0 or link.course.replaying or reads
        here = link.flow.came + self._around.unread(link.peer)
        pace = link.owed.pace.look(
            owes, credit <= 0 or self._around.is_held(link.peer), here, self._limits.stall_s, now
        )
        if pace is None or pace[0] >= self._limits.crawl * pace[1]:
            return None
        what = "a range of accounts" if reads else f"{len(logs)} logs"
        if link.course.replaying:
            what = "what came since we last agreed"
        return f"sent {pace[0]} bytes in {pace[1]:.0f} s while it owed us {what} and had credit for {credit}"


def _covers(asked: Head | None, head: Head | None) -> bool:
    """Whether a peer that was asked up to `asked` will also send what `head` names, if both claims are true."""
    if asked is None or head is None:
        return asked is head
    return asked.length >= head.length and (asked.id == head.id or asked.id is None or head.id is None)
