"""What the endpoints of /v1/admin share: who acts, and parameters of a query.

Every act goes through `DoorContext.act`, or is written down here before it is done: the audit log has all of them.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
from anyio import to_thread

from banyan_node.api import decode
from banyan_node.api.declare import Request
from banyan_node.home.audit import Actor
from banyan_storage.errors import StorageError
from banyan_web.endpoint import DoorContext, DoorRequest
from banyan_web.platform.requests import only
from banyan_web.refusals import HttpRefusal

ADMIN = "admin"
R = TypeVar("R", bound=Request)
BODY = (400, 408, 413, 415)
"""Statuses of refusals of what has a body."""


def actor(ask: DoorRequest, why: str | None = None) -> Actor:
    """Who acts, as the audit log names it. Raises HttpRefusal."""
    if ask.token is None:
        raise HttpRefusal(401, "This needs a token.")
    return Actor(f"token {ask.token.id} ({ask.token.app})", "api", why or None)


def queried(ask: DoorRequest, kind: type[R]) -> dict[str, Any]:
    """The parameters of a query, for the method of the node that takes `kind`. Raises HttpRefusal."""
    only(ask.params, *kind.__struct_encode_fields__)
    try:
        asked = msgspec.convert(ask.params, kind, strict=False)
    except msgspec.ValidationError as error:
        raise HttpRefusal(422, decode.wrong("This", kind, ask.params, str(error)), code="bad_request") from None
    return {name: getattr(asked, name) for name in kind.__struct_fields__ if getattr(asked, name) is not None}


async def written_down(web: DoorContext, by: Actor, do: str, given: dict[str, Any]) -> None:
    """Before the door does something that no method of the node does. Raises HttpRefusal."""
    try:
        await to_thread.run_sync(web.door.audit.append, by, do, given)
    except StorageError as error:
        raise HttpRefusal(507, str(error), code="storage") from error
