"""Views: rows that people read, derived from the log. Each has a version, can be rebuilt, and can be compared with the
log.

view.py        what a view is                       registry.py   all views
timeline.py    posts by account                     changes.py    writes changed rows, and their counters
thread.py      answers, and their number            folding.py    from operations to what is shown
reactions.py   reactions, reposts, their numbers    hooks.py      what the store calls
relations.py   follows, blocks, mutes               building.py   rebuilds views step by step, beside other writes
followers.py   followers, and their number          refolding.py  folds an account again from its log
proof.py       compares every row with the log      standing.py   how much of each view is built
"""

from .hooks import SocialViews
from .registry import VIEW_TABLES

__all__ = ["VIEW_TABLES", "SocialViews"]
