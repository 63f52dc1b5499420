"""Finds what differs in one round trip: the question shows a few bits of our sums, and the answer has as many cells as
are needed (docs/reconciliation.md).

The asker subtracts the cells from its own and decodes the items. An item gives the peer's length and tag of a log. So
each side hears only of what it lacks: a log of which the peer has more is asked for at once; for one of which it has
less, it is told our head; and the peer is asked to name logs that we do not know, or that may be forked.

Places and weights are computed from the realm's id, so one table serves all neighbours. But an attacker can grind names
to crowd its cells, or heads to hide a fork behind equal tags. So a comparison is repeated under a salt that the asker
draws: on every new link, if few cells stay undecoded, and every few minutes with a random neighbour even if the roots
are equal. Both build that table in the background, each at most one for itself and one for others at a time.

Cells that do not decode cost a bounded time; then the ranges of sync.py are used. No peer is charged for them, because
heads that move, or more differences than a table holds, look the same. What no honest peer sends is Malformed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from banyan_crdt.errors import Malformed
from banyan_crdt.ids import Head, LogId, is_checkpoint
from banyan_replica.frontier.index import FrontierIndex
from banyan_replica.frontier.sketch import CELL_BYTES, CELLS, Numbers, P, decode, length_of, submod
from banyan_replica.frontier.sums import FrontierTable
from banyan_replica.gossip.settings import Rng
from banyan_replica.intake.ingest import Ingest
from banyan_replica.peers.limits import Limits
from banyan_replica.peers.session import PeerSession
from banyan_replica.sync.exchange import PROBE_BYTES, Build, Exchange, answer, probes, unpacked
from banyan_replica.sync.fetcher import Fetcher
from banyan_replica.wire.messages import AS_IF, BUSY, HERE, TOO_MANY, Message, Sketch, SketchCells, SketchNames
from banyan_storage.store import Store

SALT_BYTES = 16
QUESTIONS = 6
"""The most questions in one exchange; five exchanges in six need one."""
ITEM_ROWS = 5
"""The cost of decoding an item, in rows of the store."""
BUILD_S = 1e-5
"""Seconds between two tables, for each row of one: fifteen times the cost of building it."""


class ComparisonHost(Protocol):
    """The part of the sync that a comparison uses: it fetches what was found, and what could not be found."""

    ingest: Ingest
    store: Store
    asking: Fetcher
    limits: Limits
    out: list[tuple[str, Message | bytes]]

    def may(self, link: PeerSession, rows: int, now: float) -> bool: ...

    def tree_of(self, link: PeerSession) -> FrontierIndex: ...

    def by_ranges(self, link: PeerSession, salt: bytes) -> bool: ...

    def spares(self, link: PeerSession, now: float) -> bool: ...

    def tell(self, link: PeerSession, heads: list[tuple[LogId, Head]]) -> None: ...

    def tell_lately(self, link: PeerSession) -> None: ...


class SketchComparison:
    """Asks, answers and decodes. `sync` fetches the result."""

    def __init__(
        self, sync: ComparisonHost, links: dict[str, PeerSession], rng: Rng, random_bytes: Callable[[int], bytes]
    ) -> None:
        self._sync, self._links = sync, links
        self._rng, self._random_bytes = rng, random_bytes
        self._limits, self._out = sync.limits, sync.out
        self._exchanges: dict[tuple[str, bytes], Exchange] = {}
        """Open exchanges by peer and salt."""
        self._due: dict[str, float] = {}
        """When to compare with a peer under a salt."""
        self._ours: Build | None = None
        self._theirs: Build | None = None
        self._free_at = [0.0, 0.0]
        """When the next table may be built: for us, for a neighbour."""
        self._round_at: float | None = None

    # -- asking

    def ask(self, link: PeerSession, now: float, salt: bytes = b"") -> None:
        """One question; the answer may lead to more."""
        table = self._sync.tree_of(link).table(salt)
        if table is None:
            return  # the frontier is still being read; the next root starts it again
        under_way = self._exchanges.get((link.peer, salt))
        if under_way is not None and under_way.all is not None:
            return
        standing = link.course.stuck
        standing.show(now)
        whole = bool(salt) or standing.cells is None or standing.whole(now)
        self._exchanges[link.peer, salt] = Exchange(salt, now, whole=whole)
        shown = self._shown(link, table, whole)
        self._out.append((link.peer, Sketch(salt, 0, 0, 0, probes(shown))))

    def met(self, link: PeerSession, now: float) -> None:
        """A new link, after the hellos: the side that dialled will ask under a salt."""
        if link.outbound:
            self._due[link.peer] = now + self._limits.root_s

    def gone(self, peer: str) -> None:
        self._exchanges = {key: at for key, at in self._exchanges.items() if key[0] != peer}
        self._due.pop(peer, None)
        for build in (self._ours, self._theirs):
            if build is not None and build.peer == peer:
                self._end(build)

    def asks(self, peer: str, salt: bytes) -> bool:
        """Whether a question of ours to the peer is open."""
        return (peer, salt) in self._exchanges

    def cells(self, link: PeerSession, m: SketchCells, now: float) -> None:
        """Handles an answer. Raises Malformed if no honest peer would send it."""
        at = self._exchanges[link.peer, m.salt]
        if m.state not in (HERE, AS_IF):
            self._refused(link, at, m, now)
            return
        came = unpacked(m)
        if m.start + len(came) > CELLS:
            raise Malformed(f"a table has {CELLS} cells, these end at {m.start + len(came)}")
        table = self._sync.tree_of(link).table(at.salt)
        goes_on = len(at.theirs) and m.start == len(at.theirs) and m.stamp == at.stamp
        if table is None or (m.start and not goes_on) or not self._sync.may(link, len(came), now):
            return
        # Cells from the first one on are the first answer, or a new start because heads moved there. They may be more
        # than were asked for last: an answer that came late, to a question that had lapsed, took the place of this one.
        standing = link.course.stuck
        if at.all is not None:
            if len(came) == CELLS:
                del self._exchanges[link.peer, at.salt]
                standing.differed(submod(at.all, came))
            return
        if not m.start:
            at.mine, at.theirs = None, np.zeros((0, 3), np.uint64)
        at.theirs, at.stamp = np.concatenate((at.theirs, came)), m.stamp
        shown, refused = self._shown(link, table, at.whole), self._sync.asking.refused_by(link)
        mine = shown if at.mine is None else at.mine
        found = decode(submod(mine[: len(at.theirs)], at.theirs))
        link.load.cost(ITEM_ROWS * len(found.items))
        if found.left and len(at.theirs) < CELLS and at.asked < QUESTIONS:
            self._ask_more(link, at, mine)
            return
        del self._exchanges[link.peer, at.salt]
        hides, as_if = standing.unshown is not None and not at.salt, m.state == AS_IF
        known = hides or as_if or standing.cells is not None or len(refused) > 0
        items = found.items
        if not (at.salt or found.left or (at.whole and standing.cells is not None)):
            items = standing.found(items, self._under_way(link), now)
        moved = at.mine is not None and at.root != self._sync.tree_of(link).root
        if not at.salt:
            items = {h: real for h, w in items.items() if (real := refused.real(h, w))}
        self._act(link, at.salt, items, moved or hides or not at.whole, not as_if)
        if found.left:
            self._failed(link, at, found.left, m.stamp, now)
        elif at.salt:
            self._built(at.salt)
        elif not (found.items or known) and m.stamp != self._stamp(link):
            self._due[link.peer] = now  # the frontiers differ, but nothing shows without a salt

    def _ask_more(self, link: PeerSession, at: Exchange, mine: Numbers) -> None:
        if at.mine is None:
            at.mine, at.root = mine.copy(), self._sync.tree_of(link).root
        have = len(at.theirs)
        more = min(max(8, have // 4), CELLS - have)
        at.asked += 1
        self._out.append((link.peer, Sketch(at.salt, have, more, at.stamp, b"")))

    def _refused(self, link: PeerSession, at: Exchange, m: SketchCells, now: float) -> None:
        del self._exchanges[link.peer, at.salt]
        if m.state == TOO_MANY:
            self._failed(link, at, CELLS, m.stamp, now)
        elif at.salt:
            self._built(at.salt)
            self._due[link.peer] = now + self._limits.salt_s

    def _failed(self, link: PeerSession, at: Exchange, left: int, stamp: int, now: float) -> None:
        """Not all cells decoded. If few are left without a salt, an attacker may have ground them: try a salt."""
        standing, table = link.course.stuck, self._sync.tree_of(link).table(b"")
        if at.salt:
            self._sync.by_ranges(link, at.salt)
        elif ((at.whole and standing.cells is not None) or standing.beyond(self._under_way(link), now)) and table:
            # all cells of before the other comparison; no moment has the stamp, so they come from the first one on
            cells = self._shown(link, table, True).copy()
            self._out.append((link.peer, Sketch(b"", 1, CELLS - 1, stamp ^ 1, b"")))
            if left <= CELLS // 4:
                self._due[link.peer] = now
                standing.want()
            elif not self._sync.by_ranges(link, b""):
                return
            self._exchanges[link.peer, b""] = Exchange(b"", now, all=cells)

    def _shown(self, link: PeerSession, table: FrontierTable, whole: bool) -> Numbers:
        """Our cells for a question. whole: what stands is compared too."""
        standing, cells = link.course.stuck, self._steady(link, table)
        cells = cells if whole else standing.shown(cells)
        return self._sync.asking.refused_by(link).shown(cells, table.key)

    def _steady(self, link: PeerSession, table: FrontierTable) -> Numbers:
        public = table is self._sync.tree_of(link).table(b"")
        return link.course.stuck.steady(table.cells) if public else table.cells

    def _under_way(self, link: PeerSession) -> int:
        return len(link.owed.logs) + len(link.orders.named)

    def _stamp(self, link: PeerSession) -> int:
        """32 bits of the root. They identify the moment of the cells, and show whether frontiers really are equal."""
        return int.from_bytes(self._sync.tree_of(link).root[:4], "big")

    # -- decoded items

    def _act(self, link: PeerSession, salt: bytes, items: dict[int, int], moved: bool, claims: bool) -> None:
        """Asks for what the peer has more of, tells it what it lacks, and has it name the rest. moved: our heads have
        moved since the cells were taken, so no length can be computed. claims: the peer holds what it shows."""
        if not items:
            return
        most = max(1_000, int(self._limits.work_burst - link.load.work))  # beyond, the peer names what it shows
        tree = self._sync.tree_of(link)
        named, looked = tree.named(salt, list(items), most)
        link.load.cost(looked)
        pull: dict[LogId, Head] = {}
        tell: list[tuple[LogId, Head]] = []
        ask: list[int] = []
        for h, w in items.items():
            held = named.get(h, [])
            if len(held) != 1:
                tell += held
                ask.append(h)
                continue
            log, mine = held[0]
            if moved and (tree.weigh(salt, mine) + w) % P == 0:
                continue  # the peer lacked it when it was compared, and holds it by now
            t = (tree.weigh(salt, mine) - w) % P
            length = None if moved else length_of(t)
            if length is not None and claims:
                self._sync.asking.differs(link, log, Head(length, None, 0))
            if claims and length is not None and length > mine.length and not mine.flag:
                pull[log] = Head(length, None, 0)
                continue
            tell.append((log, mine))
            if t and (length is None or tree.weigh(salt, self._held(log, length)) != t):
                ask.append(h)  # the peer is not at an earlier head of ours: it may be forked, or its head is unknown
        self._sync.asking.pull(link, pull)
        self._sync.tell(link, tell)
        if ask:
            self._out.append((link.peer, SketchNames(salt, np.array(ask, ">u8").tobytes())))

    def _held(self, log: LogId, length: int) -> Head:
        """Our head when the log had that length; for a checkpoint only the last one is known."""
        if is_checkpoint(log):
            mine = self._sync.ingest.head(log)
            return mine if mine.length == length else Head(length, None, 0)
        if log.log:
            return Head(length, self._sync.store.id_at(log, length - 1) if length else None, 0)
        control = self._sync.ingest.control_of(log.account)
        path = control.path if control else ()
        return Head(length, path[length - 1].id if 0 < length <= len(path) else None, 0)

    # -- answering

    def asked(self, link: PeerSession, m: Sketch, now: float) -> None:
        """Handles a question. Raises Malformed if no honest peer would ask it."""
        shown = len(m.probes)
        if m.start + m.wanted > CELLS or (not m.wanted) != (not m.start) or shown != (0 if m.start else PROBE_BYTES):
            raise Malformed(
                f"a question for {m.wanted} cells from {m.start} on, of {CELLS}, with {shown} bytes of probes"
            )
        if not m.salt:
            link.course.compared_with(now + self._limits.session_s / 2)
        tree = self._sync.tree_of(link)
        if self._on_its_way(link, now) or not self._sync.may(link, 64, now):
            self._refuse(link, m)
        elif (table := tree.table(m.salt)) is not None:
            self._answer(link, m, table)
        elif m.salt and tree.ready and self._may_build(link, tree.rows, now):
            self._theirs = Build(link.peer, tree, m.salt, now, m)
            tree.begin(m.salt)
        else:
            self._refuse(link, m)

    def _on_its_way(self, link: PeerSession, now: float) -> bool:
        """Whether the peer is already sending us what we lack, or we would take little of it and compared lately."""
        catchup = self._sync.asking.catchup
        return link.course.replaying or catchup.keeps(link.peer, now) or self._sync.spares(link, now)

    def names(self, link: PeerSession, m: SketchNames, now: float) -> None:
        """Answers with the heads of the logs at these places."""
        asked, tree = np.frombuffer(m.places, ">u8"), self._sync.tree_of(link)
        cost = len(asked) + (tree.rows >> 5 if m.salt else 0)
        if not self._sync.may(link, cost, now):
            return
        for h in () if m.salt else asked[:CELLS].tolist():
            self._sync.asking.refused_by(link).real(h, 0)
        most = self._limits.work_burst
        named, looked = tree.named(m.salt, asked[:CELLS].tolist(), most)
        link.load.cost(looked)
        self._sync.tell(link, [row for rows in named.values() for row in rows])
        if looked >= most:
            self._sync.by_ranges(link, m.salt)

    def _answer(self, link: PeerSession, m: Sketch, table: FrontierTable) -> None:
        refused, stamp = self._sync.asking.refused_by(link), self._stamp(link)
        standing = link.course.stuck
        if as_if := link.told.reads_as_if and (len(refused) > 0 or (standing.unshown is not None and not m.salt)):
            stamp = (stamp + refused.changes + standing.changes) % (1 << 32)
        cells = refused.shown(self._steady(link, table), table.key) if as_if else table.cells
        reply = answer(m, cells, stamp, as_if)
        link.load.cost(len(reply.cells) // CELL_BYTES)
        self._out.append((link.peer, reply))
        if reply.state == TOO_MANY:
            self._sync.tell_lately(link)

    def _refuse(self, link: PeerSession, m: Sketch) -> None:
        self._out.append((link.peer, SketchCells(m.salt, 0, BUSY, 0, b"")))

    def _may_build(self, link: PeerSession, rows: int, now: float) -> bool:
        """Allows one table for others at a time, not too often; the asker is charged for the work."""
        if self._theirs is not None or now < self._free_at[1] or not self._sync.may(link, rows >> 4, now):
            return False
        self._free_at[1] = now + rows * BUILD_S
        return True

    # -- in the background

    def work(self, now: float) -> None:
        """Sends questions and answers that waited for a table."""
        for build in (self._ours, self._theirs):
            link = self._links.get(build.peer) if build is not None else None
            table = build.tree.table(build.salt) if build is not None else None
            if build is None or link is None or build.told or table is None:
                continue
            build.told, build.since = True, now
            if self._sync.tree_of(link) is not build.tree:
                continue  # another set of accounts is compared with the peer by now
            if build.question is not None:
                self._answer(link, build.question, table)
            else:
                self.ask(link, now, build.salt)

    def tick(self, now: float) -> None:
        """Once a second: starts salted comparisons that are due, and drops what waited too long."""
        for key, at in list(self._exchanges.items()):
            if now - at.since > self._limits.salt_s:
                del self._exchanges[key]
        for build in (self._ours, self._theirs):
            if build is not None and now - build.since > self._limits.salt_s * (1 if build.told else 4):
                self._end(build)
        if self._round_at is None or self._round_at <= now:
            self._draw(now)
        if self._ours is None and now >= self._free_at[0]:
            self._begin(now)

    def _draw(self, now: float) -> None:
        """The turn of a neighbour drawn at random, every few minutes."""
        greeted = sorted(link.peer for link in self._links.values() if self._comparable(link))
        if self._round_at is not None and greeted:
            self._due.setdefault(greeted[self._rng.randrange(len(greeted))], now)
        self._round_at = now + self._limits.salted_s

    def _begin(self, now: float) -> None:
        for peer, due in self._due.items():
            link = self._links.get(peer)
            if due > now or link is None or not self._comparable(link):
                continue
            standing = link.course.stuck
            if link.orders.reading or self._on_its_way(link, now):
                continue
            if standing.unshown is not None and not link.course.live:
                continue  # under a salt all of these are shown
            if standing.cells is not None and not standing.whole(now):
                continue
            del self._due[peer]
            tree = self._sync.tree_of(link)
            self._free_at[0] = now + tree.rows * BUILD_S
            self._ours = Build(peer, tree, self._random_bytes(SALT_BYTES), now, None)
            tree.begin(self._ours.salt)
            return

    def _comparable(self, link: PeerSession) -> bool:
        return link.hello is not None and not link.closing and self._sync.tree_of(link).ready

    def _built(self, salt: bytes) -> None:
        """Our question under a salt is finished, so the table can go."""
        if self._ours is not None and self._ours.salt == salt:
            self._end(self._ours)

    def _end(self, build: Build) -> None:
        build.tree.drop(build.salt)
        if build is self._ours:
            self._ours = None
        if build is self._theirs:
            self._theirs = None
