"""Whom an account follows, blocks and mutes."""

from __future__ import annotations

from banyan_crdt.ids import Coll
from banyan_crdt.social import BLOCK, FOLLOW, MUTE

from ..engine import Table
from .view import Row, Showing, View

FOLLOWS = Table("follows")
"""account number 4 | target account 32 | cell key and element 32 -> nothing; so are blocks and mutes"""
BLOCKS = Table("blocks")
MUTES = Table("mutes")
_TABLES: dict[Coll, Table] = {FOLLOW: FOLLOWS, BLOCK: BLOCKS, MUTE: MUTES}


def _rows(showing: Showing) -> list[Row]:
    return [(_TABLES[Coll(showing.coll)], showing.account + showing.seed + showing.unique, b"")]


VIEW = View(
    "relations",
    1,
    frozenset(_TABLES),
    (FOLLOWS, BLOCKS, MUTES),
    _rows,
    {FOLLOWS: 0, BLOCKS: 0, MUTES: 0},
)
