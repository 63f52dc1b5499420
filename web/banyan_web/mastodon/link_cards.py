"""Which link gets a card, when its page is asked for, and what is kept of it.

A million nodes that show one post must not be a million visitors of the page that it links. So by default (`own`) a
node asks only for pages that an account hosted here linked: one node asks, once, as the browser of its author did. With
`read` it also asks for what somebody who is logged in here is shown; then each such node asks, at a random moment
within a minute, and once in two weeks. A page is never asked for because a post arrived.
"""

from __future__ import annotations

import logging
import random
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Literal, NamedTuple
from urllib.parse import urlsplit

import anyio
import msgspec
from anyio import to_thread
from cachetools import TTLCache

from banyan_web.door_store import DAY_S, DoorStore
from banyan_web.endpoint import DoorContext
from banyan_web.mastodon.entities.accounts import profiles
from banyan_web.mastodon.page_fetch import absolute, fetched
from banyan_web.mastodon.post_html import first_link
from banyan_web.outbound_http import OutboundHttp, Unreachable
from banyan_web.refusals import HttpRefusal

# Cards are kept in the door's file, by the address of the page; and the addresses that gave none. What is old or too
# much goes, and is fetched again when somebody sees the link.

KEPT_S, FAILED_S = 14 * DAY_S, DAY_S
"""How long a card is shown, and how long an address that gave none is not asked again."""
MOST, PICTURE_BYTES = 5_000, 64 << 20
"""Addresses, and bytes of all pictures."""


class KeptCard(NamedTuple):
    """said: fields of the PreviewCard entity, without addresses of this server; None: there is no card. picture: the
    name of its picture, and type of it."""

    said: dict[str, Any] | None
    picture: str | None
    kind: str | None
    kept: int

    @property
    def fresh(self) -> bool:
        return time.time() - self.kept < (FAILED_S if self.said is None else KEPT_S)


def card(door: DoorStore, url: str) -> KeptCard | None:
    row = door.row("select said, picture, kind, kept from cards where url = ?", url)
    if row is None:
        return None
    return KeptCard(None if row[0] is None else msgspec.json.decode(row[0]), *row[1:])


def keep(door: DoorStore, url: str, said: dict[str, Any] | None, raw: bytes | None, kind: str | None) -> KeptCard:
    """raw, kind: of its picture, if it has one."""
    now = int(time.time())
    name = None if raw is None else sha256(raw).hexdigest()[:32]
    text = None if said is None else msgspec.json.encode(said).decode()
    with door.writing() as db:
        door.end_terms("cards")
        db.execute("insert or replace into cards values (?, ?, ?, ?, ?, ?)", (url, text, name, kind, raw, now))
        size = "sum(length(coalesce(raw, x''))) over (order by kept desc, url)"
        place = "row_number() over (order by kept desc, url)"
        db.execute(
            f"delete from cards where url in (select url from (select url, {size} as size, {place} as place from cards)"
            " where size > ? or place > ?)",
            (PICTURE_BYTES, MOST),
        )
    return KeptCard(said, name, kind, now)


def picture(door: DoorStore, name: str) -> tuple[str, bytes] | None:
    """Type and bytes."""
    row = door.row("select kind, raw from cards where picture = ? limit 1", name)
    return None if row is None else (row[0], bytes(row[1]))


Changed = Callable[[DoorContext, str], Awaitable[None]]
Cards = Literal["off", "own", "read"]
QUEUED = 500
"""Pages that wait to be asked for; beyond it, links have no card until they are seen again."""
TOGETHER = 2
"""Pages that are asked for at once."""
HOST_S = 10.0
"""Between two pages of one host."""
OWN_S, READ_S = 1.0, 60.0
"""A page is asked for within so many seconds: of what was posted here, and of what was read here."""
POSTS = 50
"""Posts that are told to streams when their card came."""
HELD = 10_000


@dataclass(slots=True)
class WantedCard:
    """uris: posts that link the page. readers: whether somebody who is logged in saw it."""

    uris: dict[str, None] = field(default_factory=dict)
    read: bool = False


class LinkCards:
    """Use it in one event loop. mode: see above. outside: asks for pages. url: of this server."""

    def __init__(self, mode: Cards, outside: OutboundHttp, url: str) -> None:
        self._mode, self._outside, self._own = mode, outside, url.rstrip("/") + "/"
        self._held: TTLCache[str, KeptCard] = TTLCache(HELD, 3_600.0)
        self._hosted: TTLCache[str, bool] = TTLCache(HELD, 600.0)
        self._wanted: OrderedDict[str, WantedCard] = OrderedDict()
        self._underway: set[str] = set()
        self._more = anyio.Event()
        self._next: OrderedDict[str, float] = OrderedDict()
        """When a host may be asked again."""

    def of(self, web: DoorContext, text: str, uri: str, reader: str | None) -> dict[str, Any] | None:
        """The PreviewCard entity of the first link of a post, if its page is known here."""
        url = "" if self._mode == "off" else link_of(text)
        if not url or url.startswith(self._own):
            return None
        found = self._known(web, url)
        if found is None or not found.fresh:
            self._want(url, uri, reader)
        return None if found is None else entity(web, found)

    def settled(self, text: str, author: str) -> bool:
        """Whether `of` would answer the same again, until the page is old. author: a DID."""
        url = "" if self._mode == "off" else link_of(text)
        if not url or url.startswith(self._own):
            return True
        found = self._held.get(url)
        return (found is not None and found.fresh) or (self._mode == "own" and self._hosted.get(author) is False)

    def held(self, web: DoorContext, url: str) -> dict[str, Any] | None:
        """The PreviewCard entity of a page, if it is here."""
        found = None if self._mode == "off" else self._known(web, url)
        return None if found is None else entity(web, found)

    def _known(self, web: DoorContext, url: str) -> KeptCard | None:
        found = self._held.get(url)
        if found is None:
            found = card(web.door, url)
            if found is not None:
                self._held[url] = found
        return found

    def _want(self, url: str, uri: str, reader: str | None) -> None:
        wanted = self._wanted.get(url)
        if wanted is None:
            if len(self._wanted) >= QUEUED or url in self._underway:
                return
            wanted = self._wanted[url] = WantedCard()
        wanted.read |= reader is not None
        if len(wanted.uris) < POSTS:
            wanted.uris[uri] = None
        self._more.set()

    async def run(self, web: DoorContext, changed: Changed) -> None:
        """Asks for pages until it is cancelled. changed: tells streams of a post whose card came."""
        slots = anyio.Semaphore(TOGETHER)
        async with anyio.create_task_group() as tasks:
            while True:
                await self._more.wait()
                self._more = anyio.Event()
                for url, wanted in list(self._wanted.items()):
                    del self._wanted[url]
                    if len(self._underway) >= QUEUED:
                        continue
                    self._underway.add(url)
                    within = await self._within(web, wanted)
                    if within is None:
                        self._underway.discard(url)
                    else:
                        tasks.start_soon(self._later, web, url, wanted, within, slots, changed)

    async def _within(self, web: DoorContext, wanted: WantedCard) -> float | None:
        """Within how many seconds to ask for it; None: not at all."""
        authors = [uri.partition("/")[0] for uri in wanted.uris]
        lacking = [did for did in dict.fromkeys(authors) if self._hosted.get(did) is None]
        try:
            for did, row in (await profiles(web, lacking)).items() if lacking else ():
                self._hosted[did] = row["hosted"] is not None
        except HttpRefusal:
            return None
        if any(self._hosted.get(did) for did in authors):
            return OWN_S
        return READ_S if self._mode == "read" and wanted.read else None

    async def _later(
        self, web: DoorContext, url: str, wanted: WantedCard, within: float, slots: anyio.Semaphore, changed: Changed
    ) -> None:
        try:
            await anyio.sleep(random.uniform(0, within))
            await anyio.sleep(self._turn(urlsplit(url).netloc))
            async with slots:
                held = card(web.door, url)
                if held is None or not held.fresh:  # else another process of the door asked meanwhile
                    held = await self._fetch(web, url)
                self._held[url] = held
        except Exception:
            _log.exception("the card of a link could not be made")
            return
        finally:
            self._underway.discard(url)
        if held.said is not None:
            for uri in wanted.uris:
                await changed(web, uri)

    def _turn(self, host: str) -> float:
        """Seconds until it may be asked; from then on it is not asked for HOST_S."""
        now = time.monotonic()
        at = max(now, self._next.pop(host, now))
        self._next[host] = at + HOST_S
        while self._next and next(iter(self._next.values())) < now:
            self._next.popitem(last=False)
        return at - now

    async def _fetch(self, web: DoorContext, url: str) -> KeptCard:
        try:
            found = await fetched(web, self._outside, url)
        except Unreachable:
            found = None
        said, raw, kind = (None, None, None) if found is None else found
        return await to_thread.run_sync(keep, web.door, url, said, raw, kind)


def link_of(text: str) -> str:
    """The first address in a text, as it is asked for; empty if there is none."""
    return absolute("", first_link(text)) if "://" in text else ""


def entity(web: DoorContext, held: KeptCard) -> dict[str, Any] | None:
    """The PreviewCard entity; None if the page has none."""
    if held.said is None:
        return None
    return {**held.said, "image": None if held.picture is None else f"{web.url}/cards/{held.picture}"}


_log = logging.getLogger(__name__)
