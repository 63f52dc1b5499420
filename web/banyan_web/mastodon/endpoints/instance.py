"""What apps ask of a server before anything else: its name, its limits, and what it does not offer; and
what other programs ask of it by its name alone.

Limits are those that the node enforces. It counts bytes of UTF-8 where Mastodon counts characters, so a limit in
characters is that of characters of four bytes: whatever fits is taken.
"""

from __future__ import annotations

from html import escape
from importlib.metadata import version
from typing import Any, NamedTuple

from starlette.responses import Response

from banyan_node.api.methods.posts.post_writes import LONGEST_POLL_MS
from banyan_node.media.decode_limits import MAX_PIXELS
from banyan_node.media.intake import FILMS, MAX_PICTURE, PICTURES, SOUNDS
from banyan_reading.profiles import MOST_PINS
from banyan_schema.dates import iso
from banyan_schema.media import MAX_DESCRIPTION
from banyan_schema.social.post import MAX_MEDIA, MAX_OPTION, MAX_OPTIONS, MAX_TEXT
from banyan_schema.social.profile import MAX_FIELD, MAX_VALUE
from banyan_web.endpoint import DoorContext, DoorRequest, Endpoints
from banyan_web.mastodon import compose_store
from banyan_web.mastodon.endpoints.tags import FEATURED
from banyan_web.mastodon.entities.accounts import account, account_named, paragraphs
from banyan_web.mastodon.push.subscriptions import PushSubscribers
from banyan_web.rate_limits import MEDIA_BYTES
from banyan_web.refusals import GONE, HttpRefusal, answer, there

ENDPOINTS = Endpoints()
SPOKEN = "4.7.0"
"""The version of Mastodon whose API is spoken, and `API` its number."""
API = 10
_WIDE = 4
"""The most bytes of a character."""
_NO_LIMIT = 2**31 - 1
"""Where Mastodon has a limit and the node has none: films are stored as they are."""
_SOURCE = "https://pypi.org/project/banyan-social/"


@ENDPOINTS.get("/api/v1/instance")
async def first(web: DoorContext, ask: DoorRequest) -> Any:
    """The old form, which many apps still ask for."""
    size = await web.call("graph.size")
    return {
        "uri": web.server.domain,
        "title": web.server.title,
        "short_description": web.server.description,
        "description": web.server.description,
        "email": web.server.email,
        "version": _version(),
        "urls": {"streaming_api": streaming_url(web)},
        "stats": {"user_count": size["hosted"], "status_count": size["posts"], "domain_count": size["nodes"]},
        "thumbnail": f"{web.url}/static/banner.png",
        "languages": ["en", "vi"],
        "registrations": False,
        "approval_required": False,
        "invites_enabled": False,
        "configuration": _configuration(),
        "contact_account": await _contact(web),
        "rules": _rules(web),
    }


@ENDPOINTS.get("/api/v2/instance")
async def second(web: DoorContext, ask: DoorRequest) -> Any:
    """The present form."""
    size = await web.call("graph.size")
    more = {
        "urls": {
            "streaming": streaming_url(web),
            "status": None,
            "about": f"{web.url}/about",
            "privacy_policy": f"{web.url}/rules#privacy" if web.server.rules.privacy else None,
            "terms_of_service": f"{web.url}/rules#terms" if web.server.rules.terms else None,
        },
        "timelines_access": {
            feeds: {"local": "public", "remote": "public"}
            for feeds in ("live_feeds", "hashtag_feeds", "trending_link_feeds")
        },
        "vapid": {"public_key": web.part(PushSubscribers).identity.server_key},
        "translation": {"enabled": False},
        "limited_federation": False,
    }
    return {
        "domain": web.server.domain,
        "title": web.server.title,
        "version": _version(),
        "source_url": _SOURCE,
        "description": web.server.description,
        "usage": {"users": {"active_month": size["hosted"]}},
        "thumbnail": {"url": f"{web.url}/static/banner.png", "blurhash": None, "versions": {}},
        "icon": [],
        "languages": ["en", "vi"],
        "configuration": {**_configuration(), **more},
        "registrations": {"enabled": False, "approval_required": False, "message": None, "url": None},
        "api_versions": {"mastodon": API},
        "contact": {"email": web.server.email, "account": await _contact(web)},
        "rules": _rules(web),
    }


@ENDPOINTS.get("/api/v1/instance/extended_description")
async def extended(web: DoorContext, ask: DoorRequest) -> Any:
    """The node has one description."""
    return {"updated_at": iso(0), "content": ""}


@ENDPOINTS.get("/api/v1/instance/rules")
async def rules(web: DoorContext, ask: DoorRequest) -> Any:
    """Those of the setting `http.rules`."""
    return _rules(web)


def _rules(web: DoorContext) -> list[dict[str, Any]]:
    return [
        {"id": str(n), "text": rule, "hint": "", "translations": {}} for n, rule in enumerate(web.server.rules.rules, 1)
    ]


@ENDPOINTS.get("/api/v1/instance/privacy_policy")
async def privacy(web: DoorContext, ask: DoorRequest) -> Any:
    """The file of `http.privacy`."""
    said = there(web.server.rules.privacy)
    return {"updated_at": iso(said.changed_ms), "content": paragraphs(said.text)}


@ENDPOINTS.get("/api/v1/instance/terms_of_service")
async def terms(web: DoorContext, ask: DoorRequest) -> Any:
    """The file of `http.terms`."""
    said = there(web.server.rules.terms)
    day = iso(said.changed_ms)[:10]
    return {"effective_date": day, "effective": True, "content": paragraphs(said.text), "succeeded_by": None}


@ENDPOINTS.get("/api/v1/preferences", "read:accounts")
async def preferences(web: DoorContext, ask: DoorRequest) -> Any:
    """The defaults of who writes, as they were set with the profile."""
    chosen = compose_store.defaults_of(web.door, ask.account)
    return {
        "posting:default:visibility": chosen.privacy,
        "posting:default:sensitive": chosen.sensitive,
        "posting:default:language": chosen.language,
        "posting:default:quote_policy": chosen.quoters,
        "reading:expand:media": "default",
        "reading:expand:spoilers": False,
    }


def streaming_url(web: DoorContext) -> str:
    """Where the streaming API is."""
    return "ws" + web.url.removeprefix("http")


def _version() -> str:
    return f"{SPOKEN} (compatible; Banyan {version('banyan-social')})"


def _configuration() -> dict[str, Any]:
    return {
        "accounts": {
            "max_featured_tags": FEATURED,
            "max_pinned_statuses": MOST_PINS,
            "max_display_name_length": MAX_VALUE // _WIDE,
            "max_note_length": MAX_VALUE // _WIDE,
            "profile_field_name_limit": MAX_FIELD // _WIDE,
            "profile_field_value_limit": MAX_VALUE // _WIDE,
        },
        "statuses": {
            "max_characters": MAX_TEXT // _WIDE,
            "max_media_attachments": MAX_MEDIA,
            "characters_reserved_per_url": 23,  # what apps of Mastodon count for a link, which is shorter or fits too
        },
        "media_attachments": {
            "supported_mime_types": [*PICTURES, *FILMS, *SOUNDS],
            "description_limit": MAX_DESCRIPTION // _WIDE,
            "image_size_limit": min(MAX_PICTURE, MEDIA_BYTES),
            "image_matrix_limit": MAX_PIXELS,
            "video_size_limit": MEDIA_BYTES,
            "video_frame_rate_limit": _NO_LIMIT,
            "video_matrix_limit": _NO_LIMIT,
        },
        "polls": {
            "max_options": MAX_OPTIONS,
            "max_characters_per_option": MAX_OPTION // _WIDE,
            "min_expiration": 1,
            "max_expiration": LONGEST_POLL_MS // 1_000,
        },
    }


async def _contact(web: DoorContext) -> dict[str, Any] | None:
    """The node's own account."""
    own = (await web.call("id"))["account"]
    if own is None:
        return None
    try:
        return await account(web, own)
    except HttpRefusal:
        return None


# What this network has no word for, answered as Mastodon does when a feature is off: an empty list, or a refusal that
# says why.


class UnsupportedCall(NamedTuple):
    """why: a refusal; None: `empty` is answered. status: of the refusal."""

    verb: str
    path: str
    scope: str | None
    why: str | None = None
    status: int = 422
    empty: Any = ()


_NOTICES = "/api/v1/notifications/"
_SUMMARY = {"pending_requests_count": 0, "pending_notifications_count": 0}
_WHOM = ("not_following", "not_followers", "new_accounts", "private_mentions")
_ACCEPTED = {**{f"for_{whom}": "accept" for whom in (*_WHOM, "limited_accounts")}, "summary": _SUMMARY}
_UNFILTERED = {**{f"filter_{whom}": False for whom in _WHOM}, "summary": _SUMMARY}
"""No notification is filtered, whatever an app asks for."""
_COLLECTIONS = "This network has no collections: make a list."
_NONE: dict[str, list[Any]] = {"collections": []}
_ENDORSED = "This network has no endorsements: pin a post of yours that names the account."
_FILTERS = "Filters are set with version 2 of this interface: POST /api/v2/filters."
_DOMAINS = "This network has no domains to block: block or mute accounts."
EVERY = (
    UnsupportedCall("GET", "/api/v1/domain_blocks", "read:blocks"),
    UnsupportedCall("POST", "/api/v1/domain_blocks", "write:blocks", _DOMAINS),
    UnsupportedCall("DELETE", "/api/v1/domain_blocks", "write:blocks", _DOMAINS),
    UnsupportedCall("GET", "/api/v1/accounts/{id}/endorsements", None),
    UnsupportedCall("GET", "/api/v1/accounts/{id}/identity_proofs", None),
    UnsupportedCall("GET", "/api/v1/endorsements", "read:accounts"),
    UnsupportedCall("POST", "/api/v1/accounts/{id}/pin", "write:accounts", _ENDORSED),
    UnsupportedCall("POST", "/api/v1/accounts/{id}/unpin", "write:accounts", _ENDORSED),
    UnsupportedCall("POST", "/api/v1/accounts/{id}/endorse", "write:accounts", _ENDORSED),
    UnsupportedCall("POST", "/api/v1/accounts/{id}/unendorse", "write:accounts", _ENDORSED),
    UnsupportedCall("GET", "/api/v1/accounts/{id}/collections", None, empty=_NONE),
    UnsupportedCall("GET", "/api/v1/accounts/{id}/in_collections", None, empty=_NONE),
    UnsupportedCall("GET", "/api/v1/collections", "read:accounts", empty=_NONE),
    UnsupportedCall("POST", "/api/v1/collections", "write:accounts", _COLLECTIONS),
    UnsupportedCall("GET", "/api/v1/collections/{id}", None, GONE, 404),
    UnsupportedCall("GET", "/api/v1/conversations", "read:statuses"),
    UnsupportedCall("DELETE", "/api/v1/conversations/{id}", "write:conversations", GONE, 404),
    UnsupportedCall("POST", "/api/v1/conversations/{id}/read", "write:conversations", GONE, 404),
    UnsupportedCall("GET", _NOTICES + "policy", "read:notifications", empty=_UNFILTERED),
    UnsupportedCall("PUT", _NOTICES + "policy", "write:notifications", empty=_UNFILTERED),
    UnsupportedCall("GET", "/api/v2/notifications/policy", "read:notifications", empty=_ACCEPTED),
    UnsupportedCall("PATCH", "/api/v2/notifications/policy", "write:notifications", empty=_ACCEPTED),
    UnsupportedCall("GET", _NOTICES + "requests", "read:notifications"),
    UnsupportedCall("GET", _NOTICES + "requests/merged", "read:notifications", empty={"merged": True}),
    UnsupportedCall("GET", _NOTICES + "requests/{id}", "read:notifications", GONE, 404),
    UnsupportedCall("POST", _NOTICES + "requests/{id}/accept", "write:notifications", GONE, 404),
    UnsupportedCall("POST", _NOTICES + "requests/{id}/dismiss", "write:notifications", GONE, 404),
    UnsupportedCall("GET", "/api/v1/instance/peers", None),
    UnsupportedCall("GET", "/api/v1/instance/activity", None),
    UnsupportedCall("GET", "/api/v1/instance/domain_blocks", None),
    UnsupportedCall("GET", "/api/v1/instance/translation_languages", None, empty={}),
    UnsupportedCall("GET", "/api/v1/custom_emojis", None),
    UnsupportedCall("GET", "/api/v1/announcements", None),
    UnsupportedCall("POST", "/api/v1/filters", "write:filters", _FILTERS),
)


def _declare(one: UnsupportedCall) -> None:
    async def answer(web: DoorContext, ask: DoorRequest) -> Any:
        if one.why is not None:
            raise HttpRefusal(one.status, one.why)
        return one.empty

    ENDPOINTS.add(one.verb, one.path, one.scope)(answer)


for _one in EVERY:
    _declare(_one)


# What other programs ask of a server by its name alone: who an account is, which software runs, whether it is well.


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
