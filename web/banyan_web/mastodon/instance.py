"""What apps ask of a server before anything else."""

from __future__ import annotations

from typing import Any

from banyan_web.endpoint import Ask, Endpoints, Web
from banyan_web.mastodon import defaults

ENDPOINTS = Endpoints()


@ENDPOINTS.get("/api/v1/preferences", "read:accounts")
async def preferences(web: Web, ask: Ask) -> Any:
    """The defaults of who writes, as they were set with the profile."""
    chosen = defaults.of(web.door, ask.account)
    return {
        "posting:default:visibility": chosen.privacy,
        "posting:default:sensitive": chosen.sensitive,
        "posting:default:language": chosen.language,
        "reading:expand:media": "default",
        "reading:expand:spoilers": False,
    }
