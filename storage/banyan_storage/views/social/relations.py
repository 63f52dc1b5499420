"""Whom an account follows, blocks and mutes."""

from __future__ import annotations

from ...engine import Table
from ..view import View, by_account

FOLLOWS = Table("follows")
"""account number 4 | target account 32 | cell key and element 32 -> nothing; the same for blocks and mutes"""
BLOCKS = Table("blocks")
MUTES = Table("mutes")
VIEW = View(
    "relations",
    1,
    (FOLLOWS, BLOCKS, MUTES),
    {"follows": by_account(FOLLOWS), "blocks": by_account(BLOCKS), "mutes": by_account(MUTES)},
    {FOLLOWS: 0, BLOCKS: 0, MUTES: 0},
)
