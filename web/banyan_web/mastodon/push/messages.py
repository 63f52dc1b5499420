"""What a push message says: the same as that of Mastodon, so that apps know it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from banyan_web.endpoint import DoorContext
from banyan_web.mastodon import defaults
from banyan_web.mastodon.entities.accounts import profiles
from banyan_web.mastodon.entities.statuses import rows_of
from banyan_web.mastodon.noticing import SHOWN_AS, Told, entities, notification, shown_of, told_of
from banyan_web.mastodon.push.subscriptions import PushSubscription

NEWEST = 40
"""So many are sent at once: of more, the older ones are left out, for nobody reads a hundred messages."""
OLDEST_S = 48 * 3_600
"""What is older is not sent, and a push service keeps a message for so long, as with Mastodon."""
BODY, NAME = 140, 100
"""Characters of the text, and of a name."""
_SAYS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "mention": "You were mentioned by {}",
        "favourite": "{} favorited your post",
        "reblog": "{} boosted your post",
        "follow": "{} is now following you",
        "follow_request": "Pending follower: {}",
        "status": "{} just posted",
        "poll": "A poll by {} has ended",
    },
    "vi": {
        "mention": "{} nhắc đến bạn",
        "favourite": "{} thích bài của bạn",
        "reblog": "{} đăng lại bài của bạn",
        "follow": "{} theo dõi bạn",
        "follow_request": "{} xin theo dõi bạn",
        "status": "{} vừa đăng bài",
        "poll": "Bình chọn của {} đã kết thúc",
    },
}


class PushNews(NamedTuple):
    """A notification. place: of it. message: what is sent; None: the app does not want it."""

    place: str
    message: bytes | None


async def news(web: DoorContext, to: PushSubscription, token: str, now: float) -> list[PushNews]:
    """What there is to tell, the oldest first. token: of the app. now: seconds since 1970. Raises Refused."""
    kinds = list(SHOWN_AS)
    rows = (await web.call("notifications", kinds=kinds, each=True, limit=NEWEST, by=to.account))["notices"]
    found = [told_of(row) for row in reversed(rows) if row["at"] > to.heard]
    wanted = [one for one in found if to.wish.alerts.get(one.type) and one.time_ms / 1_000 > now - OLDEST_S]
    wanted = await _of_whom(web, to, wanted)
    known = await entities(web, to.account, wanted)
    wanted = shown_of(wanted, known)
    bodies = await _bodies(web, to.account, wanted)
    language = defaults.of(web.door, to.account).language or "en"
    says = _SAYS["vi" if language.partition("-")[0] == "vi" else "en"]
    said: dict[str, bytes] = {}
    for one in wanted:
        entity = notification(one, known)
        who = entity["account"]
        name = " ".join((who["display_name"] or who["username"]).split())[:NAME]
        said[one.place] = msgspec.json.encode(
            {
                "access_token": token,
                "preferred_locale": language,
                "notification_id": one.id,
                "notification_type": one.type,
                "icon": who["avatar_static"],
                "title": says[one.type].format(name),
                "body": bodies[one.place],
            }
        )
    return [PushNews(one.place, said.get(one.place)) for one in found]


async def _of_whom(web: DoorContext, to: PushSubscription, some: list[Told]) -> list[Told]:
    """Those of whom the policy lets through."""
    policy = to.wish.policy
    if policy == "all" or not some:
        return some
    if policy == "none":
        return []
    who = list(dict.fromkeys(one.by for one in some))
    rows = (await web.call("relationships", accounts=who, by=to.account))["relationships"]
    fine = {row["account"] for row in rows if row["following" if policy == "followed" else "followed_by"]}
    return [one for one in some if one.by in fine]


async def _bodies(web: DoorContext, reader: str, some: list[Told]) -> dict[str, str]:
    """By place: the warning of a post, else its text; without one what the account says of itself."""
    rows: dict[str, Any] = await rows_of(web, [one.uri for one in some if one.uri is not None], reader)
    people = await profiles(web, [one.by for one in some if one.uri not in rows])
    found = {}
    for one in some:
        row = rows.get(one.uri or "")
        full = people[one.by]["fields"].get("bio", "") if row is None else row["warning"] or row["text"]
        found[one.place] = full if len(full) <= BODY else full[: BODY - 1] + "…"
    return found
