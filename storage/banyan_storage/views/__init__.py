"""Views: what people read, derived from the log, each with a version; built again in the background, proved against it.

view.py        what a view is                       registry.py   which there are
sayings.py     what a slot tells views              changes.py    rows that come and go, counters in step
timeline.py    posts by account                     folding.py    from operations to what shows
thread.py      answers, and how many                hooks.py      what the store tells the views
reactions.py   reactions, reposts, and how many     building.py   built again, little by little, while others write
relations.py   follows, blocks, mutes               refolding.py  an account from its log
followers.py   who follows, and how many            standing.py   how far each view is
                                                    proof.py      every row compared with the log
"""

from .hooks import SocialViews
from .registry import VIEW_TABLES

__all__ = ["VIEW_TABLES", "SocialViews"]
