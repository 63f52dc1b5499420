"""Fetches by itself what people here will look at: previews and pictures of posts, and the pictures of profiles, of
accounts that somebody follows, and those of drafts that another device wrote.

The store lists places in content that name blobs and that nobody looked at (`media_new`). A place is taken off the list
once all that is wanted of it is here, or nothing is. What no peer gives now is tried again, at longer and longer
intervals; a place is given up after TRIES.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import trio

from banyan_crdt.blob import BlobRoot
from banyan_crdt.ids import AccountId
from banyan_node.context import Context
from banyan_node.hosting import hosted
from banyan_node.media.blob_fetcher import BlobFetcher
from banyan_node.media.local_blobs import RegisterContent, drafted, said_at
from banyan_node.operator_errors import CallError
from banyan_node.upkeep import storage_quota
from banyan_node.workers.worker import Worker
from banyan_reading.queries import Queries, queries
from banyan_reading.relations import is_followed, numbers_of
from banyan_schema.social import PROFILE
from banyan_storage.blob_names import look_again, seen, unseen
from banyan_storage.errors import ViewBuilding
from banyan_storage.local_tables import HOSTED

LOOK_S = 0.5
PAGE = 200
AT_ONCE = 4
"""Blobs that are fetched at the same time."""
TRIES = 40
FIRST_S, LONGEST_S = 2.0, 3_600.0
"""The pause after a try that failed; it doubles each time."""
FETCH_S = 3_600.0
_DRAFT = b"draft"
"""What stands before a blob that is wanted for a draft; a place has fewer bytes."""
COLLECT_S = 3_600.0
"""Seconds between two looks for blobs that nothing names."""


@dataclass(slots=True)
class _FetchPlace:
    """What is wanted of a place, and when it is tried next, on trio's clock."""

    roots: tuple[BlobRoot, ...]
    tries: int = 0
    at: float = 0.0


async def follow(worker: Worker[Context], context: Context, fetcher: BlobFetcher) -> None:
    """For as long as the node runs."""
    places, commits = dict[bytes, _FetchPlace](), -1
    limiter, most = trio.CapacityLimiter(AT_ONCE), context.settings.config.media.fetch_bytes
    async with trio.open_nursery() as nursery:
        while True:
            await trio.sleep(LOOK_S)
            if commits != context.engine.commits:
                commits = context.engine.commits
                after: bytes | None = b""
                while after is not None:
                    page = await trio.to_thread.run_sync(_look, context, after, frozenset(places))
                    places |= page.wanted
                    if page.faded:
                        await worker.call(partial(storage_quota.fade, page.faded))
                    if page.done:
                        await worker.call(partial(_seen, page.done))
                    after = page.after
                for root in await trio.to_thread.run_sync(_lacking_in_drafts, context):
                    places.setdefault(_DRAFT + root, _FetchPlace((root,)))
            now = trio.current_time()
            for key, place in places.items():
                if place.at <= now:
                    place.at = float("inf")
                    nursery.start_soon(_fetch, worker, fetcher, key, places, limiter, most)


async def collect(worker: Worker[Context], context: Context) -> None:
    """Drops what nothing names, and uploads that nobody went on with, for as long as the node runs."""
    while True:
        await trio.to_thread.run_sync(storage_quota.drop_old, context.uploads, time.time())
        old = await trio.to_thread.run_sync(storage_quota.old, context.blobs, time.time())
        for at in range(0, len(old), storage_quota.AT_ONCE):
            await worker.call(partial(storage_quota.collect, old[at : at + storage_quota.AT_ONCE]))
            await trio.sleep(0.05)
        await trio.sleep(COLLECT_S)


async def _fetch(
    worker: Worker[Context],
    fetcher: BlobFetcher,
    key: bytes,
    places: dict[bytes, _FetchPlace],
    limiter: trio.CapacityLimiter,
    most: int,
) -> None:
    place, whole = places[key], True
    async with limiter:
        for root in place.roots:
            try:
                whole &= (await fetcher.fetch(root, FETCH_S, most)).whole
            except CallError:  # its content was erased meanwhile
                continue
    place.tries += 1
    if whole or place.tries >= TRIES:
        await worker.call(partial(_seen, [key]))
        del places[key]
    else:
        place.at = trio.current_time() + min(LONGEST_S, FIRST_S * 2 ** (place.tries - 1))


def _lacking_in_drafts(c: Context) -> list[BlobRoot]:
    """Blobs of drafts that were written on another device. On a thread."""
    with c.engine.read() as txn:
        roots = dict.fromkeys(one.root for one in drafted(txn))
    return [root for root in roots if (held := c.blobs.find(root)) is None or not held.whole]


def _seen(keys: Iterable[bytes], c: Context, now: float) -> None:
    seen(c.engine.write(), keys)


class _FetchPage(NamedTuple):
    """The places of which something is wanted, those that are done, the previews that are not shown at one of these,
    and where the next page begins (None: this was the last)."""

    wanted: dict[bytes, _FetchPlace]
    done: list[bytes]
    faded: list[BlobRoot]
    after: bytes | None


def _look(c: Context, after: bytes, known: frozenset[bytes]) -> _FetchPage:
    """On a thread."""
    found, done, faded = dict[bytes, _FetchPlace](), list[bytes](), list[BlobRoot]()
    with queries(c.engine, c.realm, c.store.late_ids) as q:
        rows = unseen(q.reader.txn, after, PAGE)
        numbers = numbers_of(q.reader.txn, HOSTED.keys(q.reader)) if rows else []
        for key in rows:
            if key in known:
                continue
            try:
                shown = storage_quota.shows(q, key)
                said = said_at(q.reader, key)
                roots = _wanted(c, q, said, numbers) if shown and said is not None else []
            except ViewBuilding:  # who follows whom is not known yet
                return _FetchPage(found, done, faded, None)
            if not shown:
                faded += _previews(said)
            lacking = tuple(root for root in roots if (held := c.blobs.find(root)) is None or not held.whole)
            if lacking:
                found[key] = _FetchPlace(lacking)
            else:
                done.append(key)
    return _FetchPage(found, done, faded, rows[-1] if len(rows) == PAGE else None)


def _wanted(c: Context, q: Queries, said: RegisterContent, numbers: list[bytes]) -> list[BlobRoot]:
    """What people here will look at, of what is said at a place: previews first."""
    most = c.settings.config.media.fetch_bytes
    if not most:
        return []
    if not hosted.is_hosted(q.reader, said.account) and not is_followed(q.reader.txn, said.account, numbers):
        return []
    small = [m for m in said.media if m.size <= most and (m.is_picture or m.type == "text/vtt")]
    return list(dict.fromkeys([*_previews(said), *(BlobRoot(m.blob) for m in small)]))


def _previews(said: RegisterContent | None) -> list[BlobRoot]:
    return [] if said is None else [BlobRoot(m.preview) for m in said.media if m.preview is not None]


def look_again_at(c: Context, account: AccountId) -> None:
    """Lets the pictures of a profile be fetched by itself: somebody here follows the account now. They came before
    that, when nobody wanted them."""
    q = c.queries()
    number = q.number(account)
    if number is not None:
        look_again(c.engine.write(), [place for _, place in q.shown(number, PROFILE)])
