"""Whom an account follows, blocks and mutes."""

from __future__ import annotations

from banyan_storage.engine import Table
from banyan_storage.layout import Layout
from banyan_storage.views.view import View, by_account

FOLLOWS = Table("follows")
"""RELATION -> nothing; the same for blocks and mutes"""
BLOCKS = Table("blocks")
MUTES = Table("mutes")
RELATION = Layout("account 4 | other 32 | key 16 | element 16")
VIEW = View(
    "relations",
    1,
    (FOLLOWS, BLOCKS, MUTES),
    {"follows": by_account(FOLLOWS), "blocks": by_account(BLOCKS), "mutes": by_account(MUTES)},
    {FOLLOWS: 0, BLOCKS: 0, MUTES: 0},
)
