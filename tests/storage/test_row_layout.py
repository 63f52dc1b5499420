"""The bytes of a row are cut by the names of its layout; few rows are cut by numbers, and they become no more."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from banyan_storage.tables import RowLayout

ROOT = Path(__file__).parents[2]
ROWS = {"body", "cursor", "edge", "key", "line", "name", "note", "noted", "place", "raw", "row", "seed", "shown"}
ROWS |= {"slot", "stamp", "value"}
"""What rows, keys and their parts are called."""
ALLOWED = Counter(storage=4, node=22, web=3)
"""Formats of others (LMDB, archives, files of media), and notes of this node."""


def _is_number(bound: ast.expr | None) -> bool:
    bare = bound.operand if isinstance(bound, ast.UnaryOp) else bound
    return isinstance(bare, ast.Constant) and isinstance(bare.value, int) and bare.value > 1


def _called(subject: ast.expr) -> str:
    while isinstance(subject, ast.Subscript):
        subject = subject.value
    return subject.id if isinstance(subject, ast.Name) else subject.attr if isinstance(subject, ast.Attribute) else ""


def cut_by_number(source: str) -> Iterator[str]:
    """Slices of rows with a number in them. Not those in a text for people, nor a first letter or all but it."""
    tree = ast.parse(source)
    texts = {id(node) for text in ast.walk(tree) if isinstance(text, ast.JoinedStr) for node in ast.walk(text)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Slice) and id(node) not in texts:
            bounds = node.slice.lower, node.slice.upper
            if _called(node.value) in ROWS and any(map(_is_number, bounds)) and node.slice.step is None:
                yield ast.unparse(node)


def test_rows_are_cut_by_names() -> None:
    found = Counter[str]()
    for room in ("storage", "reading", "node", "web"):
        for path in (ROOT / room).glob("banyan_*/**/*.py"):
            found[room] += len([*cut_by_number(path.read_text())])
    assert found <= ALLOWED, "declare a Layout beside the table (storage/banyan_storage/tables.py)"


def test_the_search_finds_what_it_is_for() -> None:
    assert [*cut_by_number("a(row[:8], key[at : at + 4], self.slot[4:], found[0][-32:], raw[1:], f'{raw[:60]}')")] == [
        "row[:8]",
        "self.slot[4:]",
    ]


def test_a_layout_has_a_slice_for_each_field_and_for_spans_of_them() -> None:
    layout = RowLayout("time 8 | key 16 | rest", both="time key", end="key")
    row = bytes(range(40))
    assert layout.unpack(row) == (row[:8], row[8:24], row[24:])
    assert (row[layout.key], row[layout.both], row[layout.end]) == (row[8:24], row[:24], row[8:])
