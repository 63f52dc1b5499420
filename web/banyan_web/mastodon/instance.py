"""What apps ask of a server before anything else."""

from __future__ import annotations

from typing import Any

from banyan_web.endpoint import Ask, Endpoints, Web

ENDPOINTS = Endpoints()


@ENDPOINTS.get("/api/v1/preferences", "read:accounts")
async def preferences(web: Web, ask: Ask) -> Any:
    """The defaults of who writes; a node keeps none, so they are Mastodon's own."""
    return {
        "posting:default:visibility": "public",
        "posting:default:sensitive": False,
        "posting:default:language": None,
        "reading:expand:media": "default",
        "reading:expand:spoilers": False,
    }
