"""What anybody may ask costs the same on a small node and on a large one: rows that are read, counted."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial, wraps
from pathlib import Path
from typing import Any

import pytest
import trio

from banyan_node.api.methods import exporting, feeds
from banyan_storage import lmdb_reads
from banyan_web.app import EVERY
from banyan_web.mastodon.ids import account_id, status_id
from banyan_web.page import archive
from tests.web.door import Door, open_node
from tests.web.test_platform import open_accounts, platform
from tests.web.test_workers import LIVE

FEW, MANY = 120, 420
SLACK = 120
"""Rows that one more may read by chance: less than a row for each account more."""
BOUNDED = ("/api/v1/trends/statuses", "/api/v1/trends/links", "/network")
"""They look at the newest posts and arrivals, so many and no more, once for all who ask."""
QUERIES = {
    "/api/v1/timelines/public": ("", "?local=true", "?limit=40"),
    "/api/v1/timelines/tag/{tag}": ("", "?local=true"),
    "/": ("", "?lang=vi"),
}


class _Rows:
    """Rows that were read of any store of this process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.read = 0
        for name in ("get", "last"):
            monkeypatch.setattr(lmdb_reads.Reader, name, self._one(getattr(lmdb_reads.Reader, name)))
        for name in ("get_many", "scan", "prefix", "dups", "beginning", "ending"):
            monkeypatch.setattr(lmdb_reads.Reader, name, self._each(getattr(lmdb_reads.Reader, name)))

    def _one(self, read: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(read)
        def counted(*given: Any, **more: Any) -> Any:
            self.read += 1
            return read(*given, **more)

        return counted

    def _each(self, read: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
        @wraps(read)
        def counted(*given: Any, **more: Any) -> Iterator[Any]:
            for row in read(*given, **more):
                self.read += 1
                yield row

        return counted


def _filled(names: Mapping[str, str], other: str, part: re.Match[str]) -> str:
    return names.get(part[1], other)


async def _costs(door: Door, rows: _Rows, count: int) -> dict[str, int]:
    """The rows that each address reads that anybody may ask for, the first time."""
    lotus = platform(door)
    dids = await open_accounts(lotus, *[f"a{n}" for n in range(count)])
    done = list[str]()
    for n, did in enumerate(dids):  # one by one: a page reads all that is of one millisecond
        done.append((await door.node.backend.call("post", {"text": f"số {n} #tết", "as": did}))["uri"])
        await trio.sleep(0.002)
    row = (await door.node.backend.call("posts.get", {"uris": [done[-1]]}))["posts"][0]
    account, _, key = done[-1].partition("/")
    names = {"account": account, "key": key, "tag": "tết", "name": "a1", "acct": "a1", "user": "a1", "did": account}
    anybody = door.client()
    read = -1
    with trio.fail_after(60):
        while read != rows.read:  # the index follows, and other work of the node
            read = rows.read
            await trio.sleep(1)
    await anybody.get("/api/v1/timelines/public", limit=1)  # what changed since the last question is read once
    found = dict[str, int]()
    for endpoint in [one for module in EVERY for one in module.all if one.verb == "GET" and one.scope is None]:
        if LIVE.search(endpoint.path) or endpoint.path in BOUNDED:
            continue
        ids = account_id(account) if "/accounts/" in endpoint.path else status_id(done[-1], row["time_ms"])
        path = re.sub(r"\{(\w+)(:path)?\}", partial(_filled, names, ids), endpoint.path)
        for query in QUERIES.get(endpoint.path, ("",)):
            before = rows.read
            answer = await anybody.http.get(path + query)
            assert answer.status_code < 500, (path, answer.text)
            found[endpoint.path + query] = rows.read - before
    before = rows.read
    assert (await lotus.http.get("/v1/counts")).json()["accounts"] == count + 1
    found["/v1/counts"] = rows.read - before
    return found


async def test_an_archive_that_is_too_large_is_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, write = list[Path](), exporting._written

    def written(at: Any, of: Any, path: Path, ask: Any) -> Any:
        made.append(path)
        return write(at, of, path, ask)

    monkeypatch.setattr(exporting, "_written", written)
    async with open_node(tmp_path) as door:
        an, _ = await door.person("an")
        for n in range(4):
            await door.node.backend.call("post", {"text": str(n) * 9_000})
        anybody = door.client()
        assert len((await anybody.http.get(f"/archives/{an}")).content) > 36_000
        monkeypatch.setattr(archive, "MOST", 30_000)
        answer = await anybody.http.get(f"/archives/{an}")
        assert answer.status_code == 413
        assert "banyan export" in answer.json()["error"]
    assert len(made) == 1


async def test_no_address_costs_more_where_more_accounts_are_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds, "MERGED", FEW // 2)
    rows, costs = _Rows(monkeypatch), list[dict[str, int]]()
    for count in (FEW, MANY):
        async with open_node(tmp_path / str(count), http__address_rate="0") as door:
            await door.person("Lotus")
            costs.append(await _costs(door, rows, count))
    few, many = costs
    grown = {path: (few[path], many[path]) for path in few if many[path] > few[path] + SLACK}
    assert not grown, f"rows read with {FEW} and with {MANY} accounts"
    assert few["/api/v1/timelines/public"] > 0
