"""Runs: consecutive entries of one log with ONE signature, that of the last.

Each entry links to the one before by hash, so a signature on the last one vouches for all: n entries cost n hashes and
one check. The bytes do not contain what the receiver can compute (ids, links, skips, totals), so this cannot be wrong.
A changed byte changes the last id, which was signed, so it is always noticed.

    run  = [account, writer, log, first, prev|null, total before, [[seq, id], ...], [[dt, part bytes, ops], ...], sig]
"""

from __future__ import annotations

import hashlib
import re
import struct
from collections.abc import Callable, Sequence
from itertools import accumulate
from operator import add
from typing import Any, NamedTuple

from banyan_crdt.codec import (
    A_SIZE,
    A_UINT,
    AN_ARRAY,
    BYTES_32,
    NULL,
    Value,
    array_at,
    array_head,
    bytes_head,
    decode,
    encode,
    uint,
)
from banyan_crdt.columns import Bodies, Columns, Entries
from banyan_crdt.entry import (
    HEADER_OPENS,
    MAX_OPS_BYTES,
    MAX_PART_BYTES,
    Entry,
    Header,
    b32,
    check_header,
    entry_ids,
    make_entry,
    skip_seq,
    skip_seqs,
)
from banyan_crdt.errors import Malformed, Oversized
from banyan_crdt.ids import AccountId, EntryId, LogId, Time, WriterKey, domain
from banyan_crdt.ops import Body, decode_body
from banyan_crdt.realm import Realm
from banyan_crdt.shapes import A_PUT, Puts, puts_in
from banyan_crdt.signing import SignatureClaim, verify

MAX_RUN_ENTRIES = 1_024
MAX_RUN_BYTES = 1 << 20
RUN_ARRAYS = 2 * MAX_RUN_ENTRIES + 64
"""The most arrays of a run: an entry is one, and so is a skip below the run, which no two entries share."""
RUN_ROWS_BYTES = MAX_RUN_BYTES - 1_024
"""The most bytes of a run's rows, counted by `run_row_bytes`. The rest is for its names, skips and signature."""


class Run(NamedTuple):
    """A decoded run. Its last entry has the signature; `verify_run` checks it.

    `first`: the sequence number of its first entry. `base`: the log's total before the run, bytes. `skips`: (seq, id)
    that the run claims for earlier entries; a receiver that holds these entries must compare them.
    """

    log: LogId
    first: int
    prev: EntryId | None
    base: int
    skips: tuple[tuple[int, EntryId], ...]
    entries: Sequence[Entry]
    bodies: Sequence[Body]
    puts: Puts | None = None
    """What the entries put, if surely every entry is one put without refs, with content of the size that it declares
    (the usual post). Otherwise None."""


def run_row_bytes(ops: bytes) -> int:
    """The most bytes that an entry takes in a run."""
    return len(ops) + 19


def skips_below(first: int, count: int) -> list[int]:
    """The sequence numbers below `first` that entries first .. first+count-1 skip to, sorted."""
    return sorted({s for s in skip_seqs(range(first, first + count)) if s is not None and s < first})


def encode_run(entries: Sequence[Entry], base_total: int, skips: Sequence[tuple[int, EntryId]]) -> bytes:
    """`entries`: consecutive, the last one signed. `base_total`: the log's total before them, bytes. `skips`: those of
    `skips_below`, with their ids. Raises ValueError if the last entry has no signature."""
    head, last = entries[0].header, entries[-1]
    if last.sig is None:
        raise ValueError(f"a run ends in a signed entry; entry {last.header.seq} of this log has no signature")
    steps = [(e.header.time, e.header.total, e.ops) for e in entries]
    log = LogId(head.account, head.writer, head.log)
    return encode_steps(log, head.seq, head.prev, base_total, skips, steps, last.sig)


def encode_steps(
    log: LogId,
    first: int,
    prev: EntryId | None,
    base_total: int,
    skips: Sequence[tuple[int, EntryId]],
    steps: Sequence[tuple[Time, int, bytes]],
    sig: bytes,
) -> bytes:
    """The same from the (time, total, ops) of each entry; nothing else of an entry is sent."""
    rows, time, total = [], 0, base_total
    for t, now, ops in steps:
        rows.append([t - time, now - total - len(ops), ops])
        time, total = t, now
    return encode([*log, first, prev, base_total, [[q, i] for q, i in skips], rows, sig])


def decode_run(realm: Realm, raw: bytes) -> Run:
    """Strict: computes every header and id. Raises Malformed or Oversized. Does not check the signature.

    Most runs of one entry are read by the positions of their bytes, in half the time.
    """
    return _single(realm, raw) or decode_any_run(realm, raw)


_OPS, _ENTRY, _SIG, _FIELDS = domain("ops"), domain("entry"), bytes_head(64), 9
_B32 = re.escape(BYTES_32) + b"(.{32})"


def _array(count: int) -> bytes:
    return re.escape(array_head(count))


_SINGLE = re.compile(
    b"".join(
        (_array(9), _B32, _B32, A_UINT, A_UINT)  # account, writer, log, first
        + (b"(?:", re.escape(NULL), b"|", _B32, b")", A_UINT)  # prev, total before
        + (b"(?:", _array(0), b"|", _array(1), _array(2), A_UINT, _B32, b")")  # skips
        + (_array(1), _array(3), A_UINT, A_UINT, A_SIZE)  # one row: dt, part bytes, length of ops
    ),
    re.DOTALL,
).match


def _single(realm: Realm, raw: bytes) -> Run | None:
    """The run of one entry, if `raw` surely is one. If None, `decode_any_run` reads it or says why it is no run.

    The entry's header and the run begin with the same bytes, so the header is joined from these.
    """
    m = _SINGLE(raw)
    if m is None:
        return None
    account, writer, log_, first_, prev, base_, skip_seq_, skip, dt, size_, width = m.groups()
    start, end = m.end(), m.end() + width[0]
    log, first, base, size, time = _int(log_), _int(first_), _int(base_), _int(size_), _int(dt)
    ops, total = raw[start:end], base + width[0] + size
    whole = len(raw) == end + 66 and raw[end : end + 2] == _SIG
    ranges = log and not log >> 32 and not first >> 48 and size <= MAX_PART_BYTES and not total >> 53
    linked = (
        (first or not base) and (prev is None) == (not first) and (_int(skip_seq_) if skip else None) == skip_seq(first)
    )
    if not (whole and ranges and linked and (first or not base)):
        return None
    ops_hash = hashlib.sha256(_OPS + ops).digest()
    links = raw[1 : m.start(6)] + b32(skip)
    hashed = b"".join((_ENTRY, realm.id, HEADER_OPENS, links, dt, uint(total), BYTES_32, ops_hash))
    new = tuple.__new__
    header = new(Header, (account, writer, log, first, prev, skip, time, total, ops_hash))
    entry = new(Entry, (EntryId(hashlib.sha256(hashed).digest()), header, ops, raw[end + 2 :]))
    skips = () if skip is None else ((_int(skip_seq_), skip),)
    log_id = new(LogId, (account, writer, log))
    return new(Run, (log_id, first, prev, base, skips, (entry,), *read_ops((ops,), (size,))))


def _int(raw: bytes) -> int:
    """The integer of an encoding by `uint`."""
    return raw[0] if len(raw) == 1 else int.from_bytes(raw[1:], "big")


class _Rows(NamedTuple):
    """The rows of a run as columns. puts: what they put, if that is known already."""

    steps: Sequence[int]
    sizes: Sequence[int]
    ops: Sequence[bytes]
    puts: Puts | None = None


_AN_ID = _array(2) + A_UINT + _B32
_TO_ROWS = re.compile(
    b"".join((_array(9), _B32, _B32, A_UINT, A_UINT, b"(?:", re.escape(NULL), b"|", _B32, b")", A_UINT))
    + b"".join((b"(?:", _array(0), b"|", AN_ARRAY, b"(?:", _AN_ID, b")+)(?=", AN_ARRAY, b")")),
    re.DOTALL,
).match
_PUTS = re.compile(_array(3) + A_UINT + A_UINT + A_SIZE + b"(" + A_PUT + rb"\2)", re.DOTALL).findall
_STEP, _NO_ROWS, _AT_ROWS = struct.Struct(">xQ"), array_head(0), 7


def _put_rows(raw: bytes) -> tuple[Value, _Rows] | None:
    """The run as a value without its rows, and these as columns, if surely each is one put with a part: most runs. They
    are read as one pattern, in a third of the time of `decode`. If None, `decode` reads the run or says why it is
    none."""
    m, end = _TO_ROWS(raw), len(raw) - len(_SIG) - 64
    if m is None:
        return None
    try:
        count, start = array_at(raw, m.end())
        v = decode(raw[: m.end()] + _NO_ROWS + raw[end:], 3, RUN_ARRAYS)
    except Malformed:
        return None
    found = _PUTS(raw, start, end)
    if len(v) != _FIELDS or v[_AT_ROWS] != [] or not found or len(found) != count:
        return None
    dts, sizes, widths, ops, colls, keys, parts = zip(*found, strict=True)
    steps, lengths = b"".join(dts), bytes(map(len, ops))
    if start + 3 * count + len(steps) + sum(map(len, sizes)) + sum(lengths) != end or b"".join(widths) != lengths:
        return None  # there is something between the rows
    wide = len(steps) == _STEP.size * count
    numbers = {one: _int(one) for one in ({*sizes} if wide else {*dts, *sizes})}
    times = [step for (step,) in _STEP.iter_unpack(steps)] if wide else [numbers[dt] for dt in dts]
    declared = tuple([numbers[size] for size in sizes])
    return v, _Rows(times, declared, ops, Puts(colls, keys, parts, declared))


def decode_any_run(realm: Realm, raw: bytes, quickly: Callable[[bytes], tuple[Value, _Rows] | None] = _put_rows) -> Run:
    """The same as `decode_run`, without the fast path for one entry. quickly: that for many."""
    if len(raw) > MAX_RUN_BYTES:
        raise Oversized(f"a run has {len(raw)} bytes; {MAX_RUN_BYTES} is the most")
    found = quickly(raw)
    v = decode(raw, 3, RUN_ARRAYS) if found is None else found[0]
    if type(v) is not list or len(v) != _FIELDS:
        raise Malformed("a run is an array of 9")
    account, writer, log, first, prev, base, skips, listed, sig = v
    if type(sig) is not bytes or len(sig) != 64:
        raise Malformed("a run ends in a signature of 64 bytes")
    if type(account) is not bytes or len(account) != 32 or log == 0:
        raise Malformed("runs are of granted logs; control entries travel one by one, each with its own signature")
    count = len(found[1].ops) if found else len(listed) if type(listed) is list else 0
    if not 1 <= count <= MAX_RUN_ENTRIES:
        raise Malformed(f"a run has 1 to {MAX_RUN_ENTRIES} entries")
    if type(first) is not int or first >> 48 or type(base) is not int or base >> 53:
        raise Malformed("first and total before are unsigned integers of 48 and 53 bits")
    if base and not first:
        raise Malformed(f"a run from entry 0 on says that {base} bytes came before it")
    known = _skips(skips, first, count)
    target = skip_seq(first)
    skip = None if target is None else known.get(target)
    zero = Header(AccountId(account), writer, log, first, prev, skip, 0, base, bytes(32))
    check_header(zero)
    rows = found[1] if found else _listed(listed)
    columns = _columns(realm, zero, rows, known)
    log_id = LogId(AccountId(account), WriterKey(writer), log)
    entries = Entries(zero, columns, sig)
    read = (Bodies(rows.ops), rows.puts) if rows.puts else read_ops(rows.ops, rows.sizes)
    return Run(log_id, first, prev, base, tuple(known.items()), entries, *read)


def read_ops(ops: Sequence[bytes], sizes: Sequence[int]) -> tuple[Sequence[Body], Puts | None]:
    """The bodies of entries, and what they put (see `Run.puts`). `sizes`: the bytes of parts that each declares.

    Raises Malformed or Oversized.
    """
    puts = puts_in(ops, sizes)
    if puts is None:
        return tuple(map(decode_body, ops)), None
    return Bodies(ops), puts


def _skips(skips: object, first: int, count: int) -> dict[int, EntryId]:
    if type(skips) is not list:
        raise Malformed("skips are [[seq, id], ...]")
    known: dict[int, EntryId] = {}
    for pair in skips:
        if type(pair) is not list or len(pair) != 2 or type(pair[1]) is not bytes or len(pair[1]) != 32:
            raise Malformed("skips are [[seq, id], ...]")
        known[pair[0]] = EntryId(pair[1])
    if [p[0] for p in skips] != skips_below(first, count):
        raise Malformed("a run lists exactly the skip targets below it, in order")
    return known


def _listed(rows: list[Any]) -> _Rows:
    if set(map(type, rows)) != {list} or set(map(len, rows)) != {3}:
        raise Malformed("an entry of a run is [dt, part bytes, ops]")
    steps, sizes, ops = zip(*rows, strict=True)
    if {*map(type, steps), *map(type, sizes)} != {int} or set(map(type, ops)) != {bytes}:
        raise Malformed("an entry of a run is [dt, part bytes, ops]")
    return _Rows(steps, sizes, ops)


def _columns(realm: Realm, zero: Header, rows: _Rows, known: dict[int, EntryId]) -> Columns:
    """The rows as columns. `zero`: the first header, without the values of the rows.

    This function and `entry_ids` are the hot loops of reading what others wrote.
    """
    steps, sizes, ops, _ = rows
    start, widths = zero.seq, list(map(len, ops))
    if 0 in steps[1:]:
        at = start + steps.index(0, 1)
        raise Malformed(f"time must rise: entry {at} has that of entry {at - 1}")
    if (most := max(sizes)) > MAX_PART_BYTES:
        raise Oversized(
            f"entry {start + sizes.index(most)} declares {most} bytes of parts; {MAX_PART_BYTES} is the most"
        )
    if (most := max(widths)) > MAX_OPS_BYTES:
        raise Oversized(f"ops have {most} bytes; {MAX_OPS_BYTES} is the most")
    times, totals = list(accumulate(steps)), list(accumulate(map(add, widths, sizes), initial=zero.total))[1:]
    if times[-1] >> 64 or totals[-1] >> 53 or (start + len(ops) - 1) >> 48:
        raise Malformed(f"time, total or seq is out of range in the entries from {start} on")
    sha256 = hashlib.sha256
    hashes = [sha256(_OPS + o).digest() for o in ops]
    ids, skips = entry_ids(realm, zero, times, totals, hashes, known)
    return Columns(ids, skips, times, totals, hashes, ops)


def verify_run(realm: Realm, run: Run) -> None:
    """Checks the one signature of the run. Raises BadSignature."""
    verify(realm, *signed(run.entries[-1]))


def encode_control(entry: Entry, header: bytes) -> list[bytes]:
    """A control entry as it is sent: [header, sig, ops]. Raises ValueError if it has no signature."""
    if entry.sig is None:
        raise ValueError(f"control entry {entry.header.seq} has no signature, so it cannot travel")
    return [header, entry.sig, entry.ops]


def decode_control(realm: Realm, value: object) -> Entry:
    """One control entry from [header, sig, ops]. Checks the signature. Raises Reject or NotYet (version)."""
    entry = read_control(realm, value)
    verify(realm, *signed(entry))
    return entry


def signed(entry: Entry) -> SignatureClaim:
    """The signature of an entry, to be checked. Raises Malformed if it has none."""
    if entry.sig is None:
        raise Malformed(f"entry {entry.header.seq} of its log has no signature")
    return SignatureClaim(entry.header.writer, entry.id, entry.sig)


def read_control(realm: Realm, value: object) -> Entry:
    """The same as `decode_control`, without checking the signature."""
    if type(value) is not list or len(value) != 3 or any(type(x) is not bytes for x in value):
        raise Malformed("a control entry travels as [header, sig, ops]")
    header, sig, ops = value
    if len(sig) != 64:
        raise Malformed("a signature has 64 bytes")
    entry = make_entry(realm, header, ops, sig)
    if entry.header.log:
        raise Malformed(f"log {entry.header.log} is not a control log: its entries travel in runs")
    decode_body(ops)
    return entry
