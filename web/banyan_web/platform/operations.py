"""Publishing in bulk: lines of operations by any accounts that are hosted here, done in order, many in one commit.

Each line has an id. The node notes what was done under it in the transaction of the operation itself, so a line that
comes again, after a crash of whichever side, is answered again and not done again.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from starlette.responses import Response

from banyan_node.api.declare import Response as Said
from banyan_node.api.methods.bulk import DOES, MAX_ID
from banyan_node.operator_errors import CallError
from banyan_web.endpoint import Ask, Endpoints, Shape, Web
from banyan_web.platform.acting import acting, key_of, own_name, whose
from banyan_web.platform.lines import NDJSON, Conversation, Line, demand_lines, one_of, refused_line
from banyan_web.refusals import Refused, answer

ENDPOINTS = Endpoints()
JSON = "application/json"
MAY = sorted({*DOES} - {"account.create"})
"""What an operation may do: accounts are opened at /v1/accounts, which makes recovery keys."""
FAILED = "This failed inside the node, whose log says why. The same id may be sent again."
_log = logging.getLogger(__name__)


class Operation(msgspec.Struct, frozen=True, rename={"by": "as"}):
    """id: of its own; the same one is done once in a day. do: a method. as: the account that acts, a DID or a name
    hosted here; default: that of the token. Beside these the parameters of the method, as docs/api.md has them."""

    do: Annotated[str, Meta(extra_json_schema={"enum": MAY})]
    id: Annotated[str, Meta(min_length=1, max_length=MAX_ID)] | None = None
    by: str | None = None


class OperationRow(Said, frozen=True):
    """answer: of the method. repeated: whether it is that of the first time. error, code: why it was refused. line: of
    the request."""

    status: int
    id: Any = None
    repeated: bool = False
    answer: dict[str, Any] | None = None
    error: str | None = None
    code: str | None = None
    line: int | None = None


_SHAPE = Shape(Operation, OperationRow, (NDJSON, JSON), NDJSON, refuses=(400, 408, 409, 413, 415), keyed=True)


@ENDPOINTS.post("/v1/operations", "write", raw=True, shape=_SHAPE)
async def operations(web: Web, ask: Ask) -> Response:
    """Many operations as NDJSON, or one as JSON."""
    key, giver = key_of(ask), whose(ask)
    kind = ask.request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == JSON:
        return await _one(web, ask, giver, key)
    demand_lines(ask.request)

    own = await own_name(web, ask)

    async def do(lines: Sequence[Line]) -> list[dict[str, Any]]:
        return await write(web, giver, [_said(ask, line, key, own) for line in lines])

    return Conversation(ask.request, do)


async def _one(web: Web, ask: Ask, giver: str, key: str | None) -> Response:
    line = await one_of(ask.request)
    if line.why is not None:
        raise line.why
    if key is not None:
        line.value.setdefault("id", key)
    (row,) = await write(web, giver, [_said(ask, line, None, await own_name(web, ask))])
    return answer(row, row["status"], ask.headers)


def _said(ask: Ask, line: Line, key: str | None, own: str | None) -> dict[str, Any] | Refused:
    """The operation of a line, with its id and the account that acts."""
    if line.why is not None:
        return line.why
    operation: dict[str, Any] = line.value
    if "id" not in operation and key is not None:
        operation["id"] = f"{key}:{line.number}"
    if operation.get("do") not in MAY:
        return Refused(422, f"'do' is one of {', '.join(MAY)}.", code="bad_request")
    named = operation.get("as")
    try:
        operation["as"] = named if named is not None and not isinstance(named, str) else acting(ask, named, own)
    except Refused as why:
        return why
    return operation


async def write(web: Web, giver: str, said: Sequence[dict[str, Any] | Refused]) -> list[dict[str, Any]]:
    """Does operations, and returns what to answer to each."""
    given = [one for one in said if isinstance(one, dict)]
    rows = iter(await _rows(web, giver, given) if given else ())
    return [refused_line(one) if isinstance(one, Refused) else _row(one, next(rows)) for one in said]


async def _rows(web: Web, giver: str, operations: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Raises nothing: what is refused as a whole is done one by one, and so the one is found."""
    try:
        done = await web.backend.call("bulk.write", {"operations": operations, "whose": giver})
        rows: list[dict[str, Any]] = done["rows"]
        return rows
    except CallError as error:
        if len(operations) == 1 or error.code != "half_done":
            return [_refused(error)] * len(operations)
    except Exception:
        _log.exception("operations failed")
        if len(operations) == 1:
            return [_refused(CallError("internal", FAILED, 500))]
    return [row for operation in operations for row in await _rows(web, giver, [operation])]


def _refused(error: CallError) -> dict[str, Any]:
    return {"state": "refused", "code": error.code, "message": error.message, "status": error.status}


def _row(operation: dict[str, Any], row: dict[str, Any]) -> dict[str, Any]:
    id = operation.get("id")
    if row["state"] == "refused":
        status = 422 if row["status"] == 400 else row["status"]
        return refused_line(Refused(status, row["message"], code=row["code"]), id=id)
    return {"id": id, "status": 200, "repeated": row["state"] == "before", "answer": row["answer"]}
