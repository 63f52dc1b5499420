"""Entries as events of the firehose: what each operation says, and what proves it.

An entry gives its events in the order of its operations; a `Del` that takes back several things gives one for each.
That order follows from the signed bytes alone, so the name of an event, `ENTRY:NUMBER`, is the same at every node.
What can differ between nodes is what they hold: content may be missing here, and come later.
"""

from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal, NamedTuple

from msgspec import UNSET, UnsetType, structs

from banyan_crdt.codec import encode
from banyan_crdt.entry import encode_header
from banyan_crdt.ids import AccountId, CellKey, LogId, Ref, WriterKey
from banyan_crdt.ops import CONTROL_OPS, Add, Count, Del, Op, Pin, Put, Text, TextDel, Tomb, decode_body, part_of
from banyan_crdt.parts import content_of
from banyan_crdt.run import MAX_RUN_ENTRIES, encode_control, encode_run, skips_below
from banyan_node.api import json_types as js
from banyan_node.api.declare import Response
from banyan_node.hosting.hosted import is_hosted
from banyan_reading.queries import Queries
from banyan_schema.collection import Collection
from banyan_schema.registry import SOCIAL
from banyan_schema.social import POST
from banyan_storage.acts import Act, ActKind
from banyan_storage.entry_records import decode_line
from banyan_storage.reader import ArrivedEntry, StoreReader
from banyan_storage.tables import ref_of

Kind = Literal[
    "create", "update", "delete", "account", "unknown", ActKind, "gone",
]  # fmt: skip
DIDS = 65_536
"""Accounts whose text is cached: making it takes longer than the rest of an event."""


class OperationName(Response):
    """An operation: the entry, and its index there."""

    entry: js.EntryHex
    op: int


class FirehoseProof(Response):
    """What a third party needs, in base64. run: the run from this entry to the next signed one, as on the wire
    (docs/protocol.md, section 4). control: the entry of a control log, as on the wire. part: the content with its salt;
    its hash is in the operation."""

    run: str | None
    control: str | None
    part: str | None


class FirehoseEvent(Response, kw_only=True):
    """kind: create, update, delete; account: its control log grew; unknown: an operation of a later version. Of what
    this node did: withheld, hidden, labelled, returned (shown again), of a post; gone, in place of the first two, for
    readers who hear no more; late: content came after its entry; limited, suspended, lifted (one of the two holds no
    more), dropped, and recounted (other entries count now), of an account. said: with a label its text, with `withheld`
    the order, its basis, its scope, and until when, with `lifted` which of the two. id: the
    event's name, the same at every node. uri: of a register, such as a post. key, element: of the cell. time_ms: of
    the entry, as its writer claims. content: by the fields of the collection; of a delete, what was taken back; null if
    it is not held, or not readable, or given to no reader. held: false if there is content and this node does not have
    it, or gives it to no reader: it was deleted, is hidden, or does not count. counts: false if the entry does not
    count now: a branch of a fork, or what a cut writer wrote. removes: the write that a delete takes back; null if it
    takes all of the cell for good. hosted: whether this node has the account's keys. proof: if it was asked for."""

    kind: Kind
    cursor: js.FirehoseCursor
    id: str
    collection: str | None
    account: js.Did
    uri: js.PostUri | None
    key: js.KeyHex | None
    element: js.KeyHex | None
    time_ms: js.Milliseconds
    content: Any
    held: bool
    counts: bool
    hosted: bool
    removes: OperationName | None
    entry: js.EntryHex | None
    op: int | None
    writer: js.WriterHex | None
    log: int | None
    seq: int | None
    proof: FirehoseProof | None
    said: list[str] | UnsetType = UNSET


class ArrivalPlace(NamedTuple):
    """What a cursor says: after arrival n, and the first k events of the one after it; after act a, 0: none was told,
    or the cursor is of a version that had none. Places stand in the order in which they are told."""

    n: int
    k: int = 0
    a: int = 0


class SpokenOf(NamedTuple):
    """Of what an operation speaks. part: its bytes, if they are held."""

    of: Collection[Any] | None
    name: str | None
    key: CellKey | None
    elem: CellKey | None
    content: Any
    held: bool
    part: bytes | None


@lru_cache(DIDS)
def did_text(account: AccountId) -> js.DidText:
    return js.did(account)


def cursor_text(store: str, n: int, k: int = 0, a: int = 0) -> js.FirehoseCursorText:
    """After arrival `n`; with k, after the first k events of arrival n + 1 too. a: after that act."""
    return js.FirehoseCursorText(f"{store}-{n}" + (f".{k}" if k else "") + (f"-{a}" if a else ""))


class EventMaker:
    """Makes the events of entries at one commit. store: the first 16 digits of its id, which cursors begin with."""

    def __init__(self, q: Queries, store: str, proofs: bool) -> None:
        self._reader, self._store, self._proofs = q.reader, store, proofs
        self._loose = q.reader.any_loose()
        self._q = q
        self.last_act = 0
        """The last act that was told: the second number of cursors."""
        self._here: dict[AccountId, bool] = {}

    def of(self, row: ArrivedEntry, parts: Mapping[int, bytes]) -> Iterator[tuple[FirehoseEvent, str | None]]:
        """The events of one entry, each with the name of its collection. parts: the held ones, by operation."""
        line = decode_line(row.n, row.record)
        counts = not self._loose or self._reader.is_counted(row.id)
        account, entry = did_text(row.log.account), js.entry_hex(row.id)
        here = self._here.get(row.log.account)
        if here is None:
            here = self._here[row.log.account] = is_hosted(self._reader, row.log.account)
        writer, time_ms = js.writer_hex(self._writer(row)), line.time >> 16
        ops = decode_body(line.ops).ops
        parts = {k: raw for k, raw in parts.items() if counts and self._q.gives(row.log.account, ops[k])}
        found = [(k, said) for k, op in enumerate(ops) for said in self._said(row, k, op, parts)]
        run = self._proof(row) if self._proofs and found else None
        for number, (k, (kind, cell, removes)) in enumerate(found):
            last = number + 1 == len(found)
            text = cursor_text(self._store, *((row.n, 0) if last else (row.n - 1, number + 1)), self.last_act)
            proof = None
            if run is not None:
                part = parts.get(k)
                proof = FirehoseProof(*run, None if part is None else b64encode(part).decode())
            yield (
                FirehoseEvent(
                    kind=kind,
                    cursor=text,
                    id=f"{entry}:{number}",
                    collection=cell.name,
                    account=account,
                    uri=_uri(account, cell),
                    key=None if cell.key is None else js.key_hex(cell.key),
                    element=None if cell.elem is None else js.key_hex(cell.elem),
                    time_ms=time_ms,
                    content=cell.content,
                    held=cell.held,
                    counts=counts,
                    hosted=here,
                    removes=None if removes is None else OperationName(js.entry_hex(removes.entry), removes.op),
                    entry=entry,
                    op=k,
                    writer=writer,
                    log=row.log.log,
                    seq=row.seq,
                    proof=proof,
                ),
                cell.name,
            )

    def act(self, act: Act, place: ArrivalPlace) -> FirehoseEvent | None:
        """An act as an event; None if what came late, or would be shown again, is given to no reader now. place: behind
        it."""
        if act.kind == "late":
            late = ref_of(act.about)
            n = self._reader.number_of(late.entry)
            row = None if n is None else next(iter(self._reader.arrivals(n - 1, 1)), None)
            if row is None or row.n != n:
                return None
            made = self.of(row, dict(self._reader.contents([n]).get(n, ())))
            found = next((one for one, _ in made if one.op == late.op), None)
            if found is None or found.content is None:
                return None
            about = {"cursor": cursor_text(self._store, *place), "id": f"{self._store}:{act.number}"}
            return structs.replace(found, kind="late", **about)
        key = CellKey(act.about) if act.about else None
        shown = None if key is None else next(self._q.items(act.account, SOCIAL.by_id[POST], key), None)
        if act.kind == "returned" and shown is None:
            return None  # something else still keeps it back: what lifts that tells it
        layout, account = SOCIAL.by_id[POST].layout, did_text(act.account)
        content = None
        if shown is not None and layout is not None:
            fields = zip(layout.names, layout.fields, shown.values, strict=True)
            content = {name: value if value is None else field.json.show(value) for name, field, value in fields}
        return FirehoseEvent(
            kind=act.kind,
            cursor=cursor_text(self._store, *place),
            id=f"{self._store}:{act.number}",
            collection=None if key is None else "post",
            account=account,
            uri=None if key is None else js.UriText(f"{account}/{key.hex()}"),
            key=None if key is None else js.key_hex(key),
            element=None,
            time_ms=act.time_ms,
            content=content,
            held=content is not None,
            counts=True,
            hosted=is_hosted(self._reader, act.account),
            removes=None,
            entry=None,
            op=None,
            writer=None,
            log=None,
            seq=None,
            proof=None,
            said=list(act.said) if act.said else UNSET,
        )

    def _writer(self, row: ArrivedEntry) -> WriterKey:
        """Who signed: a control log is of several keys, so its name has none."""
        entry = None if row.log.log else self._reader.at(row.n)
        return row.log.writer if entry is None else entry.header.writer

    def _said(
        self, row: ArrivedEntry, k: int, op: Op, parts: Mapping[int, bytes]
    ) -> list[tuple[Kind, SpokenOf, Ref | None]]:
        """What an operation says: kind, cell, and the write that it takes back."""
        part = parts.get(k)
        if isinstance(op, Put):
            return [("update" if op.refs else "create", _cell(op, part), None)]
        if isinstance(op, Add | Count | Text):
            return [("create", _cell(op, part), None)]
        if isinstance(op, Tomb):
            return [("delete", _cell(op, None), None)]
        if isinstance(op, Del):
            return [("delete", self._taken(row.log.account, op, ref), ref) for ref in op.refs]
        if isinstance(op, TextDel):
            return [("delete", self._taken(row.log.account, op, op.ref), op.ref)]
        if isinstance(op, (*CONTROL_OPS, Pin)):
            name = type(op).__name__.lower()
            return [("account", SpokenOf(None, "account", None, None, {"op": name}, True, None), None)]
        return [("unknown", SpokenOf(None, None, None, None, None, True, None), None)]

    def _taken(self, account: AccountId, op: Del | TextDel, ref: Ref) -> SpokenOf:
        """What was taken back, as far as its entry is held."""
        known = SOCIAL.by_id.get(op.coll)
        nothing = SpokenOf(known, None if known is None else known.name, None, None, None, False, None)
        entry = self._reader.entry(ref.entry)
        ops = () if entry is None else decode_body(entry.ops).ops
        was = ops[ref.op] if ref.op < len(ops) else None
        if not isinstance(was, Put | Add | Count | Text) or was.coll != op.coll:
            return nothing
        counts = not self._loose or self._reader.is_counted(ref.entry)
        given = counts and self._q.gives(account, was)
        return _cell(was, self._reader.part(ref.entry, ref.op) if given else None)

    def _proof(self, row: ArrivedEntry) -> tuple[str | None, str | None]:
        """(run, control entry) of an entry; of an entry that does not count a run only if it is signed itself."""
        reader, log = self._reader, row.log
        if not log.log:
            entry = reader.at(row.n)
            if entry is None or entry.sig is None:
                return None, None
            return None, b64encode(encode(encode_control(entry, encode_header(entry.header)))).decode()
        entries = self._to_signed(row, log)
        if not entries:
            return None, None
        first = entries[0].header
        parent = None if first.prev is None else reader.entry(first.prev)
        below = [(s, i) for s in skips_below(first.seq, len(entries)) if (i := reader.id_at(log, s)) is not None]
        return b64encode(encode_run(entries, parent.header.total if parent else 0, below)).decode(), None

    def _to_signed(self, row: ArrivedEntry, log: LogId) -> Sequence[Any]:
        entry = self._reader.at(row.n)
        if entry is not None and entry.sig is not None:
            return [entry]
        end = self._reader.next_signed(log, row.seq) if self._reader.is_counted(row.id) else None
        if end is None or end - row.seq >= MAX_RUN_ENTRIES:
            return []
        return self._reader.chain(log, row.seq, end + 1)


def _cell(op: Put | Add | Count | Text | Tomb, part: bytes | None) -> SpokenOf:
    of = SOCIAL.by_id.get(op.coll)
    elem = op.elem if isinstance(op, Add) else None
    name = None if of is None else of.name
    if isinstance(op, Count):
        return SpokenOf(of, name, op.key, None, {"add": op.delta}, True, None)
    wanted = None if isinstance(op, Tomb) else part_of(op)
    if part is None:
        return SpokenOf(of, name, op.key, elem, None, wanted is None, None)
    raw = content_of(part)
    if isinstance(op, Text):
        return SpokenOf(of, name, op.key, None, {"text": raw.decode("utf-8", "replace")}, True, part)
    return SpokenOf(of, name, op.key, elem, _content(of, op, raw), True, part)


def _uri(account: js.DidText, cell: SpokenOf) -> js.UriText | None:
    """Of a register: elements of sets have no name of their own."""
    if cell.key is None or cell.elem is not None or (cell.of is not None and cell.of.merge != "register"):
        return None
    return js.UriText(f"{account}/{cell.key.hex()}")


def _content(of: Collection[Any] | None, op: Op, raw: bytes) -> Any:
    """The fields by name, as `items.list` has them; null if the collection cannot read it."""
    if of is None or of.layout is None or not isinstance(op, of.op):
        return None
    values = of.layout.values(raw)
    if values is None:
        return None
    fields = zip(of.layout.names, of.layout.fields, values, strict=True)
    return {name: value if value is None else field.json.show(value) for name, field, value in fields}


def store_name(reader: StoreReader) -> str:
    """What cursors of this store begin with."""
    return reader.store_id.hex()[:16]
