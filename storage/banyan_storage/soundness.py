"""Finds the sound entries of a log: those that are readable, linked to their parent, and signed within one run.

An entry with a wrong link cannot be served, nor can any entry above it, so all of them must be dropped. Whether an
entry counts is not judged here. `store verify` reports single problems (check.py); this tells what to drop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, TypeAlias

from banyan_crdt.entry import Entry, check_link, encode_header, entry_id, skip_seq
from banyan_crdt.errors import BadSignature, BanyanError
from banyan_crdt.ids import EntryId, Head, LogId
from banyan_crdt.realm import Realm
from banyan_crdt.run import MAX_RUN_BYTES, MAX_RUN_ENTRIES
from banyan_crdt.signing import SignatureClaim
from banyan_storage import tables as t
from banyan_storage.entry_records import decode_record, is_record, record_after, record_id, record_name
from banyan_storage.errors import CorruptStore
from banyan_storage.reader import StoreReader

Verify: TypeAlias = Callable[[Realm, Sequence[SignatureClaim]], Sequence[BadSignature | None]]
CHECKED = 1_024
"""Signatures checked in one call."""


class WrongEntry(NamedTuple):
    """An entry that is wrong by itself, not only because of an entry below it. entry: None if it cannot be read."""

    seq: int
    entry: EntryId | None
    why: str


class JudgedLog(NamedTuple):
    """The sound entries of a log: the first `length` of its chain, and the loose entries `loose`."""

    log: LogId
    length: int
    last: EntryId | None
    loose: list[Entry]
    wrong: list[WrongEntry]
    """The lowest first."""
    gone: int
    """How many entries are not sound."""
    unreadable: list[int]
    """Arrival numbers whose records are wrong or missing."""
    checked: int
    head: Head
    """The head in the store."""
    indexed: bool
    """Whether the head and the index of the chain are right."""

    @property
    def sound(self) -> bool:
        return self.indexed and not self.gone


def judge(reader: StoreReader, log: LogId, verify: Verify | None = None) -> JudgedLog:
    """Judges a log. verify: checks signatures; None: they are trusted, because they were verified on arrival."""
    return _LogJudge(reader, log, verify).judged()


def sound_chain(reader: StoreReader, judged: JudgedLog) -> list[Entry]:
    """The sound entries of its chain."""
    return _LogJudge(reader, judged.log, None).chain(judged.length)


def row_bytes(entry: Entry, parent: Entry | None) -> int:
    """The bytes of an entry in a run after its parent: the fewest that it can have."""
    time, total = (parent.header.time, parent.header.total) if parent else (0, 0)
    h, size = entry.header, len(entry.ops)
    return 1 + _uint(h.time - time) + _uint(h.total - total - size) + _uint(size) + size


def _uint(n: int) -> int:
    """The bytes of an unsigned integer in CBOR, or of the head of a byte string of that length."""
    return 1 if n < 24 else 2 if n < 1 << 8 else 3 if n < 1 << 16 else 5 if n < 1 << 32 else 9


class _LooseNode(NamedTuple):
    """A correctly linked loose entry."""

    entry: Entry
    size: int
    signed: bool


class _LogJudge:
    def __init__(self, reader: StoreReader, log: LogId, verify: Verify | None) -> None:
        self._reader, self._log, self._verify = reader, log, verify
        self._lid, self._head = t.head_of_value(reader.txn.get(t.HEADS, t.log_name(log)) or bytes(13))
        self._most = MAX_RUN_ENTRIES if log.log else 1  # a control entry is served under its own signature
        self._ids: list[EntryId] = []
        self._sizes: list[int] = []
        self._signed = bytearray()
        self._loose: dict[EntryId, _LooseNode] = {}
        self._wrong: list[WrongEntry] = []
        self._unreadable: list[int] = []
        self._checked = self._gone = 0
        self._indexed = True

    def judged(self) -> JudgedLog:
        self._chain()
        self._read_loose()
        self._vouch()
        length, last = len(self._ids), self._ids[-1] if self._ids else None
        right = self._indexed and (self._head.length, self._head.id) == (length, last)
        loose = [node.entry for node in self._loose.values()]
        wrong, unreadable = sorted(self._wrong, key=lambda w: w.seq), self._unreadable
        return JudgedLog(
            self._log, length, last, loose, wrong, self._gone, unreadable, self._checked, self._head, right
        )

    # -- the chain

    def chain(self, length: int) -> list[Entry]:
        """The first `length` entries of the chain, which are sound."""
        found: list[Entry] = []
        for row in self._reader.txn.prefix(t.CHAIN, t.u32(self._lid)):
            s = t.stretch_of(*row)
            if len(found) < length:
                found += [e for _, e in self._entries(s) if e is not None]
        return found[:length]

    def _chain(self) -> None:
        """Judges the chain up to its first wrong entry, and counts the entries above."""
        txn, parent, whole = self._reader.txn, None, True
        checks: list[tuple[int, SignatureClaim]] = []
        rows = [t.stretch_of(*row) for row in txn.prefix(t.CHAIN, t.u32(self._lid))]
        for s in rows:
            for k, (n, e) in enumerate(self._entries(s)):
                self._checked += 1
                seq = s.seq + k
                if not whole or e is None or e.header.seq != seq or seq != len(self._ids):
                    if e is None:
                        self._unreadable.append(n)
                    if whole:
                        self._wrong.append(
                            WrongEntry(seq, e.id if e else None, "it cannot be read, or is in a wrong place")
                        )
                    whole, self._gone = False, self._gone + 1
                    parent = e
                    continue
                target = skip_seq(seq)
                why = _fault(e, parent, None if target is None else self._ids[target])
                if why is not None:
                    self._wrong.append(WrongEntry(seq, e.id, why))
                    whole, self._gone = False, self._gone + 1
                    parent = e
                    continue
                self._indexed &= (e.sig is not None) == (s.signed and k == s.size - 1)
                self._ids.append(e.id)
                self._sizes.append(row_bytes(e, parent))
                self._signed.append(e.sig is not None)
                if e.sig is not None and self._verify is not None:
                    checks.append((seq, SignatureClaim(e.header.writer, e.id, e.sig)))
                    if len(checks) >= CHECKED:
                        whole, checks = self._verified(checks), []
                parent = e
        self._verified(checks)

    def _verified(self, checks: Sequence[tuple[int, SignatureClaim]]) -> bool:
        """Whether these signatures are valid. If not, the chain ends below the first invalid one."""
        if self._verify is None or not checks:
            return True
        for (seq, _), error in zip(
            checks, self._verify(self._reader.realm, [check for _, check in checks]), strict=True
        ):
            if error is not None:
                self._wrong = [w for w in self._wrong if w.seq < seq]
                self._end(seq, str(error))
                return False
        return True

    def _end(self, seq: int, why: str) -> None:
        """The chain ends below place `seq`."""
        self._wrong.append(WrongEntry(seq, self._ids[seq], why))
        self._gone += len(self._ids) - seq
        del self._ids[seq:], self._sizes[seq:], self._signed[seq:]

    def _entries(self, s: t.Stretch) -> Iterator[tuple[int, Entry | None]]:
        """(arrival number, entry) of a stretch; None for a missing or wrong record."""
        at, last = s.n, None
        for key, raw in self._reader.txn.scan(t.ENTRIES, t.u48(s.n), t.u48(s.n + s.size)):
            n = t.number(key)
            while at < n:
                yield at, None
                at, last = at + 1, None
            last = self._decode(n, raw, last)
            yield n, last
            at += 1
        for n in range(at, s.n + s.size):
            yield n, None

    def _decode(self, n: int, raw: bytes, below: Entry | None) -> Entry | None:
        """The entry of a record if it belongs to this log and matches its id. below: arrival n - 1, if it was read."""
        if not is_record(raw) or record_name(raw).lid != self._lid:
            return None
        before = below.id if below is not None else None
        if before is None and record_after(raw):
            held = self._reader.txn.get(t.ENTRIES, t.u48(n - 1))
            before = record_id(held) if held is not None and is_record(held) else None
        try:
            e = decode_record(raw, self._log, before)
        except CorruptStore:
            return None
        return e if entry_id(self._reader.realm, encode_header(e.header)) == e.id else None

    # -- beside the chain

    def _read_loose(self) -> None:
        """Judges loose entries: sound ones follow sound entries."""
        txn = self._reader.txn
        found: list[Entry] = []
        for key, value in txn.prefix(t.LOOSE, t.u32(self._lid)):
            self._checked += 1
            n = t.loose_of(key, value).n
            raw = txn.get(t.ENTRIES, t.u48(n))
            e = None if raw is None else self._decode(n, raw, None)
            if e is None:
                self._unreadable.append(n)
                self._wrong.append(WrongEntry(t.loose_of(key, value).seq, None, "it cannot be read"))
                self._gone += 1
            else:
                self._indexed &= key == t.loose_key(self._lid, e.header.seq, e.id)
                found.append(e)
        self._gone += len(found)
        for e in sorted(found, key=lambda e: e.header.seq):
            parent = self._parent(e)
            if parent is None and e.header.prev is not None:
                if not any(w.seq < e.header.seq for w in self._wrong):
                    self._wrong.append(WrongEntry(e.header.seq, e.id, "what it stands on is not held"))
                continue
            why = _fault(e, parent, self._ancestor(e)) or self._forged(e)
            if why is not None:
                self._wrong.append(WrongEntry(e.header.seq, e.id, why))
                continue
            self._loose[e.id] = _LooseNode(e, row_bytes(e, parent), e.sig is not None)
            self._gone -= 1

    def _forged(self, e: Entry) -> str | None:
        if self._verify is None or e.sig is None:
            return None
        error = self._verify(self._reader.realm, [SignatureClaim(e.header.writer, e.id, e.sig)])[0]
        return None if error is None else str(error)

    def _in_chain(self, seq: int, entry: EntryId | None) -> bool:
        return 0 <= seq < len(self._ids) and self._ids[seq] == entry

    def _parent(self, e: Entry) -> Entry | None:
        prev = e.header.prev
        if prev is None:
            return None
        if prev in self._loose:
            return self._loose[prev].entry
        return self._reader.entry(prev) if self._in_chain(e.header.seq - 1, prev) else None

    def _ancestor(self, e: Entry) -> EntryId | None:
        """The id that a loose entry's skip must name: what is linked below it leads there."""
        target, seq, at = skip_seq(e.header.seq), e.header.seq - 1, e.header.prev
        if target is None:
            return None
        while seq > target and at is not None and not self._in_chain(seq, at):
            h, far = self._loose[at].entry.header, skip_seq(seq)
            seq, at = (far, h.skip) if far is not None and far >= target else (seq - 1, h.prev)
        return at if seq == target else self._ids[target]

    # -- signatures

    def _vouch(self) -> None:
        """Drops entries that no signature within one run proves, and all above them. Entries below stay proved: a
        signature above that reaches them would also reach the dropped ones."""
        chain, beside = bytearray(len(self._ids)), set[EntryId]()
        for seq, signed in enumerate(self._signed):
            if signed:
                self._walk(chain, beside, seq, None)
        for node in self._loose.values():
            if node.signed:
                self._walk(chain, beside, node.entry.header.seq, node)
        unproved = chain.find(0)
        why = f"no signature is held within {MAX_RUN_ENTRIES:,} entries and {MAX_RUN_BYTES:,} bytes above it"
        if unproved >= 0:
            self._end(unproved, why)
        for node in sorted(self._loose.values(), key=lambda node: node.entry.header.seq):
            h = node.entry.header
            stands = h.prev is None or h.prev in self._loose or self._in_chain(h.seq - 1, h.prev)
            if stands and node.entry.id in beside:
                continue
            if stands:
                self._wrong.append(WrongEntry(h.seq, node.entry.id, why))
            del self._loose[node.entry.id]
            self._gone += 1

    def _walk(self, chain: bytearray, beside: set[EntryId], seq: int, node: _LooseNode | None) -> None:
        """Marks the entries that the signature at place `seq` proves. node: its entry, if that is beside the chain."""
        size, signed = 0, False
        for step in range(self._most):
            size += self._sizes[seq] if node is None else node.size
            signed = bool(self._signed[seq]) if node is None else node.signed
            if step and (signed or size > MAX_RUN_BYTES):
                return
            if node is None:
                chain[seq] = 1
                seq -= 1
            else:
                beside.add(node.entry.id)
                prev, seq = node.entry.header.prev, node.entry.header.seq - 1
                node = None if prev is None else self._loose.get(prev)
            if seq < 0:
                return


def _fault(e: Entry, parent: Entry | None, skip: EntryId | None) -> str | None:
    try:
        check_link(e, parent, skip)
    except BanyanError as error:
        return str(error)
    return None
