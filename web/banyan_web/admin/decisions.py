"""Reports, decisions, and the audit log."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from banyan_node.api.declare import Request
from banyan_node.api.methods.audit import Acts, AuditChain, AuditRequest
from banyan_node.api.methods.decisions import (
    DecideRequest,
    DecisionRow,
    DecisionRows,
    DecisionsRequest,
)
from banyan_node.api.methods.reports import ReportRow, ReportRows, ReportsRequest
from banyan_web.admin.node import numbered
from banyan_web.admin.requests import ADMIN, BODY, actor, queried
from banyan_web.endpoint import DoorContext, DoorRequest, Endpoints, EndpointShape
from banyan_web.keyed import once
from banyan_web.params import text
from banyan_web.platform.requests import only, shaped
from banyan_web.refusals import HttpRefusal

ENDPOINTS = Endpoints()
Count = Annotated[int, Meta(ge=1, le=100)]
Number = Annotated[int, Meta(ge=1, lt=1 << 53)]
Line = Annotated[int, Meta(ge=0, lt=1 << 53)]
_REPORTS: dict[str, Any] = {"state": Literal["open", "closed"], "account": str, "after": Number, "limit": Count}
_DECISIONS: dict[str, Any] = {"account": str, "after": Number, "limit": Count}
_WHY: dict[str, Any] = {"why": Annotated[str, Meta(max_length=1_000)]}
_AUDIT: dict[str, Any] = {
    "after": Line,
    "before": Line,
    "who": Annotated[str, Meta(max_length=200)],
    "do": Annotated[str, Meta(max_length=100)],
    "since_ms": Annotated[int, Meta(ge=0)],
    "until_ms": Annotated[int, Meta(ge=0)],
    "limit": Annotated[int, Meta(ge=1, le=1_000)],
}


class NewDecision(DecideRequest, frozen=True, forbid_unknown_fields=True):
    """As `decision.add` of the node takes it, without `as`: the audit log has the token."""


@ENDPOINTS.get("/v1/admin/reports", ADMIN, EndpointShape(None, ReportRows, query=_REPORTS))
async def reports(web: DoorContext, ask: DoorRequest) -> Any:
    """Reports: open ones oldest first, closed ones newest first."""
    return await web.call("report.list", **queried(ask, ReportsRequest))


@ENDPOINTS.get("/v1/admin/reports/{id}", ADMIN, EndpointShape(None, ReportRow))
async def report(web: DoorContext, ask: DoorRequest) -> Any:
    """One report, with the posts as they were and as they are."""
    only(ask.params)
    return await web.call("report.show", id=numbered(ask))


@ENDPOINTS.get("/v1/admin/decisions", ADMIN, EndpointShape(None, DecisionRows, query=_DECISIONS))
async def decisions(web: DoorContext, ask: DoorRequest) -> Any:
    """What was decided, newest first; what was taken back too."""
    return await web.call("decision.list", **queried(ask, DecisionsRequest))


@ENDPOINTS.post("/v1/admin/decisions", ADMIN, shape=EndpointShape(NewDecision, DecisionRow, refuses=BODY, keyed=True))
async def decide(web: DoorContext, ask: DoorRequest) -> Any:
    """Decides a report, or without one. The author, and who reported, are told."""
    wanted: Request = shaped(ask.params, NewDecision)
    given = {name: value for name, value in msgspec.structs.asdict(wanted).items() if value is not None}
    if given.pop("by", None) is not None:
        raise HttpRefusal(422, "A token decides as itself: leave 'as' out.", code="bad_request")
    return await once(web, ask, lambda key: web.act(actor(ask), "decision.add", key, **given))


@ENDPOINTS.delete(
    "/v1/admin/decisions/{id}", ADMIN, EndpointShape(None, DecisionRow, query=_WHY, refuses=BODY, keyed=True)
)
async def undo(web: DoorContext, ask: DoorRequest) -> Any:
    """Takes a decision back."""
    only(ask.params, "why")
    why, id_ = text(ask.params, "why", ""), numbered(ask)
    return await once(web, ask, lambda key: web.act(actor(ask), "decision.undo", key, id=id_, why=why))


@ENDPOINTS.get("/v1/admin/audit", ADMIN, EndpointShape(None, Acts, query=_AUDIT))
async def audit(web: DoorContext, ask: DoorRequest) -> Any:
    """What operators, admins and moderators did, newest first; with `after` the oldest first, to follow it."""
    return await web.call("audit.list", **queried(ask, AuditRequest))


@ENDPOINTS.get("/v1/admin/audit/chain", ADMIN, EndpointShape(None, AuditChain))
async def chain(web: DoorContext, ask: DoorRequest) -> Any:
    """Reads the whole log: whether each line is followed by one that names it."""
    only(ask.params)
    return await web.call("audit.verify")
