"""What is said to a client whose bytes are no request that is understood here, before any application sees them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

CODE = "bad_http"
SENTENCES: Mapping[int, str] = {
    400: "This is no HTTP request that can be read in one way only.",
    431: "The head of this request is longer than is taken here.",
    501: "This transfer coding is not known here; send the body's length, or chunks.",
    505: "Version 1.1 of HTTP is spoken here.",
}
"""By status; another one is said as 400."""
Body = Callable[[str, str], bytes]
"""Makes the body of a refusal from its code and its sentence."""


def nested(code: str, message: str, more: Mapping[str, Any] | None = None) -> bytes:
    """As the control API says it."""
    return msgspec.json.encode({"error": {"code": code, "message": message, **(more or {})}})


def flat(code: str, message: str) -> bytes:
    """As the door says it."""
    return msgspec.json.encode({"error": message, "code": code})


def said(status: int, body: Body) -> bytes:
    return body(CODE, SENTENCES.get(status, SENTENCES[400]))


def headers(body: bytes) -> list[tuple[bytes, bytes]]:
    """Those of the answer, after which the connection ends."""
    kind = (b"content-type", b"application/json")
    return [kind, (b"content-length", b"%d" % len(body)), (b"connection", b"close")]
