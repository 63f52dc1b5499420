"""Which account says of which that it is an official channel."""

from __future__ import annotations

from banyan_storage.engine import Table
from banyan_storage.layout import Layout
from banyan_storage.views.view import View, by_account

OFFICIALS = Table("officials")
"""OFFICIAL -> nothing"""
OFFICIAL = Layout("by 4 | account 32 | key 16 | element 16")
VIEW = View("officials", 1, (OFFICIALS,), {"officials": by_account(OFFICIALS)}, {OFFICIALS: 0})
