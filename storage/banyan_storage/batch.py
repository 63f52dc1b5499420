"""Makes the rows of a batch of appends, and those of a chain as stretches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from banyan_crdt.columns import Entries
from banyan_crdt.entry import Entry
from banyan_crdt.ids import Coll, EntryId
from banyan_crdt.ops import Body, part_of
from banyan_storage import tables as t
from banyan_storage.blob_names import row_of_op, rows_of
from banyan_storage.engine import Item
from banyan_storage.entry_records import encode_record, encode_records
from banyan_storage.viewhook import Append


class AppendedRows:
    """The rows of appended entries, collected over a batch so that each table is written once."""

    def __init__(self, last: int) -> None:
        self.last = last
        self.records: list[Item] = []
        self.places: list[Item] = []
        self.parts: list[Item] = []
        self._media: list[Item] = []
        self._alone: list[tuple[bytes, Coll, bytes]] = []
        """Of puts that came alone: place, collection and content."""
        self.ids: dict[bytes, bytes] = {}
        self.wanted: dict[bytes, bytes] = {}
        self.recent: dict[int, tuple[Entry, Body]] = {}
        self._end: EntryId | None = None

    def media(self) -> list[Item]:
        """Of the parts that name blobs."""
        return self._media + (rows_of(*zip(*self._alone, strict=True)) if self._alone else [])

    def take(self, lid: int, append: Append) -> None:
        """Adds the entries of one log as the next arrivals."""
        entries, first = append.entries, self.last + 1
        if len(entries) == 1:
            self._take_one(lid, append, first)
            return
        arrivals = t.u48s(range(first, first + len(entries)))
        after = self._end is not None and entries[0].header.prev == self._end
        if isinstance(entries, Entries):
            records, ids = encode_records(lid, entries, after), entries.columns.ids
            signed = [len(ids)]
        else:
            records, ids = (
                [encode_record(lid, e, k > 0 or after) for k, e in enumerate(entries)],
                [e.id for e in entries],
            )
            signed = [k for k, e in enumerate(entries, 1) if e.sig is not None]
        self.records += zip(arrivals, records, strict=True)
        self.ids.update(zip([id_[t.ID.half] for id_ in ids], arrivals, strict=True))
        if append.puts:
            raws = [raw for raw in append.parts if raw is not None]
            places = [arrival + b"\0\0" for arrival in arrivals]
            self.parts += zip(places, raws, strict=True)
            self._media += rows_of(places, append.puts.colls, raws)
        else:
            self._take_parts(append, first)
        seq, before = entries[0].header.seq, 0
        self.last, self._end = first + len(ids) - 1, ids[-1]
        for end in signed:
            self.places += cut(lid, seq + before, first + before, end - before, True)
            before = end
        self.places += cut(lid, seq + before, first + before, len(ids) - before, False)

    def _take_one(self, lid: int, append: Append, n: int) -> None:
        """As `take`, but faster for one entry."""
        e, arrival = append.entries[0], t.u48(n)
        prev = e.header.prev
        self.records.append((arrival, encode_record(lid, e, prev is not None and prev == self._end)))
        self.ids[e.id[t.ID.half]] = arrival
        if append.puts and (raw := append.parts[0]) is not None:
            place = arrival + b"\0\0"
            self.parts.append((place, raw))
            self._alone.append((place, append.puts.colls[0], raw))
        else:
            self._take_parts(append, n)
        self.places.append((t.chain_key(lid, e.header.seq), t.chain_value(n, 1, e.sig is not None)))
        self.last, self._end = n, e.id

    def _take_parts(self, append: Append, first: int) -> None:
        left = iter(append.parts)
        for n, (e, body) in enumerate(zip(append.entries, append.bodies, strict=True), first):
            for at, op in enumerate(body.ops):
                part = part_of(op)
                if part is None:
                    continue
                raw = next(left, None)
                if raw is not None:
                    self.parts.append((t.part_key(n, at), raw))
                    if row := row_of_op(t.part_key(n, at), op, raw):
                        self._media.append(row)
                else:
                    self.wanted[t.part_key(n, at)] = t.wanted_value(part)
                    self.recent[n] = e, body


def stretch_rows(lid: int, places: Iterable[tuple[int, bool]]) -> Iterator[Item]:
    """The rows of a whole chain, given the arrival number of each entry and whether it is signed."""
    seq, first, size, was_signed = 0, 0, 0, True
    for n, signed in places:
        if was_signed or n != first + size:
            yield from cut(lid, seq, first, size, was_signed)
            seq, first, size = seq + size, n, 0
        size, was_signed = size + 1, signed
    yield from cut(lid, seq, first, size, was_signed)


def cut(lid: int, seq: int, first: int, size: int, signed: bool) -> Iterator[Item]:
    """The rows of one stretch: several if it is longer than MAX_STRETCH."""
    while size > t.MAX_STRETCH:
        yield t.chain_key(lid, seq), t.chain_value(first, t.MAX_STRETCH, False)
        seq, first, size = seq + t.MAX_STRETCH, first + t.MAX_STRETCH, size - t.MAX_STRETCH
    if size:
        yield t.chain_key(lid, seq), t.chain_value(first, size, signed)
