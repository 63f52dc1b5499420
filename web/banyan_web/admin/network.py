"""Peers and bans."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from banyan_node.api.declare import Request
from banyan_node.api.declare import Response as Said
from banyan_node.api.methods.bans import Bans, DroppedPeer, NetworkBanned
from banyan_node.api.methods.network import Peer
from banyan_node.api.methods.node_state import PeerRow
from banyan_web.admin.acting import ADMIN, BODY, actor
from banyan_web.endpoint import Ask, DoorContext, Endpoints, Shape
from banyan_web.keyed import once
from banyan_web.params import text
from banyan_web.platform.acting import only, shaped
from banyan_web.refusals import Refused

ENDPOINTS = Endpoints()
_WHY: dict[str, Any] = {"why": Annotated[str, Meta(max_length=500)]}


class Peers(Said, frozen=True):
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


@ENDPOINTS.get("/v1/admin/peers", ADMIN, Shape(None, Peers))
async def listing(web: DoorContext, ask: Ask) -> Any:
    """Linked and banned peers."""
    only(ask.params)
    return {"peers": await web.call("peers")}


@ENDPOINTS.post("/v1/admin/peers", ADMIN, shape=Shape(NewPeer, Peer, refuses=(*BODY, 502), keyed=True))
async def add(web: DoorContext, ask: Ask) -> Any:
    """Dials a peer now, answers once it is linked, and counts it among the named ones while the node runs."""
    wanted = shaped(ask.params, NewPeer)
    return await once(web, ask, lambda key: web.act(actor(ask), "peers.add", key, addr=wanted.address))


@ENDPOINTS.delete("/v1/admin/peers/{peer}", ADMIN, Shape(None, DroppedPeer, query=_WHY, refuses=BODY, keyed=True))
async def drop(web: DoorContext, ask: Ask) -> Any:
    """Hangs up on a peer, and dials it no more as a contact. It may come again; a ban refuses it."""
    by = actor(ask, _why(ask))
    return await once(web, ask, lambda key: web.act(by, "peers.drop", key, peer=ask.path["peer"]))


@ENDPOINTS.get("/v1/admin/bans", ADMIN, Shape(None, Bans))
async def bans(web: DoorContext, ask: Ask) -> Any:
    """Whom this node refuses, why, and until when."""
    only(ask.params)
    return await web.call("bans")


@ENDPOINTS.post("/v1/admin/bans", ADMIN, shape=Shape(NewBan, Bans, refuses=BODY, keyed=True))
async def ban(web: DoorContext, ask: Ask) -> Any:
    """Refuses a peer or a network, and hangs up. Answers all bans."""
    wanted = shaped(ask.params, NewBan)
    if (wanted.peer is None) == (wanted.network is None):
        raise Refused(422, "Name a 'peer' or a 'network', one of both.", code="bad_request")
    given = {name: value for name, value in msgspec.structs.asdict(wanted).items() if value is not None}
    method = "peers.ban" if wanted.network is None else "networks.ban"

    await once(web, ask, lambda key: web.act(actor(ask), method, key, **given))
    return await web.call("bans")


_NETWORK: dict[str, Any] = {"network": Annotated[str, Meta(min_length=1, max_length=60)], **_WHY}


@ENDPOINTS.delete("/v1/admin/bans/peers/{peer}", ADMIN, Shape(None, Peer, query=_WHY, refuses=BODY, keyed=True))
async def pardon(web: DoorContext, ask: Ask) -> Any:
    """Ends the ban of a peer, and clears its points."""
    by = actor(ask, _why(ask))
    return await once(web, ask, lambda key: web.act(by, "peers.pardon", key, peer=ask.path["peer"]))


@ENDPOINTS.delete(
    "/v1/admin/bans/networks", ADMIN, Shape(None, NetworkBanned, query=_NETWORK, refuses=BODY, keyed=True)
)
async def pardon_network(web: DoorContext, ask: Ask) -> Any:
    """Ends the ban of a network."""
    by, network = actor(ask, _why(ask, "network")), text(ask.params, "network")
    return await once(web, ask, lambda key: web.act(by, "networks.pardon", key, network=network))


def _why(ask: Ask, *known: str) -> str:
    only(ask.params, "why", *known)
    return text(ask.params, "why", "")
