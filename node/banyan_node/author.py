"""Writing: opens accounts and appends to this store's own logs.

Everything signed here goes through the same ingest as what comes from others, in the same transaction, so nothing can
be signed that others would refuse, and nothing is emitted before it is durable. A log that this store did not itself
write is never continued: a new, restored or cloned data folder draws a fresh log number (see `own_log`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from banyan_crdt.control import Control
from banyan_crdt.entry import MAX_PART_BYTES, Entry, Header, encode_header, entry_id, skip_seq
from banyan_crdt.errors import Refused
from banyan_crdt.ids import AccountId, EntryId, H, LogId, Time, WriterKey, control_log, key_digest
from banyan_crdt.logs import within_limits
from banyan_crdt.ops import (
    Add,
    ControlOp,
    Grant,
    Init,
    Op,
    Part,
    Pin,
    Put,
    Slot,
    Text,
    decode_body,
    encode_ops,
    make_part,
)
from banyan_crdt.realm import Realm
from banyan_crdt.run import MAX_RUN_ENTRIES, Run
from banyan_crdt.signing import Signer
from banyan_node.ingest import Ingest, PartItem, skips_of

OWN_LOGS = 65_535
"""Log numbers that a grant allows a writer; each data folder draws one, so two that collide by chance are rare."""
RUN_CONTENT = 512 << 10
"""Content in one run, bytes: a run and its content then fit in one frame."""


class Draft(NamedTuple):
    """One entry to be: operations whose `part` is still None, and the content of each (None: it has none)."""

    ops: tuple[Op, ...]
    contents: tuple[bytes | None, ...]


class Written(NamedTuple):
    """What was appended, not yet durable: the entries of one run (the last is signed) and their content."""

    log: LogId
    entries: tuple[Entry, ...]
    parts: tuple[PartItem, ...]


class Author:
    """Signs for the accounts whose keys this node holds. `random_bytes(n)` draws salts."""

    def __init__(self, ingest: Ingest, realm: Realm, random_bytes: Callable[[int], bytes]) -> None:
        self.ingest, self.realm, self.random = ingest, realm, random_bytes
        self.store = ingest.store

    def open_account(
        self, slots: Sequence[tuple[Signer, bytes]], salt: bytes, grants: Sequence[Grant], now_ms: int
    ) -> tuple[AccountId, tuple[Entry, ...]]:
        """An inception and its first grants, stored. `slots`: (signer, digest of the slot's next key), root first."""
        part, raw = make_part(self.random(16), salt)
        root = slots[0][0]
        init = Init(tuple(Slot(key_digest(s.key), following) for s, following in slots), part)
        first = self._control_entry(AccountId(b""), [], root, (init,), part.size, now_ms)
        account, entries = AccountId(first.id), [first]
        for grant in grants:
            entries.append(self._control_entry(account, entries, root, (grant,), 0, now_ms))
        self.ingest.control(account, entries, now_ms)
        self.ingest.parts([PartItem(first.id, 0, raw)])
        return account, tuple(entries)

    def control(self, account: AccountId, signer: Signer, op: ControlOp | Pin, now_ms: int) -> Entry:
        """Appends one control entry at the end of the account's path and stores it."""
        state = self._control_of(account)
        entry = self._control_entry(account, state.path, signer, (op,), 0, now_ms)
        self.ingest.control(account, [entry], now_ms)
        if self.ingest.head(control_log(account)).id != entry.id:
            raise Refused(f"this key is not one that may do that in account {account.hex()[:16]}; nothing was changed")
        return entry

    def append(self, log: LogId, signer: Signer, drafts: Sequence[Draft], now_ms: int) -> list[Written]:
        """Appends drafts as runs of one signature each. Past its limits: Refused, nothing appended."""
        control = self._control_of(log.account)
        granted = control.grant_of(log.writer, log.log)
        if granted is None or log.writer in control.cuts:
            raise Refused(
                f"this node has no grant to write for account {log.account.hex()[:16]}; ask its owner for one"
            )
        parent = self._last(log)
        ids: dict[int, EntryId] = {}
        made: list[tuple[Entry, tuple[PartItem, ...]]] = []
        for draft in drafts:
            entry, parts = self._entry(log, parent, ids, draft, now_ms)
            h = entry.header
            if not within_limits(self.realm, granted, h.seq, h.time, h.total):
                raise Refused(
                    f"the log would hold {h.seq + 1} entries and {h.total} bytes, past its limit: write less a day"
                )
            made.append((entry, parts))
            parent = entry
        return [self._store(log, signer, chunk, now_ms) for chunk in _chunks(made)]

    def _store(
        self, log: LogId, signer: Signer, chunk: list[tuple[Entry, tuple[PartItem, ...]]], now_ms: int
    ) -> Written:
        entries = [e for e, _ in chunk]
        entries[-1] = entries[-1]._replace(sig=signer.sign(entries[-1].id))
        first = entries[0]
        base = self._total_below(log, first)
        bodies = tuple(decode_body(e.ops) for e in entries)
        skips = tuple(skips_of(self.store, log, first.header.seq, len(entries)))
        run = Run(log, first.header.seq, first.header.prev, base, skips, tuple(entries), bodies)
        self.ingest.run(run, now_ms)
        parts = tuple(p for _, items in chunk for p in items)
        self.ingest.parts(parts)
        self.store.put_note(_own_key(log), entries[-1].id)
        return Written(log, tuple(entries), parts)

    def _total_below(self, log: LogId, first: Entry) -> int:
        parent = self.store.entry(first.header.prev) if first.header.prev is not None else None
        return parent.header.total if parent else 0

    def _entry(
        self, log: LogId, parent: Entry | None, ids: dict[int, EntryId], draft: Draft, now_ms: int
    ) -> tuple[Entry, tuple[PartItem, ...]]:
        ops, raws, size = [], [], 0
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
        skip = None if target is None else ids.get(target) or self.store.id_at(log, target)
        total = (parent.header.total if parent else 0) + len(raw_ops) + size
        time = next_time(parent.header.time if parent else 0, now_ms)
        h = Header(
            log.account, log.writer, log.log, seq, parent.id if parent else None, skip, time, total, H("ops", raw_ops)
        )
        entry = Entry(entry_id(self.realm, encode_header(h)), h, raw_ops, None)
        ids[seq] = entry.id
        return entry, tuple(PartItem(entry.id, i, raw) for i, raw in raws)

    def _control_entry(
        self, account: AccountId, path: Sequence[Entry], signer: Signer, ops: tuple[Op, ...], parts: int, now_ms: int
    ) -> Entry:
        raw = encode_ops(ops)
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
        """Whether the log ends, unforked, in what this store itself wrote last: no other log may be continued."""
        head = self.ingest.head(log)
        return not head.flag and head.id == self.store.note(_own_key(log))

    def _last(self, log: LogId) -> Entry | None:
        head = self.ingest.head(log)
        if not self.continues(log):
            raise Refused(
                f"log {log.log} of this node is forked: it was written elsewhere too; a fresh log number is due"
            )
        return self.store.entry(head.id) if head.id is not None else None


def _own_key(log: LogId) -> bytes:
    return b"own:" + log.account + log.writer + log.log.to_bytes(4, "big")


def next_time(last: Time, now_ms: int) -> Time:
    """max(own clock, last own + 1): rises within a log even when the clock stands still or runs back."""
    return max(now_ms << 16, last + 1)


def grant_to(writer: WriterKey, stratum: int = 8) -> Grant:
    """A device's or a platform's grant: all collections, no end, log numbers enough for every data folder to come."""
    return Grant(writer, 1, OWN_LOGS, stratum, None, None, None)


def _with_part(op: Op, part: Part) -> Op:
    if isinstance(op, (Put, Add, Text)):
        return op._replace(part=part)
    raise Refused(f"a {type(op).__name__} carries no content")


def _chunks(
    made: list[tuple[Entry, tuple[PartItem, ...]]],
) -> list[list[tuple[Entry, tuple[PartItem, ...]]]]:
    """Runs of at most 1,024 entries, and of so much content that a run travels in one frame."""
    out: list[list[tuple[Entry, tuple[PartItem, ...]]]] = []
    size = RUN_CONTENT + 1
    for entry, parts in made:
        more = len(entry.ops) + 64 + sum(len(p.raw) for p in parts)
        if size + more > RUN_CONTENT or len(out[-1]) == MAX_RUN_ENTRIES:
            out.append([])
            size = 0
        out[-1].append((entry, parts))
        size += more
    return out
