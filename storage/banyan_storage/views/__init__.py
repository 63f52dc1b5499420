"""Views: what people read, derived from the log, each with a version; built again in the background, proved against it.

view.py        what a view is                       registry.py   which there are
timeline.py    posts by account                     changes.py    rows that come and go, counters in step
thread.py      answers, and how many                folding.py    from operations to what shows
reactions.py   reactions, reposts, and how many     hooks.py      what the store tells the views
relations.py   follows, blocks, mutes               building.py   built again from the log, little by little
followers.py   who follows, and how many            standing.py   how far each view is
                                                    proof.py      every row compared with the log
"""

from .hooks import SocialViews
from .registry import VIEW_TABLES

__all__ = ["VIEW_TABLES", "SocialViews"]
