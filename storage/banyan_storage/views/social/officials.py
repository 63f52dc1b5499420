"""Which account says of which that it is an official channel."""

from __future__ import annotations

from ...engine import Table
from ..view import View, by_account

OFFICIALS = Table("officials")
"""number 4 of the account that says it | account 32 | cell key and element 32 -> nothing"""
VIEW = View("officials", 1, (OFFICIALS,), {"officials": by_account(OFFICIALS)}, {OFFICIALS: 0})
