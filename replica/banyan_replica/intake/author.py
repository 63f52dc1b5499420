"""Opens accounts and appends to this store's own logs.

All that is signed here goes through the same ingest as entries of others, in the same transaction. So nothing is signed
that others would refuse, and nothing is sent before it is durable. A store only continues logs that it wrote itself: a
new, restored or cloned data folder draws a new log number (node's context.py).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple, TypeAlias

from banyan_crdt.checkpoint import Checkpoint, ControlRef, make_checkpoint
from banyan_crdt.control import Control
from banyan_crdt.entry import MAX_PART_BYTES, Entry, Header, encode_header, entry_id, skip_seq
from banyan_crdt.errors import Refused
from banyan_crdt.ids import (
    AccountId,
    EntryId,
    H,
    Head,
    LogId,
    Time,
    WriterKey,
    account_to_text,
    control_log,
    key_digest,
)
from banyan_crdt.logs import PathGrant, granted_valid
from banyan_crdt.ops import Add, ControlOp, Grant, Init, Op, Part, Pin, Put, Slot, Text, encode_ops
from banyan_crdt.parts import make_part
from banyan_crdt.realm import Realm
from banyan_crdt.run import MAX_RUN_ENTRIES, Run, read_ops, skips_below
from banyan_crdt.signing import Signer, sign_all
from banyan_replica.host import PartItem
from banyan_replica.intake.clock_bounds import checkpoints_allowed, is_future
from banyan_replica.intake.ingest import Ingest
from banyan_replica.intake.own_tips import checkpoint_content, own_tips, wrote_control
from banyan_replica.sync.item_builder import content_of
from banyan_replica.wire.messages import Content
from banyan_schema import dates
from banyan_storage.local_tables import OWN_TIPS

OWN_LOGS = 65_535
"""Log numbers that a grant allows a writer. Each data folder draws one, so collisions are rare."""
RUN_CONTENT = 512 << 10
"""Bytes of content in one run: a run with its content fits in one frame."""
TIPS = 1_024
"""Own logs whose last entries are kept in memory, about 4 kB each."""
TIP_IDS = 16
"""Ids kept of a log's last entries, up to twice as many. Most skip links point to one of them."""


Sign: TypeAlias = Callable[[Sequence[tuple[Signer, EntryId]]], list[bytes]]


class EntryDraft(NamedTuple):
    """An entry to write: operations whose `part` is still None, and the content of each (None: it has none)."""

    ops: tuple[Op, ...]
    contents: tuple[bytes | None, ...]


class Written(NamedTuple):
    """An appended run that is not durable yet. `flush` signs its last entry. contents: as on the wire.

    base: the log's total before it; skips: ids below it that its entries link to.
    """

    log: LogId
    entries: tuple[Entry, ...]
    base: int
    skips: tuple[tuple[int, EntryId], ...]
    contents: tuple[Content, ...]


class _Waits(NamedTuple):
    """A run that is not signed and written yet."""

    signer: Signer
    unsigned: Written
    now_ms: int

    def signed(self, sig: bytes) -> Written:
        log, entries, base, skips, contents = self.unsigned
        last = tuple.__new__(Entry, (*entries[-1][:3], sig))
        return Written(log, (*entries[:-1], last), base, skips, contents)


class _DraftedEntry(NamedTuple):
    entry: Entry
    content: Content
    size: int
    """About how many bytes it adds to a run."""


class _Tip(NamedTuple):
    """The end of a log of ours, which the next entry links to."""

    last: Entry
    ids: dict[int, EntryId]


class Author:
    """Signs for the accounts whose keys this node holds. random_bytes(n): for salts."""

    def __init__(
        self, ingest: Ingest, realm: Realm, random_bytes: Callable[[int], bytes], sign: Sign = sign_all
    ) -> None:
        self.ingest, self.realm, self.random = ingest, realm, random_bytes
        self.store = ingest.store
        self._sign = sign
        self._tips: OrderedDict[LogId, _Tip] = OrderedDict()
        self._ahead: dict[LogId, _Tip] = {}
        """The ends of logs with entries that are not in the store yet."""
        self._waits: list[_Waits] = []
        self.held = 0
        """Grows with every run that waits to be written; `settled` grows with the changes that writing them made."""
        self.settled = 0

    def flush(self) -> list[Written]:
        """Signs and writes the waiting runs together; returns them signed."""
        if not self._waits and not self.ingest.together.waits:
            return []  # as before almost every batch of frames
        for tip in self._ahead.values():  # all ids were kept while the store had none of them
            for seq in list(tip.ids)[: -2 * TIP_IDS]:
                del tip.ids[seq]
        waits, self._waits, self._ahead = self._waits, [], {}
        before = self.store.changes + self.ingest.together.held
        sigs = self._sign([(w.signer, w.unsigned.entries[-1].id) for w in waits])
        written = [w.signed(sig) for w, sig in zip(waits, sigs, strict=True)]
        holding, self.ingest.together.holding = self.ingest.together.holding, True
        try:
            for w, made in zip(waits, written, strict=True):
                self._judge(made, w.now_ms)
        finally:
            self.ingest.together.holding = holding
        self.ingest.flush()
        for log, end in sorted({w.log: w.entries[-1].id for w in written}.items()):
            OWN_TIPS.put(self.store, log, [end], differs=True)
        self.settled += self.store.changes + self.ingest.together.held - before
        return written

    def _judge(self, made: Written, now_ms: int) -> None:
        log, entries, base, skips, contents = made
        first, ops = entries[0].header, [e.ops for e in entries]
        totals = [base, *(e.header.total for e in entries)]
        sizes = [now - before - len(raw) for (before, now), raw in zip(pairwise(totals), ops, strict=True)]
        run = Run(log, first.seq, first.prev, base, skips, entries, *read_ops(ops, sizes))
        self.ingest.run(run, now_ms, contents=contents, ours=True)

    def forget(self) -> None:
        """Forgets the ends of our logs, which are wrong after a rollback."""
        self._tips.clear()
        self._ahead.clear()
        self._waits.clear()

    def open_account(
        self,
        slots: Sequence[tuple[Signer, bytes]],
        salt: bytes,
        grants: Sequence[Grant],
        now_ms: int,
        recovery: Sequence[Slot] = (),
    ) -> tuple[AccountId, tuple[Entry, ...]]:
        """Stores an inception with its first grants, as one entry. slots: (signer, digest of the slot's next key), root
        first. recovery: stronger slots, whose keys are elsewhere.
        """
        part, raw = make_part(self.random(16), salt)
        root = slots[0][0]
        init = Init((*(Slot(key_digest(s.key), following) for s, following in slots), *recovery), part)
        first = self._control_entry(AccountId(b""), [], root, (init, *grants), part.size, now_ms)
        account = AccountId(first.id)
        self.ingest.control(account, [first], now_ms)
        self.ingest.parts([PartItem(first.id, 0, raw)])
        wrote_control(self.store, control_log(account), first.id, None)
        return account, (first,)

    def control(
        self,
        account: AccountId,
        signer: Signer,
        op: ControlOp | Pin,
        now_ms: int,
        path: Sequence[Entry] | None = None,
        deps: tuple[EntryId, ...] = (),
    ) -> Entry:
        """Appends one control entry to the account's path, or to a shorter `path`, and stores it."""
        path = self._control_of(account).path if path is None else path
        entry = self._control_entry(account, path, signer, (op,), 0, now_ms, deps)
        if is_future(entry.header.time, now_ms):
            raise Refused(
                f"the control log of {account_to_text(account)} ends in the future, so no key of it can be changed and "
                "nothing pinned until then: set the clock of this machine; if it was ahead and is right now, `banyan "
                "account recover --undo N` takes back what was signed then; `banyan account new-log` is for posts"
            )
        self.ingest.control(account, [entry], now_ms)
        if self.ingest.head(control_log(account)).id != entry.id:
            raise Refused(f"this key may not do that in account {account.hex()[:16]}; nothing was changed")
        wrote_control(self.store, control_log(account), entry.id, entry.header.prev)
        return entry

    def checkpoint(
        self, account: AccountId, signer: Signer, now_ms: int, before: Checkpoint | None = None
    ) -> Checkpoint:
        """Signs and stores where the account stands: its control path, and the logs that the key may pin. before: the
        checkpoint of the previous root, if this key replaces it.

        Raises Refused if the account would not accept it.
        """
        old = self.store.checkpoint(account, signer.key)
        if old is not None and old.n >= checkpoints_allowed(self.realm, now_ms):
            raise Refused(f"this key has made checkpoint {old.n}, as many as it may by today: it may have been stolen")
        place, pins = self._says(account, signer.key, before)
        made = make_checkpoint(self.realm, account, signer, old.n + 1 if old else 1, place, pins)
        self.ingest.checkpoint(made, now_ms)
        return made

    def outdated(self, account: AccountId, writer: WriterKey, before: Checkpoint | None = None) -> bool:
        """Whether a new checkpoint of that key would differ from the held one."""
        old = self.store.checkpoint(account, writer)
        return old is None or (old.control, sorted(old.pins)) != self._says(account, writer, before)

    def _says(self, account: AccountId, writer: WriterKey, before: Checkpoint | None) -> tuple[ControlRef, list[Pin]]:
        """The content of a new checkpoint of that key. Raises Refused if it may not make one."""
        control = self._control_of(account)
        if not control.entitles(writer):
            raise Refused(f"this key has no grant in account {account.hex()[:16]} and is not its root: no checkpoint")
        self.ingest.flush()
        return checkpoint_content(self.store, account, control, writer, before)

    def append(self, log: LogId, signer: Signer, drafts: Sequence[EntryDraft], now_ms: int) -> list[Written]:
        """Appends drafts as runs of one signature each. Beyond the limits of the log: Refused, nothing is appended.

        While the ingest is holding, `flush` signs and writes the runs.
        """
        control = self._control_of(log.account)
        granted = control.grant_of(log.writer, log.log)
        if granted is None or log.writer in control.cuts:
            raise Refused(
                f"this node has no grant to write for account {log.account.hex()[:16]}; ask its owner for one"
            )
        tip = self._tip(log)
        below = parent = tip.last if tip else None
        ids = tip.ids if tip else {}  # ids of drafts that are refused below stay in it; the next entries replace them
        made: list[_DraftedEntry] = []
        for draft in drafts:
            piece = self._entry(log, parent, ids, draft, now_ms)
            h = piece.entry.header
            if granted.grant.until is not None and h.time > granted.grant.until:
                raise Refused(
                    f"the grant to write for {account_to_text(log.account)} has ended: its owner can grant another key"
                )
            if not granted_valid(self.realm, granted, piece.entry):
                raise Refused(_no_room(self.realm, granted, h))
            if is_future(h.time, now_ms):
                raise Refused(
                    f"the log of {account_to_text(log.account)} ends in the future: set the clock of this machine; if "
                    "it was ahead and is right now, `banyan account new-log` begins another log"
                )
            made.append(piece)
            parent = piece.entry
        if parent is None or not made:
            return []
        waits = []
        for chunk in _chunks(made):
            waits.append(self._unsigned(log, signer, below, ids, chunk, now_ms))
            below = chunk[-1].entry
        self._waits += waits
        self.held += len(waits)
        self._keep(log, _Tip(parent, ids))
        holding = self.ingest.together.holding and self.ingest.usual(log)
        return [w.unsigned for w in waits] if holding else self.flush()[-len(waits) :]

    def _unsigned(
        self,
        log: LogId,
        signer: Signer,
        below: Entry | None,
        ids: dict[int, EntryId],
        chunk: Sequence[_DraftedEntry],
        now_ms: int,
    ) -> _Waits:
        entries = tuple([piece.entry for piece in chunk])
        first, base = entries[0].header, below.header.total if below else 0
        seqs = skips_below(first.seq, len(entries)) if len(entries) > 1 or first.skip else ()
        skips = tuple([(seq, self._id_at(log, ids, seq)) for seq in seqs])
        return _Waits(signer, Written(log, entries, base, skips, tuple([piece.content for piece in chunk])), now_ms)

    def _id_at(self, log: LogId, ids: dict[int, EntryId], seq: int) -> EntryId:
        found = ids.get(seq) or self.ingest.id_at(log, seq)
        if found is None:
            raise Refused(f"entry {seq} of log {log.log} is not held here, so nothing can be written above it")
        return found

    def _entry(
        self, log: LogId, parent: Entry | None, ids: dict[int, EntryId], draft: EntryDraft, now_ms: int
    ) -> _DraftedEntry:
        ops: list[Op] = []
        raws: list[tuple[int, bytes]] = []
        size = 0
        for i, (op, content) in enumerate(zip(draft.ops, draft.contents, strict=True)):
            if content is None:
                ops.append(op)
                continue
            part, raw = make_part(self.random(16), content)
            ops.append(_with_part(op, part))
            raws.append((i, raw))
            size += part.size
        if size > MAX_PART_BYTES:
            raise Refused(f"the content has {size} bytes; an entry carries {MAX_PART_BYTES} at most: split it")
        raw_ops = encode_ops(tuple(ops))
        seq = parent.header.seq + 1 if parent else 0
        target = skip_seq(seq)
        skip = None if target is None else self._id_at(log, ids, target)
        total = (parent.header.total if parent else 0) + len(raw_ops) + size
        time = next_time(parent.header.time if parent else 0, now_ms)
        h = Header(
            log.account, log.writer, log.log, seq, parent.id if parent else None, skip, time, total, H("ops", raw_ops)
        )
        entry = Entry(entry_id(self.realm, encode_header(h)), h, raw_ops, None)
        ids[seq] = entry.id
        return _DraftedEntry(entry, content_of(raws), len(raw_ops) + size + 64)

    def _control_entry(
        self,
        account: AccountId,
        path: Sequence[Entry],
        signer: Signer,
        ops: tuple[Op, ...],
        parts: int,
        now_ms: int,
        deps: tuple[EntryId, ...] = (),
    ) -> Entry:
        raw = encode_ops(ops, deps)
        parent = path[-1] if path else None
        seq = len(path)
        target = skip_seq(seq)
        total = (parent.header.total if parent else 0) + len(raw) + parts
        time = next_time(parent.header.time if parent else 0, now_ms)
        skip = None if target is None else path[target].id
        h = Header(account, signer.key, 0, seq, parent.id if parent else None, skip, time, total, H("ops", raw))
        i = entry_id(self.realm, encode_header(h))
        return Entry(i, h, raw, signer.sign(i))

    def _control_of(self, account: AccountId) -> Control:
        state = self.ingest.control_of(account)
        if state is None:
            raise Refused(f"account {account.hex()[:16]} is not held here; follow it or import its control log first")
        return state

    def continues(self, log: LogId) -> bool:
        """Whether the log is not forked and ends in the entry that this store wrote last. Only then may it grow."""
        head = self.ingest.head(log)
        known = log in self._ahead or self._known(log, head) is not None
        return not head.flag and (known or head.id == next(iter(own_tips(self.store, log)), None))

    def _known(self, log: LogId, head: Head) -> _Tip | None:
        found = self._tips.get(log)
        return found if found is not None and found.last.id == head.id else None

    def _tip(self, log: LogId) -> _Tip | None:
        """The end of a log that may be continued; None if it has no entries. Raises Refused."""
        if not self.continues(log):
            raise Refused(f"log {log.log} of this node is forked: it was also written elsewhere; draw a new log number")
        if (ahead := self._ahead.get(log)) is not None:
            return ahead
        head = self.ingest.head(log)
        last = None if head.id is None else self._known(log, head) or self.store.entry(head.id)
        return _Tip(last, {}) if isinstance(last, Entry) else last

    def _keep(self, log: LogId, tip: _Tip) -> None:
        self._ahead[log] = self._tips[log] = tip
        self._tips.move_to_end(log)
        if len(self._tips) > TIPS:
            self._tips.popitem(last=False)


def _no_room(realm: Realm, granted: PathGrant, h: Header) -> str:
    """Says whose log is full, and from when on it takes this entry."""
    from_ms = max(granted.since >> 16, realm.birth_ms) + realm.allows_after(h.seq + 1, h.total)
    return (
        f"the log of {account_to_text(h.account)} would hold {h.seq + 1:,} entries and {h.total:,} bytes, more than "
        f"it may by now: there is room for them from {dates.minute(from_ms)} UTC on"
    )


def next_time(last: Time, now_ms: int) -> Time:
    """max(own clock, last own + 1): it rises within a log even if the clock does not."""
    return max(now_ms << 16, last + 1)


def grant_to(writer: WriterKey, stratum: int = 8) -> Grant:
    """A device's or a platform's grant: all collections, no end, enough log numbers for every data folder."""
    return Grant(writer, 1, OWN_LOGS, stratum, None, None, None)


def _with_part(op: Op, part: Part) -> Op:
    if isinstance(op, (Put, Add, Text)):
        return op._replace(part=part)
    raise Refused(f"a {type(op).__name__} carries no content")


def _chunks(made: Sequence[_DraftedEntry]) -> list[list[_DraftedEntry]]:
    """Splits into runs of at most MAX_RUN_ENTRIES entries and RUN_CONTENT bytes."""
    out: list[list[_DraftedEntry]] = []
    size = RUN_CONTENT + 1
    for piece in made:
        if size + piece.size > RUN_CONTENT or len(out[-1]) == MAX_RUN_ENTRIES:
            out.append([])
            size = 0
        out[-1].append(piece)
        size += piece.size
    return out
