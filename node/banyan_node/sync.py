"""Reconciliation: what differs between two frontiers, found and fetched.

Roots are told every few seconds. Where they differ: peers that met before ask "what did you get since n"; a node that
holds little beside its neighbour reads it through in account order, from where it stopped last; otherwise sums are
compared, prefix by prefix, down to heads. Each side pulls what it lacks, and every list of heads is answered by the
other side's, so one exchange informs both.

Control logs come first: an account is judged whole before any log that it grants is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from banyan_crdt.ids import AccountId, Head, LogId, control_log
from banyan_crdt.logs import NOTHING
from banyan_node.frontier_tree import DEPTH, FrontierTree, by_account
from banyan_node.ingest import Ingest
from banyan_node.links import Limits, Link, Served
from banyan_node.serve import control_pieces, locator, log_items, start_of
from banyan_node.wire import (
    FANOUT,
    Data,
    Heads,
    Message,
    Root,
    Scan,
    Scanned,
    Since,
    Sums,
    Want,
    Wants,
    encode_message,
    size_of,
)

WANTS = 1_000
"""Questions in one frame."""
MET = b"met:"


class Sync:
    """Decides what to ask of a peer and what to answer it; the replica sends what `out` collects."""

    def __init__(self, ingest: Ingest, tree: FrontierTree, limits: Limits) -> None:
        self.ingest, self.tree, self.limits = ingest, tree, limits
        self.store = ingest.store
        self.interest: frozenset[AccountId] | None = None
        """The accounts that this node holds; None: all."""
        self.out: list[tuple[str, Message | bytes]] = []
        """Frames to send: messages, or those that are encoded already."""

    def may(self, link: Link, rows: int, now: float) -> bool:
        """Whether the peer may have us look at so many rows more: a few bytes must not buy work without end."""
        rate = self.limits.work_per_s
        link.work = max(0.0, link.work - rate * (now - link.work_at))
        link.work_at = now
        if link.work >= self.limits.work_burst:
            return False
        link.work += rows
        return True

    # -- starting

    def root(self, link: Link, now: float) -> None:
        link.root_at = now
        self.out.append((link.peer, Root(self.tree.count, self.tree.root, self.store.last_arrival)))

    def compare(self, link: Link, count: int, root: bytes, arrival: int, now: float) -> None:
        """The peer told where it stands."""
        moved, link.arrival = arrival != link.arrival, arrival
        if self.interest is not None or (link.hello is not None and link.hello.partial):
            if self.interest is not None and (moved or now - link.named_at > 3 * self.limits.root_s):
                self.name_interest(link, now)
            return
        link.equal = root == self.tree.root
        if link.equal:
            link.differences.clear()
            link.session_until = 0.0
            return
        if link.scanning or now < link.session_until:
            return
        if now - link.root_at > 1.0:
            self.root(link, now)
        self.start(link, count, now)

    def start(self, link: Link, count: int, now: float) -> None:
        """One comparison, by the cheapest way that can work."""
        link.session_until = now + self.limits.session_s
        met = self._met(link)
        if self.tree.count * self.limits.scan_share < count:
            link.scanning = True
            self.out.append((link.peer, Scan(self._scan_note(link))))
        elif met is not None and met < link.arrival:
            self._forget_met(link)
            self.out.append((link.peer, Since(met)))
        else:
            self.by_sums(link)

    def by_sums(self, link: Link) -> None:
        self.out.append((link.peer, Sums(b"", self.tree.children(b""))))

    def name_interest(self, link: Link, now: float) -> None:
        """Interests differ: plain heads of the accounts that this node holds or wants, whole accounts to a frame."""
        link.named_at = now
        rows: list[tuple[LogId, Head]] = []
        for account in sorted(self.interest or ()):
            held = list(self.store.heads(account).items())
            rows.extend(held or [(control_log(account), NOTHING)])
            while len(rows) >= self.limits.heads_rows:  # an account of very many logs is named in pieces
                self.out.append((link.peer, Heads(b"", 2, rows[: 2 * self.limits.heads_rows])))
                rows = rows[2 * self.limits.heads_rows :]
        if rows:
            self.out.append((link.peer, Heads(b"", 2, rows)))

    def settled(self, link: Link, now: float) -> None:
        """Frontiers agree: next time it is enough to ask what came since. Noted now and then, for it costs a commit."""
        met = self._met(link)
        if link.hello is None or met == link.arrival or now - link.settled_at < self.limits.root_s / 2:
            return
        link.settled_at = now
        if met is None:
            noted = [key for key, _ in self.store.notes(MET)]
            for key in noted[: max(0, len(noted) + 1 - self.limits.met)]:
                self.store.put_note(key, None)
        self.store.put_note(_met_key(link), link.arrival.to_bytes(8, "big"))

    # -- answering

    def sums(self, link: Link, m: Sums, now: float) -> None:
        if not self.may(link, 2 * FANOUT, now):
            return
        mine = self.tree.children(m.prefix)
        for n, (theirs, own) in enumerate(zip(m.children, mine, strict=True)):
            if theirs == own:
                continue
            below = m.prefix + bytes((n,))
            link.work += min(own[0], self.limits.bucket) if len(below) <= DEPTH else own[0]
            if max(theirs[0], own[0]) <= self.limits.bucket or len(below) >= 64:
                self._send_heads(link, below, list(self.tree.heads(below)), 1)
            else:
                self.out.append((link.peer, Sums(below, self.tree.children(below))))

    def heads(self, link: Link, m: Heads, now: float) -> None:
        if not self.may(link, 1 + len(m.heads), now):
            return
        theirs = dict(m.heads)
        if m.answer == 2:
            accounts = sorted({log.account for log in theirs})[: self.limits.heads_rows]
            mine = [(log, h) for account in accounts for log, h in self.store.heads(account).items()]
            link.work += max(0, len(mine) - len(theirs))  # one head names an account, which may have very many
            self._send_heads(link, b"", [(log, h) for log, h in mine if theirs.get(log) != h], 0)
        elif m.answer:
            most = 4 * self.limits.bucket if len(m.prefix) < 64 else None
            mine = list(islice(self.tree.heads(m.prefix), most))
            link.work += len(mine)
            if len(mine) == most:  # more than one list of heads is for: sums divide it
                self.out.append((link.peer, Sums(m.prefix, self.tree.children(m.prefix))))
                mine = []
            self._send_heads(link, m.prefix, [(log, h) for log, h in mine if theirs.get(log) != h], 0)
        self.pull(link, theirs, now)

    def since(self, link: Link, m: Since, now: float) -> None:
        behind = max(0, self.store.last_arrival - m.arrival)
        if not self.may(link, 1 + min(behind, self.limits.since_rows), now):
            return
        rows = self.store.arrivals(m.arrival, self.limits.since_rows + 1)
        if len(rows) > self.limits.since_rows:
            self.by_sums(link)
            return
        logs = sorted({row.log for row in rows})
        self._send_heads(link, b"", [(log, h) for log in logs if (h := self.ingest.head(log)).length or h.flag], 0)
        self.root(link, now)

    def scan(self, link: Link, m: Scan) -> None:
        """One reading at a time: a new one takes the place of the one before."""
        if link.reading is not None and link.reading in link.jobs:
            link.jobs.remove(link.reading)
        link.reading = self._read_through(m.cursor)
        link.jobs.append(link.reading)

    def scanned(self, link: Link, m: Scanned, now: float) -> None:
        if not link.scanning:
            return
        link.scanned = m.cursor
        link.session_until = now + self.limits.session_s
        if m.done:
            link.scanning = False
            link.session_until = 0.0
            self.store.put_note(_scan_key(link), None)
            self.root(link, now)
        elif len(m.cursor) == 32:
            self.store.put_note(_scan_key(link), m.cursor)

    def wants(self, link: Link, m: Wants) -> None:
        for want in m.wants:
            if len(link.jobs) < self.limits.jobs:
                link.jobs.append(self._job(want))

    # -- pulling

    def pull(self, link: Link, heads: dict[LogId, Head], now: float) -> None:
        """Ask for what the peer's heads say that we lack."""
        for account, theirs in by_account(heads.items()).items():
            if self.interest is not None and account not in self.interest:
                continue
            root = control_log(account)
            mine = self.ingest.head(root)
            claimed = theirs.pop(root, None)
            if claimed is not None and claimed != mine:
                self._differs(link, root, claimed)
            behind = claimed is not None and claimed != mine and not self._holds(claimed, mine)
            if behind or (not mine.length and claimed is None):
                self.wait_for(link, account, theirs)
                self._ask(link, Want(root, []), now)
            else:
                self.pull_logs(link, theirs, now)

    def pull_logs(self, link: Link, heads: dict[LogId, Head], now: float) -> None:
        for log, theirs in heads.items():
            mine = self.ingest.head(log)
            if theirs == mine:
                continue
            self._differs(link, log, theirs)
            if not self._holds(theirs, mine):
                self._ask(link, Want(log, locator(self.store, log)), now)

    def wait_for(self, link: Link, account: AccountId, heads: dict[LogId, Head]) -> None:
        """Remember heads until the account's control log comes; the oldest are forgotten, and will be told again."""
        waiting = link.waiting.setdefault(account, {})
        link.waiting_heads -= len(waiting)
        waiting.update(heads)
        link.waiting_heads += len(waiting)
        while len(link.waiting) + link.waiting_heads > self.limits.asked:
            link.waiting_heads -= len(link.waiting.popitem(last=False)[1])

    def control_came(self, link: Link, account: AccountId, now: float) -> None:
        link.asked.pop(control_log(account), None)
        waiting = link.waiting.pop(account, None)
        if waiting:
            link.waiting_heads -= len(waiting)
            self.pull_logs(link, waiting, now)

    def ask_for(self, link: Link, log: LogId, now: float) -> None:
        """Something hangs in the air: get what it hangs on from whoever sent it."""
        self._ask(link, Want(log, locator(self.store, log) if log.log else []), now)

    def _ask(self, link: Link, want: Want, now: float) -> None:
        asked = link.asked.get(want.log)
        if asked is not None and now - asked < self.limits.ask_again_s:
            return
        link.asked[want.log] = now
        link.asked.move_to_end(want.log)
        if len(link.asked) > self.limits.asked:
            link.asked.popitem(last=False)
        last = self.out[-1] if self.out else ("", Wants([]))
        if last[0] == link.peer and isinstance(last[1], Wants) and len(last[1].wants) < WANTS:
            last[1].wants.append(want)
        else:
            self.out.append((link.peer, Wants([want])))

    def _holds(self, theirs: Head, mine: Head) -> bool:
        """Whether what the head names is here already (then it is the peer that lacks something)."""
        return theirs.id is not None and theirs.flag <= mine.flag and self.store.has(theirs.id)

    def _differs(self, link: Link, log: LogId, theirs: Head) -> None:
        link.differences[log] = theirs
        link.differences.move_to_end(log)
        if len(link.differences) > self.limits.differences:
            link.differences.popitem(last=False)

    # -- serving

    def pump(self, link: Link) -> None:
        """Fill the peer's window with what it asked for."""
        while link.jobs and link.may_send > 0:
            items, size, reached, done = [], 0, None, False
            while link.jobs and size < self.limits.piece:
                served = next(link.jobs[0], None)
                if served is None:
                    link.jobs.popleft()
                    if reached is not None:
                        done = True
                        break
                elif isinstance(served, bytes):
                    reached = served
                else:
                    items.append(served)
                    size += size_of(served)
            if items:
                frame = encode_message(Data(items))
                link.may_send -= len(frame)
                self.out.append((link.peer, frame))
            if reached is not None:
                self.out.append((link.peer, Scanned(reached, int(done))))

    def _job(self, want: Want) -> Iterator[Served]:
        if want.log.log == 0:
            yield from control_pieces(self.store, want.log.account)
        else:
            yield from log_items(self.store, want.log, start_of(self.store, want))

    def _read_through(self, cursor: bytes) -> Iterator[Served]:
        """Everything, in account order, from the account after `cursor` on."""
        at = cursor
        while True:
            account = next((a for a in self.store.accounts(AccountId(at) if at else None) if a > at or not at), None)
            if account is None:
                yield at
                return
            if self.store.head(control_log(account)).length:
                yield from control_pieces(self.store, account)
                for log in list(self.store.heads(account)):
                    if log.log:
                        yield from log_items(self.store, log, 0)
            at = account
            yield at

    def _send_heads(self, link: Link, prefix: bytes, heads: list[tuple[LogId, Head]], answer: int) -> None:
        rows = self.limits.heads_rows
        answer = answer if len(heads) <= rows else 0
        for k in range(0, max(len(heads), answer), rows):
            self.out.append((link.peer, Heads(prefix, answer, heads[k : k + rows])))

    # -- what is remembered of a peer between meetings

    def _met(self, link: Link) -> int | None:
        note = self.store.note(_met_key(link)) if link.hello is not None else None
        return int.from_bytes(note, "big") if note else None

    def _forget_met(self, link: Link) -> None:
        """Asked once; if that does not close the gap, the next comparison is by sums."""
        self.store.put_note(_met_key(link), None)

    def _scan_note(self, link: Link) -> bytes:
        return self.store.note(_scan_key(link)) or b""


def _met_key(link: Link) -> bytes:
    return MET + (link.hello.store_id if link.hello else b"")


def _scan_key(link: Link) -> bytes:
    return b"scan:" + (link.hello.store_id if link.hello else b"")
