"""Moderation: reports and decisions, for the moderators of this node; reporting, and what came of it, for everybody who
is logged in; the rules.

All of it are forms that need no scripts. Whether the visitor is a moderator is asked anew at each request, and the node
asks it again when it decides. What is about a moderator is for the others: it says who reported.
"""

from __future__ import annotations

from typing import Any, get_args

from starlette.responses import Response

from banyan_node.home.audit import Actor
from banyan_node.moderation.reports import COMMENT
from banyan_storage.local_tables import Verdict
from banyan_web.endpoint import DoorContext, DoorRequest, Endpoints
from banyan_web.mastodon.endpoints.reports import CATEGORIES
from banyan_web.oauth.sessions import Visitor
from banyan_web.page.forms import form, somebody
from banyan_web.page.rendering import language, page, render, reports_for
from banyan_web.page.translations import MODERATION
from banyan_web.params import boolean, number, numbered, text, texts
from banyan_web.refusals import HttpRefusal

ENDPOINTS = Endpoints()
A_PAGE = 20
VERDICTS = get_args(Verdict)
LATEST = 1 << 52


async def _shown(web: DoorContext, ask: DoorRequest, template: str, **values: Any) -> Response:
    return await render(web, ask, template, m=MODERATION[language(ask)], **values)


async def _demand(web: DoorContext, me: Visitor) -> None:
    """Raises HttpRefusal for who is no moderator now."""
    if await reports_for(web, me) is None:
        raise HttpRefusal(403, "Only moderators of this node see this.")


async def _moderator(web: DoorContext, ask: DoorRequest) -> Visitor:
    """Who reads. Raises HttpRefusal."""
    me = somebody(web, ask)
    await _demand(web, me)
    return me


def _after(ask: DoorRequest) -> int | None:
    return number(ask.params, "after", 0, LATEST, 0) or None


@page(ENDPOINTS, "/moderation")
async def queue(web: DoorContext, ask: DoorRequest) -> Response:
    """The reports that wait, and those that were decided."""
    me = await _moderator(web, ask)
    state = "closed" if ask.params.get("state") == "closed" else "open"
    found = await web.call("report.list", state=state, after=_after(ask), limit=A_PAGE)
    found["reports"] = [row for row in found["reports"] if row["account"]["account"] != me.did]
    return await _shown(web, ask, "moderation/moderation.html", found=found, state=state)


@page(ENDPOINTS, "/moderation/reports/{id}")
async def report(web: DoorContext, ask: DoorRequest) -> Response:
    """One report: the posts as they were and as they are, who reported, and the decision."""
    me = await _moderator(web, ask)
    found = await web.call("report.show", id=numbered(ask.path["id"]))
    if found["account"]["account"] == me.did:
        raise HttpRefusal(403, "This report is about you: the other moderators see to it.")
    official = (await web.call("profile.get", account=found["account"]["account"]))["official"]
    rules = {rule: web.server.rules.rule(rule) or rule for rule in found["rules"]}
    verdicts = [one for one in VERDICTS if (one != "suspend" or found["standing"]["hosted"])]
    return await _shown(
        web,
        ask,
        "moderation/report.html",
        report=found,
        rules=rules,
        official=official,
        verdicts=verdicts,
        categories=CATEGORIES,
    )


@page(ENDPOINTS, "/moderation/decisions")
async def decisions(web: DoorContext, ask: DoorRequest) -> Response:
    """What was decided; each decision can be taken back."""
    me = await _moderator(web, ask)
    found = await web.call("decision.list", after=_after(ask), limit=A_PAGE)
    found["decisions"] = [row for row in found["decisions"] if row["account"]["account"] != me.did]
    return await _shown(web, ask, "moderation/decisions.html", found=found)


@page(ENDPOINTS, "/moderation/law")
async def law(web: DoorContext, ask: DoorRequest) -> Response:
    """What each decision does and does not do, and the orders that are in force here."""
    await _moderator(web, ask)
    orders = (await web.call("content.withheld"))["posts"]
    return await _shown(web, ask, "moderation/law.html", orders=orders, verdicts=VERDICTS)


@form(ENDPOINTS, "/moderation/reports/{id}/decide")
async def decide(web: DoorContext, ask: DoorRequest, me: Visitor) -> str:
    """Decides a report."""
    await _demand(web, me)
    number_ = numbered(ask.path["id"])
    verdict, why = text(ask.params, "verdict"), text(ask.params, "why", "")
    if verdict not in VERDICTS:
        raise HttpRefusal(422, f"A verdict is one of {', '.join(VERDICTS)}.")
    said = {name: text(ask.params, name, "") for name in ("text", "order", "basis", "scope", "to")}
    await web.act(
        Actor(me.did, "page", why or None),
        "decision.add",
        verdict=verdict,
        report=number_,
        posts=texts(ask.params, "posts"),
        why=why,
        days=number(ask.params, "days", 0, 36_500, 0),
        by=me.did,
        **said,
    )
    return f"/moderation/reports/{number_}"


@form(ENDPOINTS, "/moderation/decisions/{id}/undo")
async def undo(web: DoorContext, ask: DoorRequest, me: Visitor) -> str:
    """Takes a decision back."""
    await _demand(web, me)
    why = text(ask.params, "why", "")
    made = await web.act(
        Actor(me.did, "page", why or None), "decision.undo", id=numbered(ask.path["id"]), why=why, by=me.did
    )
    return "/moderation/decisions" if made["report"] is None else f"/moderation/reports/{made['report']}"


@page(ENDPOINTS, "/report")
async def reporting(web: DoorContext, ask: DoorRequest) -> Response:
    """The form to report a post, or an account."""
    me, uri = somebody(web, ask), text(ask.params, "uri", "")
    account = uri.partition("/")[0] or text(ask.params, "account")
    post = await web.call("post.get", uri=uri, by=me.did) if uri else None
    named = await web.call("profile.get", account=account)
    return await _shown(
        web,
        ask,
        "moderation/reporting.html",
        post=post,
        account=named,
        categories=CATEGORIES,
        house=web.server.rules,
        most=COMMENT,
    )


@form(ENDPOINTS, "/report")
async def send(web: DoorContext, ask: DoorRequest, me: Visitor) -> str:
    """Reports."""
    uri = text(ask.params, "uri", "")
    rules = [rule for rule in texts(ask.params, "rules") if web.server.rules.rule(rule) is not None]
    category = text(ask.params, "category", "other")
    if category not in CATEGORIES:
        raise HttpRefusal(422, f"category is one of {', '.join(CATEGORIES)}.")
    await web.call(
        "report.add",
        account=uri.partition("/")[0] or text(ask.params, "account"),
        posts=[uri] if uri else [],
        comment=text(ask.params, "comment", ""),
        category=category,
        rules=rules if category == "violation" else [],
        forward=boolean(ask.params, "forward"),
        by=me.did,
    )
    return "/reports"


@page(ENDPOINTS, "/reports")
async def mine(web: DoorContext, ask: DoorRequest) -> Response:
    """What the visitor reported, and what came of it; what was decided about the visitor."""
    me = somebody(web, ask)
    found = await web.call("report.mine", after=_after(ask), limit=A_PAGE, by=me.did)
    about = await web.call("decision.mine", limit=A_PAGE, by=me.did)
    return await _shown(web, ask, "moderation/reports.html", found=found, about=about["decisions"])


@page(ENDPOINTS, "/rules")
async def rules(web: DoorContext, ask: DoorRequest) -> Response:
    """The rules of this server, its terms and its privacy policy."""
    return await _shown(web, ask, "moderation/rules.html", house=web.server.rules)
