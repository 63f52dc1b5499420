"""What the node keeps: storage by origin, accounts that are dropped, policy; long work; peers and bans."""

from __future__ import annotations

import shutil
from typing import Annotated, Any, Literal

import msgspec
from anyio import to_thread
from msgspec import Meta

from banyan_node.api.declare import Request
from banyan_node.api.declare import Response as Said
from banyan_node.api.methods.account_removal import DroppedAccounts, DroppedAnswer, UndroppedAnswer
from banyan_node.api.methods.audit import Acts, AuditChain, AuditRequest
from banyan_node.api.methods.decisions import (
    DecideRequest,
    DecisionRow,
    DecisionRows,
    DecisionsRequest,
)
from banyan_node.api.methods.network import Bans, DroppedPeer, NetworkBanInfo, Peer
from banyan_node.api.methods.node_state import PeerRow, StrangersRoom
from banyan_node.api.methods.policy import HeldAccounts, HeldRequest, NodePolicy, PolicySet, SetPolicyRequest
from banyan_node.api.methods.reports import ReportRow, ReportRows, ReportsRequest
from banyan_node.api.methods.store import StoreStats
from banyan_node.api.methods.upkeep import BeginWorkRequest, WorkRow, Works
from banyan_web.endpoint import DoorContext, DoorRequest, Endpoints, EndpointShape
from banyan_web.params import text
from banyan_web.platform.requests import ADMIN, BODY, actor, once, only, queried, shaped
from banyan_web.refusals import HttpRefusal

ENDPOINTS = Endpoints()
_WHY: dict[str, Any] = {"why": Annotated[str, Meta(max_length=500)]}
_PAGE: dict[str, Any] = {"after": str, "limit": Annotated[int, Meta(ge=1, le=200)]}


class Storage(Said, frozen=True):
    """store: what is held. strangers: what accounts take that nobody here wants, and how much they may. full: why no
    entries of others are taken, or null. free: bytes of the disk. media_most: what pictures and films may take; 0: no
    bound."""

    store: StoreStats
    strangers: StrangersRoom
    full: str | None
    free: int
    most: int
    reserve: int
    media_most: int


class NewDrop(Request, frozen=True, forbid_unknown_fields=True):
    account: Annotated[str, Meta(min_length=1, max_length=300)]
    why: Annotated[str, Meta(max_length=500)] = ""


@ENDPOINTS.get("/v1/admin/storage", ADMIN, EndpointShape(None, Storage))
async def storage(web: DoorContext, ask: DoorRequest) -> Any:
    """What is held, and how much may be. Bytes."""
    only(ask.params)
    status, policy = await web.call("status"), (await web.call("policy"))["settings"]
    disk = await to_thread.run_sync(shutil.disk_usage, web.door.path.parent)
    return {
        "store": await web.call("store.stats"),
        "strangers": status["strangers"],
        "full": status["full"],
        "free": disk.free,
        "most": policy["storage"]["max_bytes"],
        "reserve": policy["storage"]["reserve"],
        "media_most": policy["media"]["max_bytes"],
    }


@ENDPOINTS.get("/v1/admin/storage/accounts", ADMIN, EndpointShape(None, HeldAccounts, query=_PAGE))
async def accounts(web: DoorContext, ask: DoorRequest) -> Any:
    """What each account takes, and because of whom it is held."""
    return await web.call("store.accounts", **queried(ask, HeldRequest))


@ENDPOINTS.get("/v1/admin/storage/dropped", ADMIN, EndpointShape(None, DroppedAccounts))
async def dropped(web: DoorContext, ask: DoorRequest) -> Any:
    """The accounts that were dropped here."""
    only(ask.params)
    return await web.call("store.dropped")


@ENDPOINTS.post(
    "/v1/admin/storage/dropped", ADMIN, shape=EndpointShape(NewDrop, DroppedAnswer, refuses=BODY, keyed=True)
)
async def drop(web: DoorContext, ask: DoorRequest) -> Any:
    """Erases an account from this node, which does not fetch it again. Other nodes decide for themselves."""
    wanted = shaped(ask.params, NewDrop)
    by = actor(ask, wanted.why)
    return await once(web, ask, lambda key: web.act(by, "store.drop", key, account=wanted.account))


@ENDPOINTS.delete(
    "/v1/admin/storage/dropped/{account}",
    ADMIN,
    EndpointShape(None, UndroppedAnswer, query=_WHY, refuses=BODY, keyed=True),
)
async def undrop(web: DoorContext, ask: DoorRequest) -> Any:
    """Lets a dropped account in again."""
    only(ask.params, "why")
    by = actor(ask, text(ask.params, "why", ""))
    return await once(web, ask, lambda key: web.act(by, "store.undrop", key, account=ask.path["account"]))


@ENDPOINTS.get("/v1/admin/policy", ADMIN, EndpointShape(None, NodePolicy))
async def policy(web: DoorContext, ask: DoorRequest) -> Any:
    """What the node follows, and what it keeps."""
    only(ask.params)
    return await web.call("policy")


@ENDPOINTS.add(
    "PATCH", "/v1/admin/policy", ADMIN, shape=EndpointShape(SetPolicyRequest, PolicySet, refuses=BODY, keyed=True)
)
async def set_policy(web: DoorContext, ask: DoorRequest) -> Any:
    """Writes settings of the policy into config.toml. They hold from the next start on."""
    wanted = shaped(ask.params, SetPolicyRequest)
    return await once(web, ask, lambda key: web.act(actor(ask), "policy.set", key, settings=wanted.settings))


@ENDPOINTS.get("/v1/admin/tasks", ADMIN, EndpointShape(None, Works))
async def works(web: DoorContext, ask: DoorRequest) -> Any:
    """Long work: what runs, how far it is, and what ended lately."""
    only(ask.params)
    return await web.call("works")


@ENDPOINTS.post("/v1/admin/tasks", ADMIN, shape=EndpointShape(BeginWorkRequest, WorkRow, refuses=BODY, keyed=True))
async def begin(web: DoorContext, ask: DoorRequest) -> Any:
    """Begins long work in the background. Archives are files of the folder `archives` in the node's home."""
    wanted = shaped(ask.params, BeginWorkRequest)
    said = {"do": wanted.do, "name": wanted.name, "view": wanted.view}
    return await once(web, ask, lambda key: web.act(actor(ask), "works.begin", key, **said))


@ENDPOINTS.delete("/v1/admin/tasks/{id}", ADMIN, EndpointShape(None, WorkRow, query=_WHY, refuses=BODY, keyed=True))
async def cancel(web: DoorContext, ask: DoorRequest) -> Any:
    """Asks that work stops. What an import took in stays."""
    only(ask.params, "why")
    by, id_ = actor(ask, text(ask.params, "why", "")), numbered(ask)
    return await once(web, ask, lambda key: web.act(by, "works.cancel", key, id=id_))


def numbered(ask: DoorRequest) -> int:
    """The number in the path. Raises HttpRefusal."""
    said = ask.path["id"]
    if not said.isascii() or not said.isdigit() or not 0 < len(said) < 16 or not int(said):
        raise HttpRefusal(404, "There is nothing of that number.", code="not_found")
    return int(said)


# Peers and bans.


class PeerRows(Said, frozen=True):
    peers: list[PeerRow]


class NewPeer(Request, frozen=True, forbid_unknown_fields=True):
    """address: /ip4/HOST/tcp/PORT/p2p/PEER."""

    address: Annotated[str, Meta(min_length=1, max_length=300)]


class NewBan(Request, frozen=True, forbid_unknown_fields=True):
    """One of both: peer, its whole id; network, such as 192.0.2.0/24. days: how many; 0: until it is ended."""

    peer: Annotated[str, Meta(max_length=100)] | None = None
    network: Annotated[str, Meta(max_length=60)] | None = None
    reason: Annotated[str, Meta(max_length=200)] = ""
    days: Annotated[int, Meta(ge=0, le=36_500)] = 0


@ENDPOINTS.get("/v1/admin/peers", ADMIN, EndpointShape(None, PeerRows))
async def listing(web: DoorContext, ask: DoorRequest) -> Any:
    """Linked and banned peers."""
    only(ask.params)
    return {"peers": await web.call("peers")}


@ENDPOINTS.post("/v1/admin/peers", ADMIN, shape=EndpointShape(NewPeer, Peer, refuses=(*BODY, 502), keyed=True))
async def add(web: DoorContext, ask: DoorRequest) -> Any:
    """Dials a peer now, answers once it is linked, and counts it among the named ones while the node runs."""
    wanted = shaped(ask.params, NewPeer)
    return await once(web, ask, lambda key: web.act(actor(ask), "peers.add", key, addr=wanted.address))


@ENDPOINTS.delete(
    "/v1/admin/peers/{peer}", ADMIN, EndpointShape(None, DroppedPeer, query=_WHY, refuses=BODY, keyed=True)
)
async def drop_peer(web: DoorContext, ask: DoorRequest) -> Any:
    """Hangs up on a peer, and dials it no more as a contact. It may come again; a ban refuses it."""
    by = actor(ask, _why(ask))
    return await once(web, ask, lambda key: web.act(by, "peers.drop", key, peer=ask.path["peer"]))


@ENDPOINTS.get("/v1/admin/bans", ADMIN, EndpointShape(None, Bans))
async def bans(web: DoorContext, ask: DoorRequest) -> Any:
    """Whom this node refuses, why, and until when."""
    only(ask.params)
    return await web.call("bans")


@ENDPOINTS.post("/v1/admin/bans", ADMIN, shape=EndpointShape(NewBan, Bans, refuses=BODY, keyed=True))
async def ban(web: DoorContext, ask: DoorRequest) -> Any:
    """Refuses a peer or a network, and hangs up. Answers all bans."""
    wanted = shaped(ask.params, NewBan)
    if (wanted.peer is None) == (wanted.network is None):
        raise HttpRefusal(422, "Name a 'peer' or a 'network', one of both.", code="bad_request")
    given = {name: value for name, value in msgspec.structs.asdict(wanted).items() if value is not None}
    method = "peers.ban" if wanted.network is None else "networks.ban"

    await once(web, ask, lambda key: web.act(actor(ask), method, key, **given))
    return await web.call("bans")


_NETWORK: dict[str, Any] = {"network": Annotated[str, Meta(min_length=1, max_length=60)], **_WHY}


@ENDPOINTS.delete("/v1/admin/bans/peers/{peer}", ADMIN, EndpointShape(None, Peer, query=_WHY, refuses=BODY, keyed=True))
async def pardon(web: DoorContext, ask: DoorRequest) -> Any:
    """Ends the ban of a peer, and clears its points."""
    by = actor(ask, _why(ask))
    return await once(web, ask, lambda key: web.act(by, "peers.pardon", key, peer=ask.path["peer"]))


@ENDPOINTS.delete(
    "/v1/admin/bans/networks", ADMIN, EndpointShape(None, NetworkBanInfo, query=_NETWORK, refuses=BODY, keyed=True)
)
async def pardon_network(web: DoorContext, ask: DoorRequest) -> Any:
    """Ends the ban of a network."""
    by, network = actor(ask, _why(ask, "network")), text(ask.params, "network")
    return await once(web, ask, lambda key: web.act(by, "networks.pardon", key, network=network))


def _why(ask: DoorRequest, *known: str) -> str:
    only(ask.params, "why", *known)
    return text(ask.params, "why", "")


# Reports, decisions, and the audit log.

Count = Annotated[int, Meta(ge=1, le=100)]
Number = Annotated[int, Meta(ge=1, lt=1 << 53)]
Line = Annotated[int, Meta(ge=0, lt=1 << 53)]
_REPORTS: dict[str, Any] = {"state": Literal["open", "closed"], "account": str, "after": Number, "limit": Count}
_DECISIONS: dict[str, Any] = {"account": str, "after": Number, "limit": Count}
_WHY_UNDONE: dict[str, Any] = {"why": Annotated[str, Meta(max_length=1_000)]}
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
    "/v1/admin/decisions/{id}", ADMIN, EndpointShape(None, DecisionRow, query=_WHY_UNDONE, refuses=BODY, keyed=True)
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
