"""What a refusal looks like: JSON with one sentence, and never a stack trace."""

from __future__ import annotations

import errno
import logging
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec
from starlette.responses import Response

from banyan_node.api.errors import DOOR_CODES, door_status
from banyan_node.operator_errors import CallError
from banyan_storage.errors import DiskFull, StorageError

T = TypeVar("T")
_log = logging.getLogger(__name__)
BUILDING = 503
"""What is asked for is not shown yet: a view that it needs is being built, or what its author wrote is being folded."""


GATES = {401: "token", 408: "body", 413: "body", 429: "tries"}
"""The gate of refusals that name none."""


class HttpRefusal(Exception):
    """A request is refused. message: one sentence that says what to do. gate: of the node's admission/gates.py; empty:
    it was let in. more: further fields of the answer."""

    def __init__(
        self, status: int, message: str, headers: Mapping[str, str] | None = None, gate: str = "", **more: Any
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.headers, self.more = status, message, headers, more
        self.gate = gate or GATES.get(status, "")

    @property
    def code(self) -> str:
        """For programs."""
        return str(self.more.get("code", DOOR_CODES.get(self.status, "bad_request")))

    @property
    def body(self) -> dict[str, Any]:
        """What is answered, over HTTP, in a line or in a message of a WebSocket."""
        return {"error": self.message, "code": self.code, **self.more}


def too_much(gate: str, message: str, again_s: int = 10, status: int = 429) -> HttpRefusal:
    """So much is not taken now. again_s: when to try again, seconds from now."""
    return HttpRefusal(status, message, {"retry-after": str(again_s)}, gate=gate)


GONE = "Record not found"
"""As Mastodon says it."""


def gone() -> HttpRefusal:
    """What was asked for is not here."""
    return HttpRefusal(404, GONE)


def there(value: T | None) -> T:
    """It. Raises HttpRefusal if it is None, or empty."""
    if not value:
        raise gone()
    return value


def of_call(error: CallError) -> HttpRefusal:
    """What the node refused."""
    return HttpRefusal(door_status(error), error.message, code=error.code, **error.more)


def failure(why: BaseException, what: str) -> HttpRefusal:
    """What is told of an error that is no refusal. what: failed, for the log."""
    while isinstance(why, BaseExceptionGroup):
        why = why.exceptions[0]
    full = isinstance(why, DiskFull) or (isinstance(why, OSError) and why.errno in (errno.ENOSPC, errno.EDQUOT))
    known = full or isinstance(why, StorageError)
    _log.error("%s failed: %s", what, why, exc_info=None if known else why)
    if full:
        return HttpRefusal(507, "The disk of this server is full: nothing can be stored until its operator makes room.")
    if known:
        return HttpRefusal(507, "A file of this server cannot be used; its log says which, and what to do.")
    return HttpRefusal(500, "Something went wrong inside the node; its log says what.")


def answer(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """JSON. value: what msgspec encodes."""
    given = {"content-type": "application/json; charset=utf-8", "cache-control": "no-store", **(headers or {})}
    return Response(msgspec.json.encode(value), status, given)


def refusal(why: HttpRefusal) -> Response:
    return answer(why.body, why.status, why.headers)
