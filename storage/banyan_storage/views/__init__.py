"""Views: what people read, derived from the log, each with a version; built again in the background, proved against it.

view.py        what a view is                       registry.py   which there are
timeline.py    posts by account                     changes.py    rows that come and go, counters in step
thread.py      answers, and how many                folding.py    from operations to what shows
reactions.py   reactions, reposts, and how many     hooks.py      what the store tells the views
relations.py   follows, blocks, mutes               building.py   built again, little by little, while others write
followers.py   who follows, and how many            refolding.py  an account from its log
proof.py       every row compared with the log      standing.py   how far each view is
"""

from .hooks import SocialViews
from .registry import VIEW_TABLES

__all__ = ["VIEW_TABLES", "SocialViews"]
