"""What a refusal looks like: JSON with one sentence, and never a stack trace."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.responses import Response

from banyan_node.operator_errors import CallError

BUILDING = 503
"""What is asked for is not shown yet: a view that it needs is being built, or what its author wrote is being folded."""


_CODES = {
    401: "not_allowed",
    403: "not_allowed",
    404: "not_found",
    405: "not_here",
    408: "too_slow",
    409: "refused",
    410: "cursor_gone",
    413: "too_large",
    429: "too_many",
    451: "not_found",
    500: "internal",
    502: "no_peer",
    503: "not_ready",
    507: "storage",
}
"""The code of a refusal that names none; of the other statuses it is `bad_request`."""


class Refused(Exception):
    """A request is refused. message: one sentence that says what to do. more: further fields of the answer."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None, **more: Any) -> None:
        super().__init__(message)
        self.status, self.message, self.headers, self.more = status, message, headers, more

    @property
    def code(self) -> str:
        """For programs."""
        return str(self.more.get("code", _CODES.get(self.status, "bad_request")))


def of_call(error: CallError) -> Refused:
    """What the node refused. A wrong request is 422, as apps of Mastodon expect, and 403 what who asks may not do."""
    refused = 403 if error.status == 403 else 422
    gone = 451 if error.status == 451 else 404
    status = {"bad_request": 422, "refused": refused, "not_found": gone}.get(error.code, error.status)
    return Refused(status, error.message, code=error.code, **error.more)


def answer(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """JSON. value: what msgspec encodes."""
    given = {"content-type": "application/json; charset=utf-8", "cache-control": "no-store", **(headers or {})}
    return Response(msgspec.json.encode(value), status, given)


def refusal(why: Refused) -> Response:
    return answer({"error": why.message, "code": why.code, **why.more}, why.status, why.headers)
