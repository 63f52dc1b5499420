"""An archive: accounts as one stream of frames with checksums, for transport on a disk or for long-term storage.

    archive  = frame*                             the first is `start`, the last is `end`
    frame    = length u32 | SHA-256(body) | body  big-endian; body = CBOR [kind, account, ...], at most 4 MiB
    start    = [0, empty, magic, realm id]
    control  = [1, account, [[header, sig, ops], ...]]       every held control entry
    checkpoint = [6, account, bytes]                         those of the account, after its control entries
    run      = [2, account, run]                             as on the wire; of a log of the account, in order
    parts    = [3, account, [[entry id, op, bytes], ...]]    parts of entries in earlier frames of the account
    done     = [4, account]                                  the account is complete; an export may resume after it
    end      = [5, empty, frontier digest]                   the archive is complete; the digest is over what it has

An archive proves nothing: on import every entry is judged like one from a peer. A damaged or incomplete frame ends the
reading with a sentence that names its first byte; everything before it is good.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, TypeAlias

from banyan_crdt.checkpoint import encode_checkpoint
from banyan_crdt.codec import encode, read_value
from banyan_crdt.entry import Entry, encode_header
from banyan_crdt.errors import Malformed
from banyan_crdt.frontier import frontier_digest
from banyan_crdt.ids import AccountId, EntryId, LogId, RealmId
from banyan_crdt.ops import Op, decode_body, part_of
from banyan_crdt.run import MAX_RUN_BYTES, MAX_RUN_ENTRIES, encode_control, encode_run, skips_below
from banyan_storage.errors import StorageError
from banyan_storage.reader import StoreReader

MAGIC = b"banyan archive 1"
MAX_FRAME = 4 << 20
PARTS_FRAME = 1 << 20
RUN_BYTES = MAX_RUN_BYTES * 3 // 4
_HEAD = 36
_BEGINS = len(encode([0, b"", MAGIC, bytes(32)])).to_bytes(4, "big")
"""The first bytes of every archive: the length of its start frame."""


class ArchiveDamaged(StorageError):
    """A frame is incomplete or damaged. offset: its first byte; everything before it is good."""

    def __init__(self, offset: int, sentence: str) -> None:
        super().__init__(f"at byte {offset} of the archive: {sentence}; everything before it is good and can be used")
        self.offset = offset


class NotAnArchive(ArchiveDamaged):
    """The file does not start like an archive."""

    def __init__(self) -> None:
        super().__init__(0, "this is not how an archive begins")


class NotResumable(StorageError):
    """An export must not go on in this file, nor write over it. The text says why, as the end of a sentence."""


@dataclass(frozen=True, slots=True)
class StartFrame:
    realm: RealmId


@dataclass(frozen=True, slots=True)
class ControlFrame:
    """Each entry as [header, sig, ops], as on the wire."""

    account: AccountId
    entries: list[list[bytes]]


@dataclass(frozen=True, slots=True)
class CheckpointFrame:
    account: AccountId
    checkpoint: bytes


@dataclass(frozen=True, slots=True)
class RunFrame:
    account: AccountId
    run: bytes


@dataclass(frozen=True, slots=True)
class PartsFrame:
    """(entry, op index, the part's bytes)."""

    account: AccountId
    parts: list[tuple[EntryId, int, bytes]]


@dataclass(frozen=True, slots=True)
class DoneFrame:
    """The account is complete; an export can be resumed after it."""

    account: AccountId


@dataclass(frozen=True, slots=True)
class EndFrame:
    """The archive is complete. digest: the frontier when it was written, of the store or of the only account, 32
    bytes."""

    digest: bytes


Frame: TypeAlias = StartFrame | ControlFrame | CheckpointFrame | RunFrame | PartsFrame | DoneFrame | EndFrame
Gives: TypeAlias = Callable[[AccountId, Op], bool]
Progress: TypeAlias = Callable[[AccountId, int], None]
"""Called after each account with the number of bytes written so far."""


def export_archive(
    reader: StoreReader, stream: BinaryIO, progress: Progress, resume_from: AccountId | None = None
) -> None:
    """Writes all accounts in order. resume_from: the last complete account of a partial archive, which must first be
    cut after that account; this output is appended to it (`whole_until` finds both)."""
    out = _FrameWriter(stream)
    if resume_from is None:
        out.frame(_start(reader))
    for account in reader.accounts(resume_from):
        if account != resume_from:
            _export_account(reader, account, out)
            progress(account, out.written)
    out.frame([5, b"", frontier_digest(reader.all_heads())])
    stream.flush()


def export_account(reader: StoreReader, account: AccountId, stream: BinaryIO, gives: Gives | None = None) -> None:
    """Writes an archive of one account. Its end frame has the digest of that account alone. gives: whether content of a
    counted operation is in it, and of what does not count none is; default: everything that is held."""
    out = _FrameWriter(stream, gives)
    out.frame(_start(reader))
    _export_account(reader, account, out)
    out.frame([5, b"", reader.account_digest(account)])
    stream.flush()


def export_proof(reader: StoreReader, log: LogId, seq: int, op: int, stream: BinaryIO) -> bool:
    """Writes what proves one operation of a granted log: an archive of the account with its control log, its
    checkpoints, the run from the entry up to the signature above it, and the operation's content. It lacks the rest of
    the log. Returns whether the signature and the content are here; otherwise nothing is written."""
    last = reader.next_signed(log, seq)
    run = [] if last is None else reader.chain(log, seq, last + 1)
    raw = reader.part(run[0].id, op) if run else None
    if raw is None or run[-1].sig is None:
        return False
    out, account = _FrameWriter(stream), log.account
    out.frame(_start(reader))
    _export_control(reader, account, out)
    out.frame([2, account, _encode(reader, log, run)])
    out.frame([3, account, [[run[0].id, op, raw]]])
    out.frame([5, b"", reader.account_digest(account)])
    stream.flush()
    return True


def _start(reader: StoreReader) -> list[Any]:
    return [0, b"", MAGIC, reader.realm.id]


def _framed(value: list[Any]) -> bytes:
    body = encode(value)
    if len(body) > MAX_FRAME:
        raise StorageError(f"a frame of {len(body)} bytes cannot be archived; {MAX_FRAME} is the most")
    return len(body).to_bytes(4, "big") + hashlib.sha256(body).digest() + body


class _FrameWriter:
    def __init__(self, stream: BinaryIO, gives: Gives | None = None) -> None:
        self._stream = stream
        self.gives = gives
        self.written = 0

    def frame(self, value: list[Any]) -> None:
        raw = _framed(value)
        self._stream.write(raw)
        self.written += len(raw)


def _export_account(reader: StoreReader, account: AccountId, out: _FrameWriter) -> None:
    _export_parts(reader, account, _export_control(reader, account, out), out)
    for log in reader.logs(account):
        if log.log:
            for run in _runs(reader, log):
                out.frame([2, account, _encode(reader, log, run)])
                _export_parts(reader, account, run, out)
            for branch in _branches(reader, log):
                out.frame([2, account, _encode(reader, log, branch)])
                _export_parts(reader, account, branch, out, counts=False)
    out.frame([4, account])


def _export_control(reader: StoreReader, account: AccountId, out: _FrameWriter) -> list[Entry]:
    """The control log and the checkpoints. Returns the entries of the first."""
    control = list(reader.control(account))
    block: list[list[bytes]] = []
    size = 0
    for e in control:
        block.append(encode_control(e, encode_header(e.header)))
        size += sum(map(len, block[-1])) + 16
        if size > PARTS_FRAME:
            out.frame([1, account, block])
            block, size = [], 0
    if block:
        out.frame([1, account, block])
    for checkpoint in reader.checkpoints(account):
        out.frame([6, account, encode_checkpoint(checkpoint)])
    return control


def _runs(reader: StoreReader, log: LogId) -> Iterator[list[Entry]]:
    """The counted entries of a log as runs that end in a signature and stay below the limits of a run."""
    first, stop = 0, reader.head(log).length
    while first < stop:
        block = reader.chain(log, first, first + MAX_RUN_ENTRIES)
        end = _run_end(block)
        if end == 0:
            return  # the chain ends unsigned; `_branches` exports its end together with a signed branch
        yield block[:end]
        first += end


def _run_end(block: list[Entry]) -> int:
    """How many of these entries form the longest run."""
    end = size = 0
    for k, e in enumerate(block):
        size += len(e.ops) + 24
        if end and size > RUN_BYTES:
            break
        if e.sig is not None:
            end = k + 1
    return end


def _branches(reader: StoreReader, log: LogId) -> Iterator[list[Entry]]:
    """Runs that end in a signed loose entry. Each starts after the last signed or exported entry below it."""
    held = {e.id: e for e in reader.loose(log)}
    given: set[EntryId] = set()
    for leaf in sorted(held.values(), key=lambda e: (e.header.seq, e.id)):
        if leaf.sig is None:
            continue
        run = [leaf]
        while len(run) < MAX_RUN_ENTRIES and (at := run[-1].header.prev) is not None and at not in given:
            below = held.get(at) or reader.entry(at)
            if below is None or below.sig is not None:
                break
            run.append(below)
        given.update(e.id for e in run)
        yield run[::-1]


def _encode(reader: StoreReader, log: LogId, run: list[Entry]) -> bytes:
    """A run's bytes, with skip targets and the total of its own ancestors."""
    first = run[0].header
    ids: dict[int, EntryId] = {}
    for e in run:
        h = e.header
        for q in skips_below(h.seq, 1):
            if h.skip is not None and q < first.seq:
                ids[q] = h.skip
    parent = None if first.prev is None else reader.entry(first.prev)
    base = parent.header.total if parent else 0
    return encode_run(run, base, sorted(ids.items()))


def _export_parts(
    reader: StoreReader, account: AccountId, entries: list[Entry], out: _FrameWriter, counts: bool = True
) -> None:
    block: list[list[Any]] = []
    size = 0
    for e in entries:
        for at, op in enumerate(decode_body(e.ops).ops):
            raw = reader.part(e.id, at) if part_of(op) is not None else None
            if raw is not None and (
                out.gives is None or ((counts or reader.is_counted(e.id)) and out.gives(account, op))
            ):
                block.append([e.id, at, raw])
                size += len(raw) + 48
                if size > PARTS_FRAME:
                    out.frame([3, account, block])
                    block, size = [], 0
    if block:
        out.frame([3, account, block])


def read_archive(stream: BinaryIO) -> Iterator[Frame]:
    """The frames in order. Raises ArchiveDamaged at the first incomplete or damaged frame, or if the end is missing;
    NotAnArchive if the file is something else."""
    return (frame for _, frame in _frames(stream))


def whole_until(stream: BinaryIO, reader: StoreReader) -> tuple[int, AccountId | None]:
    """(how many bytes of a partial archive to keep, the account to resume after). (0, None): start again.

    Raises NotResumable unless the file is the beginning of an archive that this store wrote, or an empty file.
    """
    start = _framed(_start(reader))
    begins = stream.read(len(start))
    if not start.startswith(begins):
        raise NotResumable("it does not begin as an archive of this realm")
    stream.seek(0)
    keep, account = 0, None
    try:
        for end, frame in _frames(stream):
            if isinstance(frame, DoneFrame):
                keep, account = end, frame.account
                if not reader.logs(account):
                    raise NotResumable("it has an account that is not held here, so another store wrote it")
            if isinstance(frame, EndFrame) and frame.digest != frontier_digest(reader.all_heads()):
                raise NotResumable("it is whole, and of a store that held something else")
    except ArchiveDamaged:
        pass
    return keep, account


def _frames(stream: BinaryIO) -> Iterator[tuple[int, Frame]]:
    """(offset after the frame, frame)."""
    at = 0
    while True:
        head = stream.read(_HEAD)
        if at == 0 and not head[:4].startswith(_BEGINS[: len(head)]):
            raise NotAnArchive
        if not head:
            raise ArchiveDamaged(at, "it ends here, without the frame that says that it is whole")
        length = int.from_bytes(head[:4], "big")
        if len(head) < _HEAD:
            raise ArchiveDamaged(at, f"a frame begins and breaks off after {len(head)} bytes")
        if length > MAX_FRAME:
            raise ArchiveDamaged(at, f"a frame claims {length} bytes, more than the {MAX_FRAME} that one may have")
        body = stream.read(length)
        if len(body) < length:
            raise ArchiveDamaged(at, f"a frame of {length} bytes breaks off after {len(body)}")
        if hashlib.sha256(body).digest() != head[4:]:
            raise ArchiveDamaged(at, f"the checksum of a frame of {length} bytes does not match")
        frame = _parse(body, at)
        if (at == 0) != isinstance(frame, StartFrame):
            raise NotAnArchive if at == 0 else ArchiveDamaged(at, "a second archive begins here")
        at += _HEAD + length
        yield at, frame
        if isinstance(frame, EndFrame):
            return


def _parse(body: bytes, at: int) -> Frame:
    try:
        kind, account, *rest = read_value(body)
        if kind == 0 and rest[0] == MAGIC:
            return StartFrame(RealmId(_raw(rest[1], 32)))
        if kind == 5:
            return EndFrame(_raw(rest[0], 32))
        account = AccountId(_raw(account, 32))
        if kind == 1:
            return ControlFrame(account, [[_raw(x) for x in _array(e)] for e in _array(rest[0])])
        if kind == 2:
            return RunFrame(account, _raw(rest[0]))
        if kind == 3:
            return PartsFrame(account, [_part(*_array(row)) for row in _array(rest[0])])
        if kind == 4:
            return DoneFrame(account)
        if kind == 6:
            return CheckpointFrame(account, _raw(rest[0]))
    except (Malformed, ValueError, TypeError, IndexError) as error:
        raise ArchiveDamaged(at, f"a frame cannot be understood ({error})") from error
    raise ArchiveDamaged(at, f"a frame of kind {kind!r:.40} is not known; it may be from a newer program")


def _raw(v: Any, size: int | None = None) -> bytes:
    """A byte string. Nothing is converted: `bytes` of a number is as many zeros, so nine bytes would take gigabytes."""
    if type(v) is not bytes or size not in (None, len(v)):
        raise ValueError(f"{'bytes' if size is None else f'{size} bytes'} are expected, not {v!r:.40}")
    return v


def _array(v: Any) -> list[Any]:
    if type(v) is not list:
        raise ValueError(f"an array is expected, not {v!r:.40}")
    return v


def _part(entry: Any, op: Any, raw: Any) -> tuple[EntryId, int, bytes]:
    if type(op) is not int or op >> 16:
        raise ValueError(f"the number of an operation is expected, not {op!r:.40}")
    return EntryId(_raw(entry, 32)), op, _raw(raw)
