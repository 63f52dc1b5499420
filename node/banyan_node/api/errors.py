"""Refusals: every code, its HTTP status, and when it occurs.

Programs compare the code; the message is for people and changes.
"""

from __future__ import annotations

from banyan_crdt.errors import BanyanError, Refused
from banyan_node.operator_errors import CallError
from banyan_storage.errors import StorageError, ViewBuilding

CODES: dict[str, tuple[tuple[int, ...], str]] = {
    "bad_request": ((400,), "A parameter is wrong; the message names it."),
    "bad_http": ((400, 431, 501, 505), "It is no HTTP/1.1 request that is understood; the connection is closed."),
    "not_allowed": ((401,), "The token is missing or is not that of this run."),
    "wrong_host": ((403,), "The Host header does not name this machine."),
    "no_such_method": ((404,), "No method has that name."),
    "not_here": ((404, 405), "Nothing is served at that path, or not with that HTTP method."),
    "not_found": (
        (404, 451),
        "The named thing is not held here: unknown, deleted, not arrived yet; 451: withheld by that order.",
    ),
    "no_peer": ((404, 502), "The text does not name exactly one linked peer, or the peer cannot be reached."),
    "too_slow": ((408,), "The body did not arrive completely in time."),
    "refused": ((403, 409), "The state of the account or of this node forbids it (409), or who asks may not (403)."),
    "half_done": ((409,), "An operation of many was refused when it had written something: nothing was done."),
    "out_of_order": ((409,), "A batch of an import came too early or too late; the message names the next one."),
    "cursor_gone": ((410,), "The cursor is of another store, or of a state that this store no longer has."),
    "too_large": ((413,), "The body is larger than control.body_bytes, or an archive than `most`."),
    "too_many_streams": ((429,), "control.streams event streams are open."),
    "too_many": ((429,), "Of these no more are taken for now; the message says when."),
    "internal": ((500,), "The node failed; its log says why."),
    "not_ready": ((503,), "The node is starting, or one thing holds up all others."),
    "building": ((503,), "A view that the answer needs is being built; the message has the progress. Try again later."),
    "storage": ((507,), "The store or a file could not be read or written; what was answered before is not lost."),
}
ALWAYS = ("bad_request", "building", "storage", "internal")
"""Codes that any method may return."""
OF_THE_SERVER = ("bad_http", "not_allowed", "wrong_host", "too_large", "too_slow")
"""Codes that any request may get before it reaches a method."""


def refusal(error: Exception) -> CallError:
    """The refusal for an error. Raises the error if it is a bug."""
    if isinstance(error, CallError):
        return error
    if isinstance(error, ViewBuilding):
        return CallError("building", f"{error}.", 503)
    if isinstance(error, Refused):
        return CallError("refused", f"{error}.", 409)
    if isinstance(error, BanyanError | ValueError):
        return CallError("bad_request", f"{error}.", 400)
    if isinstance(error, StorageError):
        return CallError("storage", str(error), 507)
    raise error
