"""Posts and drafts: the form for writing, changing, deleting. HTML forms, which work without JavaScript."""

from __future__ import annotations

import secrets
import time
from typing import Any
from urllib.parse import quote

from starlette.responses import Response

from banyan_node.idempotency import key_of
from banyan_web.endpoint import DoorContext, DoorRequest, Endpoints
from banyan_web.mastodon import compose_store
from banyan_web.mastodon.composer import mentioned
from banyan_web.oauth.sessions import Visitor, local, visitor_of
from banyan_web.page.formats import for_input, from_input, post_path, thing_in
from banyan_web.page.forms import back, form, media_of, saying, somebody
from banyan_web.page.rendering import language, page, render
from banyan_web.page.translations import WORDS
from banyan_web.params import text, texts
from banyan_web.refusals import HttpRefusal

# What the form says: in the words of the node, and as the form shows it again.

HOURS = (1, 6, 24, 72, 168)
ACTS = ("answers", "quotes", "reposts")
_EMPTY: dict[str, Any] = {
    **dict.fromkeys(
        ("warning", "lang", "poll", "reply", "quote", "quoted", "group", "in_group", "draft", "edits", "to")
    ),
    "text": "",
    "audience": "public",
    "policy": dict.fromkeys(ACTS, "everybody"),
    "media": [],
    "due": "",
}


def blank(web: DoorContext, ask: DoorRequest, me: Visitor, **filled: Any) -> dict[str, Any]:
    """An empty form, or one that is filled. once: names the writing, so that a second click writes nothing."""
    chosen, words = compose_store.defaults_of(web.door, me.did), WORDS[language(ask)]
    usual = {"lang": chosen.language, "audience": chosen.privacy, "once": secrets.token_hex(16)}
    policy = {**_EMPTY["policy"], "quotes": compose_store.QUOTERS[chosen.quoters]}
    form = {**_EMPTY, **usual, "policy": policy, "label": words["compose_text"], **filled}
    form["key"] = form["edits"] or form["draft"] or form["reply"] or form["quote"] or form["group"] or "new"
    return form


def from_draft(draft: dict[str, Any]) -> dict[str, Any]:
    """What a form shows of a draft."""
    kept = {
        name: draft[name]
        for name in ("text", "warning", "lang", "audience", "policy", "media", "poll", "reply", "quote")
    }
    due = for_input(draft["due"], "UTC") if draft["due"] else ""
    return {**kept, "group": draft["group"], "due": due, "draft": draft["id"]}


async def content(web: DoorContext, ask: DoorRequest, me: Visitor) -> dict[str, Any]:
    """The parameters of `post` and `draft.set` but for what is answered, quoted or due. Raises HttpRefusal."""
    params = ask.params
    said = text(params, "text", "").replace("\r\n", "\n")
    options = [one.strip() for one in texts(params, "options") if one.strip()]
    unlisted = params.get("unlisted") or params.get("audience") == "unlisted"
    return {
        "text": said,
        "warning": text(params, "warning", "").strip() or None,
        "lang": text(params, "lang", "").strip() or None,
        "audience": "unlisted" if unlisted else None,
        "mentions": await mentioned(web, said, me.did) or None,
        "media": [*kept(ask), *await media_of(web, ask)] or None,
        "poll": _poll(ask, options) if options else None,
        "group": text(params, "group", "") or None,
        "policy": policy(ask),
    }


def policy(ask: DoorRequest) -> dict[str, str] | None:
    """Who may answer, quote and repost, as far as the form says it."""
    return {act: who for act in ACTS if (who := text(ask.params, act, ""))} or None


def kept(ask: DoorRequest) -> list[dict[str, str | None]]:
    """The media that a draft or a post had and that stay, with what is said of them now."""
    blobs, alts, gone = (texts(ask.params, name) for name in ("kept", "kept_alt", "gone"))
    pairs = zip(blobs, [*alts, *[""] * len(blobs)], strict=False)
    return [{"blob": blob, "description": alt.strip() or None} for blob, alt in pairs if blob not in gone]


def _poll(ask: DoorRequest, options: list[str]) -> dict[str, Any]:
    hours = text(ask.params, "poll_hours", "24")
    if not hours.isascii() or not hours.isdigit() or int(hours[:6]) not in HOURS:
        raise HttpRefusal(422, "The poll ends after one of the times that the form offers.")
    closes = time.time_ns() // 1_000_000 + int(hours) * 3_600_000
    return {"options": options, "closes_ms": closes, "choices": "several" if ask.params.get("several") else "one"}


def due_ms(ask: DoorRequest) -> int | None:
    """When it is to be published; None: now. The form's script says which clock it is, else it is UTC. Raises
    HttpRefusal."""
    said, zone = text(ask.params, "due", ""), text(ask.params, "zone", "0")
    if not said:
        return None
    if not zone.lstrip("-").isdigit() or not zone.isascii() or abs(int(zone[:6])) > 24 * 60:
        raise HttpRefusal(422, "zone is how many minutes the clock is behind UTC.")
    return from_input(said, int(zone))


# -- pages

ENDPOINTS = Endpoints()


@page(ENDPOINTS, "/compose")
async def compose(web: DoorContext, ask: DoorRequest) -> Response:
    """A page to write on: anew, an answer, a quotation, or a draft."""
    me, words = somebody(web, ask), WORDS[language(ask)]
    given = {name: text(ask.params, name, "") or None for name in ("draft", "reply", "quote", "group")}
    filled: dict[str, Any] = {**given, "to": "/home"}
    if given["draft"]:
        filled |= from_draft(await _draft(web, me, given["draft"])) | {"to": "/drafts"}
    above = None
    for name in ("reply", "quote"):
        if filled[name]:
            above = await web.call("post.get", uri=filled[name], by=me.did)
            filled["to"] = post_path(filled[name]) if name == "reply" else filled["to"]
    heading = words["compose_quote"] if filled["quote"] else words["compose"]
    return await render(
        web, ask, "posts/compose.html", form=blank(web, ask, me, **filled), heading=heading, above=above
    )


async def _draft(web: DoorContext, me: Visitor, name: str) -> dict[str, Any]:
    for one in (await web.call("drafts", by=me.did))["drafts"]:
        if one["id"] == name:
            found: dict[str, Any] = one
            return found
    raise HttpRefusal(404, "There is no such draft: it was published, or thrown away.")


@form(ENDPOINTS, "/post", files=True)
async def post(web: DoorContext, ask: DoorRequest, me: Visitor) -> str | None:
    """A post, an answer or a quotation; or a draft, if it is to be kept or published later."""
    named = {name: text(ask.params, name, "") or None for name in ("reply", "quote", "draft", "once")}
    said, due = await content(web, ask, me), due_ms(ask)
    reply, quoted, draft = named["reply"], named["quote"], named["draft"]
    keeps = ask.params.get("do") == "draft"
    key = named["once"] and key_of(f"form {me.did}", named["once"], [keeps, due, reply, quoted, draft, said])
    if keeps or due is not None or draft:
        more = {"reply": reply, "quote": quoted, "due": due, "id": draft}
        made = await web.call("draft.set", None if draft else key, **said, **more, by=me.did)
        if keeps or due is not None:
            return saying("/drafts", "kept" if due is None else "scheduled")
        await web.call("draft.publish", id=made["id"], by=me.did)
        return saying("/home", "posted")
    method = "reply" if reply else "quote" if quoted else "post"
    await web.call(method, key, by=me.did, uri=reply or quoted, **said)
    return back(ask, "posted")


@page(ENDPOINTS, "/edit/{name}/{key}")
async def edit_page(web: DoorContext, ask: DoorRequest) -> Response:
    """A post of one's own in a form."""
    me, words = somebody(web, ask), WORDS[language(ask)]
    row = await _own(web, me, thing_in(ask.path["name"], ask.path["key"]))
    shown = {name: row[name] for name in ("text", "warning", "lang", "media", "policy")}
    at = post_path(row["uri"])
    filled = blank(web, ask, me, **shown, edits=row["uri"], to=at, label=words["edit_title"], once=None)
    return await render(web, ask, "posts/compose.html", form=filled, heading=words["edit_title"], above=None)


async def _own(web: DoorContext, me: Visitor, uri: str) -> dict[str, Any]:
    """A post of who is logged in. Raises HttpRefusal."""
    if uri.partition("/")[0] != me.did:
        raise HttpRefusal(403, "Only posts of one's own can be changed.")
    found: dict[str, Any] = await web.call("post.get", uri=uri, by=me.did)
    return found


@form(ENDPOINTS, "/edit", files=True)
async def edit(web: DoorContext, ask: DoorRequest, me: Visitor) -> str | None:
    """Changes a post: text, warning, language, descriptions, media, and who may answer it."""
    row = await _own(web, me, text(ask.params, "edits"))
    said = text(ask.params, "text", "").replace("\r\n", "\n")
    captions = [item for item in row["media"] if item["type"] == "text/vtt" and item["blob"] not in _blobs(ask)]
    media = [
        *kept(ask),
        *[{"blob": item["blob"], "description": item["description"]} for item in captions],
        *await media_of(web, ask),
    ]
    await web.call(
        "edit",
        uri=row["uri"],
        text=said,
        warning=text(ask.params, "warning", "").strip(),
        lang=text(ask.params, "lang", "").strip(),
        mentions=await mentioned(web, said, me.did),
        media=media,
        policy=policy(ask),
    )
    return saying(post_path(row["uri"]), "edited")


def _blobs(ask: DoorRequest) -> set[str]:
    return {str(item["blob"]) for item in kept(ask)} | {str(one) for one in ask.params.get("gone", [])}


@page(ENDPOINTS, "/delete/{name}/{key}")
async def delete_page(web: DoorContext, ask: DoorRequest) -> Response:
    """Asks before a post is deleted, because that is for ever."""
    me = somebody(web, ask)
    row = await _own(web, me, thing_in(ask.path["name"], ask.path["key"]))
    return await render(web, ask, "posts/delete.html", post=row, back=local(ask.params.get("to"), "/home"))


@form(ENDPOINTS, "/delete")
async def delete(web: DoorContext, ask: DoorRequest, me: Visitor) -> str | None:
    """Deletes a post of one's own. Its words may be kept as a draft, since nothing brings the post back."""
    uri = text(ask.params, "uri")
    if uri.partition("/")[0] != me.did:
        raise HttpRefusal(403, "Only posts of one's own can be deleted.")
    keeps = ask.params.get("keep") == "1"
    if keeps:
        await _keep(web, me, await _own(web, me, uri))
    await web.call("delete", uri=uri)
    to = local(ask.params.get("to"), "/home")
    return saying("/home" if uri[-32:] in to else to, "deleted_kept" if keeps else "deleted")


async def _keep(web: DoorContext, me: Visitor, row: dict[str, Any]) -> None:
    """Keeps what a post says as a draft: with its media, if their files are still here."""
    quoted = row["quote"]["uri"] if row["quote"] else None
    said = {
        "text": row["text"],
        "warning": row["warning"],
        "lang": row["lang"],
        "audience": row["audience"],
        "policy": row["policy"],
        "mentions": [one["account"] for one in row["mentions"]] or None,
        "reply": row["reply_to"],
        "quote": quoted,
        "group": row["group"]["uri"] if row["group"] else None,
    }
    media = [{"blob": item["blob"], "description": item["description"]} for item in row["media"]] or None
    for more in ({"media": media}, {}, {"reply": None, "quote": None, "group": None}):
        try:
            await web.call("draft.set", **(said | more), by=me.did)
            return
        except HttpRefusal as why:
            refused = why
    raise refused


@page(ENDPOINTS, "/history/{name}/{key}")
async def history(web: DoorContext, ask: DoorRequest) -> Response:
    """Who signed a post, when it came, and what it said before its edits."""
    me, uri = visitor_of(web, ask), thing_in(ask.path["name"], ask.path["key"])
    await web.call("post.get", uri=uri, by=me and me.did)
    return await render(web, ask, "posts/history.html", why=await web.call("why", uri=uri))


@page(ENDPOINTS, "/drafts")
async def drafts(web: DoorContext, ask: DoorRequest) -> Response:
    """Posts that are not published yet."""
    me = somebody(web, ask)
    return await render(web, ask, "posts/drafts.html", drafts=(await web.call("drafts", by=me.did))["drafts"])


@form(ENDPOINTS, "/drafts/publish")
async def publish(web: DoorContext, ask: DoorRequest, me: Visitor) -> str | None:
    """Publishes a draft now."""
    made = await web.call("draft.publish", id=text(ask.params, "id"), by=me.did)
    return saying(post_path(made["uri"]), "posted")


@form(ENDPOINTS, "/drafts/drop")
async def drop(web: DoorContext, ask: DoorRequest, me: Visitor) -> str | None:
    """Throws a draft away."""
    await web.call("draft.drop", id=text(ask.params, "id"), by=me.did)
    return back(ask, "dropped")


def answer_form(web: DoorContext, ask: DoorRequest, me: Visitor, row: dict[str, Any]) -> dict[str, Any]:
    """The form below a conversation."""
    words = WORDS[language(ask)]
    label = words["compose_answer"].format(name=row["name"]) if row["name"] else words["reply"]
    return blank(web, ask, me, reply=row["uri"], label=label, to=quote(post_path(row["uri"]), safe="/@"))
