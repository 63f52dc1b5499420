"""Views: rows that people read, derived from the log. Each has a version, can be rebuilt, and can be compared with the
log. The room's README names the files."""

from banyan_storage.views.hooks import SocialViews
from banyan_storage.views.registry import VIEW_TABLES

__all__ = ["VIEW_TABLES", "SocialViews"]
