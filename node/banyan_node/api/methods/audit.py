"""The audit log: what operators, admins and moderators did at this node."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta

from banyan_node.api.declare import EmptyRequest, MethodTable, Request, Response, WorkContext
from banyan_node.api.json_types import Milliseconds
from banyan_node.home.audit import AuditLine, AuditLog
from banyan_node.home.folder import Home

METHODS = MethodTable()
PAGE = 1_000
Line = Annotated[int, Meta(title="a number", description="Of a line.", ge=0, lt=1 << 53)]


class AuditRequest(Request, frozen=True, forbid_unknown_fields=True):
    """after: the lines behind this one, the oldest first. before: those before this one, the newest first; so are
    those of a request without either. who, do: only lines whose `who` or `do` begins so. since_ms, until_ms: only of
    this time."""

    after: Line | None = None
    before: Line | None = None
    who: Annotated[str, Meta(max_length=200)] = ""
    do: Annotated[str, Meta(max_length=100)] = ""
    since_ms: Milliseconds | None = None
    until_ms: Milliseconds | None = None
    limit: Annotated[int, Meta(ge=1, le=PAGE)] = 50


class ActRow(Response, frozen=True):
    """n: the number of the line. who: `operator` (whoever has the home or the control token), the DID of a moderator,
    `token ID (label)`, or `node` for the log itself. via: control, command, api or page. do: what was done, most often
    a method of this API; given: with which parameters, long texts cut. why: in their words. refused: the act of line
    `of` was not done, and why. before: the SHA-256 of the line before."""

    n: Line
    at_ms: Milliseconds
    who: str
    via: str
    do: str
    given: dict[str, Any]
    why: str | None
    of: Line | None
    refused: str | None
    before: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]


class Acts(Response, frozen=True):
    """next: `after` or `before` of the next page; null where there is none (yet)."""

    acts: list[ActRow]
    next: Line | None


class AuditChain(Response, frozen=True):
    """first, last: the first and the last line that are kept; 0: none is. head: the SHA-256 of the last one, to keep
    elsewhere. broken: the first line that is not what the one behind it says, or before which lines were taken out;
    null: none. unfinished: bytes behind the last line that are no whole line: what a crash left of one, whose act was
    not done, or what somebody else wrote there. The next act takes their place, and a line `audit.mended` says so."""

    first: Line
    last: Line
    head: str
    broken: Line | None
    unfinished: Annotated[int, Meta(ge=0)]


@METHODS.work("audit.list", "read")
def listing(at: WorkContext, ask: AuditRequest) -> Acts:
    """What operators, admins and moderators did."""

    def wanted(one: AuditLine) -> bool:
        in_time = (ask.since_ms or 0) <= one.at_ms and (ask.until_ms is None or one.at_ms < ask.until_ms)
        return in_time and one.who.startswith(ask.who) and one.do.startswith(ask.do)

    found, last = AuditLog(Home(at.home).audit).page(ask.after, ask.before, ask.limit, wanted)
    return Acts([ActRow(*(getattr(one, name) for name in one.__struct_fields__)) for one in found], last)


@METHODS.work("audit.verify", "read")
def verify(at: WorkContext, ask: EmptyRequest) -> AuditChain:
    """Reads the whole log, and says whether each line is followed by one that names it."""
    return AuditChain(*AuditLog(Home(at.home).audit).verify())
