"""Who labelled a post or an account, and who appeals to whom."""

from __future__ import annotations

from banyan_storage.engine import Table
from banyan_storage.tables import RowLayout
from banyan_storage.views.view import Row, View, by_target

LABELS = Table("labels")
"""LABELLED -> place 8"""
LABELLED = RowLayout("about 48 | account 4 | key 16 | element 16", begin="about account")
"""account: the number of the issuer."""
LABEL_APPEALS = Table("label_appeals")
"""APPEAL -> nothing"""
APPEAL = RowLayout("issuer 32 | account 4 | key 16 | element 16")


def _label_row(account: bytes, about: bytes, unique: bytes, place: bytes) -> Row:
    return LABELS, about + account + unique, place


VIEW = View(
    "labels",
    1,
    (LABELS, LABEL_APPEALS),
    {"labels": _label_row, "label_appeals": by_target(LABEL_APPEALS)},
    {LABELS: 48, LABEL_APPEALS: 32},
)
