"""What the form for writing says: in the words of the node, and as the form shows it again."""

from __future__ import annotations

import secrets
import time
from typing import Any

from banyan_web.endpoint import Ask, DoorContext
from banyan_web.mastodon import defaults
from banyan_web.mastodon.composing import mentioned
from banyan_web.page.forms import media_of
from banyan_web.page.rendering import language
from banyan_web.page.times import for_input, from_input
from banyan_web.page.visitor import Visitor
from banyan_web.page.words import WORDS
from banyan_web.params import text, texts
from banyan_web.refusals import Refused

HOURS = (1, 6, 24, 72, 168)
ACTS = ("answers", "quotes", "reposts")
_EMPTY: dict[str, Any] = {
    "text": "",
    "warning": None,
    "lang": None,
    "audience": "public",
    "policy": dict.fromkeys(ACTS, "everybody"),
    "media": [],
    "poll": None,
    "due": "",
    "reply": None,
    "quote": None,
    "quoted": None,
    "group": None,
    "in_group": None,
    "draft": None,
    "edits": None,
    "to": None,
}


def blank(web: DoorContext, ask: Ask, me: Visitor, **filled: Any) -> dict[str, Any]:
    """An empty form, or one that is filled. once: names the writing, so that a second click writes nothing."""
    chosen, words = defaults.of(web.door, me.did), WORDS[language(ask)]
    usual = {"lang": chosen.language, "audience": chosen.privacy, "once": secrets.token_hex(16)}
    form = {**_EMPTY, **usual, "label": words["compose_text"], **filled}
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


async def content(web: DoorContext, ask: Ask, me: Visitor) -> dict[str, Any]:
    """The parameters of `post` and `draft.set` but for what is answered, quoted or due. Raises Refused."""
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


def policy(ask: Ask) -> dict[str, str] | None:
    """Who may answer, quote and repost, as far as the form says it."""
    return {act: who for act in ACTS if (who := text(ask.params, act, ""))} or None


def kept(ask: Ask) -> list[dict[str, str | None]]:
    """The media that a draft or a post had and that stay, with what is said of them now."""
    blobs, alts, gone = (texts(ask.params, name) for name in ("kept", "kept_alt", "gone"))
    pairs = zip(blobs, [*alts, *[""] * len(blobs)], strict=False)
    return [{"blob": blob, "description": alt.strip() or None} for blob, alt in pairs if blob not in gone]


def _poll(ask: Ask, options: list[str]) -> dict[str, Any]:
    hours = text(ask.params, "poll_hours", "24")
    if not hours.isascii() or not hours.isdigit() or int(hours[:6]) not in HOURS:
        raise Refused(422, "The poll ends after one of the times that the form offers.")
    closes = time.time_ns() // 1_000_000 + int(hours) * 3_600_000
    return {"options": options, "closes_ms": closes, "choices": "several" if ask.params.get("several") else "one"}


def due_ms(ask: Ask) -> int | None:
    """When it is to be published; None: now. The form's script says which clock it is, else it is UTC. Raises
    Refused."""
    said, zone = text(ask.params, "due", ""), text(ask.params, "zone", "0")
    if not said:
        return None
    if not zone.lstrip("-").isdigit() or not zone.isascii() or abs(int(zone[:6])) > 24 * 60:
        raise Refused(422, "zone is how many minutes the clock is behind UTC.")
    return from_input(said, int(zone))
