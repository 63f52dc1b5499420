"""Refusals: every reason, its HTTP status in the control API and over the door, and when it occurs.

Programs compare the code; the message is for people and changes.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from banyan_crdt.errors import BanyanError, Refused
from banyan_node.operator_errors import CallError, bad_request, conflict
from banyan_storage.errors import StorageError, ViewBuilding


class Reason(NamedTuple):
    """Why something is refused. when: it is. control: the statuses of it in the control API. door: those of the same
    over the door (apps, pages, `/v1`), in the same order; empty: the same. own: with these the door itself refuses for
    this reason."""

    when: str
    control: tuple[int, ...]
    door: tuple[int, ...] = ()
    own: tuple[int, ...] = ()

    @property
    def statuses(self) -> set[int]:
        """All over the door."""
        return {*(self.door or self.control), *self.own}


REFUSALS: dict[str, Reason] = {
    "bad_request": Reason("A parameter is wrong; the message names it.", (400,), (422,), (400, 415, 422)),
    "bad_http": Reason("No HTTP/1.1 request that is understood; the connection is closed.", (400, 431, 501, 505)),
    "not_allowed": Reason("The token is missing, is not one any more, or does not allow it.", (401,), own=(401, 403)),
    "wrong_host": Reason("The Host header does not name this machine.", (403,)),
    "no_such_method": Reason("No method has that name.", (404,)),
    "not_here": Reason("Nothing is served at that path, or not with that HTTP method.", (404, 405), own=(405,)),
    "not_found": Reason("Not held here: unknown, deleted, not arrived yet; 451: withheld.", (404, 451), own=(404, 451)),
    "no_peer": Reason("The text names not one linked peer, or it cannot be reached.", (404, 502), own=(502,)),
    "too_slow": Reason("The body did not arrive completely in time.", (408,), own=(408,)),
    "refused": Reason("An account's or this node's state, or who asks, forbids it.", (409, 403), (422, 403), (409,)),
    "half_done": Reason("An operation of many was refused when it had written something: nothing was done.", (409,)),
    "out_of_order": Reason("A batch of an import came too early or too late; the message names the next one.", (409,)),
    "cursor_gone": Reason("The cursor is of another store, or of a state that is no longer here.", (410,), own=(410,)),
    "too_large": Reason("The body is larger than is taken, or an archive than `most`.", (413,), own=(413,)),
    "too_many_streams": Reason("control.streams event streams are open.", (429,)),
    "too_many": Reason("Of these no more are taken for now; the message says when.", (429,), own=(429,)),
    "internal": Reason("The node failed; its log says why.", (500,), own=(500,)),
    "not_ready": Reason("The node is starting, or one thing holds up all others.", (503,), own=(503,)),
    "building": Reason("A view that it needs is being built; the message has the progress. Try again later.", (503,)),
    "storage": Reason("The store or a file cannot be used; what was answered before is not lost.", (507,), own=(507,)),
}
DOOR_CODES = {status: code for code, reason in REFUSALS.items() for status in reason.own}
"""The code of a refusal of the door itself that names none."""
ALWAYS = ("bad_request", "building", "storage", "internal")
"""Codes that any method may return."""
OF_THE_SERVER = ("bad_http", "not_allowed", "wrong_host", "too_large", "too_slow")
"""Codes that any request may get before it reaches a method."""


def door_status(error: CallError) -> int:
    """The status over the door of what the node refused. Apps of Mastodon expect 422 of a wrong request."""
    reason = REFUSALS.get(error.code)
    if reason is None or not reason.door:
        return error.status
    return dict(zip(reason.control, reason.door, strict=True)).get(error.status, reason.door[0])


def line_status(error: CallError) -> int:
    """The status in a line of many operations: platforms are told by 409 that a state forbids it."""
    return door_status(error) if error.status == 400 else error.status


def by_status(codes: Iterable[str], statuses: Callable[[Reason], Iterable[int]]) -> dict[int, str]:
    """What each status may mean: its codes, and when they occur."""
    found: dict[int, list[str]] = {}
    for code in codes:
        for status in statuses(REFUSALS[code]):
            found.setdefault(status, []).append(f"`{code}`: {REFUSALS[code].when}")
    return {status: " ".join(found[status]) for status in sorted(found)}


def refusal(error: Exception) -> CallError:
    """The refusal for an error. Raises the error if it is a bug."""
    if isinstance(error, CallError):
        return error
    if isinstance(error, ViewBuilding):
        return CallError("building", f"{error}.", 503)
    if isinstance(error, Refused):
        return conflict(f"{error}.")
    if isinstance(error, BanyanError | ValueError):
        return bad_request(f"{error}.")
    if isinstance(error, StorageError):
        return CallError("storage", str(error), 507)
    raise error
