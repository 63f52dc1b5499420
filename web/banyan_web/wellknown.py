"""What other programs ask of a server by its name alone: who an account is, which software runs, whether it is well."""

from __future__ import annotations

from html import escape
from importlib.metadata import version
from typing import Any

from starlette.responses import Response

from banyan_web.endpoint import DoorContext, DoorRequest, Endpoints
from banyan_web.mastodon.entities.accounts import account
from banyan_web.mastodon.instance import SPOKEN
from banyan_web.mastodon.lookup import account_named
from banyan_web.refusals import HttpRefusal, answer

ENDPOINTS = Endpoints()


@ENDPOINTS.get("/.well-known/webfinger")
async def webfinger(web: DoorContext, ask: DoorRequest) -> Any:
    """Whose a name is (RFC 7033): acct:NAME@DOMAIN, or a DID."""
    resource = ask.params.get("resource")
    if not isinstance(resource, str) or not resource or len(resource) > 500:
        raise HttpRefusal(400, "resource is missing: acct:NAME@DOMAIN, or the DID of an account.")
    found = await account(web, await _did(web, resource))
    acct = found["acct"] if "@" in found["acct"] else f"{found['acct']}@{web.server.domain}"
    page = "http://webfinger.net/rel/profile-page"
    value = {
        "subject": f"acct:{acct}",
        "aliases": [found["uri"], found["url"]],
        "links": [
            {"rel": page, "type": "text/html", "href": found["url"]},
            {"rel": "http://webfinger.net/rel/avatar", "href": found["avatar"]},
        ],
    }
    return answer(value, headers={"content-type": "application/jrd+json; charset=utf-8"})


async def _did(web: DoorContext, resource: str) -> str:
    """The DID of a resource. Raises HttpRefusal."""
    found = await account_named(web, resource, None)
    if found is None:
        raise HttpRefusal(404, "No account is known by this name.")
    return found


@ENDPOINTS.get("/.well-known/host-meta")
async def host_meta(web: DoorContext, ask: DoorRequest) -> Any:
    """Where webfinger is (RFC 6415)."""
    template = escape(f"{web.url}/.well-known/webfinger?resource={{uri}}")
    xml = (
        '<?xml version="1.0" encoding="UTF-8"?>\n<XRD xmlns="http://docs.oasis-open.org/ns/xri/xrd-1.0">'
        f'<Link rel="lrdd" template="{template}"/></XRD>\n'
    )
    return Response(xml, 200, {"content-type": "application/xrd+xml; charset=utf-8"})


@ENDPOINTS.get("/.well-known/nodeinfo")
async def nodeinfos(web: DoorContext, ask: DoorRequest) -> Any:
    """Which versions of nodeinfo there are."""
    rel = "http://nodeinfo.diaspora.software/ns/schema/2.0"
    return {"links": [{"rel": rel, "href": f"{web.url}/nodeinfo/2.0"}]}


@ENDPOINTS.get("/nodeinfo/2.0")
async def nodeinfo(web: DoorContext, ask: DoorRequest) -> Any:
    """Which software this is, and how much it holds."""
    size = await web.call("graph.size")
    return {
        "version": "2.0",
        "software": {"name": "banyan", "version": version("banyan-social")},
        "protocols": ["banyan"],
        "services": {"outbound": [], "inbound": []},
        "usage": {"users": {"total": size["hosted"]}},
        "openRegistrations": False,
        "metadata": {
            "nodeName": web.server.title,
            "nodeDescription": web.server.description,
            "upstream": {"name": "mastodon", "version": SPOKEN},  # by which apps choose the API to speak
        },
    }


@ENDPOINTS.get("/health")
async def health(web: DoorContext, ask: DoorRequest) -> Any:
    """The node answers."""
    await web.call("id")
    return Response("OK", 200, {"content-type": "text/plain; charset=utf-8", "cache-control": "no-store"})
