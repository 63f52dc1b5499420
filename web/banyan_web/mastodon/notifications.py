"""What somebody hears of, in the words of Mastodon, and pages of it.

A kind without a type of its own there is shown as one that apps know, or left out (docs/mastodon-api.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from banyan_schema.dates import iso
from banyan_web.endpoint import DoorContext, DoorRequest
from banyan_web.mastodon.endpoints import reports
from banyan_web.mastodon.entities.accounts import accounts
from banyan_web.mastodon.entities.statuses import rows_of, statuses
from banyan_web.mastodon.entity_ids import LARGEST, PLACE_BYTES, did_of, notice_id, place_of
from banyan_web.mastodon.paging import between
from banyan_web.params import number, text, texts
from banyan_web.refusals import gone

SHOWN_AS: Mapping[str, str] = {
    "reply": "mention",
    "mention": "mention",
    "quote": "mention",
    "reaction": "favourite",
    "repost": "reblog",
    "follow": "follow",
    "follow_request": "follow_request",
    "urgent": "status",
    "episode": "status",
    "poll_ended": "poll",
}
"""Kinds of the node -> types of Mastodon. Those of groups, events, moves and accepted follows have none."""
ABOUT_OWN = frozenset({"favourite", "reblog"})
"""Types whose status is the reader's own."""
OF_A_STATUS = frozenset({"mention", "status", "poll", "favourite", "reblog"})
PAGE, MOST = 40, 80
A_CALL = 200
"""The most rows that the node answers at once."""
CALLS = 10
"""So many pages of the node are looked through to find what is asked for."""


class AppNotification(NamedTuple):
    """A notification. by: who did it, a DID. status: of what it is; None if it needs none."""

    id: str
    type: str
    time_ms: int
    by: str
    uri: str | None
    row: Mapping[str, Any] | None
    unread: bool
    told: Mapping[str, Any] | None = None
    """What moderation tells, which no entry says."""

    @property
    def place(self) -> str:
        return place_of(self.id)


class NotificationQuery(NamedTuple):
    """Which notifications are asked for. newest, oldest: ids between which they stand, both left out. upward: those
    next to `oldest` are wanted, and not those next to `newest`. of: by whom, a DID. own: types of what this node alone
    tells."""

    kinds: list[str]
    newest: str | None
    oldest: str | None
    upward: bool
    limit: int
    of: str | None
    own: frozenset[str]


def wanted(ask: DoorRequest, page: int = PAGE, most: int = MOST) -> NotificationQuery:
    """Raises HttpRefusal."""
    given, without = texts(ask.params, "types"), texts(ask.params, "exclude_types")
    kinds = [kind for kind, type_ in SHOWN_AS.items() if (not given or type_ in given) and type_ not in without]

    def id_(name: str) -> str | None:
        return notice_id(place_of(text(ask.params, name))) if ask.params.get(name) else None

    upward = bool(ask.params.get("min_id"))
    return NotificationQuery(
        kinds,
        id_("max_id"),
        id_("min_id") if upward else id_("since_id"),
        upward,
        number(ask.params, "limit", page, most),
        did_of(text(ask.params, "account_id")) if ask.params.get("account_id") else None,
        frozenset(t for t in reports.TYPES.values() if (not given or t in given) and t not in without),
    )


async def told(web: DoorContext, reader: str, what: NotificationQuery) -> tuple[list[AppNotification], str | None]:
    """Notifications, the newest first, and the id behind which the next page begins; None on the last one."""
    found, more = await _of_the_network(web, reader, what)
    own = [_own(row, reader) for row in await reports.tells(web, reader, what.own, what.newest, what.oldest)]
    own = [one for one in own if (more is None or one.id > more) and what.of in (None, one.by)]
    if not own:
        return found, more
    every = sorted([*found, *own], key=lambda one: one.id, reverse=True)
    shown = every[-what.limit :] if what.upward else every[: what.limit]
    return shown, shown[-1].id if not what.upward and len(every) > what.limit else more


def _own(row: Mapping[str, Any], reader: str) -> AppNotification:
    by = row["report"]["by"]["account"] if row["report"] else reader
    return AppNotification(
        notice_id(row["at"]), reports.TYPES[row["what"]], row["time_ms"], by, None, None, row["unread"], row
    )


async def _of_the_network(
    web: DoorContext, reader: str, what: NotificationQuery
) -> tuple[list[AppNotification], str | None]:
    if not what.kinds:
        return [], None
    found, before = list[AppNotification](), None if what.newest is None else place_of(what.newest)
    for _ in range(CALLS):
        size = A_CALL if what.upward else min(A_CALL, what.limit - len(found))
        page = await web.call(
            "notifications", kinds=what.kinds, of=what.of, each=True, before=before, limit=size, by=reader
        )
        rows = [told_of(row) for row in page["notices"]]
        newer = [one for one in rows if what.oldest is None or one.id > what.oldest]
        found += newer
        before = page["before"]
        if before is None or len(newer) < len(rows) or (what.oldest and notice_id(before) <= what.oldest):
            before = None
            break
        if not what.upward and len(found) >= what.limit:
            break
    shown = found[-what.limit :] if what.upward else found
    return shown, None if before is None else notice_id(before)


async def one_of(web: DoorContext, reader: str, id_: str) -> AppNotification:
    """Raises HttpRefusal."""
    row = await reports.tell_at(web, reader, place_of(id_))
    if row is not None:
        return _own(row, reader)
    place = int(place_of(id_), 16)
    above = min(place + 1, LARGEST).to_bytes(PLACE_BYTES, "big").hex()
    kinds = list(SHOWN_AS)
    page = await web.call("notifications", kinds=kinds, each=True, before=above, limit=1, by=reader)
    for one in map(told_of, page["notices"]):
        if one.place == place_of(id_):
            return one
    raise gone()


def told_of(row: Mapping[str, Any]) -> AppNotification:
    """A row of the node whose kind is in SHOWN_AS."""
    type_ = SHOWN_AS[row["kind"]]
    post = row["post"]
    uri = row["about"] if type_ in ABOUT_OWN else None if post is None else post["uri"]
    by = row["accounts"][0]["account"]
    return AppNotification(
        notice_id(row["at"]), type_, row["time_ms"], by, uri, None if type_ in ABOUT_OWN else post, row["unread"]
    )


class NotificationEntities(NamedTuple):
    """What notifications name: Account entities by DID, Status entities by the address of the post."""

    accounts: dict[str, dict[str, Any]]
    statuses: dict[str, dict[str, Any]]


async def entities(web: DoorContext, reader: str, found: Sequence[AppNotification]) -> NotificationEntities:
    rows = {one.uri: one.row for one in found if one.uri is not None and one.row is not None}
    rows |= await rows_of(web, [one.uri for one in found if one.uri is not None and one.uri not in rows], reader)
    shown = await statuses(web, [*rows.values()], reader)
    reported = [one.told["report"]["account"]["account"] for one in found if one.told and one.told["report"]]
    return NotificationEntities(
        await accounts(web, [*(one.by for one in found), *reported]), dict(zip(rows, shown, strict=True))
    )


def shown_of(found: Sequence[AppNotification], known: NotificationEntities) -> list[AppNotification]:
    """Those that can be shown: not those of a post that is not here any more."""
    return [one for one in found if one.type not in OF_A_STATUS or one.uri in known.statuses]


def group_key(one: AppNotification) -> str:
    """Alike things of a day are one group."""
    day = one.time_ms // 86_400_000
    return f"{one.type}-{day}" if one.uri is None else f"{one.type}-{day}-{one.uri.replace(':', '_').replace('/', '-')}"


def notification(one: AppNotification, known: NotificationEntities) -> dict[str, Any]:
    """The Notification entity."""
    found = {
        "id": one.id,
        "type": one.type,
        "created_at": iso(one.time_ms),
        "group_key": f"ungrouped-{one.id}",
        "account": known.accounts[one.by],
    }
    if one.told is not None:
        return found | of_moderation(one, known)
    return found | ({"status": known.statuses[one.uri]} if one.uri is not None and one.type in OF_A_STATUS else {})


def of_moderation(one: AppNotification, known: NotificationEntities) -> dict[str, Any]:
    """What a notification has that this node alone tells."""
    if one.told is None:
        return {}
    report = one.told["report"]
    if report:
        return {"report": reports.for_moderators(report, known.accounts[report["account"]["account"]])}
    return {"moderation_warning": reports.warning(one.told["decision"], known.accounts[one.by])}


def page_link(web: DoorContext, ask: DoorRequest, found: Sequence[AppNotification], more: str | None) -> None:
    between(web, ask, more, found[0].id if found else None)


async def put_away(web: DoorContext, reader: str, some: Iterable[AppNotification]) -> None:
    """They are not told any more, on any device of the reader."""
    for one in some:
        await web.call("notification.dismiss", place=one.place, by=reader)
