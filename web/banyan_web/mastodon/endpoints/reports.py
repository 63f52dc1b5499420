"""Reports of apps: they reach the moderators of this node. And the entities of what moderation tells somebody."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from banyan_node.moderation.decisions import KEPT, OWN_PLACES
from banyan_node.moderation.reports import COMMENT, POSTS
from banyan_schema.dates import iso
from banyan_web.endpoint import DoorContext, DoorRequest, Endpoints
from banyan_web.mastodon.entities.accounts import account
from banyan_web.mastodon.entities.statuses import uri_of
from banyan_web.mastodon.entity_ids import LARGEST, PLACE_BYTES, did_of, notice_id, place_of, status_id
from banyan_web.params import text, texts, truthy
from banyan_web.platform.requests import key_for
from banyan_web.refusals import HttpRefusal

ENDPOINTS = Endpoints()
CATEGORIES = ("spam", "legal", "violation", "other")
ACTIONS: Mapping[str, str] = {
    "label": "mark_statuses_as_sensitive",
    "hide": "delete_statuses",
    "withhold": "delete_statuses",
    "limit": "silence",
    "suspend": "suspend",
}
"""Decisions in the words of Mastodon."""
_BACK, _OVER = "The moderators took this back.", "No longer withheld by this order:"


@ENDPOINTS.post("/api/v1/reports", "write:reports")
async def create(web: DoorContext, ask: DoorRequest) -> Any:
    """Reports an account, or posts of it, to the moderators of this node."""
    given, who = ask.params, did_of(text(ask.params, "account_id"))
    named = {await uri_of(web, one): one for one in texts(given, "status_ids")}
    if len(named) > POSTS:
        raise HttpRefusal(422, f"A report names at most {POSTS} posts.")
    if any(uri.partition("/")[0] != who for uri in named):
        raise HttpRefusal(422, "The posts of a report are of the account that is reported.")
    comment, rules = text(given, "comment", ""), texts(given, "rule_ids")
    if len(comment) > COMMENT:
        raise HttpRefusal(422, f"The comment has more than {COMMENT:,} characters.")
    unknown = next((rule for rule in rules if web.server.rules.rule(rule) is None), None)
    if unknown is not None:
        raise HttpRefusal(422, f"{unknown[:20]!r} is no rule of this server: /api/v1/instance/rules has them.")
    category = text(given, "category", "") or ("violation" if rules else "other")
    if category not in CATEGORIES:
        raise HttpRefusal(422, f"category is one of {', '.join(CATEGORIES)}.")
    made = await web.call(
        "report.add",
        key_for(ask),
        by=ask.account,
        account=who,
        posts=[*named],
        comment=comment,
        category=category,
        rules=rules if category == "violation" else [],
        forward=truthy(given, "forward"),
    )
    return entity(made, await account(web, who), [named[uri] for uri in made["posts"] if uri in named])


def entity(report: Mapping[str, Any], target: Mapping[str, Any], statuses: list[str]) -> dict[str, Any]:
    """The Report entity. report: what the node says of it, to who reported or to a moderator. target: the account.
    statuses: ids of posts."""
    closed = report["closed_ms"]
    return {
        "id": str(report["id"]),
        "action_taken": closed is not None,
        "action_taken_at": None if closed is None else iso(closed),
        "category": report["category"],
        "comment": report["comment"] if "comment" in report else report["by"]["comment"],
        "forwarded": report["forward"],
        "created_at": iso(report["at_ms"]),
        "status_ids": statuses,
        "rule_ids": report["rules"] or None,
        "target_account": target,
    }


def for_moderators(report: Mapping[str, Any], target: Mapping[str, Any]) -> dict[str, Any]:
    """The Report entity of a notification."""
    return entity(report, target, [status_id(post["uri"], post["time_ms"]) for post in report["posts"]])


def warning(decision: Mapping[str, Any], target: Mapping[str, Any]) -> dict[str, Any]:
    """The AccountWarning entity of a decision about the reader, `target`."""
    undone = decision["undone_ms"] is not None
    order = "; ".join(part for part in (decision["order"], decision["basis"], decision["scope"]) if part)
    said = "\n".join(part for part in (decision["text"], order) if part)
    return {
        "id": str(decision["id"]),
        "action": "none" if undone else ACTIONS[decision["verdict"]],
        "text": (order and f"{_OVER} {order}") or _BACK if undone else said,
        "status_ids": None,
        "target_account": target,
        "appeal": None,
        "created_at": iso(decision["undone_ms"] if undone else decision["at_ms"]),
    }


# Notifications that no entry of the network says: a report came, for moderators; a decision about the reader.

TYPES: Mapping[str, str] = {"report": "admin.report", "decision": "moderation_warning"}
"""What the node tells -> types of Mastodon. The outcome of a report has none there: `GET /v1/reports` has it."""


async def is_limited(web: DoorContext, account: str) -> bool:
    """Whether only its followers see what the account says, as moderators want it."""
    return (await web.call("account.standing", account=account))["limited"] is not None


async def tells(
    web: DoorContext, reader: str, types: frozenset[str], newest: str | None, oldest: str | None
) -> list[dict[str, Any]]:
    """Rows of `moderation.told` between two ids of notifications, both left out, the newest first."""
    if not types:
        return []
    before = None if newest is None else place_of(newest)
    found = (await web.call("moderation.told", before=before, limit=KEPT, by=reader))["tells"]
    return [
        row
        for row in found
        if TYPES.get(row["what"]) in types
        and (oldest is None or notice_id(row["at"]) > oldest)
        and (row["report"] or row["decision"])
    ]


async def tell_at(web: DoorContext, reader: str, place: str) -> dict[str, Any] | None:
    """The one at a place, if there is one."""
    if not is_own(place):
        return None
    above = min(int(place, 16) + 1, LARGEST).to_bytes(PLACE_BYTES, "big").hex()
    found = await tells(web, reader, frozenset(TYPES.values()), notice_id(above), None)
    return found[0] if found and found[0]["at"] == place else None


def is_own(place: str) -> bool:
    """Whether it is a place of moderation, and of no operation."""
    return int(place, 16) & 0xFFFF >= OWN_PLACES
