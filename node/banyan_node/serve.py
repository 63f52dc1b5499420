"""What a node gives to those who ask: runs of what it holds, each ending in a signature, with the content it has.

Every entry that was accepted can be served, because entries came in runs whose last was signed and what is trimmed is
trimmed to whole paths. A forked log is served with both its branches: that is the evidence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from banyan_crdt.entry import Entry, encode_header, part_bytes
from banyan_crdt.ids import AccountId, EntryId, LogId
from banyan_crdt.ops import decode_body, part_of
from banyan_crdt.run import MAX_RUN_BYTES, MAX_RUN_ENTRIES, encode_run, encode_steps, skips_below
from banyan_node.wire import Content, ControlItem, RunItem, Want
from banyan_storage.reader import Arrival
from banyan_storage.reader import StoreReader as Reader
from banyan_storage.records import Line, decode_line, record_after

PIECE_BYTES = 256 << 10
"""How much one piece of a log aims at, content included; at least up to the next signature."""
CONTROL_BYTES = 1 << 20
"""Where a piece of a control log ends; a log of so many bytes is no one's daily work."""
CONTENT_BYTES = 2 << 20
"""Content in one item, bytes at most: beside a run of 1 MiB it fits a frame, however far apart a writer signs."""


def control_item(reader: Reader, account: AccountId) -> ControlItem | None:
    """The control log whole, as it must be judged."""
    entries = reader.control(account)
    if not entries:
        return None
    return _control(reader, account, entries)


def control_pieces(reader: Reader, account: AccountId) -> Iterator[ControlItem]:
    """The control log for a stream of frames: whole where it fits one, else from its inception up, piece by piece."""
    entries = sorted(reader.control(account), key=lambda e: e.header.seq)
    piece, size = list[Entry](), 0
    for e in entries:
        if piece and size > CONTROL_BYTES:
            yield _control(reader, account, piece)
            piece, size = [], 0
        piece.append(e)
        size += len(e.ops) + 400
    if piece:
        yield _control(reader, account, piece)


def _control(reader: Reader, account: AccountId, entries: Sequence[Entry]) -> ControlItem:
    return ControlItem(account, [[encode_header(e.header), e.sig, e.ops] for e in entries], _contents(reader, entries))


def run_item(reader: Reader, log: LogId, entries: Sequence[Entry], trunk: dict[int, EntryId]) -> RunItem:
    """Consecutive entries, the last signed. `trunk`: ids by seq of ancestors that are not on the counted chain."""
    first = entries[0].header
    parent = reader.entry(first.prev) if first.prev is not None else None
    skips = []
    for seq in skips_below(first.seq, len(entries)):
        found = trunk.get(seq) or reader.id_at(log, seq)
        if found is not None:
            skips.append((seq, found))
    run = encode_run(entries, parent.header.total if parent else 0, skips)
    return RunItem(run, _contents(reader, entries))


def _contents(reader: Reader, entries: Sequence[Entry]) -> list[Content]:
    """What is held of their content, as much as fits a frame; of the rest it is known that it lacks."""
    contents, size = list[Content](), 0
    before: Entry | None = None
    for e in entries:
        pairs = []
        # entries of a run follow one another; of a control log, which may branch, only the inception names content
        if before is None or part_bytes(e, before):
            for i, op in enumerate(decode_body(e.ops).ops):
                if part_of(op) is not None and (raw := reader.part(e.id, i)) is not None:
                    size += len(raw) + 8
                    pairs.append((i, raw))
        before = e
        if size > CONTENT_BYTES:
            break
        contents.append(content_of(pairs))
    return contents


def content_of(pairs: list[tuple[int, bytes]]) -> Content:
    """(op index, bytes), ascending, as it travels."""
    if not pairs:
        return None
    return pairs[0][1] if len(pairs) == 1 and pairs[0][0] == 0 else pairs


def log_items(
    reader: Reader,
    log: LogId,
    start: int,
    most: Callable[[], int] = lambda: PIECE_BYTES,
    came: Sequence[Arrival] = (),
) -> Iterator[RunItem]:
    """The counted chain from `start` on, then what is held loose above it (branches of a fork, a signed tail).

    `most`: bytes that the next piece of the chain aims at. `came`: of the log, where arrivals of it are at hand.
    """
    length = reader.head(log).length
    branches = _branches(loose) if (loose := reader.loose(log)) else []
    at, window = start, _at_hand(reader, log, start, came)
    below = next(iter(reader.lines(log, at - 1, at)), None) if at else None
    while at < length:
        cut, full = _cut_lines(window, below, aim := most())
        if not full and len(window) < min(length - at, MAX_RUN_ENTRIES):
            window += reader.lines(log, at + len(window), min(length, at + MAX_RUN_ENTRIES))
            cut, _ = _cut_lines(window, below, aim)
        if not window:  # the log was rewritten shorter meanwhile
            return
        if cut == 0:  # no signature up to the end: a branch carries it
            rest = reader.chain(log, at, length)
            for branch in branches or [[]]:
                joined = [*rest, *branch]
                end = next((k + 1 for k, e in enumerate(joined) if k >= len(rest) - 1 and e.sig is not None), 0)
                item = _fitting(reader, log, joined[:end], {})
                if item is not None:
                    yield item
                    break
            break
        yield _lines_item(reader, log, at, below, window[:cut])
        below, window = window[cut - 1], window[cut:]
        at += cut
    for branch in branches:
        trunk = {e.header.seq: e.id for e in branch}
        rest = branch
        while rest and (cut := _cut(rest[:MAX_RUN_ENTRIES])):
            item = _fitting(reader, log, rest[:cut], trunk)
            if item is None:
                break
            yield item
            rest = rest[cut:]


def _at_hand(reader: Reader, log: LogId, start: int, came: Sequence[Arrival]) -> list[Line]:
    """Those of the arrivals that surely are the counted entries from `start` on: each hangs on the one before."""
    if not came or came[0].seq != start:
        return []
    end = 1
    while end < len(came) and came[end].n == came[end - 1].n + 1 and record_after(came[end].record):
        end += 1
    if reader.id_at(log, came[end - 1].seq) != came[end - 1].id:
        return []
    return [decode_line(row.n, row.record) for row in came[:end]]


def _lines_item(reader: Reader, log: LogId, first: int, below: Line | None, lines: Sequence[Line]) -> RunItem:
    """Counted entries from seq `first` on, the last signed. `below`: the entry before them."""
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


def _cut_lines(lines: Sequence[Line], below: Line | None, aim: int) -> tuple[int, bool]:
    """How many entries make a piece: up to the last signature within `aim` bytes, at least to the first. And whether
    entries were left over for the next."""
    start = below.total if below else 0
    cut = 0
    for k, line in enumerate(lines):
        if line.total - start + 64 * k > aim and cut:
            return cut, True
        if line.sig is not None:
            cut = k + 1
    return cut, False


def _fitting(reader: Reader, log: LogId, entries: Sequence[Entry], trunk: dict[int, EntryId]) -> RunItem | None:
    """The item, or None where no run is so long: the signature that came with these entries was on a branch that is
    no longer held, and the next one above is too far. Whoever were sent it would charge us."""
    if not 1 <= len(entries) <= MAX_RUN_ENTRIES:
        return None
    item = run_item(reader, log, entries, trunk)
    return item if len(item.run) <= MAX_RUN_BYTES else None


def start_of(reader: Reader, want: Want) -> int:
    """Where to begin serving: just above the newest entry of the locator that is on the counted chain here."""
    for seq, entry in want.locator:
        if reader.id_at(want.log, seq) == entry:
            return seq + 1
    return 0


def locator(reader: Reader, log: LogId) -> list[tuple[int, EntryId]]:
    """Entries held of a log, newest first, ever sparser: whoever answers finds the fork in one trip."""
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
    return out


def _cut(entries: Sequence[Entry]) -> int:
    """How many entries make a piece: up to the last signature within PIECE_BYTES, at least to the first."""
    size, cut = 0, 0
    for k, e in enumerate(entries):
        grown = e.header.total - (entries[k - 1].header.total if k else e.header.total - len(e.ops))
        size += grown + 64
        if size > PIECE_BYTES and cut:
            break
        if e.sig is not None:
            cut = k + 1
    return cut


def _branches(loose: Sequence[Entry]) -> list[list[Entry]]:
    """Loose entries as paths, one to each leaf, from its top down."""
    held = {e.id: e for e in loose}
    parents = {e.header.prev for e in loose}
    out = []
    for leaf in sorted((e for e in loose if e.id not in parents), key=lambda e: e.id):
        path = [leaf]
        while (above := path[-1].header.prev) is not None and above in held:
            path.append(held[above])
        out.append(path[::-1])
    return out
