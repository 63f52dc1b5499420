"""Cells: what the counted entries of one account mean. The fold gives the same result for any order and repetition.

`put` and `del` name the operations that they cover, so they never remove a write that their writer did not see, and
sets need no version vector. A reference covers only operations of the same collection (for a put: of the same cell),
and has no effect if its target does not count. `tomb` is final. A cell is (collection, key); each kind of operation
has its own content in it. Time decides only ties.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from banyan_crdt.entry import Entry
from banyan_crdt.ids import CellKey, Coll, EntryId, Ref, Time
from banyan_crdt.ops import Add, Body, Count, Del, Position, Put, Text, TextDel, Tomb

Cell = tuple[Coll, CellKey]
Stamp = tuple[Time, EntryId, int]
"""(time, entry id, op index): the order that breaks ties."""
Character = tuple[Ref, int]
"""(insertion, index of the character in it)."""


@dataclass(slots=True)
class Cells:
    """`registers`: the live writes, first the one that shows. `sets`: element -> its live adds, the last one shows.
    `counters`: sums. `texts`: the visible characters in reading order. `tombs`: cells that are empty for good."""

    registers: dict[Cell, list[tuple[Stamp, Put]]] = field(default_factory=dict)
    sets: dict[Cell, dict[CellKey, list[tuple[Stamp, Add]]]] = field(default_factory=dict)
    counters: dict[Cell, int] = field(default_factory=dict)
    texts: dict[Cell, list[Character]] = field(default_factory=dict)
    tombs: set[Cell] = field(default_factory=set)


def fold(counted: Iterable[tuple[Entry, Body]]) -> Cells:
    """The cells of `counted` entries (see `AccountState.counted`), in any order; repetitions are allowed. Raises
    nothing."""
    puts: dict[Ref, tuple[Stamp, Put]] = {}
    adds: dict[Ref, tuple[Stamp, Add]] = {}
    texts: dict[Ref, tuple[Stamp, Text]] = {}
    covered: set[tuple[Ref, Coll, CellKey | None]] = set()
    hidden: list[TextDel] = []
    cells = Cells()
    for entry, body in {e.id: (e, b) for e, b in counted}.values():
        for i, op in enumerate(body.ops):
            ref, stamp = Ref(entry.id, i), (entry.header.time, entry.id, i)
            if isinstance(op, Put):
                puts[ref] = (stamp, op)
                covered.update((r, op.coll, op.key) for r in op.refs)
            elif isinstance(op, Add):
                adds[ref] = (stamp, op)
            elif isinstance(op, Del):
                covered.update((r, op.coll, None) for r in op.refs)
            elif isinstance(op, Count):
                cells.counters[op.coll, op.key] = cells.counters.get((op.coll, op.key), 0) + op.delta
            elif isinstance(op, Text):
                texts[ref] = (stamp, op)
            elif isinstance(op, TextDel):
                hidden.append(op)
            elif isinstance(op, Tomb):
                cells.tombs.add((op.coll, op.key))

    for cell in cells.tombs:
        cells.counters.pop(cell, None)
    for ref, (stamp, put) in puts.items():
        gone = (ref, put.coll, put.key) in covered or (ref, put.coll, None) in covered
        if not gone and (put.coll, put.key) not in cells.tombs:
            cells.registers.setdefault((put.coll, put.key), []).append((stamp, put))
    for writes in cells.registers.values():
        writes.sort(key=lambda w: w[0], reverse=True)
    for ref, (stamp, add) in adds.items():
        if (ref, add.coll, None) not in covered and (add.coll, add.key) not in cells.tombs:
            elements = cells.sets.setdefault((add.coll, add.key), {})
            elements.setdefault(add.elem, []).append((stamp, add))
    for elements in cells.sets.values():
        for found in elements.values():
            found.sort(key=lambda a: a[0])
    _fold_texts(cells, texts, hidden, covered)
    return cells


def _fold_texts(
    cells: Cells,
    texts: dict[Ref, tuple[Stamp, Text]],
    hidden: list[TextDel],
    covered: set[tuple[Ref, Coll, CellKey | None]],
) -> None:
    """Builds a tree of characters from the insertions (Fugue: Weidner and Kleppmann 2023) and reads it in order."""
    by_cell: dict[Cell, dict[Ref, tuple[Stamp, Text]]] = {}
    for ref, insertion in texts.items():
        by_cell.setdefault((insertion[1].coll, insertion[1].key), {})[ref] = insertion
    gone: set[Character] = set()
    for d in hidden:
        target = texts.get(d.ref)
        if target is not None and target[1].coll == d.coll:
            gone.update((d.ref, i) for i in range(d.start, min(d.start + d.n, target[1].n)))
    for cell, ops in by_cell.items():
        if cell in cells.tombs:
            continue
        order = _read_text(ops)
        coll = cell[0]
        cells.texts[cell] = [c for c in order if c not in gone and (c[0], coll, None) not in covered]


def _read_text(ops: dict[Ref, tuple[Stamp, Text]]) -> list[Character]:
    """All characters of one text in reading order, hidden ones included."""
    parent: dict[Ref, tuple[Character | None, bool]] = {}  # first character -> (parent or the root, is a left child)
    late: list[Ref] = []

    def place(p: Position | None) -> Character | None:
        if p is None:
            return None
        ref = Ref(p.entry, p.op)
        return (ref, p.offset) if ref in ops and p.offset < ops[ref][1].n else None

    def below(c: Character | None, top: Character | None) -> bool:
        while c is not None and top is not None and c != top:
            ref, offset = c
            c = (ref, top[1]) if ref == top[0] and offset > top[1] else parent[ref][0]
        return c == top or top is None

    # A reference is a hash of an earlier entry, so there are no circles: place an insertion after those that it names.
    waiting: dict[Ref, list[Ref]] = {}
    missing: dict[Ref, int] = {}
    ready: list[Ref] = []
    for ref, (_, op) in ops.items():
        needs = {c[0] for c in (place(op.left), place(op.right)) if c is not None}
        missing[ref] = len(needs)
        for n in needs:
            waiting.setdefault(n, []).append(ref)
        if not needs:
            ready.append(ref)
    while ready:
        ref = ready.pop()
        _, op = ops[ref]
        left, right = place(op.left), place(op.right)
        if op.left is not None and left is None:
            late.append(ref)
            parent[ref] = (None, False)
        elif right is not None and below(right, left):
            parent[ref] = (right, True)
        else:
            parent[ref] = (left, False)
        for other in waiting.get(ref, ()):
            missing[other] -= 1
            if not missing[other]:
                ready.append(other)
    lefts: dict[Character | None, list[Ref]] = {}
    rights: dict[Character | None, list[Ref]] = {}
    at_end = set(late)
    for ref in sorted((r for r in parent if r not in at_end), key=lambda r: ops[r][0]):
        at, is_left = parent[ref]
        (lefts if is_left else rights).setdefault(at, []).append(ref)
    roots = rights.get(None, []) + sorted(late, key=lambda r: ops[r][0])
    out: list[Character] = []
    stack: list[tuple[Character, bool]] = [((r, 0), False) for r in reversed(roots)]
    while stack:
        c, opened = stack.pop()
        if opened:
            out.append(c)
            continue
        ref, offset = c
        after = [(r, 0) for r in rights.get(c, ())]
        if offset + 1 < ops[ref][1].n:
            after.insert(0, (ref, offset + 1))
            after.sort(key=lambda k: (ops[k[0]][0], k[1]))
        stack.extend((k, False) for k in reversed(after))
        stack.append((c, True))
        stack.extend(((r, 0), False) for r in reversed(lefts.get(c, ())))
    return out
