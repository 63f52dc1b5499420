"""Prints the part of the door's OpenAPI document that describes the platform API, as a node at http://localhost has it.

uv run python docs/platform_openapi.py
"""

from __future__ import annotations

import json

from banyan_web.app import EVERY
from banyan_web.endpoint import Endpoints
from banyan_web.platform.openapi import document


def platform_openapi() -> str:
    """The document, as JSON."""
    own = Endpoints()
    own.all = [endpoint for module in EVERY for endpoint in module.all if endpoint.path.startswith("/v1/")]
    return json.dumps(document([own], "http://localhost"), indent=2) + "\n"


if __name__ == "__main__":
    print(platform_openapi(), end="")
