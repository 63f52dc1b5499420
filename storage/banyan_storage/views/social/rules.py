"""Who may answer, quote and repost a post, where not everybody may, and what its author hid below it."""

from __future__ import annotations

from banyan_storage.engine import Table
from banyan_storage.views.view import Row, View, by_account

RULES = Table("rules")
"""account number 4 | post key 16 -> policy 1 (banyan_schema.social.post), or
account number 4 | post key 16 | hidden post 48 | cell key and element 32 -> nothing"""


def _policy(account: bytes, policy: bytes, post: bytes, place: bytes) -> Row:
    return RULES, account + post, policy


VIEW = View("rules", 1, (RULES,), {"policies": _policy, "hidden": by_account(RULES)}, {RULES: 0})
