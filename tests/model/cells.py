"""What the counted entries say: registers, multi-value registers, sets, counters, tombs and text.

A fold over a set of counted entries, so that no order and no repetition can matter. A cell is (collection, key, kind);
an operation names what it replaces or removes by (entry id, op index), so nobody removes the future, and a name whose
operation does not count does nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Any, NamedTuple

from tests.model.spec import Entry, Id, Op

Ref = tuple[Id, int]
Cell = tuple[str, str]


class Cells(NamedTuple):
    """`registers` name the operation that shows and `values` all that are not replaced, strongest first; `texts` name
    the visible characters, in order, as (entry id, op index, offset)."""

    registers: dict[Cell, tuple[Ref, Any]]
    values: dict[Cell, tuple[tuple[Ref, Any], ...]]
    sets: dict[Cell, frozenset[str]]
    counters: dict[Cell, int]
    texts: dict[Cell, tuple[tuple[Id, int, int], ...]]
    tombs: frozenset[Cell]


def fold(counted: Iterable[tuple[Entry, tuple[Op, ...]]]) -> Cells:
    ops = [((e.id, n), e.time, op) for e, good in set(counted) for n, op in enumerate(good)]
    tombs = frozenset((op[1], op[2]) for _, _, op in ops if op[0] == "tomb")
    replaced = {(ref, op[1], op[2]) for _, _, op in ops if op[0] == "put" for ref in op[3]}
    removed = {(ref, op[1]) for _, _, op in ops if op[0] == "del" for ref in op[2]}
    values: dict[Cell, list[tuple[int, Ref, Any]]] = {}
    sets: dict[Cell, set[str]] = {}
    counters: dict[Cell, int] = {}
    for ref, time, op in ops:
        cell = (op[1], op[2]) if op[0] in ("put", "add", "count") else None
        if cell is None or cell in tombs:
            continue
        if op[0] == "count":
            counters[cell] = counters.get(cell, 0) + op[3]
        elif (ref, op[1]) in removed:
            continue
        elif op[0] == "add":
            sets.setdefault(cell, set()).add(op[3])
        elif (ref, *cell) not in replaced:
            values.setdefault(cell, []).append((time, ref, op[4]))
    shown = {cell: tuple((r, v) for _, r, v in sorted(found, reverse=True)) for cell, found in values.items()}
    texts = {cell: text(ops, cell, removed) for cell in {(op[1], op[2]) for _, _, op in ops if op[0] == "text"} - tombs}
    return Cells(
        registers={cell: found[0] for cell, found in shown.items()},
        values=shown,
        sets={cell: frozenset(found) for cell, found in sets.items()},
        counters=counters,
        texts={cell: found for cell, found in texts.items() if found},
        tombs=tombs,
    )


class Char:
    """One character in the tree of a text: what was typed before it hangs left, what was typed after it right."""

    def __init__(self, position: tuple[Id, int, int] | None, order: tuple[int, Id, int] | None) -> None:
        self.position = position
        self.order = order
        self.parent: Char | None = None
        self.left: list[Char] = []
        self.right: list[Char] = []

    def hang(self, parent: Char, side: list[Char]) -> None:
        self.parent = parent
        side.append(self)

    def below(self, ancestor: Char) -> bool:
        at: Char | None = self
        while at is not None and at is not ancestor:
            at = at.parent
        return at is ancestor

    def walk(self) -> list[Char]:
        def sort(side: list[Char]) -> list[Char]:
            return sorted(side, key=lambda c: c.order or (0, 0, 0))

        out: list[Char] = []
        for c in sort(self.left):
            out += c.walk()
        out.append(self)
        for c in sort(self.right):
            out += c.walk()
        return out


def text(ops: list[tuple[Ref, int, Op]], cell: Cell, removed: set[tuple[Ref, str]]) -> tuple[tuple[Id, int, int], ...]:
    """Positions of the visible characters. A position names one character of an insertion that counts in this cell."""
    inserts = {ref: (time, op) for ref, time, op in ops if op[0] == "text" and (op[1], op[2]) == cell}
    root = Char(None, None)
    end = Char(None, None)
    end.parent = root
    """Text whose left neighbour does not count hangs here, behind everything else."""
    made: dict[tuple[Id, int, int], Char] = {}

    def make(ref: Ref) -> None:
        time, (_, _, _, left, right, n, _) = inserts[ref]
        for position in (left, right):
            if position is not None and position[:2] in inserts and (*position[:2], 0) not in made:
                make(position[:2])
        chars = [Char((*ref, k), (time, *ref)) for k in range(n)]
        made.update({(*ref, k): c for k, c in enumerate(chars)})
        before = root if left is None else made.get(left)
        after = made.get(right) if right is not None else None
        if before is None:
            chars[0].hang(end, end.right)
        elif after is not None and after.below(before):
            chars[0].hang(after, after.left)
        else:
            chars[0].hang(before, before.right)
        for a, b in pairwise(chars):
            b.hang(a, a.right)

    for ref in inserts:
        if (*ref, 0) not in made:
            make(ref)
    hidden = {
        (*op[2], k) for _, _, op in ops if op[0] == "textdel" and op[1] == cell[0] for k in range(op[3], op[3] + op[4])
    }
    hidden |= {(*ref, k) for ref, (_, op) in inserts.items() if (ref, op[1]) in removed for k in range(op[5])}
    return tuple(c.position for c in root.walk() + end.walk() if c.position is not None and c.position not in hidden)
