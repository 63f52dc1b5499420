"""What the node keeps: storage by origin, accounts that are dropped, policy; and long work."""

from __future__ import annotations

import shutil
from typing import Annotated, Any

from anyio import to_thread
from msgspec import Meta

from banyan_node.api.declare import Request
from banyan_node.api.declare import Response as Said
from banyan_node.api.methods.archive import StoreStats
from banyan_node.api.methods.dropping import DroppedAccounts, DroppedAnswer, UndroppedAnswer
from banyan_node.api.methods.long_works import BeginWorkRequest, WorkRow, Works
from banyan_node.api.methods.node_state import StrangersRoom
from banyan_node.api.methods.policy import HeldAccounts, HeldRequest, Policy, PolicySet, SetPolicyRequest
from banyan_web.admin.acting import ADMIN, BODY, actor, queried
from banyan_web.endpoint import Ask, DoorContext, Endpoints, Shape
from banyan_web.keyed import once
from banyan_web.params import text
from banyan_web.platform.acting import only, shaped
from banyan_web.refusals import Refused

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


@ENDPOINTS.get("/v1/admin/storage", ADMIN, Shape(None, Storage))
async def storage(web: DoorContext, ask: Ask) -> Any:
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


@ENDPOINTS.get("/v1/admin/storage/accounts", ADMIN, Shape(None, HeldAccounts, query=_PAGE))
async def accounts(web: DoorContext, ask: Ask) -> Any:
    """What each account takes, and because of whom it is held."""
    return await web.call("store.accounts", **queried(ask, HeldRequest))


@ENDPOINTS.get("/v1/admin/storage/dropped", ADMIN, Shape(None, DroppedAccounts))
async def dropped(web: DoorContext, ask: Ask) -> Any:
    """The accounts that were dropped here."""
    only(ask.params)
    return await web.call("store.dropped")


@ENDPOINTS.post("/v1/admin/storage/dropped", ADMIN, shape=Shape(NewDrop, DroppedAnswer, refuses=BODY, keyed=True))
async def drop(web: DoorContext, ask: Ask) -> Any:
    """Erases an account from this node, which does not fetch it again. Other nodes decide for themselves."""
    wanted = shaped(ask.params, NewDrop)
    by = actor(ask, wanted.why)
    return await once(web, ask, lambda key: web.act(by, "store.drop", key, account=wanted.account))


@ENDPOINTS.delete(
    "/v1/admin/storage/dropped/{account}", ADMIN, Shape(None, UndroppedAnswer, query=_WHY, refuses=BODY, keyed=True)
)
async def undrop(web: DoorContext, ask: Ask) -> Any:
    """Lets a dropped account in again."""
    only(ask.params, "why")
    by = actor(ask, text(ask.params, "why", ""))
    return await once(web, ask, lambda key: web.act(by, "store.undrop", key, account=ask.path["account"]))


@ENDPOINTS.get("/v1/admin/policy", ADMIN, Shape(None, Policy))
async def policy(web: DoorContext, ask: Ask) -> Any:
    """What the node follows, and what it keeps."""
    only(ask.params)
    return await web.call("policy")


@ENDPOINTS.add("PATCH", "/v1/admin/policy", ADMIN, shape=Shape(SetPolicyRequest, PolicySet, refuses=BODY, keyed=True))
async def set_policy(web: DoorContext, ask: Ask) -> Any:
    """Writes settings of the policy into config.toml. They hold from the next start on."""
    wanted = shaped(ask.params, SetPolicyRequest)
    return await once(web, ask, lambda key: web.act(actor(ask), "policy.set", key, settings=wanted.settings))


@ENDPOINTS.get("/v1/admin/tasks", ADMIN, Shape(None, Works))
async def works(web: DoorContext, ask: Ask) -> Any:
    """Long work: what runs, how far it is, and what ended lately."""
    only(ask.params)
    return await web.call("works")


@ENDPOINTS.post("/v1/admin/tasks", ADMIN, shape=Shape(BeginWorkRequest, WorkRow, refuses=BODY, keyed=True))
async def begin(web: DoorContext, ask: Ask) -> Any:
    """Begins long work in the background. Archives are files of the folder `archives` in the node's home."""
    wanted = shaped(ask.params, BeginWorkRequest)
    said = {"do": wanted.do, "name": wanted.name, "view": wanted.view}
    return await once(web, ask, lambda key: web.act(actor(ask), "works.begin", key, **said))


@ENDPOINTS.delete("/v1/admin/tasks/{id}", ADMIN, Shape(None, WorkRow, query=_WHY, refuses=BODY, keyed=True))
async def cancel(web: DoorContext, ask: Ask) -> Any:
    """Asks that work stops. What an import took in stays."""
    only(ask.params, "why")
    by, id_ = actor(ask, text(ask.params, "why", "")), numbered(ask)
    return await once(web, ask, lambda key: web.act(by, "works.cancel", key, id=id_))


def numbered(ask: Ask) -> int:
    """The number in the path. Raises Refused."""
    said = ask.path["id"]
    if not said.isascii() or not said.isdigit() or not 0 < len(said) < 16 or not int(said):
        raise Refused(404, "There is nothing of that number.", code="not_found")
    return int(said)
