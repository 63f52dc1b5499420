"""Pages: what of a request says where one begins, and the Link header that says where the next and the last began."""

from __future__ import annotations

from urllib.parse import urlencode

from banyan_web.endpoint import Ask, Web

_PLACES = ("max_id", "min_id", "since_id", "offset")


def link(web: Web, ask: Ask, older: str | None, newer: str | None = None) -> None:
    """older: `max_id` of the next page, None on the last one. newer: `min_id` of what is newer."""
    rest = [(name, value) for name, value in ask.request.query_params.multi_items() if name not in _PLACES]
    places = [("next", "max_id", older), ("prev", "min_id", newer)]
    said = [
        f'<{web.url}{ask.request.url.path}?{urlencode([*rest, (name, place)])}>; rel="{rel}"'
        for rel, name, place in places
        if place is not None
    ]
    if said:
        ask.headers["link"] = ", ".join(said)
