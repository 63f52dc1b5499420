"""The acts of charters (docs/charter.md) that a node holds: for good, whoever brought them.

They are no entries: no order, erasure, closed account or quota of strangers touches them. A damaged row is read as if
it were not there, and comes from peers again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from banyan_charter.acts import Act, CharterId, Founding, decode_act, name_of, read_act
from banyan_crdt.errors import Reject
from banyan_crdt.realm import Realm
from banyan_storage import tables as t
from banyan_storage.engine import ReadTxn, WriteTxn
from banyan_storage.tables import RowLayout

KEY = RowLayout("charter 32 | number 4 | name 32")


class ActRows(NamedTuple):
    """Totals of one charter. highest: the greatest number of an act. size: bytes of the acts."""

    charter: CharterId
    acts: int
    highest: int
    size: int


def put(txn: WriteTxn, charter: CharterId, acts: Iterable[tuple[Act | Founding, bytes]]) -> None:
    """Acts of this charter with their bytes. Their signatures were checked."""
    rows = [(_key(charter, act), raw) for act, raw in acts]
    txn.put_many(t.CHARTER, sorted([(key, t.guard(key, raw)) for key, raw in rows]))


def founding(txn: ReadTxn, realm: Realm, charter: CharterId) -> Founding | None:
    """The founding of a charter, if it is held."""
    raw = _value(txn, charter + t.u32(0) + charter)
    found = read_act(realm, raw) if raw else None
    return found if isinstance(found, Founding) else None


def held(txn: ReadTxn, realm: Realm, charter: CharterId) -> Iterator[Act]:
    """All other acts of a charter, by number. Their signatures are not checked again."""
    for key, raw in txn.prefix(t.CHARTER, charter):
        value = t.guarded(key, raw)
        found = read_act(realm, value) if value else None
        if found is not None and not isinstance(found, Founding):
            yield found


def names(txn: ReadTxn, charter: CharterId, number: int, after: bytes, limit: int) -> list[bytes]:
    """The names of acts of a number in their order, behind `after` (empty: from the first), without the founding's."""
    begin = charter + t.u32(number)
    stop = begin + b"\xff" * 33
    rows = txn.scan(t.CHARTER, begin + after + b"\0" * bool(after), stop, limit=limit + 1)
    found = [key[KEY.name] for key, raw in rows if len(raw) > 4]
    return [name for name in found if name != charter][:limit]


def some(txn: ReadTxn, charter: CharterId, number: int, wanted: Sequence[bytes], most: int) -> list[bytes]:
    """The bytes of acts by name, those that are held: the first one, and as many more as are `most` bytes with it."""
    out, size = list[bytes](), 0
    for name in wanted:
        raw = _value(txn, charter + t.u32(number) + name) if name != charter else None
        if raw:
            size += len(raw)
            if out and size > most:
                break
            out.append(raw)
    return out


def totals(txn: ReadTxn) -> list[ActRows]:
    """Of each charter of which acts are held."""
    found = dict[bytes, ActRows]()
    for key, raw in txn.scan(t.CHARTER):
        charter, number, _ = KEY.unpack(key)
        was = found.get(charter, ActRows(CharterId(charter), 0, 0, 0))
        found[charter] = was._replace(acts=was.acts + 1, highest=t.number(number), size=was.size + len(raw) - 4)
    return list(found.values())


def faults(txn: ReadTxn, realm: Realm) -> Iterator[str]:
    """A sentence for each row that is not what it should be. Signatures are checked."""
    for key, raw in txn.scan(t.CHARTER):
        value = t.guarded(key, raw)
        if value is None:
            yield f"the act {key[KEY.name].hex()[:16]} has a checksum that does not match"
        elif value:
            try:
                act = decode_act(realm, value)
            except Reject as why:
                yield f"the act {key[KEY.name].hex()[:16]}: {why}"
                continue
            if _key(CharterId(act.id if isinstance(act, Founding) else act.charter), act) != key:
                yield f"an act is stored as {key[KEY.name].hex()[:16]}, and is another"


def _key(charter: CharterId, act: Act | Founding) -> bytes:
    return charter + t.u32(0 if isinstance(act, Founding) else act.number) + name_of(act)


def _value(txn: ReadTxn, key: bytes) -> bytes | None:
    raw = txn.get(t.CHARTER, key)
    return None if raw is None else t.guarded(key, raw)
