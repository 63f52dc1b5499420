"""Views: what people read, derived from the log, each with a version; built again in the background, proved against it.

social/        one file a view          registry.py    which there are
view.py        what a view is           changes.py     rows that come and go, counters in step
hooks.py       what the store tells     folding.py     from operations to what shows
building.py    built again, little by little, while others write
refolding.py   an account from its log
proof.py       every row compared with the log
standing.py    how far each view is
"""

from .hooks import SocialViews
from .registry import VIEW_TABLES

__all__ = ["VIEW_TABLES", "SocialViews"]
