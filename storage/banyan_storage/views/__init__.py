"""Views: rows that people read, derived from the log. Each has a version, can be rebuilt, and can be compared with the
log.

social/        one file per view                  registry.py   finds them
view.py        what a view is                     row_changes.py    writes changed rows, and their counters
hooks.py       what the store calls               fold.py    from operations to what is shown
builder.py    rebuilds views step by step, beside other writes
whole_slots.py slots of which more than one operation is looked at
builder.py   folds an account again from its log
large_accounts.py  the same for large accounts and long runs, in steps
row_check.py       compares every row with the log
progress.py    how much of each view is built
journal.py     which posts changed, for an index outside the store
"""

from banyan_storage.views.hooks import SocialViews
from banyan_storage.views.registry import VIEW_TABLES

__all__ = ["VIEW_TABLES", "SocialViews"]
