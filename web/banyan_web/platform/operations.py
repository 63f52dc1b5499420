"""Publishing in bulk: lines of operations by any accounts that are hosted here, done in order, many in one commit.

Each line has an id. The node notes what was done under it in the transaction of the operation itself, so a line that
comes again, after a crash of whichever side, is answered again and not done again.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import reduce
from operator import or_
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from starlette.responses import Response

from banyan_node.api.declare import Method
from banyan_node.api.errors import line_status
from banyan_node.api.json_types import Own
from banyan_node.api.methods.posts.bulk import DOES, MAX_ID
from banyan_node.client.v1 import OperationRow
from banyan_node.operator_errors import CallError
from banyan_web.endpoint import DoorContext, DoorRequest, Endpoints, EndpointShape
from banyan_web.platform.json_lines import Conversation, NdjsonLine, answer_array, is_json, objects_of, refused_line
from banyan_web.platform.requests import BODY, acting, given_key, own_name, whose
from banyan_web.refusals import HttpRefusal, answer

ENDPOINTS = Endpoints()
MAY = sorted({*DOES} - {"account.create"})
"""What an operation may do: accounts are opened at /v1/accounts, which makes recovery keys."""
FAILED = "This failed inside the node, whose log says why. The same id may be sent again."
_log = logging.getLogger(__name__)


def _operation(method: Method) -> type[msgspec.Struct]:
    """An operation as the OpenAPI document has it: the parameters of the method, `do`, `id` and `as`."""
    own = msgspec.structs.fields(method.asks)
    fields: list[Any] = [("id", Annotated[str, Meta(min_length=1, max_length=MAX_ID)] | None, None)]
    fields += [] if any(f.name == "by" for f in own) else [("by", Own, None)]
    for f in own:
        has_default = f.default is not msgspec.NODEFAULT or f.default_factory is not msgspec.NODEFAULT
        default = f.default if f.default is not msgspec.NODEFAULT else msgspec.field(default_factory=f.default_factory)
        fields.append((f.name, f.type, default) if has_default else (f.name, f.type))
    return msgspec.defstruct(
        "Do" + "".join(word.title() for word in method.name.split(".")),
        fields,
        frozen=True,
        kw_only=True,
        tag_field="do",
        tag=method.name,
        rename={"by": "as"},
        namespace={"__doc__": method.about},
    )


def _answer() -> type[msgspec.Struct]:
    """What the methods answer: `entry` of most, `uri` of those that write posts, and so on."""
    kinds: dict[str, Any] = {}
    for method in (DOES[name] for name in MAY):
        for f in msgspec.structs.fields(method.answers):
            kinds[f.encode_name] = f.type if kinds.get(f.encode_name, f.type) == f.type else Any
    fields = [(name, kind | msgspec.UnsetType, msgspec.UNSET) for name, kind in sorted(kinds.items())]
    return msgspec.defstruct("OperationAnswer", fields, frozen=True, kw_only=True)


OPERATIONS = reduce(or_, [_operation(DOES[name]) for name in MAY])
"""One of them, by `do`."""


def _row_type() -> type[msgspec.Struct]:
    """`OperationRow`, with the fields of its answer."""
    fields = [
        (f.name, _answer() | None if f.name == "answer" else f.type, f.default)
        if f.default is not msgspec.NODEFAULT
        else (f.name, f.type)
        for f in msgspec.structs.fields(OperationRow)
    ]
    return msgspec.defstruct("OperationRow", fields, frozen=True, namespace={"__doc__": OperationRow.__doc__})


_SHAPE = EndpointShape(OPERATIONS, _row_type(), refuses=BODY, keyed=True, lines=True)


@ENDPOINTS.post("/v1/operations", "write", raw=True, shape=_SHAPE)
async def operations(web: DoorContext, ask: DoorRequest) -> Response:
    """Many operations as NDJSON or as an array, or one as JSON."""
    key, giver = given_key(ask), whose(ask)
    given = await objects_of(ask.request) if is_json(ask.request) else None
    own = await own_name(web, ask)
    if isinstance(given, NdjsonLine):
        return await _one(web, ask, giver, key, given, own)

    async def do(lines: Sequence[NdjsonLine]) -> list[dict[str, Any]]:
        return await write(web, giver, [_said(ask, line, key, own) for line in lines])

    return Conversation(web.bounds, ask.request, do) if given is None else answer(await answer_array(given, do))


async def _one(
    web: DoorContext, ask: DoorRequest, giver: str, key: str | None, line: NdjsonLine, own: str | None
) -> Response:
    if line.why is not None:
        raise line.why
    if key is not None:
        line.value.setdefault("id", key)
    (row,) = await write(web, giver, [_said(ask, line, None, own)])
    return answer(row, row["status"], ask.headers)


def _said(ask: DoorRequest, line: NdjsonLine, key: str | None, own: str | None) -> dict[str, Any] | HttpRefusal:
    """The operation of a line, with its id and the account that acts."""
    if line.why is not None:
        return line.why
    operation: dict[str, Any] = line.value
    if "id" not in operation and key is not None:
        operation["id"] = f"{key}:{line.number}"
    if operation.get("do") not in MAY:
        return HttpRefusal(422, f"'do' is one of {', '.join(MAY)}.")
    named = operation.get("as")
    try:
        operation["as"] = named if named is not None and not isinstance(named, str) else acting(ask, named, own)
    except HttpRefusal as why:
        return why
    return operation


async def write(web: DoorContext, giver: str, said: Sequence[dict[str, Any] | HttpRefusal]) -> list[dict[str, Any]]:
    """Does operations, and returns what to answer to each."""
    given = [one for one in said if isinstance(one, dict)]
    rows = iter(await _rows(web, giver, given) if given else ())
    return [refused_line(one) if isinstance(one, HttpRefusal) else row_of(one, next(rows)) for one in said]


async def _rows(web: DoorContext, giver: str, operations: list[dict[str, Any]]) -> list[dict[str, Any]]:
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
    """As `bulk.write` says it."""
    return {"state": "refused", "code": error.code, "message": error.message, "status": error.status}


def row_of(operation: dict[str, Any], row: dict[str, Any]) -> dict[str, Any]:
    id = operation.get("id")
    if row["state"] == "refused":
        error = CallError(row["code"], row["message"], row["status"])
        return refused_line(HttpRefusal(line_status(error), error.message, code=error.code), id=id)
    return {"id": id, "status": 200, "repeated": row["state"] == "before", "answer": row["answer"]}
