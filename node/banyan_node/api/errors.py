"""Refusals: every code that a caller can meet, its HTTP status, and when it comes.

Programs compare the code; the message is for people and changes.
"""

from __future__ import annotations

from banyan_crdt.errors import BanyanError, Refused
from banyan_node.operator_errors import CallError
from banyan_storage.errors import StorageError, ViewBuilding

CODES: dict[str, tuple[tuple[int, ...], str]] = {
    "bad_request": ((400,), "The request is not what the method takes; the message names the field."),
    "not_allowed": ((401,), "The token is missing or is not that of this run."),
    "wrong_host": ((403,), "The Host header is not this machine."),
    "no_such_method": ((404,), "No method has that name."),
    "not_here": ((404, 405), "Nothing is served at that path, or not with that HTTP method."),
    "not_found": ((404,), "What was named is not held here: unknown, deleted, or not arrived yet."),
    "no_peer": ((404, 502), "No one linked peer is meant, or the peer cannot be reached."),
    "too_slow": ((408,), "The body did not come whole in time."),
    "refused": ((409,), "The state of the account or of this node forbids it; nothing was changed."),
    "out_of_order": ((409,), "A batch of an import came too early or too late; the message names the one due."),
    "cursor_gone": ((410,), "The cursor is of another store, or of a state that this store no longer has."),
    "too_large": ((413,), "The body is larger than control.body_bytes."),
    "too_many_streams": ((429,), "control.streams event streams are open."),
    "internal": ((500,), "The node failed; its log says why."),
    "not_ready": ((503,), "The node is starting."),
    "building": ((503,), "A view that the answer needs is being built; the message says how far it is. Try again."),
    "storage": ((507,), "The store or a file could not be written or read; nothing that was answered is lost."),
}
ALWAYS = ("bad_request", "building", "storage", "internal")
"""Codes that any method may answer."""
OF_THE_SERVER = ("not_allowed", "wrong_host", "too_large", "too_slow")
"""Codes that any request may meet before it reaches a method."""


def refusal(error: Exception) -> CallError:
    """What the caller is told of an error. Raises errors that are bugs."""
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
