"""Makes the items that a node sends to peers: runs of counted entries, each ending in a signature, with held content.

Every accepted entry can be served: entries came in runs whose last entry was signed, and the entries between each and a
signature are held. A forked log is served with its evidence: two branches above the fork, each up to its next
signature. Other entries beside a log are not served until they count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from banyan_crdt.control import resolve_control
from banyan_crdt.entry import Entry, encode_header, part_bytes
from banyan_crdt.ids import AccountId, EntryId, Head, LogId, control_log, is_checkpoint
from banyan_crdt.logs import by_parent, granted_valid, to_signature
from banyan_crdt.run import (
    MAX_RUN_BYTES,
    MAX_RUN_ENTRIES,
    RUN_ROWS_BYTES,
    encode_run,
    encode_steps,
    run_row_bytes,
    skips_below,
)
from banyan_replica.intake.joints import proof
from banyan_replica.wire.messages import MAX_LOCATOR, CheckpointItem, Content, ControlItem, RunItem, Want
from banyan_storage.entry_records import RunLine, decode_line, record_after
from banyan_storage.reader import ArrivedEntry
from banyan_storage.reader import StoreReader as Reader

PIECE_BYTES = 256 << 10
"""The usual size of a piece of a log with content. A piece may be larger, because it ends in a signature."""
CONTENT_BYTES = 2 << 20
"""The most bytes of content in one item: with a run of 1 MiB it fits in a frame."""


def control_item(reader: Reader, account: AccountId, first: int = 0, stop: int | None = None) -> ControlItem | None:
    """The path of the control log from place `first` up to, but without, `stop`."""
    entries = reader.chain(control_log(account), first, stop)
    return _control(reader, account, entries) if entries else None


def control_items(reader: Reader, account: AccountId, first: int = 0) -> Iterator[ControlItem]:
    """The same, and after a tie the branches that show it or that decided it. Each item fits in a frame."""
    item = control_item(reader, account, first)
    if item is not None:
        yield item
    if reader.loose_rows(control_log(account), limit=1):
        control = resolve_control(reader.control(account), reader.checkpoints(account))
        if shown := control.keep[len(control.path) :]:
            yield _control(reader, account, shown)


def checkpoint_item(reader: Reader, log: LogId) -> Iterator[CheckpointItem]:
    """The held checkpoint of this log id, if there is one."""
    raw = reader.checkpoint_bytes(log.account, log.writer)
    if raw is not None:
        yield CheckpointItem(raw)


def checkpoint_items(reader: Reader, account: AccountId) -> Iterator[CheckpointItem]:
    """All checkpoints of an account."""
    yield from map(CheckpointItem, reader.all_checkpoint_bytes(account))


def _control(reader: Reader, account: AccountId, entries: Sequence[Entry]) -> ControlItem:
    return ControlItem(account, [[encode_header(e.header), e.sig, e.ops] for e in entries], _contents(reader, entries))


def run_item(reader: Reader, log: LogId, entries: Sequence[Entry]) -> RunItem:
    """A run of consecutive entries whose parent counts and whose last is signed."""
    first = entries[0].header
    parent = reader.entry(first.prev) if first.prev is not None else None
    below = skips_below(first.seq, len(entries))
    skips = [(seq, found) for seq in below if (found := reader.id_at(log, seq)) is not None]
    run = encode_run(entries, parent.header.total if parent else 0, skips)
    return RunItem(run, _contents(reader, entries))


def _contents(reader: Reader, entries: Sequence[Entry]) -> list[Content]:
    """The held content of these entries, as much as fits in a frame. The receiver asks for the rest."""
    contents, size = list[Content](), 0
    before: Entry | None = None
    for e in entries:
        pairs = list[tuple[int, bytes]]()
        # Entries of a run are consecutive. Those of a control log may not be, but there only the inception has content.
        if (before is None or part_bytes(e, before)) and (n := reader.number_of(e.id)) is not None:
            pairs = reader.contents([n]).get(n, [])
        before, size = e, size + sum([len(raw) + 8 for _, raw in pairs])
        if size > CONTENT_BYTES:
            break
        contents.append(content_of(pairs))
    return contents


def content_of(pairs: list[tuple[int, bytes]]) -> Content:
    """The wire form of (op index, bytes) pairs in ascending order."""
    if not pairs:
        return None
    return pairs[0][1] if len(pairs) == 1 and pairs[0][0] == 0 else pairs


def log_items(
    reader: Reader,
    log: LogId,
    start: int,
    most: Callable[[], int] = lambda: PIECE_BYTES,
    came: Sequence[ArrivedEntry] = (),
    pin: int = -1,
) -> Iterator[RunItem]:
    """The counted chain from `start` on, then the evidence if the log is forked.

    most: returns the usual size of the next piece. came: arrivals of the log that the caller has read already. pin: the
    place of an entry that the asker knows as pinned; runs below it carry the proof of it.
    """
    head = reader.head(log)
    at, window, length = start, _at_hand(reader, log, start, came), head.length
    below = next(iter(reader.lines(log, at - 1, at)), None) if at else None
    while at < length:
        cut, full = _cut_lines(window, below, aim := most())
        if not full and len(window) < min(length - at, MAX_RUN_ENTRIES):
            window += reader.lines(log, at + len(window), min(length, at + MAX_RUN_ENTRIES))
            cut, _ = _cut_lines(window, below, aim)
        if not window:  # the log has become shorter meanwhile
            return
        if cut:
            item = _lines_item(reader, log, at, below, window[:cut])
        else:  # the chain has no signature within a run, but a branch beside it has
            way = _vouching(reader, log, at, length)
            found = _fitting(reader, log, at, way)
            if found is None:
                return
            item, cut = found, sum(reader.id_at(log, e.header.seq) == e.id for e in way)
        if at + cut - 1 < pin:
            item = item._replace(proof=proof(reader, log, pin, at + cut - 1))
        ready = [item]
        del item  # it would stay in memory until a slow peer takes the next one
        yield ready.pop()
        below, window = window[cut - 1], window[cut:]
        at += cut
    if head.flag:
        yield from filter(None, map(partial(_branch, reader, log, head), _forked(reader, log, head)))


def _vouching(reader: Reader, log: LogId, at: int, length: int) -> list[Entry]:
    """The entries from counted entry `at` to the nearest signature, which may be on a branch."""
    chain = reader.chain(log, at, min(length, at + MAX_RUN_ENTRIES))
    return to_signature(by_parent([*chain, *reader.loose(log)]), chain[0])


def _forked(reader: Reader, log: LogId, head: Head) -> list[EntryId]:
    """Two children of the last counted entry."""
    grants = reader.grants(log.account)
    granted = grants.grant_of(log.writer, log.log) if grants else None
    if granted is None:
        return []
    return [e.id for e in reader.children(log, head.id, head.length) if granted_valid(reader.realm, granted, e)][:2]


def _branch(reader: Reader, log: LogId, head: Head, child: EntryId) -> RunItem | None:
    """One of them with the entries above it up to a signature. Each is read when its turn comes: a peer that is slow to
    read would keep megabytes in memory with the second one, or with all entries beside the log."""
    found = next((e for e in reader.children(log, head.id, head.length) if e.id == child), None)
    if found is None:  # it counts by now, or is forgotten
        return None
    return _fitting(reader, log, head.length, to_signature(by_parent(reader.loose(log)), found))


def _at_hand(reader: Reader, log: LogId, start: int, came: Sequence[ArrivedEntry]) -> list[RunLine]:
    """The arrivals that surely are the counted entries from `start` on, because each follows the one before."""
    if not came or came[0].seq != start:
        return []
    end = 1
    while end < len(came) and came[end].n == came[end - 1].n + 1 and record_after(came[end].record):
        end += 1
    if reader.id_at(log, came[end - 1].seq) != came[end - 1].id:
        return []
    return [decode_line(row.n, row.record) for row in came[:end]]


def _lines_item(reader: Reader, log: LogId, first: int, below: RunLine | None, lines: Sequence[RunLine]) -> RunItem:
    """A run of counted entries from place `first` on, the last signed. below: the entry before them."""
    skips = [(seq, found) for seq in skips_below(first, len(lines)) if (found := reader.id_at(log, seq)) is not None]
    steps = [(line.time, line.total, line.ops) for line in lines]
    prev, base, sig = (below.id if below else None), (below.total if below else 0), lines[-1].sig
    assert sig is not None
    held = reader.contents([line.n for line in lines])
    contents, size = list[Content](), 0
    for line in lines:
        pairs = held.get(line.n)
        if pairs is None:
            contents.append(None)
            continue
        size += sum([len(raw) + 8 for _, raw in pairs])
        if size > CONTENT_BYTES:
            break
        contents.append(content_of(pairs))
    return RunItem(encode_steps(log, first, prev, base, skips, steps, sig), contents)


def _cut_lines(lines: Sequence[RunLine], below: RunLine | None, aim: int) -> tuple[int, bool]:
    """(number of entries of a piece, whether entries are left for the next). A piece ends at the last signature within
    `aim` bytes and the most entries of a run, or at the first signature if that fits in a run."""
    start = below.total if below else 0
    cut = 0
    for k, line in enumerate(lines):
        if k == MAX_RUN_ENTRIES or (line.total - start + 64 * k > aim and cut):
            return cut, True
        if line.sig is not None:
            if not cut and line.total - start > RUN_ROWS_BYTES and not _fit(lines[: k + 1]):
                return 0, True
            cut = k + 1
    return cut, False


def _fit(lines: Sequence[RunLine]) -> bool:
    """Whether these entries surely fit in a run."""
    return sum([run_row_bytes(line.ops) for line in lines]) <= RUN_ROWS_BYTES


def _fitting(reader: Reader, log: LogId, at: int, way: Sequence[Entry]) -> RunItem | None:
    """The run of these entries, of which the first is at place `at`. If they came as the upper part of a run of the
    largest size, their run lists more skips and may be a few bytes too large; together with the entries below, it fits.
    """
    if not way or way[-1].sig is None:
        return None
    for below in range(min(at, MAX_RUN_ENTRIES - len(way)) + 1):
        entries = [*reader.chain(log, at - below, at), *way] if below else way
        item = run_item(reader, log, entries)
        if len(item.run) <= MAX_RUN_BYTES:
            return item
        if len(item.run) > MAX_RUN_BYTES + 2_048:
            return None
    return None


def start_of(reader: Reader, want: Want) -> int:
    """Where to start serving: above the newest entry of the locator that counts here."""
    for seq, entry in want.locator:
        if reader.id_at(want.log, seq) == entry:
            return seq + 1
    return 0


def pin_of(reader: Reader, log: LogId, pins: Sequence[tuple[int, EntryId]]) -> int:
    """The highest place of an entry that the asker knows as pinned and that counts here, or -1."""
    return max([seq for seq, entry in pins if reader.id_at(log, seq) == entry], default=-1)


def locator(reader: Reader, log: LogId) -> list[tuple[int, EntryId]]:
    """Held entries of a log, newest first, at growing distances, so that a peer finds in one trip where to start. They
    include the highest entries that do not count here, because the peer may count them. Empty for a checkpoint."""
    if is_checkpoint(log):
        return []
    seq, step, out = reader.head(log).length - 1, 1, list[tuple[int, EntryId]]()
    while seq >= 0:
        found = reader.id_at(log, seq)
        if found is not None:
            out.append((seq, found))
        if len(out) > 8:
            step *= 2
        if seq == 0:
            break
        seq = max(0, seq - step)
    return sorted(out + reader.highest_loose(log, MAX_LOCATOR - len(out)), reverse=True)
