"""The entities that streams carry: those of the rest of the API."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from banyan_reading.visibility import FilterContext
from banyan_web.endpoint import DoorContext
from banyan_web.mastodon import noticing
from banyan_web.mastodon.entities.accounts import accounts
from banyan_web.mastodon.entities.statuses import GONE, row_of, statuses, unmarked
from banyan_web.refusals import Refused


class Eyes(NamedTuple):
    """Who sees it. reader: None: anybody. where: whose filters there warn. unmarked: it is one of many people, none of
    whom can have done anything with the post yet."""

    reader: str | None = None
    where: FilterContext | None = None
    unmarked: bool = False


async def status(
    web: DoorContext, uri: str, people: Mapping[str, Any], eyes: Eyes, reposted: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """A post. people: of `current`. reposted: as one account reposted it: `account` and `time_ms`. Raises Refused if it
    is not shown in timelines."""
    row = await row_of(web, uri, eyes.reader, eyes.where)
    if row["refused"] is not None:
        raise Refused(404, GONE)
    if reposted is not None:
        row["reposted"] = [reposted]
    found = (await statuses(web, [row], eyes.reader, people))[0]
    return unmarked(found) if eyes.unmarked else found


async def current(web: DoorContext, dids: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Account entities whose counts have what happened. Pages show the same from now on. Raises Refused."""
    found = await accounts(web, dids)
    for did, entity in found.items():
        web.caches.put_person(did, entity)
    return found


async def plain(web: DoorContext, uri: str, reposter: str | None = None) -> dict[str, Any]:
    """The post as the node has it. Raises Refused if it is not shown."""
    return await row_of(web, uri, None, reposter=reposter)


async def notifications(web: DoorContext, rows: Sequence[Mapping[str, Any]], reader: str) -> list[dict[str, Any]]:
    """What the reader hears of, without that for which apps have no word. Raises Refused."""
    found = [noticing.told_of(row) for row in rows if row["kind"] in noticing.SHOWN_AS]
    known = await noticing.entities(web, reader, found)
    return [noticing.notification(one, known) for one in noticing.shown_of(found, known)]
