"""Moderation of this node: reports, the decisions of its moderators, and what holds here because of them."""
