"""Judges what peers send: takes an item (a run, a control log, a checkpoint), returns what was stored, or a verdict.

Gossip and reconciliation use the same path. If an item cannot be judged yet, its sender is asked for what it needs, and
the reason is noted for people; nothing else of the item is kept.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from enum import Enum, auto
from typing import NamedTuple

from banyan_crdt.checkpoint import Checkpoint
from banyan_crdt.codec import BYTES_32
from banyan_crdt.entry import Entry
from banyan_crdt.errors import Malformed, NotYet, Reason
from banyan_crdt.ids import AccountId, EntryId, Head, LogId, control_log
from banyan_crdt.logs import NOTHING
from banyan_crdt.ops import part_of
from banyan_crdt.realm import Realm
from banyan_replica.host import PartItem
from banyan_replica.intake.ingest import Ingest
from banyan_replica.intake.prepare import Checked, CheckedControl, CheckedLater, CheckedRun, named
from banyan_replica.intake.storage_cost import cost, cost_of_checkpoint, cost_of_content
from banyan_replica.peers.limits import Limits
from banyan_replica.peers.session import PeerSession
from banyan_replica.sync.sync import Sync
from banyan_replica.wire.messages import CheckpointItem, ControlItem, Item, pieces


class FollowUp(Enum):
    """What the sender of an item that is not accepted yet is asked for at once."""

    NOTHING = auto()
    CONTROL = auto()
    """The account's control log; then the log."""
    LOG = auto()
    """What is missing of the log below the item."""


REASONS: dict[Reason, FollowUp] = {
    "version": FollowUp.NOTHING,
    "account": FollowUp.CONTROL,
    "grant": FollowUp.CONTROL,
    "gap": FollowUp.LOG,
    "future": FollowUp.NOTHING,
    "until": FollowUp.NOTHING,
    "limit": FollowUp.NOTHING,
    "cut": FollowUp.NOTHING,
    "control": FollowUp.CONTROL,
    "branch": FollowUp.NOTHING,
    "busy": FollowUp.NOTHING,
    "full": FollowUp.NOTHING,
}
"""All reasons for which an item is not accepted yet. Whatever the reason, the log differs from the peer's as long as it
lasts; sync/repeats.py bounds how often such a log is fetched."""
JUDGED_ROWS = 4
"""Judging an entry again costs about as much as reading so many rows."""
SHORT_CONTROL = 64
"""Control logs up to this length are always judged at once: there is one per account."""


class IntakeResult(NamedTuple):
    """entries: the ids in the item (for a run, the last). news: whether a head moved, so that others must be told.
    added: entries that count now and did not before; empty for a control log. lacking: content that the item names is
    wanted, did not come with it, and is not held."""

    entries: tuple[EntryId, ...]
    news: bool
    log: LogId
    added: Sequence[Entry]
    lacking: bool = False


class NotTaken(NamedTuple):
    """Why an item was not accepted yet."""

    reason: Reason
    sentence: str
    at: float


class Intake:
    """Judges items against the store, through the one ingest."""

    def __init__(self, realm: Realm, ingest: Ingest, sync: Sync, limits: Limits) -> None:
        self._realm, self._ingest, self._sync, self._limits = realm, ingest, sync, limits
        self._asking, self._room, self._store = sync.asking, sync.asking.room, ingest.store
        self.notes: OrderedDict[tuple[str, LogId], NotTaken] = OrderedDict()
        """Why items were not accepted yet, by peer and log."""

    def item(self, link: PeerSession, item: Checked, now: float, wall_ms: int) -> IntakeResult:
        """Judges one item. Raises Reject, or NotYet after asking for what is missing."""
        log, _ = named(item)
        try:
            if isinstance(item, CheckedLater):
                raise item.why
            refusal = self._room.why_not(link.peer, log.account)
            if not (self._room.holds(log) or link.owed.ranges.cover(log.account)):
                refusal = "of this account only the control log is held"
            if refusal:  # what was asked for before still comes
                link.load.stopped("room")
                raise NotYet("full", refusal)
            if self._room.counted(link.peer, log.account):
                judged = self._counted(link, item, log, now, wall_ms)
            else:
                judged = self._judge(link, item, now, wall_ms)
        except NotYet as why:
            self._not_yet(link, log, why, now)
            self._asking.refused(link, item, why.reason)
            raise
        if self.notes:
            self.notes.pop((link.peer, log), None)
        if isinstance(item, CheckedControl):
            self._asking.control_came(link, item.account)
        return judged

    def _counted(
        self, link: PeerSession, item: CheckedRun | CheckedControl | Checkpoint, log: LogId, now: float, wall_ms: int
    ) -> IntakeResult:
        """Judges an item, and counts what is stored of it as a stranger's."""
        strangers, old = self._room.strangers, self._ingest.head(log)
        if isinstance(item, Checkpoint):
            price = cost_of_checkpoint(item, self._store.checkpoint(log.account, log.writer))
            judged = self._judge(link, item, now, wall_ms)
            if judged.news:
                strangers.took(log, price, old == NOTHING)
            return judged
        places, arrived = self._fresh(item, old), self._ingest.arrived
        late = self._lacking(item, places)
        try:
            judged = self._judge(link, item, now, wall_ms)
        finally:
            if late:
                strangers.took(log, late - self._lacking(item, places))
        entries = self._ingest.arrived - arrived
        if entries or judged.news:
            strangers.took(log, cost(item, places, entries), old == NOTHING)
        return judged

    def parts(self, link: PeerSession, items: Sequence[PartItem]) -> bool:
        """Stores content that the peer was asked for, of accounts of which anything is taken from it now. Returns
        whether some was new. Raises Malformed on a lie."""
        places = {item.entry: self._store.place(item.entry) for item in items}
        logs = {entry: place[0] for entry, place in places.items() if place is not None}
        taken = [i for i in items if i.entry in logs and not self._room.why_not(link.peer, logs[i.entry].account)]
        stored = self._ingest.parts(taken)
        for item in stored:
            if self._room.counted(link.peer, logs[item.entry].account):
                self._room.strangers.took(logs[item.entry], cost_of_content(item.raw))
        return bool(stored)

    def _fresh(self, item: CheckedRun | CheckedControl, head: Head) -> Sequence[int]:
        """The places in the item of the entries that are not held. head: of the log."""
        entries = item.run.entries if isinstance(item, CheckedRun) else item.entries
        if head == NOTHING or (isinstance(item, CheckedRun) and item.run.prev == head.id):
            return range(len(entries))
        self._ingest.flush()
        return [k for k, entry in enumerate(entries) if not self._store.has(entry.id)]

    def _lacking(self, item: CheckedRun | CheckedControl, fresh: Sequence[int]) -> int:
        """The cost of content that the item brings for entries which are held without it. fresh: the places of the
        entries that are not held."""
        entries = item.run.entries if isinstance(item, CheckedRun) else item.entries
        if len(fresh) == len(entries) or not item.contents:
            return 0
        new, found = set(fresh), 0
        for k, content in enumerate(item.contents[: len(entries)]):
            if content is not None and k not in new:
                held = entries[k].id
                found += sum(cost_of_content(raw) for op, raw in pieces(content) if self._store.lacks_part(held, op))
        return found

    def _judge(
        self, link: PeerSession, item: CheckedRun | CheckedControl | Checkpoint, now: float, wall_ms: int
    ) -> IntakeResult:
        if isinstance(item, CheckedControl):
            return self._control_item(link, item, now, wall_ms)
        if isinstance(item, Checkpoint):
            return self._checkpoint(link, item, now, wall_ms)
        run = item.run
        last, moves = run.entries[-1], self._sync.moves
        added = self._ingest.run(
            run, wall_ms, lambda n: self._sync.may_judge(link, JUDGED_ROWS * n, now), item.contents, proof=item.proof
        )
        news = self._sync.moves != moves
        return IntakeResult((last.id,), news, run.log, added, self._lacks(item))

    def _lacks(self, item: CheckedRun) -> bool:
        """Whether content that the run names is wanted, did not come with it, and is not held."""
        run, contents = item.run, item.contents
        if run.puts is not None and len(contents) == len(run.entries) and set(map(type, contents)) == {bytes}:
            return False
        absent = list[tuple[EntryId, int]]()
        for k, body in enumerate(run.bodies):
            content = contents[k] if k < len(contents) else None
            if type(content) is bytes and len(body.ops) == 1:
                continue
            came = [op for op, _ in pieces(content)]
            absent += [
                (run.entries[k].id, n) for n, op in enumerate(body.ops) if n not in came and part_of(op) is not None
            ]
        if absent:
            self._ingest.flush()
        return any(self._store.lacks_part(*part) for part in absent)

    def _control_item(self, link: PeerSession, item: CheckedControl, now: float, wall_ms: int) -> IntakeResult:
        n = self._control_work(item)
        if n > SHORT_CONTROL and not self._sync.may_judge(link, JUDGED_ROWS * n, now):
            raise NotYet("busy", f"{n} control entries must be judged, and this peer has caused much work just now")
        changed = self._ingest.control(
            item.account, item.entries, wall_ms, item.contents, lambda rows: self._sync.may_judge(link, rows, now)
        )
        return IntakeResult(tuple(e.id for e in item.entries), changed, control_log(item.account), ())

    def _control_work(self, item: CheckedControl) -> int:
        """How many control entries must be read to judge these."""
        if len(item.entries) == 1 and item.entries[0].header.prev is None:
            return 1  # the inception alone, of which an account has one
        log = control_log(item.account)
        held = self._ingest.head(log).length
        if not held or all(self._store.has(e.id) for e in item.entries):
            return len(item.entries)
        return len(item.entries) + held + len(self._store.loose_rows(log))

    def _checkpoint(self, link: PeerSession, item: Checkpoint, now: float, wall_ms: int) -> IntakeResult:
        news = self._ingest.checkpoint(item, wall_ms, lambda n: self._sync.may_judge(link, n, now))
        return IntakeResult((item.id,), news, item.log_id, ())

    def _not_yet(self, link: PeerSession, log: LogId, why: NotYet, now: float) -> None:
        self._ingest.flush()
        self.notes[link.peer, log] = NotTaken(why.reason, str(why), now)
        self.notes.move_to_end((link.peer, log))
        if len(self.notes) > self._limits.notes:
            self.notes.popitem(last=False)
        match REASONS[why.reason]:
            case FollowUp.CONTROL:
                self._asking.wait_for(link, log.account, {})
                self._asking.ask(link, control_log(log.account))
            case FollowUp.LOG:
                self._asking.ask(link, log)
            case FollowUp.NOTHING:
                pass


def account_of(item: Item) -> AccountId:
    """The account that an item claims. Reads only these bytes, so that the rest is decoded only if the account is held.
    Raises Malformed."""
    if isinstance(item, ControlItem):
        return item.account
    raw = item.checkpoint if isinstance(item, CheckpointItem) else item.run
    if raw[1:3] != BYTES_32 or len(raw) < 35:  # byte 0: how many fields
        raise Malformed("a run or a checkpoint starts with its account")
    return AccountId(raw[3:35])
