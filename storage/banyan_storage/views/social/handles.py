"""Which account says of which handle that it is whose."""

from __future__ import annotations

from banyan_storage.engine import Table
from banyan_storage.views.view import BY, View, by_account, by_target

HANDLES = Table("handles")
"""length 1 | handle | account 32 | number 4 of the account that says it | cell key and element 32 -> nothing"""
HANDLES_SAID = Table("handles_said")
"""number 4 of the account that says it | length 1 | handle | account 32 | cell key and element 32 -> nothing"""
HANDLE_CLAIMS = Table("handle_claims")
"""length 1 | handle | account number 4 | profile cell's key 16 -> nothing: a field of the profile says that it is its
handle. Another cell may say otherwise later"""
CLAIM_BY, SAID_OF = slice(-20, -16), slice(-64, -32)
"""From the end: the account that claims a handle; whom a row of the second table names."""
VIEW = View(
    "handles",
    1,
    (HANDLES, HANDLES_SAID, HANDLE_CLAIMS),
    {
        "handles": by_target(HANDLES),
        "handles_said": by_account(HANDLES_SAID),
        "handle_claims": by_target(HANDLE_CLAIMS),
    },
    {HANDLES: BY.start, HANDLES_SAID: 0, HANDLE_CLAIMS: CLAIM_BY.start},
)
