"""/v1/admin: storage, policy, long work, peers and bans, moderators, reports, decisions, the audit log, the alliance.

Most of its endpoints are methods of the node, and stand in one table. Only `banyan token add` gives the scope `admin`.
"""

from __future__ import annotations

import shutil
from typing import Annotated, Any, NamedTuple

import msgspec
from anyio import to_thread
from msgspec import Meta

from banyan_node.api.declare import Request
from banyan_node.api.declare import Response as Said
from banyan_node.api.dispatch import method_of
from banyan_node.api.methods.moderation.decisions import DecideRequest, DecisionRow
from banyan_node.api.methods.network.network import Bans
from banyan_node.api.methods.network.node_state import PeerRow, StrangersRoom
from banyan_node.api.methods.network.store import StoreStats
from banyan_web.endpoint import DoorContext, DoorRequest, Endpoints, EndpointShape
from banyan_web.params import numbered, text
from banyan_web.platform.requests import ADMIN, BODY, Why, actor, acts, once, only, queried, shaped
from banyan_web.refusals import HttpRefusal

ENDPOINTS = Endpoints()


class NewDrop(Request, frozen=True, forbid_unknown_fields=True):
    account: Annotated[str, Meta(min_length=1, max_length=300)]
    why: Why = ""


class NewPeer(Request, frozen=True, forbid_unknown_fields=True, rename={"addr": "address"}):
    """address: /ip4/HOST/tcp/PORT/p2p/PEER."""

    addr: Annotated[str, Meta(min_length=1, max_length=300)]


class NewModerator(Request, frozen=True, forbid_unknown_fields=True):
    """account: hosted here, a DID or its name."""

    account: Annotated[str, Meta(min_length=1, max_length=300)]


class AdminMethod(NamedTuple):
    """`verb` `path` does what `method` does. Its parameters are what the path names in braces, and what the query says,
    or the body. `why` is none of them: the audit log has it. body: its type, if it is not that of the method. about:
    what the method does not say of itself."""

    verb: str
    path: str
    method: str
    body: type[Request] | None = None
    about: str = ""

    @property
    def asks(self) -> type[Request]:
        return self.body or method_of(self.method).asks

    @property
    def query(self) -> dict[str, Any]:
        """The types of what the query says."""
        fields = msgspec.structs.fields(self.asks) if self.verb in ("GET", "DELETE") else ()
        found = {f.encode_name: f.type for f in fields if f"{{{f.name}}}" not in self.path}
        return found | ({"why": Why} if self.verb == "DELETE" else {})


_DROPPED, _POLICY, _TASKS = "/v1/admin/storage/dropped", "/v1/admin/policy", "/v1/admin/tasks"
_BANS, _MODERATORS, _ERASURE = "/v1/admin/bans", "/v1/admin/moderators", "/v1/accounts/{account}/erasure"
METHODS = (
    AdminMethod("GET", "/v1/admin/storage/accounts", "store.accounts"),
    AdminMethod("GET", _DROPPED, "store.dropped"),
    AdminMethod("POST", _DROPPED, "store.drop", NewDrop, "Other nodes decide for themselves."),
    AdminMethod("DELETE", _DROPPED + "/{account}", "store.undrop"),
    AdminMethod("GET", _POLICY, "policy"),
    AdminMethod("PATCH", _POLICY, "policy.set"),
    AdminMethod("GET", _TASKS, "works"),
    AdminMethod("POST", _TASKS, "works.begin"),
    AdminMethod("DELETE", _TASKS + "/{id}", "works.cancel"),
    AdminMethod("POST", "/v1/admin/peers", "peers.add", NewPeer, "It counts among the named ones while the node runs."),
    AdminMethod("DELETE", "/v1/admin/peers/{peer}", "peers.drop"),
    AdminMethod("GET", _BANS, "bans"),
    AdminMethod("DELETE", _BANS + "/peers/{peer}", "peers.pardon"),
    AdminMethod("DELETE", _BANS + "/networks", "networks.pardon"),
    AdminMethod("GET", _MODERATORS, "moderator.list"),
    AdminMethod("POST", _MODERATORS, "moderator.add", NewModerator, "It does so on the page /moderation."),
    AdminMethod("DELETE", _MODERATORS + "/{account}", "moderator.drop"),
    AdminMethod("GET", "/v1/admin/reports", "report.list", about="Open ones oldest first, closed ones newest first."),
    AdminMethod("GET", "/v1/admin/reports/{id}", "report.show"),
    AdminMethod("GET", "/v1/admin/decisions", "decision.list"),
    AdminMethod(
        "GET", "/v1/admin/audit", "audit.list", about="Newest first; with `after` the oldest first, to follow it."
    ),
    AdminMethod("GET", "/v1/admin/audit/chain", "audit.verify"),
    AdminMethod("GET", "/v1/admin/alliance", "alliance.status"),
    AdminMethod("GET", "/v1/admin/alliance/members", "alliance.members"),
    AdminMethod("GET", "/v1/admin/alliance/epochs", "alliance.history"),
    AdminMethod("GET", "/v1/admin/alliance/acts", "alliance.acts"),
    AdminMethod("POST", "/v1/admin/alliance/acts", "alliance.offer"),
    AdminMethod("GET", "/v1/admin/alliance/members/{member}/quota", "alliance.quota"),
    AdminMethod("POST", "/v1/admin/alliance/hosted", "alliance.hosted"),
    AdminMethod("GET", _ERASURE, "account.erasure"),
    AdminMethod("DELETE", _ERASURE, "account.unerase"),
)


def _named(ask: DoorRequest) -> dict[str, Any]:
    """The parameters in the path. Raises HttpRefusal."""
    return {name: numbered(said) if name == "id" else said for name, said in ask.path.items()}


def _declare(row: AdminMethod) -> None:
    method, query = method_of(row.method), row.query

    async def read(web: DoorContext, ask: DoorRequest) -> Any:
        if query:
            return await web.call(row.method, **queried(ask, row.asks))
        only(ask.params)
        return await web.call(row.method, **_named(ask))

    async def act(web: DoorContext, ask: DoorRequest) -> Any:
        if row.verb == "DELETE":
            only(ask.params, *query)
            given = {"why": text(ask.params, "why", "")} | {n: text(ask.params, n) for n in query if n != "why"}
        else:
            given = msgspec.structs.asdict(shaped(ask.params, row.asks))
        given |= _named(ask)
        by = actor(ask, given.pop("why", None))
        return await once(web, ask, lambda key: web.act(by, row.method, key, **given))

    body = None if row.verb in ("GET", "DELETE") else row.asks
    refuses = () if row.verb == "GET" else (*BODY, 502) if row.method == "peers.add" else BODY
    shape = EndpointShape(body, method.answers, query=query, refuses=refuses, keyed=row.verb != "GET")
    do = read if row.verb == "GET" else act
    do.__doc__ = f"{method.about} {row.about}".rstrip()
    ENDPOINTS.add(row.verb, row.path, ADMIN, shape=shape)(do)


for _row in METHODS:
    _declare(_row)


# -- what is more than one method


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


_MOST = (("storage", "max_bytes"), ("storage", "reserve"), ("media", "max_bytes"))


@ENDPOINTS.get("/v1/admin/storage", ADMIN, EndpointShape(None, Storage))
async def storage(web: DoorContext, ask: DoorRequest) -> Any:
    """What is held, and how much may be. Bytes."""
    only(ask.params)
    status, policy = await web.call("status"), (await web.call("policy"))["settings"]
    disk = await to_thread.run_sync(shutil.disk_usage, web.door.path.parent)
    most, reserve, media_most = (policy[room][name] for room, name in _MOST)
    store, strangers = await web.call("store.stats"), status["strangers"]
    return Storage(store, strangers, status["full"], disk.free, most, reserve, media_most)


class PeerRows(Said, frozen=True):
    peers: list[PeerRow]


@ENDPOINTS.get("/v1/admin/peers", ADMIN, EndpointShape(None, PeerRows))
async def peers(web: DoorContext, ask: DoorRequest) -> Any:
    """Linked and banned peers."""
    only(ask.params)
    return {"peers": await web.call("peers")}


class NewBan(Request, frozen=True, forbid_unknown_fields=True):
    """One of both: peer, its whole id; network, such as 192.0.2.0/24. days: how many; 0: until it is ended."""

    peer: Annotated[str, Meta(max_length=100)] | None = None
    network: Annotated[str, Meta(max_length=60)] | None = None
    reason: Annotated[str, Meta(max_length=200)] = ""
    days: Annotated[int, Meta(ge=0, le=36_500)] = 0


@ENDPOINTS.post(_BANS, ADMIN, acts(NewBan, Bans))
async def ban(web: DoorContext, ask: DoorRequest) -> Any:
    """Refuses a peer or a network, and hangs up. Answers all bans."""
    wanted = shaped(ask.params, NewBan)
    if (wanted.peer is None) == (wanted.network is None):
        raise HttpRefusal(422, "Name a 'peer' or a 'network', one of both.")
    method, given = "peers.ban" if wanted.network is None else "networks.ban", msgspec.structs.asdict(wanted)
    await once(web, ask, lambda key: web.act(actor(ask), method, key, **given))
    return await web.call("bans")


class NewDecision(DecideRequest, frozen=True, forbid_unknown_fields=True):
    """As `decision.add` of the node takes it, without `as`: the audit log has the token."""


@ENDPOINTS.post("/v1/admin/decisions", ADMIN, acts(NewDecision, DecisionRow))
async def decide(web: DoorContext, ask: DoorRequest) -> Any:
    """Decides a report, or without one. The author, and who reported, are told."""
    given = msgspec.structs.asdict(shaped(ask.params, NewDecision))
    if given.pop("by") is not None:
        raise HttpRefusal(422, "A token decides as itself: leave 'as' out.")
    return await once(web, ask, lambda key: web.act(actor(ask), "decision.add", key, **given))


_UNDO = {"why": Annotated[str, Meta(max_length=1_000)]}


@ENDPOINTS.delete("/v1/admin/decisions/{id}", ADMIN, acts(None, DecisionRow, query=_UNDO))
async def undo(web: DoorContext, ask: DoorRequest) -> Any:
    """Takes a decision back."""
    only(ask.params, "why")
    why, id_ = text(ask.params, "why", ""), numbered(ask.path["id"])
    return await once(web, ask, lambda key: web.act(actor(ask), "decision.undo", key, id=id_, why=why))
